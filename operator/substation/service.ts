/** What the substation offers over HTTPS (protocol/trading/services.ts), and to whom. */
import {
  DEPOSIT_PATH,
  depositRequest,
  KEYSET_PATH,
  LINE_PATH,
  lineRequest,
  WITHDRAW_PATH,
  withdrawRequest,
} from '../../protocol/trading/services.ts';
import {
  type IdentifiedCaller,
  identifiedRoute,
  publicRoute,
  Refusal,
  type Route,
  roleRoute,
} from '../shared/service.ts';
import type { Substation } from './substation.ts';

const MODEM = 'modem';

/** @param outgoing frames for the line: taken away by who asks */
export function substationRoutes(substation: Substation, outgoing: Uint8Array[], isLed: boolean): Route[] {
  const { books, accounts } = substation;
  return [
    identifiedRoute({
      method: 'POST',
      path: WITHDRAW_PATH,
      body: withdrawRequest,
      handle: (request, caller) => {
        void books.now; // not before the time is known
        return accounts.withdraw(customerFrom(caller), request);
      },
    }),
    identifiedRoute({
      method: 'POST',
      path: DEPOSIT_PATH,
      body: depositRequest,
      handle: (request, caller) => {
        void books.now;
        return accounts.deposit(customerFrom(caller), request);
      },
    }),
    publicRoute({
      method: 'GET',
      path: KEYSET_PATH,
      handle: () => {
        void books.now;
        return { keyset: books.keys.bytes! };
      },
    }),
    roleRoute([MODEM], {
      method: 'POST',
      path: LINE_PATH,
      body: lineRequest,
      handle: async ({ nowMs, frames }) => {
        for (const frame of frames) substation.receive(frame);
        await substation.settled();
        if (isLed && nowMs >= books.now) await substation.tick(nowMs);
        return { frames: outgoing.splice(0, LINE_FRAMES) };
      },
    }),
  ];
}
/** In one answer. */
const LINE_FRAMES = 150;

/** Customers are known by their identifier; the household's certificate, which names the device, is turned away unread. */
function customerFrom(caller: IdentifiedCaller): string {
  if (caller.kind === 'identifier') return `${caller.provider}/${caller.customerNumber}`;
  throw new Refusal('not this certificate', 'the identifier is shown here, not the household certificate', 'final', {
    status: 403,
  });
}
