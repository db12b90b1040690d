/**
 * The provider's billing, as one service beside the readings: two stores of its own, routes for gateways, a topic for prices.
 * Readings and bills share a process and a folder, nothing else: neither store is open to the other's steps.
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { decodeBill } from '../../protocol/billing/bill.ts';
import { openTariff } from '../../protocol/billing/prices.ts';
import { writeDispute } from '../../protocol/billing/public-data.ts';
import {
  BILLING_AUDIENCE,
  billCall,
  commitmentsCall,
  disclosureCall,
  POLICIES_MOST,
  PRICES_ANSWER_BYTES,
  policiesCall,
  pricesCall,
  requestsCall,
  tariffCall,
} from '../../protocol/billing/services.ts';
import { pricesTopic } from '../../protocol/billing/topics.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { ConfigError } from '../shared/config.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import {
  identifiedRoute,
  publicRoute,
  Refusal,
  roleRoute,
  type Service,
  serviceAccess,
  startService,
} from '../shared/service.ts';
import { BillDesk, BillStore, type Customer, type ReceivedBill } from './bills.ts';
import { CommitmentStore } from './commitments.ts';
import { plannedPrices } from './price-plan.ts';
import { type OfferedPolicy, type OfferedTariff, openPolicies, PricePublisher, PriceStore } from './price-publisher.ts';
import { asked, type Question, Questions } from './questions.ts';
import { Verdicts } from './verdicts.ts';

export const billingConfig = v.strictObject({
  service: serviceAccess,
  /** As identifier certificates name this provider. */
  name: v.string(),
  /** Certificate of the trusted third party, which issues identifiers; PEM. */
  issuerFile: v.string(),
  /** Public half of the key that signs tariffs, P-256 compressed, hexadecimal. The key itself is kept offline. */
  offlineKey: v.pipe(v.string(), v.regex(/^0[23][0-9a-f]{64}$/, 'is no compressed P-256 key in hexadecimal')),
  /** Signs prices: P-256, PKCS #8 PEM, mode 0600. */
  priceKeyFile: v.string(),
  tariffs: v.array(
    v.strictObject({
      /** As the offline key signed it; bytes. */
      tariffFile: v.string(),
      /** What to charge: price-plan.ts. */
      planFile: v.string(),
      /** Versions of its charging policy, oldest first, as the offline key signed them; bytes. None: bills are not proved. */
      policyFiles: v.optional(v.array(v.string()), []),
    }),
  ),
});
export type BillingConfig = v.InferOutput<typeof billingConfig>;

export interface Billing {
  readonly service: Service;
  advance(nowMs: number): void;
  /** A connection to the broker stands: time to say what may have been missed. */
  connected(): void;
  /** For the provider's people. */
  bills(): ReceivedBill[];
  /** What was asked of customers, and what they said. */
  questions(): Question[];
  /** Asks a customer to be told something. @returns the question's number @throws Refusal */
  ask(question: v.InferOutput<typeof asked>): number;
  /** What a third party judges a bill by, as text of a file; null where it is not here or proves nothing. */
  dispute(customer: string, firstSlot: number): string | null;
  /** Newest list of each tariff. */
  prices(): { tariff: string; number: number; endSlot: number }[];
  close(): Promise<void>;
}

/**
 * @param publish by MQTT; what is lost is asked for
 * @param party common name of this provider's own client certificate: its people see the bills, no other provider's
 */
export async function startBilling(
  config: BillingConfig,
  stateDir: string,
  publish: (topic: string, bytes: Uint8Array) => void,
  party = 'provider',
): Promise<Billing> {
  const tariffs = config.tariffs.map((entry) => offeredTariff(entry, config.offlineKey));
  const prices = new PriceStore(join(stateDir, 'prices.sqlite'));
  const bills = new BillStore(join(stateDir, 'bills.sqlite'));
  const publisher = new PricePublisher({
    store: prices,
    priceKey: readPriceKey(config.priceKeyFile),
    tariffs,
    publish: (tariff, bytes) => publish(pricesTopic(tariff), bytes),
    complain: (problem) => console.error(`provider: prices: ${problem}`),
  });
  const commitments = new CommitmentStore(bills.database);
  const verdicts = new Verdicts();
  const desk = new BillDesk({
    store: bills,
    commitments,
    verdicts,
    providerName: config.name,
    providerKey: Buffer.from(config.offlineKey, 'hex'),
    tariff: (name) => {
      const offered = publisher.tariff(name);
      return (
        offered && {
          currency: offered.tariff.currency,
          newestNumber: prices.newest(name)?.number ?? 0,
          policyAt: (slot) => offered.policies.findLast(({ policy }) => policy.firstSlot <= slot),
          signed: (firstSlot, endSlot) => ({
            tariff: offered.bytes,
            prices: prices.listsOf(name, firstSlot, endSlot),
          }),
        }
      );
    },
  });
  const questions = new Questions({ database: bills.database, commitments, verdicts });
  const customerOf = (caller: Customer): string => {
    if (caller.kind !== 'identifier' || caller.customerNumber === undefined || caller.provider !== config.name)
      throw new Refusal('not our customer', 'this is for customers of this provider', 'final', { status: 403 });
    return caller.customerNumber;
  };
  const time = (): number => {
    if (nowMs === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return nowMs;
  };
  const dispute = (customer: string, firstSlot: number): string | null => {
    const bytes = bills.bytesOf(customer, firstSlot);
    const bill = bytes && decodeBill(bytes);
    const key = bill && commitments.keyOfMeter(bill.identifier);
    const judged = bill && key && desk.disputeOf(bill, key, null);
    return judged ? writeDispute(judged) : null;
  };
  let nowMs: number | undefined;
  const service = await startService({
    name: BILLING_AUDIENCE,
    access: config.service,
    identification: {
      holders: new HolderCheck(readFileSync(config.issuerFile, 'utf8')),
      nowMs: () => nowMs,
      // an identifier that was revoked yesterday still owes for last month: its bill is taken
      isRevoked: () => false,
      nonces: new StoredNonces(bills.database),
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: tariffCall.path,
        body: tariffCall.body,
        handle: ({ tariff }) => ({ tariff: publisher.tariff(tariff)?.bytes ?? null }),
      }),
      publicRoute({
        method: 'POST',
        path: pricesCall.path,
        body: pricesCall.body,
        handle: ({ tariff, after, fromSlot }) => ({
          lists: prices.lists(tariff, after, after === 0 ? fromSlot : 0, PRICES_ANSWER_BYTES),
        }),
      }),
      identifiedRoute({
        method: 'POST',
        path: billCall.path,
        body: billCall.body,
        handle: ({ bill }, caller) => desk.receive(bill, caller, time()),
      }),
      publicRoute({
        method: 'POST',
        path: policiesCall.path,
        body: policiesCall.body,
        handle: ({ tariff }) => ({ policies: toldOf(publisher.tariff(tariff)?.policies ?? []) }),
      }),
      identifiedRoute({
        method: 'POST',
        path: commitmentsCall.path,
        body: commitmentsCall.body,
        handle: ({ batches }, caller) => ({
          slots: commitments.take(customerOf(caller), caller.publicKey, batches),
        }),
      }),
      identifiedRoute({
        method: 'POST',
        path: requestsCall.path,
        body: requestsCall.body,
        handle: (_, caller) => ({ requests: questions.open(customerOf(caller)) }),
      }),
      identifiedRoute({
        method: 'POST',
        path: disclosureCall.path,
        body: disclosureCall.body,
        handle: async ({ request, disclosure }, caller) => {
          await questions.receive(customerOf(caller), caller.publicKey, request, disclosure, time());
          return {};
        },
      }),
      roleRoute([party], { method: 'GET', path: '/billing/bills', handle: () => ({ bills: bills.bills() }) }),
      roleRoute([party], { method: 'GET', path: '/billing/questions', handle: () => ({ questions: questions.all() }) }),
      roleRoute([party], {
        method: 'POST',
        path: '/billing/ask',
        body: asked,
        handle: (question) => ({ id: questions.ask(question, time()) }),
      }),
      roleRoute([party], {
        method: 'POST',
        path: '/billing/dispute',
        body: v.strictObject({ customer: v.string(), firstSlot: v.pipe(v.number(), v.integer()) }),
        handle: ({ customer, firstSlot }) => {
          const text = dispute(customer, firstSlot);
          if (text === null)
            throw new Refusal('no such bill', 'there is no bill of this customer that proves anything', 'final');
          return { file: writeDisputeFile(stateDir, text) };
        },
      }),
    ],
  });
  return {
    service,
    advance(toMs) {
      nowMs = toMs;
      publisher.advance(toMs);
    },
    connected: () => publisher.publishNewest(),
    bills: () => bills.bills(),
    questions: () => questions.all(),
    ask: (question) => questions.ask(question, time()),
    dispute,
    prices: () =>
      tariffs.flatMap(({ tariff }) => {
        const newest = prices.newest(tariff.name);
        return newest ? [{ tariff: tariff.name, number: newest.number, endSlot: newest.endSlot }] : [];
      }),
    async close() {
      await service.close();
      await verdicts.close();
      prices.close();
      bills.close();
    },
  };
}

/** Of a policy's versions the newest, as many as fit into an answer. */
function toldOf(policies: readonly OfferedPolicy[]): Uint8Array[] {
  let left = PRICES_ANSWER_BYTES;
  const told: Uint8Array[] = [];
  for (const { bytes } of policies.slice(-POLICIES_MOST).reverse()) {
    left -= bytes.length;
    if (left < 0 && told.length > 0) break;
    told.unshift(bytes);
  }
  return told;
}

/** A month of commitments is more than an answer carries. @returns its path: `disputes/` in the provider's folder, named by its content */
function writeDisputeFile(stateDir: string, text: string): string {
  const folder = join(stateDir, 'disputes');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.json`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function offeredTariff(
  { tariffFile, planFile, policyFiles }: BillingConfig['tariffs'][number],
  offlineKey: string,
): OfferedTariff {
  const bytes = new Uint8Array(readFileSync(tariffFile));
  try {
    const tariff = openTariff(bytes, Buffer.from(offlineKey, 'hex'));
    const signed = policyFiles.map((file): Uint8Array => new Uint8Array(readFileSync(file)));
    const policies = openPolicies(tariff.name, signed, Buffer.from(offlineKey, 'hex'));
    return { tariff, bytes, policies, plan: (day) => plannedPrices(planFile, day) };
  } catch (error) {
    throw new ConfigError(tariffFile, '', (error as Error).message);
  }
}

function readPriceKey(file: string): ReturnType<typeof createPrivateKey> {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new ConfigError(file, '', 'is not there');
  if ((mode & 0o077) !== 0) throw new ConfigError(file, '', 'others than its owner may read it (chmod 600)');
  const key = createPrivateKey(readFileSync(file));
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new ConfigError(file, '', 'is no P-256 key');
  return key;
}
