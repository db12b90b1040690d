/** The console: looks every few seconds while somebody is looking at it, and shows what the parties say. */
import type { FleetDevice, FleetRelease } from '../../../protocol/attestation/fleet.ts';
import type { SentControl } from '../../../protocol/control/services.ts';
import { byId, html, setText } from '../../../web/page/dom.ts';
import { formatDay, formatSeconds } from '../../../web/page/format.ts';
import { request } from '../../../web/page/request.ts';
import { openDevice, openedDevice, refreshDevice, setUpDevice } from './device.ts';
import { showFees } from './fees.ts';
import { type FleetData, setUpFleet, showFleet, wantedRows } from './fleet.ts';
import { showControl, showRevocations } from './orders.ts';
import { showRollOut } from './roll-out.ts';
import { showSelling } from './selling.ts';

/** As operator/console/overview.ts sends it. */
interface Overview {
  fleet: FleetData | null;
  releases: FleetRelease[];
  control: SentControl[] | null;
  troubles: { party: string; sentence: string }[];
}

const EVERY_MS = 3_000;
let nowMs = 0;
let said = '';
const open = (device: FleetDevice): void => openDevice(device, nowMs);

/** The last question counts: answers may overtake each other. */
let asked = 0;
async function look(): Promise<void> {
  let overview: Overview;
  const question = ++asked;
  try {
    const wanted = new URLSearchParams({ ...wantedRows(), open: openedDevice() ?? '' });
    overview = await request<Overview>(`/api/overview?${wanted}`);
  } catch {
    notice([['The console does not answer.', 'It keeps trying. What is shown is what was known last.']]);
    return;
  }
  if (question !== asked) return;
  const { fleet, releases, control, troubles } = overview;
  notice(
    troubles.map(({ party, sentence }) => [
      `The ${party} does not answer.`,
      `What is shown of it is what it said last. (${sentence})`,
    ]),
  );
  if (fleet === null) return;
  nowMs = fleet.nowMs;
  setText(byId('clock-day'), formatDay(nowMs));
  setText(byId('clock-time'), formatSeconds(nowMs));
  byId('clock-time').setAttribute('datetime', new Date(nowMs).toISOString());
  showFleet(fleet);
  showRollOut(releases, fleet.all.devices, nowMs);
  showRevocations(fleet.revoked, open);
  showControl(control, nowMs);
  // what it shows is of yesterday: a grid operator that does not answer is tried again
  void showFees().catch(() => {});
  void showSelling().catch(() => {});
  refreshDevice(fleet.opened, nowMs);
}

/** Said once, gone when it is over. */
function notice(notices: [title: string, text: string][]): void {
  const now = JSON.stringify(notices);
  if (now === said) return; // Written again it would be read aloud again.
  said = now;
  byId('notices').replaceChildren(
    ...notices.map(([title, text]) =>
      html('div', { class: 'notice' }, html('p', {}, html('strong', {}, title), ` ${text}`)),
    ),
  );
}

setUpFleet(open, () => void look());
setUpDevice(look);
void look();
setInterval(() => {
  if (!document.hidden) void look();
}, EVERY_MS);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void look();
});
