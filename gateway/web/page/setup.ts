/**
 * Setting the meter up: what the customer types goes to the gateway, which seals it; the page forgets it as soon as it is taken, or
 * the form is closed.
 */
import { byId, setText } from '../../../web/page/dom.ts';
import { Refused, request } from '../../../web/page/request.ts';
import type { SetupView } from '../household-view.ts';

const FIELDS = ['name', 'address', 'provider', 'customerNumber', 'pin'] as const;
type Field = (typeof FIELDS)[number];

/** What helps, in the words of the form. */
const HELP: Record<Field, string> = {
  name: 'Your name, as your provider knows it',
  address: 'Your address in one line, as on an envelope',
  provider: 'Your provider’s name, as on its letter',
  customerNumber: 'Your customer number: three to 32 letters, digits or hyphens',
  pin: 'The PIN of the letter: eight digits',
};

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
    if (empty) return point(empty, `${HELP[empty]}, please.`);
    button.disabled = true;
    setText(button, 'Sealing …');
    try {
      const state = await request<SetupView>('/api/setup', 'POST', typed);
      dialog.close();
      onTaken(state);
    } catch (error) {
      const field = fieldOf(error);
      point(
        field,
        field ? `${HELP[field]}. What was typed ${(error as Error).message}.` : `${(error as Error).message}.`,
      );
    } finally {
      button.disabled = false;
      setText(button, 'Seal and send');
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
function point(wrong: Field | null, text: string): void {
  for (const field of FIELDS) input(field).setAttribute('aria-invalid', String(field === wrong));
  setText(byId('setup-fault'), text);
  if (wrong) input(wrong).focus();
}
