/** What the control centre offers over HTTPS (protocol/selling/services.ts), and to whom. */
import * as v from 'valibot';
import { KEY_ID_BYTES } from '../../protocol/crypto/keyset.ts';
import {
  ACCEPTED_PART_BYTES,
  ACCEPTED_PATH,
  acceptedRequest,
  DEPOSIT_PATH,
  depositRequest,
  EXPORTS_PATH,
  exportsRequest,
  KEYSET_PATH,
  OPEN_PATH,
  openRequest,
  REGISTER_PATH,
  RETURN_PATH,
  REVEAL_PATH,
  registerRequest,
  returnRequest,
  revealRequest,
  SET_UP_PATH,
  SETTLEMENT_PATH,
  sellingOverviewCall,
  settlementRequest,
  setUpRequest,
  TERMS_PATH,
  USED_LIST_PATH,
  usedListRequest,
} from '../../protocol/selling/services.ts';
import { bytes } from '../../protocol/services/call.ts';
import {
  type IdentifiedCaller,
  identifiedRoute,
  publicRoute,
  Refusal,
  type Route,
  roleRoute,
} from '../shared/service.ts';
import type { ControlCentre } from './centre.ts';
import { overview } from './questions.ts';
import { customerOf } from './store.ts';

const CONSOLE = 'console';

export function centreRoutes(centre: ControlCentre): Route[] {
  const { books, registration, announcements, deposits, reconciliation, exports, settlement } = centre;
  const named = <S extends v.GenericSchema>(
    path: string,
    body: S,
    handle: (customer: string, request: v.InferOutput<S>, publicKey: Uint8Array) => object | Promise<object>,
  ): Route =>
    identifiedRoute<S>({
      method: 'POST',
      path,
      body,
      handle: ((request: v.InferOutput<S>, caller: IdentifiedCaller) => {
        void books.now; // not before the time is known
        return handle(customerFrom(caller), request, caller.publicKey);
      }) as never,
    });
  return [
    named(SET_UP_PATH, setUpRequest, (customer, { sealed }) => registration.setUp(customer, sealed)),
    named(REGISTER_PATH, registerRequest, (customer, request) => registration.register(customer, request)),
    named(OPEN_PATH, openRequest, (customer, request) => registration.open(customer, request)),
    named(DEPOSIT_PATH, depositRequest, (customer, request) => deposits.deposit(customer, request)),
    named(USED_LIST_PATH, usedListRequest, (customer, request) => reconciliation.takeList(customer, request)),
    named(REVEAL_PATH, revealRequest, (customer, request) => reconciliation.reveal(customer, request)),
    named(RETURN_PATH, returnRequest, (customer, request) => reconciliation.giveBack(customer, request)),
    named(EXPORTS_PATH, exportsRequest, (customer, { commitments }, publicKey) =>
      exports.take(customer, publicKey, commitments),
    ),
    named(SETTLEMENT_PATH, settlementRequest, (customer, request) => settlement.settle(customer, request)),
    publicRoute({
      method: 'GET',
      path: KEYSET_PATH,
      handle: () => {
        void books.now;
        return { keyset: books.keys.bytes! };
      },
    }),
    publicRoute({
      method: 'GET',
      path: TERMS_PATH,
      handle: () => {
        void books.now;
        return announcements.documents();
      },
    }),
    publicRoute({
      method: 'POST',
      path: ACCEPTED_PATH,
      body: acceptedRequest,
      handle: ({ epoch, part }) => {
        const list = announcements.list(epoch);
        const piece = list?.bytes.subarray(part * ACCEPTED_PART_BYTES, (part + 1) * ACCEPTED_PART_BYTES);
        if (!list || !piece?.length)
          throw new Refusal('no such list', 'nothing was accepted in this epoch, or there is no such part', 'again', {
            status: 404,
          });
        return { epoch: list.epoch, parts: Math.ceil(list.bytes.length / ACCEPTED_PART_BYTES), bytes: piece };
      },
    }),
    roleRoute([CONSOLE], {
      method: 'POST',
      path: sellingOverviewCall.path,
      body: sellingOverviewCall.body,
      handle: () => overview(centre),
    }),
    roleRoute([CONSOLE], {
      method: 'POST',
      path: '/selling/revoke',
      body: v.strictObject({ keyId: bytes(KEY_ID_BYTES) }),
      handle: async ({ keyId }) => {
        await centre.revoke(keyId);
        return { keyset: books.keys.bytes! };
      },
    }),
    roleRoute([CONSOLE], {
      method: 'POST',
      path: '/selling/weights',
      body: v.strictObject({
        firstSlot: v.pipe(v.number(), v.integer(), v.minValue(0)),
        weights: v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))), v.length(96)),
      }),
      handle: (request) => announcements.announce(request),
    }),
  ];
}

/** Customers are known by their identifier; the household's certificate, which names the device, is turned away unread. */
function customerFrom(caller: IdentifiedCaller): string {
  if (caller.kind === 'identifier') return customerOf(caller);
  throw new Refusal('not this certificate', 'the identifier is shown here, not the household certificate', 'final', {
    status: 403,
  });
}
