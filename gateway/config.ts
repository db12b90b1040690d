/**
 * The gateway's configuration: one JSON file. Paths in it are relative to it. A mistake is one sentence that names the
 * field: `gateway.json: broker.url: …`.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { HPKE_PUBLIC_KEY_BYTES } from '../protocol/crypto/hpke.ts';
import { PUBLIC_KEY_BYTES } from '../protocol/crypto/p256.ts';
import { AREA_PATTERN } from '../protocol/readings/area.ts';
import { attestationConfig, resolveAttestationConfig } from './attestation/config.ts';
import { billingConfig, resolveBillingConfig } from './billing/config.ts';
import { controlSettings, resolvedControl } from './control/config.ts';
import { doorConfig, resolveDoorConfig } from './door/config.ts';
import { integrationsConfig, resolveIntegrationsConfig } from './integrations/config.ts';
import { resolveSellingConfig, sellingConfig } from './selling/config.ts';
import { resolveUpdatesConfig, updatesConfig } from './update/config.ts';
import { gridOperatorSettings } from './yearly/start.ts';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Such as `broker.url`; empty where the file as a whole is wrong. */
  readonly path: string;
  constructor(file: string, path: string, problem: string) {
    super(`${file}: ${path ? `${path}: ` : ''}${problem}`);
    this.path = path;
  }
}

const name = v.pipe(v.string(), v.minLength(1, 'is empty'), v.maxLength(100, 'is longer than 100 characters'));
const path = v.pipe(v.string(), v.minLength(1, 'is empty'));
const port = (lowest: number) =>
  v.pipe(
    v.number(),
    v.integer('is no whole number'),
    v.minValue(lowest, `is less than ${lowest}`),
    v.maxValue(65535, 'is more than 65535'),
  );
const hexadecimal = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `is not ${2 * bytes} lower-case hexadecimal digits`),
  );
const httpsUrl = v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port'));
const METER_LINK = /^(conductor|serial:.+|tcp:[^\s/]+:\d{1,5})$/;

const schema = v.strictObject({
  householdId: name,
  /** For people: stands on the page. */
  householdName: name,
  /** Store, keys, page certificates: only the gateway's user may read them. */
  dataDir: path,
  meterLink: v.pipe(v.string(), v.regex(METER_LINK, 'is none of conductor, serial:PATH, tcp:HOST:PORT')),
  /** Where the TPM is: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`. */
  tcti: path,
  /** Leaf of the grid's tree that the household belongs to. */
  area: v.pipe(v.string(), v.regex(AREA_PATTERN, 'is no area: lower-case letters, digits and hyphens, at most 32')),
  /** Wh. Readings leave the house in steps of this. */
  resolutionWh: v.optional(v.pipe(v.number(), v.integer('is no whole number'), v.minValue(1, 'is less than 1')), 50),
  broker: v.strictObject({
    url: v.pipe(v.string(), v.regex(/^mqtts:\/\/[^/\s]+$/, 'is not of the form mqtts://host:port')),
    /** The authority of the broker's certificate, PEM. */
    caFile: path,
  }),
  /** X25519. */
  providerPublicKey: hexadecimal(HPKE_PUBLIC_KEY_BYTES),
  /** Where the household's names come from; absent: it has none, and its readings stay in the house. */
  identity: v.optional(
    v.strictObject({
      /** The trusted third party. */
      url: httpsUrl,
      /** The authority of its server's certificate, PEM. */
      caFile: path,
      /** X25519: initialisation is sealed to it. */
      publicKey: hexadecimal(HPKE_PUBLIC_KEY_BYTES),
      /** P-256, compressed: signs pseudonym certificates. */
      issuingKey: hexadecimal(PUBLIC_KEY_BYTES),
      /** Its X.509 authority for the household's certificates, PEM. */
      authorityFile: path,
    }),
  ),
  /** The verifier; absent: nobody attests this gateway. Needs `identity`. */
  attestation: v.optional(attestationConfig),
  /** Prices, log and bill; absent: this household is not billed here. */
  billing: v.optional(billingConfig),
  /** Appliances, and who may tell them something; absent: none. */
  control: v.optional(controlSettings),
  /** Who is told the registers once a year, and says which provider the household has; absent: nobody. */
  gridOperator: v.optional(gridOperatorSettings),
  /** How messages without a name leave the house; absent: by no way. */
  door: v.optional(doorConfig),
  /** The control centre to which exports are sold without a name; absent: to none. Needs `identity` and `door`. */
  selling: v.optional(sellingConfig),
  /** Releases of meter and gateway; absent: both are updated by hand. */
  updates: v.optional(updatesConfig),
  /** The home's other systems; absent: none is told anything. */
  integrations: v.optional(integrationsConfig),
  /** The customer's page; null: none. Port 0 takes any free one. */
  web: v.nullable(v.strictObject({ port: port(0), host: name })),
  clock: v.optional(v.picklist(['conductor', 'system'], 'is neither conductor nor system'), 'system'),
});
export type GatewayConfig = v.InferOutput<typeof schema>;

/** @throws ConfigError */
export function loadConfig(file: string): GatewayConfig {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(file, '', (error as Error).message);
  }
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const [issue] = result.issues;
    throw new ConfigError(file, v.getDotPath(issue) ?? '', issue.message);
  }
  const config = result.output;
  if (config.meterLink === 'conductor' && config.clock !== 'conductor') {
    throw new ConfigError(file, 'meterLink', 'is conductor, but the clock is not');
  }
  if (config.attestation && !config.identity) {
    throw new ConfigError(file, 'attestation', 'needs the names that identity gives');
  }
  if (config.gridOperator && !config.identity) {
    throw new ConfigError(file, 'gridOperator', 'needs the names that identity gives');
  }
  if (config.selling && !(config.identity && config.door)) {
    throw new ConfigError(file, 'selling', 'needs the names that identity gives, and the door');
  }
  const base = dirname(resolve(file));
  return {
    ...config,
    dataDir: resolve(base, config.dataDir),
    broker: { ...config.broker, caFile: resolve(base, config.broker.caFile) },
    attestation: config.attestation && resolveAttestationConfig(config.attestation, (path) => resolve(base, path)),
    gridOperator: config.gridOperator && {
      ...config.gridOperator,
      caFile: resolve(base, config.gridOperator.caFile),
    },
    control: config.control && resolvedControl(config.control, (path) => resolve(base, path)),
    billing: config.billing && resolveBillingConfig(config.billing, (path) => resolve(base, path)),
    door: config.door && resolveDoorConfig(config.door, (path) => resolve(base, path)),
    selling: config.selling && resolveSellingConfig(config.selling, (path) => resolve(base, path)),
    updates: config.updates && resolveUpdatesConfig(config.updates, (path) => resolve(base, path)),
    integrations: config.integrations && resolveIntegrationsConfig(config.integrations, (path) => resolve(base, path)),
    identity: config.identity && {
      ...config.identity,
      caFile: resolve(base, config.identity.caFile),
      authorityFile: resolve(base, config.identity.authorityFile),
    },
  };
}
