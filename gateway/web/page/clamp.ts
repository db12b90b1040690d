/** The guided check of the current clamp's direction. */

import { byId, type Said, setSaid, setText } from '../../../web/page/dom.ts';
import { request } from '../../../web/page/request.ts';
import type { HouseholdView } from '../household-view.ts';
import { powerText } from './power.ts';
import { texts } from './texts/texts.ts';

const words = texts.clamp;
type Verdict = Awaited<ReturnType<HouseholdView['checkClamp']>>;

export function setUpClampCheck(): void {
  const dialog = byId<HTMLDialogElement>('clamp');
  const check = byId<HTMLButtonElement>('clamp-check');
  const show = (said: Said, kind: string) => {
    const place = byId('clamp-verdict');
    place.dataset.kind = kind;
    setSaid(place, said);
  };
  byId('clamp-open').addEventListener('click', openClampCheck);
  byId('clamp-close').addEventListener('click', () => dialog.close());
  check.addEventListener('click', async () => {
    check.disabled = true;
    show(words.looking, 'busy');
    try {
      const verdict = await request<Verdict>('/api/check-clamp', 'POST');
      show(wordsOf(verdict), verdict.verdict === 'right' ? 'good' : 'bad');
    } catch (error) {
      show({ sentence: words.failed, english: (error as Error).message }, 'bad');
    } finally {
      check.disabled = false;
      check.focus();
    }
  });
}

export function openClampCheck(): void {
  setText(byId('clamp-verdict'), '');
  byId('clamp-verdict').dataset.kind = '';
  byId<HTMLDialogElement>('clamp').showModal();
}

function wordsOf({ verdict, powerW }: Verdict): string {
  const power = powerText(powerW);
  if (verdict === 'right') return words.right(power);
  return verdict === 'load too small' ? words.tooSmall(power) : words.reversed(power);
}
