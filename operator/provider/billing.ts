/**
 * The provider's billing, as one service beside the readings: two stores of its own, routes for gateways, a topic for prices.
 * Readings and bills share a process and a folder, nothing else: neither store is open to the other's steps.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { openTariff } from '../../protocol/billing/prices.ts';
import {
  BILLING_AUDIENCE,
  billCall,
  PRICES_ANSWER_BYTES,
  pricesCall,
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
import { BillDesk, BillStore, type ReceivedBill } from './bills.ts';
import { plannedPrices } from './price-plan.ts';
import { type OfferedTariff, PricePublisher, PriceStore } from './price-publisher.ts';

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
  const desk = new BillDesk({
    store: bills,
    providerName: config.name,
    tariff: (name) => {
      const offered = publisher.tariff(name);
      return offered && { currency: offered.tariff.currency, newestNumber: prices.newest(name)?.number ?? 0 };
    },
  });
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
        handle: ({ bill }, caller) => {
          if (nowMs === undefined)
            throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
          return desk.receive(bill, caller, nowMs);
        },
      }),
      roleRoute([party], { method: 'GET', path: '/billing/bills', handle: () => ({ bills: bills.bills() }) }),
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
    prices: () =>
      tariffs.flatMap(({ tariff }) => {
        const newest = prices.newest(tariff.name);
        return newest ? [{ tariff: tariff.name, number: newest.number, endSlot: newest.endSlot }] : [];
      }),
    async close() {
      await service.close();
      prices.close();
      bills.close();
    },
  };
}

function offeredTariff({ tariffFile, planFile }: BillingConfig['tariffs'][number], offlineKey: string): OfferedTariff {
  const bytes = new Uint8Array(readFileSync(tariffFile));
  try {
    const tariff = openTariff(bytes, Buffer.from(offlineKey, 'hex'));
    return { tariff, bytes, plan: (day) => plannedPrices(planFile, day) };
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
