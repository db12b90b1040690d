/**
 * Everything that the control centre needs on this machine: certificates, keys and a configuration file, as bench/verifier-side.ts
 * does for the verifier. The process is the caller's.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DoorAccess } from '../operator/shared/door.ts';
import { meterSealedBytes } from '../protocol/crypto/meter-seal.ts';
import { answerBytes, saleBytes } from '../protocol/selling/messages.ts';
import type { GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';

const HOST = '127.0.0.1';

export interface ControlCentreSideOptions {
  /** Made if it is not there; configuration, and a folder for the centre's store. */
  directory: string;
  ca: GridCa;
  /** The trusted third party's X.509 authority, PEM. */
  authorityFile: string;
  /** The door's plan and the centre's keys in it (operator/shared/door.ts). */
  door?: DoorAccess;
  /** Where the master key is kept; in `directory` unless told. */
  keysDirectory?: string;
  clock?: 'conductor' | 'system';
  /** More settings, as in operator/control-centre/config.ts. */
  controlCentre?: Record<string, unknown>;
}

export interface ControlCentreSide {
  /** For `node operator/control-centre/main.ts FILE`. */
  config: string;
  url: string;
  /** `selling` of a gateway's configuration. */
  gatewaySelling: { url: string; caFile: string; masterKey: string };
  /** What the door's plan has to have room for. */
  doorSizes: { messageBytes: number; answerBytes: number };
}

export async function prepareControlCentre(options: ControlCentreSideOptions): Promise<ControlCentreSide> {
  const { directory, ca, authorityFile, door, clock = 'conductor', controlCentre = {} } = options;
  const own = join(directory, 'control-centre');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const keys = options.keysDirectory ?? join(directory, 'control-centre-keys');
  mkdirSync(keys, { recursive: true, mode: 0o700 });
  const masterKeyFile = join(keys, 'master.key');
  if (!existsSync(masterKeyFile))
    writeFileSync(masterKeyFile, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
    });
  const { x } = createPublicKey(readFileSync(masterKeyFile)).export({ format: 'jwk' });
  const [port] = await freePorts(1);
  const url = `https://${HOST}:${port}`;
  const config = join(directory, 'control-centre.json');
  const content = {
    stateDir: own,
    service: {
      host: HOST,
      port,
      ...(await ca.server('control-centre-server', [HOST, 'localhost'])),
      caFile: ca.caFile,
      // all households of a bench have one address
      requestsPerMinute: 100_000,
    },
    door,
    authorityFile,
    masterKeyFile,
    ...controlCentre,
    clock,
  };
  writeFileSync(config, `${JSON.stringify(content, null, 2)}\n`);
  return {
    config,
    url,
    gatewaySelling: { url, caFile: ca.caFile, masterKey: Buffer.from(x!, 'base64url').toString('hex') },
    doorSizes: controlCentreDoorSizes(controlCentre),
  };
}

/** What a SALE and its ANSWER take under the centre's settings. */
export function controlCentreDoorSizes({ perSale = 1, keyBits = 2048 }: { perSale?: number; keyBits?: number }) {
  const keyBytes = keyBits / 8;
  return {
    messageBytes: meterSealedBytes(keyBytes, saleBytes(perSale, keyBytes)),
    answerBytes: answerBytes(perSale, keyBytes),
  };
}
