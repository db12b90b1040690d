/**
 * A cell's substation in the bench: its keys, its configuration, and what its modem and the households have to know. (Its line is the
 * bench's: bench/power-line; frames go in and out over the modem's route, protocol/trading/services.ts.)
 */
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUS_KEY_BYTES } from '../protocol/wire/bus-frame.ts';
import type { CertificateFiles, GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';

const HOST = '127.0.0.1';

export interface SubstationSideOptions {
  directory: string;
  ca: GridCa;
  /** The trusted third party's X.509 authority, PEM. */
  authorityFile: string;
  clock?: 'conductor' | 'system';
  /** 8 B, hex. */
  cell?: string;
  /** More settings, as in operator/substation/config.ts. */
  substation?: Record<string, unknown>;
}
export interface SubstationSide {
  /** For `node operator/substation/main.ts FILE`. */
  config: string;
  url: string;
  caFile: string;
  /** 32 B: who signs the keyset. */
  masterKey: Uint8Array;
  groupKey: Uint8Array;
  cell: Uint8Array;
  /** With which the bench's line calls LINE_PATH. */
  modem: CertificateFiles;
}

export async function prepareSubstation(options: SubstationSideOptions): Promise<SubstationSide> {
  const { directory, ca, authorityFile, clock = 'conductor', cell = '0000000000000001', substation = {} } = options;
  const own = join(directory, 'substation');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const masterKeyFile = join(own, 'master.key');
  const groupKeyFile = join(own, 'group.key');
  if (!existsSync(masterKeyFile))
    writeFileSync(masterKeyFile, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
    });
  if (!existsSync(groupKeyFile))
    writeFileSync(groupKeyFile, randomBytes(BUS_KEY_BYTES).toString('hex'), { mode: 0o600 });
  const { x } = createPublicKey(readFileSync(masterKeyFile)).export({ format: 'jwk' });
  const [port] = await freePorts(1);
  const config = join(directory, 'substation.json');
  const content = {
    stateDir: own,
    service: {
      host: HOST,
      port,
      ...(await ca.server('substation-server', [HOST, 'localhost'])),
      caFile: ca.caFile,
      // all households of a bench have one address
      requestsPerMinute: 100_000,
    },
    ...{ authorityFile, masterKeyFile, groupKeyFile, cell },
    ...substation,
    clock,
  };
  writeFileSync(config, `${JSON.stringify(content, null, 2)}\n`);
  return {
    config,
    url: `https://${HOST}:${port}`,
    caFile: ca.caFile,
    masterKey: Buffer.from(x!, 'base64url'),
    groupKey: Buffer.from(readFileSync(groupKeyFile, 'utf8').trim(), 'hex'),
    cell: Buffer.from(cell, 'hex'),
    modem: await ca.client('modem'),
  };
}
