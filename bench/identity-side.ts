/**
 * Everything that the trusted third party and the grid operator's register need on this machine: certificates, keys and one
 * configuration file each, as bench/grid-side.ts does for the others. The processes are the caller's. And what people do who have
 * no process: the technician who registers a gateway, the provider's letter with a PIN, the customer who types it.
 */
import 'reflect-metadata';
import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  X509CertificateGenerator,
} from '@peculiar/x509';
import * as v from 'valibot';
import { callAs } from '../operator/shared/client.ts';
import { readSigningKey } from '../operator/shared/private-key.ts';
import { generateHpkeKeyPair } from '../protocol/crypto/hpke.ts';
import { signP256 } from '../protocol/crypto/p256.ts';
import { DEVICE, type Device } from '../protocol/identity/devices.ts';
import { drawPin, hashPin } from '../protocol/identity/pin.ts';
import { issueRevocationList } from '../protocol/identity/revocation-list.ts';
import type { GridCa } from './grid-ca.ts';
import { freePorts } from './grid-side.ts';
import type { BenchReleases } from './releases.ts';

const HOST = '127.0.0.1';
/** Protocol time of a bench may be any. */
const AUTHORITY_VALID = { notBefore: new Date(Date.UTC(2020, 0)), notAfter: new Date(Date.UTC(2060, 0)) };

export interface IdentitySideOptions {
  /** Made if it is not there; configuration, and a folder for each party's store. */
  directory: string;
  ca: GridCa;
  /** swtpm's authority (bench/software-tpm.ts), which must have made a TPM already. */
  tpmCaDir: string;
  clock?: 'conductor' | 'system';
  /** Client certificates' common names, and the providers' names that they may bring PINs for. */
  providers?: Record<string, string>;
  /** Where the third party's keys are kept; in `directory` unless told. */
  keysDirectory?: string;
  /** What the third party serves; none unless told. */
  releases?: Pick<BenchReleases, 'folder' | 'releaseKey'>;
}

export interface Letter {
  provider: string;
  customerNumber: string;
  pin: string;
}

export interface IdentitySide {
  /** Configuration files, for `node operator/<party>/main.ts FILE`. */
  configs: { trustedThirdParty: string; gridOperator: string };
  urls: { trustedThirdParty: string; gridOperator: string };
  /** `identity` of a gateway's configuration. */
  gatewayIdentity: { url: string; caFile: string; publicKey: string; issuingKey: string; authorityFile: string };
  /** Of `trust` in the collector's configuration; the list is there from the beginning, and empty. */
  collectorTrust: { pseudonymIssuers: string[]; revocationFile: string };
  /** The third party's X.509 authority, PEM: for whoever checks signed requests. */
  authorityFile: string;
  /** Folder of the TPM makers' certificates, for whoever checks endorsement keys. */
  endorsementRootsDir: string;
  /** The provider's step: makes PINs for these customer numbers, gives the third party their hashes. The process must run. */
  sendLetters(customerNumbers: readonly string[], provider?: string): Promise<Letter[]>;
  /** The technician's step: which provider a device that was registered has, until its customer chooses another. */
  supply(device: string, provider: string): Promise<void>;
  /** The technician's step: registers a gateway, in stock where there is no installation. The process must run. */
  provision(ekCertificate: Uint8Array, installation: { address: string; area: string } | null): Promise<Device>;
  /** The console's step. */
  setState(serial: string, state: 'in stock' | 'revoked'): Promise<Device>;
}

export async function prepareIdentitySide(options: IdentitySideOptions): Promise<IdentitySide> {
  const { directory, ca, clock = 'conductor', providers = { provider: 'provider' } } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const keys = await openKeys(options.keysDirectory ?? join(directory, 'trusted-third-party-keys'));
  const rootsDir = copyRoots(options.tpmCaDir, join(directory, 'endorsement-roots'));
  const [thirdPartyPort, gridOperatorPort] = await freePorts(2);
  const urls = {
    trustedThirdParty: `https://${HOST}:${thirdPartyPort}`,
    gridOperator: `https://${HOST}:${gridOperatorPort}`,
  };
  const access = async (name: string, port: number): Promise<object> => ({
    host: HOST,
    port,
    ...(await ca.server(`${name}-server`, [HOST, 'localhost'])),
    caFile: ca.caFile,
    // all households of a bench have one address
    requestsPerMinute: 100_000,
  });
  const config = (name: string, content: object): string => {
    const file = join(directory, `${name}.json`);
    writeFileSync(file, `${JSON.stringify({ ...content, clock }, null, 2)}\n`);
    return file;
  };
  const publicDir = join(directory, 'revoked');
  mkdirSync(publicDir, { recursive: true });
  const revocationFile = join(publicDir, 'revoked-pseudonyms.list');
  const issuing = readSigningKey(keys.issuingKeyFile);
  writeFileSync(revocationFile, await issueRevocationList(0, [], (message) => signP256(issuing.privateKey, message)));
  const issuingKey = Buffer.from(issuing.publicKey).toString('hex');

  const as = async <S extends v.GenericSchema>(role: string, url: string, path: string, body: object, answer: S) =>
    callAs(await ca.client(role), { url, caFile: ca.caFile, path, body, answer });
  return {
    configs: {
      trustedThirdParty: config('trusted-third-party', {
        stateDir: join(directory, 'trusted-third-party'),
        service: await access('trusted-third-party', thirdPartyPort),
        privateKeyFile: keys.privateKeyFile,
        issuingKeyFile: keys.issuingKeyFile,
        authorityCertFile: keys.authorityCertFile,
        authorityKeyFile: keys.authorityKeyFile,
        endorsementRootsDir: rootsDir,
        publicDir,
        providers,
        releases: options.releases && { folder: options.releases.folder, releaseKey: options.releases.releaseKey },
      }),
      gridOperator: config('grid-operator', {
        stateDir: join(directory, 'grid-operator'),
        service: await access('grid-operator', gridOperatorPort),
        endorsementRootsDir: rootsDir,
        trustedThirdParty: { url: urls.trustedThirdParty, caFile: ca.caFile, ...(await ca.client('grid-operator')) },
      }),
    },
    urls,
    gatewayIdentity: {
      url: urls.trustedThirdParty,
      caFile: ca.caFile,
      publicKey: keys.publicKey,
      issuingKey,
      authorityFile: keys.authorityCertFile,
    },
    collectorTrust: { pseudonymIssuers: [issuingKey], revocationFile },
    authorityFile: keys.authorityCertFile,
    endorsementRootsDir: rootsDir,
    async sendLetters(customerNumbers, provider = 'provider') {
      const letters = customerNumbers.map((customerNumber) => ({ provider, customerNumber, pin: drawPin() }));
      const pins = await Promise.all(
        letters.map(async ({ customerNumber, pin }) => ({ customerNumber, ...(await hashPin(pin)) })),
      );
      const role = Object.keys(providers).find((name) => providers[name] === provider) ?? 'provider';
      await as(role, urls.trustedThirdParty, '/pins', { pins }, v.strictObject({ customers: v.number() }));
      return letters;
    },
    provision: (ekCertificate, installation) =>
      as('technician', urls.gridOperator, '/devices', { ekCertificate, installation }, DEVICE),
    async supply(device, provider) {
      const body = { device, provider, fromSlot: 1 };
      await as('technician', urls.gridOperator, '/grid-fees/supply', body, v.strictObject({}));
    },
    setState: (serial, state) => as('console', urls.gridOperator, '/devices/state', { serial, state }, DEVICE),
  };
}

interface ThirdPartyKeys {
  privateKeyFile: string;
  /** HPKE, hexadecimal. */
  publicKey: string;
  issuingKeyFile: string;
  authorityCertFile: string;
  authorityKeyFile: string;
}

/** Opens the third party's keys in this folder, or makes them. */
async function openKeys(directory: string): Promise<ThirdPartyKeys> {
  const file = (name: string): string => join(directory, name);
  const files = {
    privateKeyFile: file('hpke.key'),
    issuingKeyFile: file('issuing.key'),
    authorityCertFile: file('authority.crt'),
    authorityKeyFile: file('authority.key'),
  };
  const publicKeyFile = file('hpke.pub');
  if (!existsSync(publicKeyFile)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(files.issuingKeyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    await makeAuthority(files);
    const hpke = await generateHpkeKeyPair();
    writeFileSync(files.privateKeyFile, `${Buffer.from(hpke.privateKey).toString('hex')}\n`, { mode: 0o600 });
    writeFileSync(publicKeyFile, `${Buffer.from(hpke.publicKey).toString('hex')}\n`); // last: all of them are there
  }
  return { ...files, publicKey: readFileSync(publicKeyFile, 'utf8').trim() };
}

async function makeAuthority({ authorityCertFile, authorityKeyFile }: ThirdPartyKeysFiles): Promise<void> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=quietmeter bench trusted third party',
      ...AUTHORITY_VALID,
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  writeFileSync(authorityKeyFile, `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, { mode: 0o600 });
  writeFileSync(authorityCertFile, `${certificate.toString('pem')}\n`);
}
type ThirdPartyKeysFiles = Pick<ThirdPartyKeys, 'authorityCertFile' | 'authorityKeyFile'>;

/** swtpm's authority keeps its private keys in the same folder: certificates only go on. */
function copyRoots(from: string, to: string): string {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (!/cert.*\.pem$/.test(name)) continue;
    const pem = readFileSync(join(from, name), 'utf8');
    if (new X509Certificate(pem).ca) writeFileSync(join(to, name), pem);
  }
  return to;
}
