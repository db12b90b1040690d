/**
 * What billing needs on this machine: the provider's keys, one signed tariff with its price plan, and the pieces of
 * configuration for provider and gateways. Of the offline key nothing is left but its public half.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signTariff } from '../protocol/billing/prices.ts';
import { type Policy, signPolicy } from '../protocol/billing/tariff.ts';
import { generateSigningKey } from '../protocol/crypto/p256.ts';
import type { GridCa } from './grid-ca.ts';

const HOST = '127.0.0.1';

export interface BillingPreparation {
  /** Made if it is not there. */
  directory: string;
  ca: GridCa;
  /** Certificate of the trusted third party that issues identifiers, PEM. */
  issuerFile: string;
  /** Free, for the provider's service. */
  port: number;
  /** As identifier certificates name the provider. */
  providerName: string;
  tariff?: { name: string; currency: string; leastImportMilliCentPerKwh: number };
  /** As operator/provider/price-plan.ts says. */
  plan?: object;
  /** Versions of its charging policy, oldest first; none: bills are not proved. */
  policies?: readonly PolicyTerms[];
  /** More tariffs of the same prices, by their names. */
  more?: Readonly<Record<string, PolicyTerms>>;
}
/** A policy, but for what its tariff says already. */
export type PolicyTerms = Omit<Policy, 'name' | 'currency'>;
export interface PreparedBilling {
  /** `billing` of the provider's configuration. */
  provider: Record<string, unknown>;
  /** `billing` of a gateway's configuration. */
  gateway: { tariff: string; offlineKey: string; provider: { name: string; url: string; caFile: string } };
  /** What the traders may change while it runs. */
  planFile: string;
}

export const TARIFF = { name: 'flex', currency: 'EUR', leastImportMilliCentPerKwh: 5000 };
/** A mild winter day: cheap at night, dear in the evening; a third of it for what is fed in. */
export const HOURLY_CT = [
  22, 21, 20, 20, 20, 22, 26, 31, 33, 30, 28, 26, 25, 24, 25, 27, 31, 37, 40, 38, 34, 30, 27, 24,
];
const PLAN = {
  default: { import: HOURLY_CT.map((ct) => ct * 1000), export: HOURLY_CT.map((ct) => Math.round((ct * 1000) / 3)) },
};

const ALWAYS = { number: 1, firstSlot: 0, unitMwh: 1 as const, readingBits: 24 };
const quarters = (price: (hour: number) => number): number[] =>
  Array.from({ length: 96 }, (_, i) => price(Math.floor(i / 4)));
/** What households of a bench may choose from; `flex` is the one that they have unless told. Export is paid for by all of them. */
export const BENCH_POLICIES = {
  flex: { ...ALWAYS, import: [{ kind: 'dynamic', add: 0 }], export: [{ kind: 'dynamic', add: 0 }], fixed: [] },
  flat: {
    ...ALWAYS,
    import: [{ kind: 'flat', milliCentPerKwh: 29_500 }],
    export: [{ kind: 'flat', milliCentPerKwh: 8_200 }],
    fixed: [{ name: 'meter and account', milliCentPerDay: 32_877 }],
  },
  'time-of-use': {
    ...ALWAYS,
    import: [
      {
        kind: 'time-of-use',
        milliCentPerKwh: quarters((hour) => (hour < 6 ? 21_000 : hour < 17 ? 28_000 : 41_000)),
        weekend: quarters(() => 21_000),
      },
    ],
    export: [{ kind: 'flat', milliCentPerKwh: 8_000 }],
    fixed: [{ name: 'meter and account', milliCentPerDay: 30_000 }],
  },
  /** What is drawn beyond 1 kW in a quarter hour costs more. */
  tiers: {
    ...ALWAYS,
    unitMwh: 1000,
    readingBits: 12,
    import: [
      {
        kind: 'tiers',
        intervalSlots: 1,
        steps: [
          { fromWh: 0, milliCentPerKwh: 26_000 },
          { fromWh: 250, milliCentPerKwh: 34_000 },
          { fromWh: 1250, milliCentPerKwh: 52_000 },
        ],
      },
    ],
    export: [{ kind: 'dynamic', add: -500 }],
    fixed: [],
  },
  /** The first kWh of a month are cheap. */
  blocks: {
    ...ALWAYS,
    import: [
      {
        kind: 'blocks',
        steps: [
          { fromWh: 0, milliCentPerKwh: 21_000 },
          { fromWh: 1_000, milliCentPerKwh: 30_000 },
          { fromWh: 250_000, milliCentPerKwh: 39_000 },
        ],
      },
    ],
    export: [{ kind: 'flat', milliCentPerKwh: 7_000 }],
    fixed: [],
  },
} satisfies Record<string, PolicyTerms>;
export type BenchTariff = keyof typeof BENCH_POLICIES;
export const BENCH_TARIFFS = Object.keys(BENCH_POLICIES) as BenchTariff[];

export async function prepareBilling(options: BillingPreparation): Promise<PreparedBilling> {
  const { directory, ca, issuerFile, port, providerName, tariff = TARIFF, plan = PLAN } = options;
  const { policies = [], more = {} } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [offline, prices] = [generateSigningKey(), generateSigningKey()];
  const priceKeyFile = join(directory, 'price.key');
  writeFileSync(priceKeyFile, prices.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const planFile = join(directory, `${tariff.name}-prices.json`);
  writeFileSync(planFile, `${JSON.stringify(plan, null, 2)}\n`);
  const offer = (name: string, versions: readonly PolicyTerms[]) => {
    const tariffFile = join(directory, `${name}.tariff`);
    const terms = { ...tariff, name, number: 1, priceKey: prices.publicKey };
    writeFileSync(tariffFile, signTariff(terms, offline.privateKey));
    const policyFiles = versions.map((version) => {
      const file = join(directory, `${name}-${version.number}.policy`);
      writeFileSync(file, signPolicy({ ...version, name, currency: tariff.currency }, offline.privateKey));
      return file;
    });
    return { tariffFile, planFile, policyFiles };
  };
  const tariffs = [
    offer(tariff.name, policies),
    ...Object.entries(more).map(([name, version]) => offer(name, [version])),
  ];
  const offlineKey = Buffer.from(offline.publicKey).toString('hex');
  return {
    provider: {
      service: {
        host: HOST,
        port,
        caFile: ca.caFile,
        ...(await ca.server(`${tariff.name}-service`, [HOST, 'localhost'])),
      },
      name: providerName,
      issuerFile,
      offlineKey,
      priceKeyFile,
      tariffs,
    },
    gateway: {
      tariff: tariff.name,
      offlineKey,
      provider: { name: providerName, url: `https://${HOST}:${port}`, caFile: ca.caFile },
    },
    planFile,
  };
}
