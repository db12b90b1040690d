/**
 * Setting the meter up: what the customer types goes to the gateway, which seals it; the page forgets it as soon as it is taken, or
 * the form is closed.
 */
import { byId, inEnglish, type Said, setSaid, setText } from '../../../web/page/dom.ts';
import { Refused, request } from '../../../web/page/request.ts';
import type { SetupView } from '../household-view.ts';
import { texts } from './texts/texts.ts';

const FIELDS = ['name', 'address', 'provider', 'customerNumber', 'pin'] as const;
type Field = (typeof FIELDS)[number];

const words = texts.setup;

export function setUpSetup(onTaken: (state: SetupView) => void): void {
  const dialog = byId<HTMLDialogElement>('setup');
  const form = byId<HTMLFormElement>('setup-form');
  const button = byId<HTMLButtonElement>('setup-go');
  byId('setup-open').addEventListener('click', openSetup);
  byId('setup-cancel').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    form.reset();
    point(null, '');
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const typed = Object.fromEntries(FIELDS.map((field) => [field, input(field).value.trim()]));
    const empty = FIELDS.find((field) => typed[field] === '');
    if (empty) return point(empty, words.please(words.help[empty]));
    button.disabled = true;
    setText(button, words.sealing);
    try {
      const state = await request<SetupView>('/api/setup', 'POST', typed);
      dialog.close();
      onTaken(state);
    } catch (error) {
      const field = fieldOf(error);
      const { message } = error as Error;
      point(field, field ? { sentence: words.typed(words.help[field]), english: message } : inEnglish(`${message}.`));
    } finally {
      button.disabled = false;
      setText(button, words.go);
    }
  });
}

export function openSetup(): void {
  byId<HTMLDialogElement>('setup').showModal();
}

const input = (field: Field) => byId<HTMLInputElement>(`setup-${field}`);

function fieldOf(error: unknown): Field | null {
  const path = error instanceof Refused ? error.path : undefined;
  return FIELDS.find((field) => path === `personal.${field}`) ?? null;
}

/** Says what is wrong beside the field, and puts the cursor into it. */
function point(wrong: Field | null, said: Said): void {
  for (const field of FIELDS) input(field).setAttribute('aria-invalid', String(field === wrong));
  setSaid(byId('setup-fault'), said);
  if (wrong) input(wrong).focus();
}
