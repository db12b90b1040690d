/** The guided check of the current clamp's direction. */

import { byId, setText } from '../../../web/page/dom.ts';
import { request } from '../../../web/page/request.ts';
import type { HouseholdView } from '../household-view.ts';
import { formatPower } from './power.ts';

type Verdict = Awaited<ReturnType<HouseholdView['checkClamp']>>;

export function setUpClampCheck(): void {
  const dialog = byId<HTMLDialogElement>('clamp');
  const check = byId<HTMLButtonElement>('clamp-check');
  const show = (text: string, kind: string) => {
    const place = byId('clamp-verdict');
    place.dataset.kind = kind;
    setText(place, text);
  };
  byId('clamp-open').addEventListener('click', openClampCheck);
  byId('clamp-close').addEventListener('click', () => dialog.close());
  check.addEventListener('click', async () => {
    check.disabled = true;
    show('The meter is looking …', 'busy');
    try {
      const verdict = await request<Verdict>('/api/check-clamp', 'POST');
      show(wordsOf(verdict), verdict.verdict === 'right' ? 'good' : 'bad');
    } catch (error) {
      show(`No result: ${(error as Error).message}.`, 'bad');
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
  const { value, unit } = formatPower(powerW);
  if (verdict === 'right') return `All is well: the meter sees ${value} ${unit} flowing into the house.`;
  if (verdict === 'load too small') {
    return `Only ${value} ${unit} flow just now: too little to be sure. Switch on something larger and check again.`;
  }
  return `The clamp is the wrong way round: the meter sees ${value} ${unit} flowing out while you draw power. Have it turned, so that its arrow points into the house. Inside a distribution board this is an electrician’s work.`;
}
