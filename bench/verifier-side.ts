/**
 * Everything that the verifier needs on this machine: certificates, keys and a configuration file, as bench/identity-side.ts does
 * for the trusted third party and the grid operator. The process is the caller's.
 */
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSigningKey } from '../operator/shared/private-key.ts';
import type { GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';
import type { BenchReleases } from './releases.ts';

const HOST = '127.0.0.1';

export interface VerifierSideOptions {
  /** Made if it is not there; configuration, and a folder for the verifier's store. */
  directory: string;
  ca: GridCa;
  /** The makers of TPMs that are believed: a folder of certificates, PEM. */
  endorsementRootsDir: string;
  /** The trusted third party's X.509 authority, PEM. */
  authorityFile: string;
  /** The trusted third party's keys that sign lists of revoked certificates, hexadecimal, and its list. */
  revokedCertificates?: { issuers: string[]; listFile: string };
  /** What may run. */
  releases: BenchReleases;
  /** How often gateways push evidence, protocol time. */
  intervalMs?: number;
  /** The grid operator's service. */
  gridOperatorUrl: string;
  clock?: 'conductor' | 'system';
  /** Where the verifier's keys are kept; in `directory` unless told. */
  keysDirectory?: string;
  webHook?: { url: string; key: Uint8Array; caFile?: string };
  /** More settings, as in operator/verifier/config.ts: `acceptAnything` for a bench without a release. */
  verifier?: Record<string, unknown>;
}

export interface VerifierSide {
  /** For `node operator/verifier/main.ts FILE`. */
  config: string;
  url: string;
  /** `attestation` of a gateway's configuration. */
  gatewayAttestation: {
    url: string;
    caFile: string;
    resultKey: string;
    passMasterKey: string;
    /** What the meter was delivered with. */
    meterImageFile: string;
  };
  /** Of `trust` in the collector's configuration. The list is there when the verifier has taken its first step. */
  collectorTrust: { passMasterKey: string; passKeysFile: string };
}

export async function prepareVerifier(options: VerifierSideOptions): Promise<VerifierSide> {
  const { directory, ca, clock = 'conductor' } = options;
  const own = join(directory, 'verifier');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const keys = openKeys(options.keysDirectory ?? join(directory, 'verifier-keys'));
  const [port] = await freePorts(1);
  const url = `https://${HOST}:${port}`;
  const passKeysFile = join(own, 'pass-keys.list');
  const config = join(directory, 'verifier.json');
  const { webHook, releases } = options;
  const hookKeyFile = join(own, 'web-hook.key');
  if (webHook) writeSecret(hookKeyFile, webHook.key);
  const content = {
    stateDir: own,
    service: {
      host: HOST,
      port,
      ...(await ca.server('verifier-server', [HOST, 'localhost'])),
      caFile: ca.caFile,
      // all households of a bench have one address
      requestsPerMinute: 100_000,
    },
    endorsementRootsDir: options.endorsementRootsDir,
    authorityFile: options.authorityFile,
    revokedCertificates: options.revokedCertificates,
    releaseKey: releases.releaseKey,
    releasesDir: releases.folder,
    intervalMs: options.intervalMs,
    gridOperator: { url: options.gridOperatorUrl, caFile: ca.caFile, ...(await ca.client('verifier')) },
    resultKeyFile: keys.resultKeyFile,
    challengeKeyFile: keys.challengeKeyFile,
    passMasterKeyFile: keys.passMasterKeyFile,
    passKeysFile,
    webHook: webHook && { url: webHook.url, keyFile: hookKeyFile, caFile: webHook.caFile },
    ...options.verifier,
    clock,
  };
  writeFileSync(config, `${JSON.stringify(content, null, 2)}\n`);
  return {
    config,
    url,
    gatewayAttestation: {
      url,
      caFile: ca.caFile,
      resultKey: keys.resultKey,
      passMasterKey: keys.passMasterKey,
      meterImageFile: releases.imageFile(),
    },
    collectorTrust: { passMasterKey: keys.passMasterKey, passKeysFile },
  };
}

interface VerifierKeys {
  resultKeyFile: string;
  challengeKeyFile: string;
  passMasterKeyFile: string;
  /** Public, hexadecimal. */
  resultKey: string;
  passMasterKey: string;
}

/** Opens the verifier's keys in this folder, or makes them. */
function openKeys(directory: string): VerifierKeys {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [resultKeyFile, challengeKeyFile, passMasterKeyFile] = ['result.key', 'challenge.key', 'pass-master.key'].map(
    (name) => join(directory, name),
  );
  const pem = { format: 'pem', type: 'pkcs8' } as const;
  if (!existsSync(resultKeyFile)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(resultKeyFile, privateKey.export(pem), { mode: 0o600 });
  }
  if (!existsSync(challengeKeyFile)) writeSecret(challengeKeyFile, randomBytes(32));
  if (!existsSync(passMasterKeyFile))
    writeFileSync(passMasterKeyFile, generateKeyPairSync('ed25519').privateKey.export(pem), { mode: 0o600 });
  const { x } = createPublicKey(readFileSync(passMasterKeyFile)).export({ format: 'jwk' });
  return {
    resultKeyFile,
    challengeKeyFile,
    passMasterKeyFile,
    resultKey: Buffer.from(readSigningKey(resultKeyFile).publicKey).toString('hex'),
    passMasterKey: Buffer.from(x!, 'base64url').toString('hex'),
  };
}

const writeSecret = (file: string, key: Uint8Array): void =>
  writeFileSync(file, `${Buffer.from(key).toString('hex')}\n`, { mode: 0o600 });
