/** What the customer should know just now, each as one card with plain words: said once, gone when it is over. */

import { byId, html } from '../../../web/page/dom.ts';
import { plural } from '../../../web/page/format.ts';
import type { SetupView } from '../household-view.ts';
import type { StatusEvent } from '../live-events.ts';
import { openClampCheck } from './clamp.ts';
import { openSetup } from './setup.ts';

export interface Situation {
  /** Whether this page reaches its gateway. */
  line: boolean;
  status: StatusEvent | null;
  warnings: string[];
  /** Null: not asked yet, or there is nothing to set up. */
  setup: SetupView | null;
}

interface Notice {
  title: string;
  text: string;
  action?: { label: string; run: () => void };
}

let shown = '';

export function showNotices(situation: Situation): void {
  const notices = noticesFor(situation);
  const now = JSON.stringify(notices);
  if (now === shown) return; // Written again it would be read aloud again.
  shown = now;
  byId('notices').replaceChildren(
    ...notices.map(({ title, text, action }) => {
      const card = html('div', { class: 'notice' }, html('p', {}, html('strong', {}, title), ` ${text}`));
      if (action) {
        const button = html('button', { type: 'button', class: 'quiet' }, action.label);
        button.addEventListener('click', action.run);
        card.append(button);
      }
      return card;
    }),
  );
}

function noticesFor({ line, status, warnings, setup }: Situation): Notice[] {
  if (!line) {
    return [
      {
        title: 'This page has lost its gateway.',
        text: 'It keeps trying, and goes on by itself. Nothing is lost: the meter counts on.',
      },
    ];
  }
  const notices: Notice[] = [];
  if (setup?.state === 'uninitialised') {
    notices.push({
      title: 'This meter is not set up yet.',
      text: 'It measures and keeps everything already. With the PIN of your provider’s letter its readings can go out.',
      action: { label: 'Set up this meter …', run: openSetup },
    });
  }
  if (setup?.state === 'refused') {
    notices.push({
      title: 'Setting up came to nothing:',
      text: `${setup.reason ?? 'no reason was given'}.`.replace('..', '.'),
      action: { label: 'Try again …', run: openSetup },
    });
  }
  if (status && !status.meter) {
    notices.push({
      title: 'The meter is silent.',
      text: 'Is its cable plugged in and has it power? It keeps what it measured, and hands it over later.',
    });
  }
  if (status && !status.grid) {
    const waiting =
      status.pendingReports > 0
        ? `${plural(status.pendingReports, 'reading waits', 'readings wait')} here and will be sent`
        : 'Readings will wait here and be sent';
    notices.push({ title: 'The grid side cannot be reached.', text: `${waiting} as soon as it answers again.` });
  }
  for (const warning of warnings) notices.push(noticeOf(warning));
  return notices;
}

function noticeOf(warning: string): Notice {
  if (/clamp/.test(warning)) {
    return {
      title: 'The clamp looks reversed.',
      text: 'Drawing and feeding in may be swapped. A check takes a minute.',
      action: { label: 'Check the clamp …', run: openClampCheck },
    };
  }
  return { title: 'The meter warns:', text: `${warning}.` };
}
