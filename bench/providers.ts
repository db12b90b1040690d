/**
 * The providers of a bench: each with keys, prices, a tariff, services and a store of its own. Every one of them is a process
 * (operator/provider); what they need before they start is made here.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SlotPrice } from '../protocol/billing/prices.ts';
import { ed25519PublicKey } from '../protocol/crypto/ed25519.ts';
import type { ProviderTerms } from '../protocol/grid-fees/provider-change.ts';
import {
  BENCH_POLICIES,
  type BenchTariff,
  HOURLY_CT,
  type PreparedBilling,
  prepareBilling,
  TARIFF,
} from './billing.ts';
import type { GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';

const HOST = '127.0.0.1';

export interface ProviderSpec {
  name: string;
  /** Of the bench's ordinary prices. */
  pricePercent: number;
  /** Offered beside the ordinary one. */
  tariffs?: readonly BenchTariff[];
}

/** What a provider calls a tariff: prices are published by its name, and there are several providers. */
export const tariffNameOf = ({ name }: Pick<ProviderSpec, 'name'>, index: number, tariff: BenchTariff): string =>
  index === 0 ? tariff : `${tariff}-${name}`;

export interface PreparedProvider {
  /** As certificates, documents and people name it. */
  name: string;
  /** Common name of its client certificate: the first is `provider`, the others `provider-<name>`. */
  party: string;
  billing: PreparedBilling;
  controlUrl: string;
  /** Ed25519, hexadecimal. */
  controlKey: string;
  /** More of its process's configuration. */
  settings: Record<string, unknown>;
  /** As the grid operator offers it; its reading key is made with the collector's side. */
  terms: Omit<ProviderTerms, 'readingKey'>;
}

/** The party of a provider by its place in the scenario. */
export const partyOf = ({ name }: ProviderSpec, index: number): string =>
  index === 0 ? 'provider' : `provider-${name}`;

const milliCent = (ct: number, pricePercent: number, share: number): number =>
  Math.round(ct * 10 * pricePercent * share);

/** What a provider's price lists say of a slot. */
export function benchPrice({ pricePercent }: Pick<ProviderSpec, 'pricePercent'>, slot: number): SlotPrice {
  const ct = HOURLY_CT[Math.floor((slot % 96) / 4)];
  return {
    importMilliCentPerKwh: milliCent(ct, pricePercent, 1),
    exportMilliCentPerKwh: milliCent(ct, pricePercent, 1 / 3),
  };
}

export interface ProviderOptions {
  /** Made if it is not there. */
  directory: string;
  ca: GridCa;
  /** Certificate of the trusted third party that issues identifiers, PEM. */
  issuerFile: string;
  /** Where invoices for the grid's fees come from: `invoices` of the provider's configuration, but its certificate. */
  gridOperator: { url: string; caFile: string; key: string };
}

export async function prepareProvider(
  spec: ProviderSpec,
  index: number,
  { directory, ca, issuerFile, gridOperator }: ProviderOptions,
): Promise<PreparedProvider> {
  const { name, pricePercent } = spec;
  const party = partyOf(spec, index);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [billingPort, controlPort] = await freePorts(2);
  const billing = await prepareBilling({
    directory,
    ca,
    issuerFile,
    port: billingPort,
    providerName: name,
    tariff: { ...TARIFF, name: tariffNameOf(spec, index, 'flex') },
    policies: [BENCH_POLICIES.flex],
    more: Object.fromEntries(
      (spec.tariffs ?? []).map((kind) => [tariffNameOf(spec, index, kind), BENCH_POLICIES[kind]]),
    ),
    plan: {
      default: {
        import: HOURLY_CT.map((ct) => milliCent(ct, pricePercent, 1)),
        export: HOURLY_CT.map((ct) => milliCent(ct, pricePercent, 1 / 3)),
      },
    },
  });
  const control = generateKeyPairSync('ed25519');
  const keyFile = join(directory, 'control.key');
  writeFileSync(keyFile, control.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const controlUrl = `https://${HOST}:${controlPort}`;
  const controlKey = Buffer.from(ed25519PublicKey(control.privateKey)).toString('hex');
  const { tariff, offlineKey, provider } = billing.gateway;
  return {
    name,
    party,
    billing,
    controlUrl,
    controlKey,
    settings: {
      billing: billing.provider,
      control: {
        service: {
          host: HOST,
          port: controlPort,
          ...(await ca.server(`${party}-control`, [HOST, 'localhost'])),
          caFile: ca.caFile,
          requestsPerMinute: 100_000,
        },
        keyFile,
      },
      invoices: {
        name,
        key: gridOperator.key,
        service: { url: gridOperator.url, caFile: gridOperator.caFile, ...(await ca.client(party)) },
      },
    },
    terms: { name, controlKey, tariff, tariffKey: offlineKey, url: provider.url, controlUrl },
  };
}
