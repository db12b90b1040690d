/** The wizard of calibrating: what is really there, point by point; what that comes to; and then yes or no. */

import { byId, type Said, setSaid, setText } from '../../../web/page/dom.ts';
import { formatNumber } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import type { CalibrationFit, CalibrationPage } from '../household-view.ts';
import { texts } from './texts/texts.ts';

const words = texts.calibration;
/** Without a load there is little to see: it is looked at for longer. */
const IDLE_WINDOWS = 60;

export function setUpCalibration(): void {
  const dialog = byId<HTMLDialogElement>('calibration');
  const buttons = ['take', 'keep', 'anew', 'swap'].map((name) => byId<HTMLButtonElement>(`calibration-${name}`));
  const [, keep] = buttons;
  const show = (said: Said, kind = '') => {
    const place = byId('calibration-says');
    place.dataset.kind = kind;
    setSaid(place, said);
  };
  /** Runs one thing at a time; what the gateway refuses is a sentence. */
  const during = async (busy: string, work: () => Promise<void>) => {
    for (const button of buttons) button.disabled = true;
    show(busy, 'busy');
    try {
      await work();
    } catch (error) {
      show({ sentence: words.refused, english: (error as Error).message }, 'bad');
    } finally {
      for (const button of buttons) button.disabled = false;
      keep.disabled = rows === 0;
    }
  };
  let rows = 0;
  const showFit = (fit: CalibrationFit | null) => {
    rows = fit?.points.length ?? 0;
    const percent = (value: number | null) => (value === null ? '–' : `${formatNumber(value, 2)} %`);
    byId('calibration-points')
      .querySelector('tbody')!
      .replaceChildren(
        ...(fit?.points ?? []).map(({ watts, beforePercent, afterPercent }) => {
          const row = document.createElement('tr');
          for (const text of [`${formatNumber(watts, 0)} W`, percent(beforePercent), percent(afterPercent)]) {
            const cell = row.appendChild(document.createElement('td'));
            cell.className = 'number';
            setText(cell, text);
          }
          return row;
        }),
      );
    byId('calibration-points').hidden = rows === 0;
    keep.disabled = rows === 0;
  };

  byId('calibration-open').addEventListener('click', () => {
    showFit(null);
    show('');
    dialog.showModal();
    void during('', async () => {
      await request('/api/calibration/forget', 'POST');
      show('');
    });
  });
  byId('calibration-close').addEventListener('click', () => dialog.close());
  byId<HTMLFormElement>('calibration-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const [volts, watts] = ['volts', 'watts'].map(
      (name) => byId<HTMLInputElement>(`calibration-${name}`).valueAsNumber,
    );
    if (!Number.isFinite(volts) || !Number.isFinite(watts)) return show(words.numbers, 'bad');
    void during(words.looking, async () => {
      const point = { volts, watts, ...(watts === 0 && { windows: IDLE_WINDOWS }) };
      const { calibration } = await request<{ calibration: CalibrationPage }>('/api/calibration/point', 'POST', point);
      if (calibration.points.every((taken) => taken.watts === 0)) return show(words.needsLoad);
      const { fit } = await request<{ fit: CalibrationFit }>('/api/calibration/fit', 'POST');
      showFit(fit);
      show(fit.reversed ? words.reversed : words.taken, 'good');
    });
  });
  keep.addEventListener('click', () =>
    during(words.keeping, async () => {
      await request('/api/calibration/keep', 'POST');
      showFit(null);
      show(words.kept, 'good');
    }),
  );
  byId('calibration-anew').addEventListener('click', () =>
    during('', async () => {
      await request('/api/calibration/forget', 'POST');
      showFit(null);
      show('');
    }),
  );
  byId('calibration-swap').addEventListener('click', () =>
    during(words.keeping, async () => {
      await request('/api/calibration/swap', 'POST');
      show(words.swapped, 'good');
    }),
  );
}
