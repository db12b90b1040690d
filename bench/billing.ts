/**
 * What billing needs on this machine: the provider's keys, one signed tariff with its price plan, and the pieces of
 * configuration for provider and gateways. Of the offline key nothing is left but its public half.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signTariff } from '../protocol/billing/prices.ts';
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
}
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

export async function prepareBilling(options: BillingPreparation): Promise<PreparedBilling> {
  const { directory, ca, issuerFile, port, providerName, tariff = TARIFF, plan = PLAN } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [offline, prices] = [generateSigningKey(), generateSigningKey()];
  const priceKeyFile = join(directory, 'price.key');
  writeFileSync(priceKeyFile, prices.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const tariffFile = join(directory, `${tariff.name}.tariff`);
  writeFileSync(tariffFile, signTariff({ ...tariff, number: 1, priceKey: prices.publicKey }, offline.privateKey));
  const planFile = join(directory, `${tariff.name}-prices.json`);
  writeFileSync(planFile, `${JSON.stringify(plan, null, 2)}\n`);
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
      tariffs: [{ tariffFile, planFile }],
    },
    gateway: {
      tariff: tariff.name,
      offlineKey,
      provider: { name: providerName, url: `https://${HOST}:${port}`, caFile: ca.caFile },
    },
    planFile,
  };
}
