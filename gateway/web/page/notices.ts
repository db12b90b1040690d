/** What the customer should know just now, each as one card with plain words: said once, gone when it is over. */

import { byId, html, inEnglish, nodesOf, type Said } from '../../../web/page/dom.ts';
import type { SetupView } from '../household-view.ts';
import type { StatusEvent } from '../live-events.ts';
import { openClampCheck } from './clamp.ts';
import { openSetup } from './setup.ts';
import { texts } from './texts/texts.ts';

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
  text: Said;
  action?: { label: string; run: () => void };
}

const words = texts.notices;
let shown = '';

export function showNotices(situation: Situation): void {
  const notices = noticesFor(situation);
  const now = JSON.stringify(notices);
  if (now === shown) return; // Written again it would be read aloud again.
  shown = now;
  byId('notices').replaceChildren(
    ...notices.map(({ title, text, action }) => {
      const card = html('div', { class: 'notice' }, html('p', {}, html('strong', {}, title), ' ', ...nodesOf(text)));
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
        title: words.lineLost,
        text: words.lineLostMore,
      },
    ];
  }
  const notices: Notice[] = [];
  if (setup?.state === 'uninitialised') {
    notices.push({
      title: words.notSetUp,
      text: words.notSetUpMore,
      action: { label: words.setUp, run: openSetup },
    });
  }
  if (setup?.state === 'refused') {
    notices.push({
      title: words.setUpFailed,
      text: setup.reason === null ? `${words.noReason}.` : inEnglish(`${setup.reason}.`.replace('..', '.')),
      action: { label: words.tryAgain, run: openSetup },
    });
  }
  if (status && !status.meter) {
    notices.push({
      title: words.silent,
      text: words.silentMore,
    });
  }
  if (status && !status.grid) {
    const { pendingReports } = status;
    notices.push({
      title: words.noGrid,
      text: pendingReports > 0 ? words.noGridWaits(pendingReports) : words.noGridWill,
    });
  }
  for (const warning of warnings) notices.push(noticeOf(warning));
  return notices;
}

function noticeOf(warning: string): Notice {
  if (/clamp/.test(warning)) {
    return {
      title: words.reversed,
      text: words.reversedMore,
      action: { label: words.checkClamp, run: openClampCheck },
    };
  }
  const known = texts.warnings[warning];
  return { title: words.warns, text: known === undefined ? inEnglish(`${warning}.`) : `${known}.` };
}
