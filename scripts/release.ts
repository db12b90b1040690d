// scripts/release: what runs from now on, signed with keys that stay offline.
//
//   scripts/release --new-keys KEYS                       once: release.key and policy.key, mode 0600, and their public halves
//   scripts/release --keys KEYS --into RELEASES           the next version, of this folder's software and firmware
//
// RELEASES is the folder that the trusted third party serves: RELEASES/<version>/{manifest.bin, firmware.js, gateway.bin}.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureSoftware, PROJECT_ROOT } from '../gateway/attestation/software.ts';
import { IMAGE_MOST_BYTES } from '../hardware/flash.ts';
import { PCR_GATEWAY, PCR_METER } from '../protocol/attestation/evidence.ts';
import { authorizedBytes, NV_INDEX, type ReleaseAuthorization } from '../protocol/attestation/policy.ts';
import { replay } from '../protocol/attestation/software.ts';
import { compressPoint, signP256 } from '../protocol/crypto/p256.ts';
import { type ArchivedFile, archiveDigest, encodeArchive } from '../protocol/updates/archive.ts';
import { type Manifest, openManifest, rawReleaseKey, type Stage, signManifest } from '../protocol/updates/manifest.ts';
import { buildFirmware } from './build.mjs';

const DAY_MS = 86_400_000;

export interface ReleaseKeys {
  /** Ed25519: signs manifests. */
  release: KeyObject;
  /** P-256: signs the states in which sealed keys open. */
  policy: KeyObject;
}
export interface ReleaseContent {
  version: number;
  /** The meter's program as it is stored. */
  firmware: Uint8Array;
  files: readonly ArchivedFile[];
  /** What runs until now; null for the first release. */
  previous: Manifest | null;
  notBeforeMs: number;
  retiresMs: number;
  stages?: readonly Stage[];
  notes?: string;
}

/** Signs a release. @throws MalformedError, RangeError that name what is wrong */
export function makeRelease(content: ReleaseContent, keys: ReleaseKeys): { manifest: Uint8Array; gateway: Uint8Array } {
  const { version, firmware, files, previous, stages = [], notes = '' } = content;
  if (firmware.length > IMAGE_MOST_BYTES)
    throw new RangeError(`the meter's program has ${firmware.length} bytes, more than ${IMAGE_MOST_BYTES}`);
  if (firmware.some((byte) => byte > 126)) throw new RangeError("the meter's program is not plain ASCII");
  if (previous && version <= previous.version)
    throw new RangeError(`version: ${version} is not above ${previous.version}`);
  const gateway = encodeArchive(files);
  const digests = { gateway: archiveDigest(files), firmware: createHash('sha256').update(firmware).digest() };
  const ways = waysTo(previous, digests);
  const manifest: Manifest = {
    version,
    firmware: { digest: digests.firmware, length: firmware.length },
    gateway: { digest: digests.gateway, length: gateway.length },
    notBeforeMs: content.notBeforeMs,
    retiresMs: content.retiresMs,
    stages,
    accepted: { gateway: ways.gateway.map(({ value }) => value), meter: ways.meter.map(({ value }) => value) },
    // what is on the way opens until the counter is raised, and never again
    authorizations: ways.gateway.flatMap((pcr8) =>
      ways.meter.map((pcr9) => {
        const counterMost = pcr8.arrived && pcr9.arrived ? version : (previous?.version ?? 0);
        return authorize(pcr8.value, pcr9.value, counterMost, keys.policy);
      }),
    ),
    notes,
  };
  return { manifest: signManifest(manifest, keys.release), gateway };
}

/** A value that a PCR may hold, and whether it is one that only this release leads to. */
interface Way {
  value: Uint8Array;
  arrived: boolean;
}
/**
 * What the PCRs may hold on the way from the release before to this one: that one's value, both one behind the other (replaced
 * while the TPM went on), and this one's alone. A meter whose gateway never flashed it leaves PCR 9 at zero.
 *
 * The gateway has arrived when it was started with this release alone: a PCR 8 that an older release has begun may have been
 * ended by it, too. What the meter's PCR says is as good as the gateway that extended it.
 */
function waysTo(
  previous: Manifest | null,
  digests: { gateway: Uint8Array; firmware: Uint8Array },
): { gateway: Way[]; meter: Way[] } {
  const way = (before: Uint8Array | undefined, after: Uint8Array, replaced: boolean): Way[] => [
    ...(before === undefined || Buffer.compare(before, after) === 0
      ? []
      : [
          { value: replay([before]), arrived: false },
          { value: replay([before, after]), arrived: replaced },
        ]),
    { value: replay([after]), arrived: true },
  ];
  return {
    gateway: way(previous?.gateway.digest, digests.gateway, false),
    meter: [
      { value: replay([]), arrived: previous === null },
      ...way(previous?.firmware.digest, digests.firmware, true),
    ],
  };
}

function authorize(
  gateway: Uint8Array,
  meter: Uint8Array,
  counterMost: number,
  policyKey: KeyObject,
): ReleaseAuthorization {
  const state = {
    pcrs: [
      { pcr: PCR_GATEWAY, value: gateway },
      { pcr: PCR_METER, value: meter },
    ],
    counterIndex: NV_INDEX.version,
    counterMost,
  };
  return { ...state, signature: signP256(policyKey, authorizedBytes(state)) };
}

/** Into the folder that is served; it appears there whole. */
export function putRelease(
  folder: string,
  version: number,
  parts: { manifest: Uint8Array; gateway: Uint8Array; firmware: Uint8Array },
): void {
  const fresh = join(folder, `.${version}.new`);
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, 'firmware.js'), parts.firmware);
  writeFileSync(join(fresh, 'gateway.bin'), parts.gateway);
  writeFileSync(join(fresh, 'manifest.bin'), parts.manifest);
  renameSync(fresh, join(folder, String(version)));
}

/** New key files in a folder that has none. @throws Error where it has */
export function makeKeys(folder: string): { releaseKey: string; policyKey: string } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (name: string, key: KeyObject): void =>
    writeFileSync(join(folder, name), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  const release = generateKeyPairSync('ed25519');
  const policy = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  write('release.key', release.privateKey);
  write('policy.key', policy.privateKey);
  const publics = {
    releaseKey: hex(rawReleaseKey(release.publicKey)),
    policyKey: hex(compressedOf(policy.publicKey)),
  };
  writeFileSync(join(folder, 'public.json'), `${JSON.stringify(publics, null, 1)}\n`);
  return publics;
}

function compressedOf(key: KeyObject): Uint8Array {
  const { x, y } = key.export({ format: 'jwk' });
  return compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url'));
}

/** @throws Error where a file is missing or others may read it */
export function readKeys(folder: string): ReleaseKeys {
  const read = (name: string): KeyObject => {
    const file = join(folder, name);
    if ((statSync(file).mode & 0o077) !== 0) throw new Error(`${name}: others may read it: chmod 600`);
    return createPrivateKey(readFileSync(file));
  };
  return { release: read('release.key'), policy: read('policy.key') };
}

/** The gateway's files, as they are measured. */
export const softwareFiles = (root: string = PROJECT_ROOT): ArchivedFile[] =>
  measureSoftware(root).map(({ path }) => ({ path, bytes: readFileSync(join(root, path)) }));

function newestIn(folder: string, releaseKey: KeyObject): Manifest | null {
  if (!existsSync(folder)) return null;
  const versions = readdirSync(folder)
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number);
  if (versions.length === 0) return null;
  const file = join(folder, String(Math.max(...versions)), 'manifest.bin');
  return openManifest(readFileSync(file), rawReleaseKey(createPublicKey(releaseKey)));
}

/** `5@2026-03-01T00:00Z`: from that instant on so many per cent. */
function stageOf(text: string): Stage {
  const [percent, instant] = text.split('@');
  const stage = { percent: Number(percent), fromMs: Date.parse(instant) };
  if (Number.isNaN(stage.percent) || Number.isNaN(stage.fromMs))
    throw new Error(`--stage: ${text} is not PERCENT@INSTANT`);
  return stage;
}
const instantOf = (name: string, text: string): number => {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error(`--${name}: ${text} is no instant, such as 2026-03-01T00:00Z`);
  return ms;
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const USAGE = `scripts/release --new-keys KEYS
scripts/release --keys KEYS --into RELEASES [--version N] [--not-before INSTANT] [--retires INSTANT]
                [--stage PERCENT@INSTANT …] [--notes TEXT]

  --new-keys    makes KEYS/release.key and KEYS/policy.key (mode 0600): keep them offline
  --keys        the folder with both
  --into        the folder that the trusted third party serves
  --version     the next whole number unless told
  --not-before  nothing is installed before; now unless told
  --retires     from then on earlier releases are no longer accepted; 30 days later unless told
  --stage       from that instant on so many per cent of all households; everybody unless told
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'new-keys': { type: 'string' },
      keys: { type: 'string' },
      into: { type: 'string' },
      version: { type: 'string' },
      'not-before': { type: 'string' },
      retires: { type: 'string' },
      stage: { type: 'string', multiple: true },
      notes: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values['new-keys']) {
    const { releaseKey, policyKey } = makeKeys(values['new-keys']);
    console.log(
      `release key  ${releaseKey}\npolicy key   ${policyKey}\nthe private halves are in ${values['new-keys']}: keep them offline`,
    );
    return;
  }
  if (values.help || !values.keys || !values.into) {
    console.log(USAGE);
    if (!values.help) process.exitCode = 2;
    return;
  }
  const keys = readKeys(values.keys);
  const previous = newestIn(values.into, keys.release);
  const version = values.version ? Number(values.version) : (previous?.version ?? 0) + 1;
  const notBeforeMs = values['not-before'] ? instantOf('not-before', values['not-before']) : Date.now();
  const retiresMs = values.retires ? instantOf('retires', values.retires) : notBeforeMs + 30 * DAY_MS;
  const firmware = Buffer.from((await buildFirmware()).code, 'latin1');
  const stages = (values.stage ?? []).map(stageOf);
  const { notes } = values;
  const files = softwareFiles();
  const release = makeRelease({ version, firmware, files, previous, notBeforeMs, retiresMs, stages, notes }, keys);
  mkdirSync(values.into, { recursive: true });
  putRelease(values.into, version, { ...release, firmware });
  console.log(
    `release ${version}: meter ${firmware.length} bytes, gateway ${files.length} files in ${release.gateway.length} bytes`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`release: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
