/**
 * Everything that broker, collector and provider need on this machine: certificates, secrets and one configuration file each.
 * The processes themselves are the caller's.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { generateHpkeKeyPair } from '../protocol/crypto/hpke.ts';
import { MAC_KEY_BYTES } from '../protocol/crypto/mac.ts';
import { GridCa } from './grid-ca.ts';

const HOST = '127.0.0.1';

export interface GridSideOptions {
  /** Made if it is not there; configuration, keys, and a folder for each party's store. */
  directory: string;
  /** Whom the collector believes: `trust` of its config.ts. */
  trust: Record<string, unknown>;
  k?: number;
  /** More settings of a party, as in its config.ts. */
  broker?: Record<string, unknown>;
  collector?: Record<string, unknown>;
  provider?: Record<string, unknown>;
  /** Further providers by name (`provider-<name>` at the broker), each with keys and a store of its own. */
  otherProviders?: Record<string, Record<string, unknown>>;
  clock?: 'conductor' | 'system';
  /** Where the certificate authority is kept; in `directory` unless told. */
  caDirectory?: string;
}

export interface GridSide {
  /** Configuration files, for `node operator/<party>/main.ts FILE`. */
  configs: { broker: string; collector: string; provider: string };
  /** What a gateway is told about the broker. */
  gatewayAccess: { url: string; caFile: string };
  /** HPKE, 32 B. */
  providerPublicKey: Uint8Array;
  /** By name: configuration file, and the HPKE key. */
  otherProviders: Record<string, { config: string; publicKey: Uint8Array }>;
  ports: { gateways: number; parties: number };
  ca: GridCa;
}

export async function prepareGridSide(options: GridSideOptions): Promise<GridSide> {
  const { directory, clock = 'conductor', k = 3 } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const ca = await GridCa.open(options.caDirectory ?? join(directory, 'grid-ca'));
  const [gateways, parties] = await freePorts(2);
  const access = async (role: string): Promise<Record<string, string>> => ({
    url: `mqtts://${HOST}:${parties}`,
    caFile: ca.caFile,
    ...(await ca.client(role)),
  });
  const config = (name: string, content: Record<string, unknown>): string => {
    const file = join(directory, `${name}.json`);
    writeFileSync(file, `${JSON.stringify({ ...content, clock }, null, 2)}\n`);
    return file;
  };
  const makeProvider = async (party: string, settings: Record<string, unknown> = {}) => {
    const { publicKey, privateKey } = await generateHpkeKeyPair();
    const macKeyFile = writeSecret(join(directory, `collector-${party}.key`), randomBytes(MAC_KEY_BYTES));
    const privateKeyFile = writeSecret(join(directory, `${party}-hpke.key`), privateKey);
    const file = config(party, {
      stateDir: join(directory, party),
      broker: await access(party),
      party,
      macKeyFile,
      privateKeyFile,
      k,
      ...settings,
    });
    const delivery = { party, readingKeys: [Buffer.from(publicKey).toString('hex')], macKeyFile };
    return { publicKey, file, delivery };
  };
  const provider = await makeProvider('provider', options.provider);
  const others: Record<string, Awaited<ReturnType<typeof makeProvider>>> = {};
  for (const [name, settings] of Object.entries(options.otherProviders ?? {}))
    others[name] = await makeProvider(`provider-${name}`, settings);
  return {
    configs: {
      broker: config('broker', {
        gateways: { host: HOST, port: gateways },
        parties: { host: HOST, port: parties },
        caFile: ca.caFile,
        ...(await ca.server('broker', [HOST, 'localhost'])),
        ...options.broker,
      }),
      collector: config('collector', {
        stateDir: join(directory, 'collector'),
        broker: await access('collector'),
        trust: options.trust,
        providers: [provider, ...Object.values(others)].map(({ delivery }) => delivery),
        k,
        ...options.collector,
      }),
      provider: provider.file,
    },
    gatewayAccess: { url: `mqtts://${HOST}:${gateways}`, caFile: ca.caFile },
    providerPublicKey: provider.publicKey,
    otherProviders: Object.fromEntries(
      Object.entries(others).map(([name, { file, publicKey }]) => [name, { config: file, publicKey }]),
    ),
    ports: { gateways, parties },
    ca,
  };
}

function writeSecret(file: string, key: Uint8Array): string {
  writeFileSync(file, `${Buffer.from(key).toString('hex')}\n`, { mode: 0o600 });
  return file;
}

/** Ports that nobody listens on at the moment. */
export async function freePorts(howMany: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: howMany }, () => {
      const server = createServer();
      return new Promise<typeof server>((done, failed) => {
        server.once('error', failed);
        server.listen(0, HOST, () => done(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
