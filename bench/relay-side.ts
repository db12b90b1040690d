/**
 * Everything that the door needs on this machine: the parties' keys, one signed plan, and the relay's configuration. The
 * processes are the caller's. Of the key that signs plans nothing is left but its public half.
 *
 *   const doors = prepareDoorKeys({ directory, destinations: [{ name: 'control-centre', … }] })   before the parties
 *   … the parties' configurations get doors.party(name), their services' addresses become known …
 *   const relay = await prepareRelay({ directory, ca, doors, urls: { 'control-centre': url }, k })
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ed25519PublicKey } from '../protocol/crypto/ed25519.ts';
import { generateHpkeKeyPair } from '../protocol/crypto/hpke.ts';
import { type Destination, publishPlan } from '../protocol/door/plan.ts';
import type { GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';

const HOST = '127.0.0.1';

export interface DoorKeysOptions {
  /** Made if it is not there; holds the plan and the parties' keys. */
  directory: string;
  destinations: Omit<Destination, 'publicKey' | 'listKey'>[];
  /** So long after a slot's begin bundles leave. A conductor's step ends right after it. */
  sendAfterMs?: number;
}
export interface DoorKeys {
  planFile: string;
  /** Public, hexadecimal. */
  planKey: string;
  /** `door` of a party's configuration (operator/shared/door.ts: doorAccess). */
  party(name: string): { planFile: string; planKey: string; hpkeKeyFile: string; listKeyFile: string };
}

export async function prepareDoorKeys({
  directory,
  destinations,
  sendAfterMs = 0,
}: DoorKeysOptions): Promise<DoorKeys> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [planFile, fileOf] = [join(directory, 'door.plan'), (name: string) => join(directory, name)];
  const files = new Map<string, { hpkeKeyFile: string; listKeyFile: string }>();
  const all: Destination[] = [];
  for (const destination of destinations.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const hpke = await generateHpkeKeyPair();
    const list = generateKeyPairSync('ed25519').privateKey;
    const [hpkeKeyFile, listKeyFile] = [fileOf(`${destination.name}-hpke.key`), fileOf(`${destination.name}-list.key`)];
    writeFileSync(hpkeKeyFile, `${Buffer.from(hpke.privateKey).toString('hex')}\n`, { mode: 0o600 });
    writeFileSync(listKeyFile, list.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    files.set(destination.name, { hpkeKeyFile, listKeyFile });
    all.push({ ...destination, publicKey: hpke.publicKey, listKey: ed25519PublicKey(list) });
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  const plan = { number: 1, sendAfterMs, destinations: all };
  writeFileSync(
    planFile,
    publishPlan(plan, (message) => sign(null, message, privateKey)),
  );
  const planKey = Buffer.from(ed25519PublicKey(privateKey)).toString('hex');
  return { planFile, planKey, party: (name) => ({ planFile, planKey, ...files.get(name)! }) };
}

export interface RelaySideOptions {
  /** Made if it is not there; configuration, and a folder for the relay's store. */
  directory: string;
  ca: GridCa;
  doors: DoorKeys;
  /** Services of the plan's destinations, by name. */
  urls: Record<string, string>;
  k?: number;
  /** So long after a slot's begin its bundles are shuffled; 0 where the relay hears the time after the gateways. */
  closeAfterMs?: number;
  clock?: 'conductor' | 'system';
  /** More settings, as in operator/relay/config.ts. */
  relay?: Record<string, unknown>;
}
export interface RelaySide {
  /** For `node operator/relay/main.ts FILE`. */
  config: string;
  url: string;
  /** `door` of a gateway's configuration. */
  gatewayDoor: { url: string; caFile: string; planFile: string; planKey: string };
}

export async function prepareRelay(options: RelaySideOptions): Promise<RelaySide> {
  const { directory, ca, doors, urls, k = 3, closeAfterMs = 0, clock = 'conductor' } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [port] = await freePorts(1);
  const url = `https://${HOST}:${port}`;
  const client = await ca.client('relay');
  const config = join(directory, 'relay.json');
  const content = {
    stateDir: join(directory, 'relay'),
    service: {
      host: HOST,
      port,
      ...(await ca.server('relay-server', [HOST, 'localhost'])),
      caFile: ca.caFile,
      // all households of a bench have one address
      requestsPerMinute: 1_000_000,
    },
    planFile: doors.planFile,
    planKey: doors.planKey,
    destinations: Object.fromEntries(
      Object.entries(urls).map(([name, destination]) => [name, { url: destination, caFile: ca.caFile, ...client }]),
    ),
    k,
    bundlesPerAddress: 100_000,
    closeAfterMs,
    ...options.relay,
    clock,
  };
  writeFileSync(config, `${JSON.stringify(content, null, 2)}\n`);
  return { config, url, gatewayDoor: { url, caFile: ca.caFile, planFile: doors.planFile, planKey: doors.planKey } };
}
