/**
 * A release: what every gateway and meter is to run from now on. The trusted third party signs it with its release key, which is
 * kept offline (scripts/release); gateways and verifier believe nothing else. Public: who reads it learns nothing of a household.
 *
 *   offset  size
 *        0     1  format = 1
 *        1     4  version            counts up by at least one from 1; a device never goes back
 *        5    32  firmware.digest    SHA-256 of the meter's image as it is stored
 *       37     4  firmware.length    bytes
 *       41    32  gateway.digest     of the listing of the gateway's files (protocol/updates/archive.ts)
 *       73     4  gateway.length     bytes of the archive that carries them
 *       77     6  notBeforeMs        nothing is installed before, Unix ms
 *       83     6  retiresMs          from then on earlier releases are no longer accepted
 *        …   1+n  stages             each: percent u8, fromMs u48; in order
 *        …   1+n  accepted.gateway   values of PCR 8 during the roll-out, 32 B each
 *        …   1+n  accepted.meter     values of PCR 9, likewise
 *        …   1+n  authorizations     each: PCR 8 and PCR 9, 32 B each; counterMost u32; signature of the policy key, 64 B
 *        …   2+n  notes              UTF-8, for people
 *        …     8  key                first 8 B of SHA-256(release key)
 *        …    64  signature          Ed25519 over label ‖ everything before
 *
 * Numbers are big-endian. A roll-out goes in stages: each gateway finds by itself whether it is among the first per cent
 * (`isIncluded`), from a secret of its own, so nobody is told who updates when.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { PCR_GATEWAY, PCR_METER } from '../attestation/evidence.ts';
import { NV_INDEX, type ReleaseAuthorization } from '../attestation/policy.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';

export const RELEASE_KEY_BYTES = 32;
const FORMAT = 1;
const DIGEST_BYTES = 32;
const KEY_ID_BYTES = 8;
const SIGNATURE_BYTES = 64;
const NOTES_MOST_BYTES = 4000;
const STAGES_MOST = 20;
const VALUES_MOST = 32;
const TWO_32 = 2 ** 32;

export interface Release {
  /** SHA-256, 32 B: what the PCR is extended by. */
  digest: Uint8Array;
  /** Bytes that are fetched. */
  length: number;
}
/** From `fromMs` on so many per cent of all households install it. */
export interface Stage {
  percent: number;
  fromMs: number;
}
export interface Manifest {
  version: number;
  firmware: Release;
  gateway: Release;
  /** Unix ms. */
  notBeforeMs: number;
  /** Unix ms: from then on earlier releases count as outdated. */
  retiresMs: number;
  /** Percentages and instants ascend. None: everybody at `notBeforeMs`. */
  stages: readonly Stage[];
  /** What PCR 8 (gateway) and PCR 9 (meter) may hold while it is rolled out, 32 B each. */
  accepted: { gateway: readonly Uint8Array[]; meter: readonly Uint8Array[] };
  /**
   * States in which what is sealed opens (protocol/attestation/policy.ts): those that a device passes through on its way from
   * the release before to this one. The TPM believes their own signatures only.
   */
  authorizations?: readonly ReleaseAuthorization[];
  notes: string;
}

/**
 * Why a release is not installed. What helps: `not yet` later, `image` fetching again; the others a person.
 *
 *   malformed    these are no bytes of a manifest
 *   wrong key    it was signed by another key than the pinned one
 *   altered      the signature does not fit the bytes
 *   older        than what this device has run already
 *   not yet      its time, or this household's stage, has not come
 *   image        what was fetched is not what the manifest names
 */
export type ManifestTrouble = 'malformed' | 'wrong key' | 'altered' | 'older' | 'not yet' | 'image';
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly trouble: ManifestTrouble;
  constructor(trouble: ManifestTrouble, message: string) {
    super(message);
    this.trouble = trouble;
  }
}

/** The manifest with its signature. @throws MalformedError where a field is out of range */
export function signManifest(manifest: Manifest, releaseKey: KeyObject): Uint8Array {
  const body = Buffer.concat([encodeBody(manifest), keyIdOf(rawReleaseKey(createPublicKey(releaseKey)))]);
  return Buffer.concat([body, sign(null, labelled(LABELS.manifest, body), releaseKey)]);
}

/**
 * Who signed it is checked before anything in it is believed.
 * @param releaseKey the pinned public key, 32 B
 * @throws ManifestError `malformed`, `wrong key`, `altered`
 */
export function openManifest(signed: Uint8Array, releaseKey: Uint8Array): Manifest {
  const signatureAt = signed.length - SIGNATURE_BYTES;
  const keyAt = signatureAt - KEY_ID_BYTES;
  if (keyAt < 1) throw new ManifestError('malformed', 'the manifest is cut short');
  if (Buffer.compare(signed.subarray(keyAt, signatureAt), keyIdOf(releaseKey)) !== 0)
    throw new ManifestError(
      'wrong key',
      'the manifest was signed by another key than the release key that is pinned here',
    );
  const body = signed.subarray(0, signatureAt);
  if (!verify(null, labelled(LABELS.manifest, body), publicKeyOf(releaseKey), signed.subarray(signatureAt)))
    throw new ManifestError('altered', 'the manifest was changed after it was signed');
  try {
    return decodeBody(body.subarray(0, keyAt));
  } catch (error) {
    if (error instanceof MalformedError) throw new ManifestError('malformed', error.message);
    throw error;
  }
}

/**
 * Whether a device may install it now.
 * @param counter the greatest version that the device has run (TPM): equal is allowed, less never
 * @param share this household's place in a roll-out, 0 … 100 (`shareOf`)
 * @throws ManifestError `older`, `not yet`
 */
export function checkInstallable(
  manifest: Manifest,
  { counter, nowMs, share }: { counter: number; nowMs: number; share: number },
): void {
  const { version, notBeforeMs } = manifest;
  if (version < counter)
    throw new ManifestError(
      'older',
      `release ${version} is older than release ${counter}, which has run here: no way back`,
    );
  if (nowMs < notBeforeMs)
    throw new ManifestError(
      'not yet',
      `release ${version} is not to be installed before ${new Date(notBeforeMs).toISOString()}`,
    );
  if (!isIncluded(manifest, share, nowMs))
    throw new ManifestError('not yet', `release ${version} is being rolled out; this household's stage has not come`);
}

/** @throws ManifestError `image` */
export function checkFirmware(manifest: Manifest, image: Uint8Array): void {
  const { digest, length } = manifest.firmware;
  if (image.length !== length)
    throw new ManifestError('image', `the meter's image is ${image.length} bytes long, the manifest says ${length}`);
  if (Buffer.compare(createHash('sha256').update(image).digest(), digest) !== 0)
    throw new ManifestError('image', "the meter's image is not the one that the manifest names");
}

/** Whether a roll-out has reached a household. */
export function isIncluded({ stages }: Manifest, share: number, nowMs: number): boolean {
  if (stages.length === 0) return true;
  return stages.some(({ percent, fromMs }) => nowMs >= fromMs && share < percent);
}

/** A household's place in the roll-out of a version, 0 ≤ share < 100: by a secret of its own, another place each time. */
export function shareOf(householdSecret: Uint8Array, version: number): number {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(version);
  const word = createHash('sha256')
    .update(labelled(LABELS.rollOut, number, householdSecret))
    .digest()
    .readUInt32BE();
  return (word / TWO_32) * 100;
}

/** Raw 32 B of an Ed25519 public key. */
export function rawReleaseKey(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url');
}

const publicKeyOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' });
const keyIdOf = (raw: Uint8Array): Uint8Array => createHash('sha256').update(raw).digest().subarray(0, KEY_ID_BYTES);

// ── layout ──

function encodeBody(manifest: Manifest): Uint8Array {
  const { version, firmware, gateway, stages, accepted } = manifest;
  const writer = new ByteWriter('manifest').u8('format', FORMAT).u32('version', version);
  for (const [name, release] of [
    ['firmware', firmware],
    ['gateway', gateway],
  ] as const)
    writer.bytes(`${name}.digest`, release.digest, DIGEST_BYTES).u32(`${name}.length`, release.length);
  writeInstant(writer, 'notBeforeMs', manifest.notBeforeMs);
  writeInstant(writer, 'retiresMs', manifest.retiresMs);
  writer.u8('stages.length', stages.length);
  stages.forEach(({ percent, fromMs }, i) => {
    writer.u8(`stages[${i}].percent`, percent);
    writeInstant(writer, `stages[${i}].fromMs`, fromMs);
  });
  for (const party of ['gateway', 'meter'] as const) {
    writer.u8(`accepted.${party}.length`, accepted[party].length);
    accepted[party].forEach((value, i) => {
      writer.bytes(`accepted.${party}[${i}]`, value, DIGEST_BYTES);
    });
  }
  const { authorizations = [] } = manifest;
  writer.u8('authorizations.length', authorizations.length);
  authorizations.forEach(({ pcrs, counterMost, signature }, i) => {
    for (const pcr of [PCR_GATEWAY, PCR_METER])
      writer.bytes(
        `authorizations[${i}].pcr${pcr}`,
        pcrs.find((one) => one.pcr === pcr)?.value ?? new Uint8Array(0),
        DIGEST_BYTES,
      );
    writer.u32(`authorizations[${i}].counterMost`, counterMost);
    writer.bytes(`authorizations[${i}].signature`, signature, SIGNATURE_BYTES);
  });
  const notes = Buffer.from(manifest.notes, 'utf8');
  const body = writer.u16('notes.length', notes.length).bytes('notes', notes, notes.length).finish();
  decodeBody(body); // what is out of range is not signed
  return body;
}

function decodeBody(body: Uint8Array): Manifest {
  const reader = new ByteReader('manifest', body);
  reader.constant('format', FORMAT);
  const version = reader.u32('version');
  if (version === 0) throw reader.error('version', 'is 0; versions count from 1');
  const firmware = readRelease(reader, 'firmware');
  const gateway = readRelease(reader, 'gateway');
  const notBeforeMs = readInstant(reader, 'notBeforeMs');
  const retiresMs = readInstant(reader, 'retiresMs');
  if (retiresMs < notBeforeMs) throw reader.error('retiresMs', 'lies before notBeforeMs');
  const stages: Stage[] = [];
  for (let i = 0, count = readCount(reader, 'stages', STAGES_MOST); i < count; i++) {
    const percent = reader.u8(`stages[${i}].percent`);
    const fromMs = readInstant(reader, `stages[${i}].fromMs`);
    const before = stages.at(-1);
    if (percent > 100 || percent <= (before?.percent ?? 0)) throw reader.error(`stages[${i}].percent`, `is ${percent}`);
    if (before && fromMs < before.fromMs) throw reader.error(`stages[${i}].fromMs`, 'lies before the stage before');
    stages.push({ percent, fromMs });
  }
  const accepted = { gateway: readValues(reader, 'accepted.gateway'), meter: readValues(reader, 'accepted.meter') };
  const authorizations: ReleaseAuthorization[] = [];
  for (let i = 0, count = readCount(reader, 'authorizations', VALUES_MOST); i < count; i++) {
    const pcrs = [PCR_GATEWAY, PCR_METER].map((pcr) => ({
      pcr,
      value: reader.bytes(`authorizations[${i}].pcr${pcr}`, DIGEST_BYTES),
    }));
    const counterMost = reader.u32(`authorizations[${i}].counterMost`);
    const signature = reader.bytes(`authorizations[${i}].signature`, SIGNATURE_BYTES);
    authorizations.push({ pcrs, counterIndex: NV_INDEX.version, counterMost, signature });
  }
  const notesBytes = reader.u16('notes.length');
  if (notesBytes > NOTES_MOST_BYTES) throw reader.error('notes.length', `is ${notesBytes}`);
  const notes = Buffer.from(reader.bytes('notes', notesBytes)).toString('utf8');
  reader.end();
  return { version, firmware, gateway, notBeforeMs, retiresMs, stages, accepted, authorizations, notes };
}

function readRelease(reader: ByteReader, name: string): Release {
  const digest = reader.bytes(`${name}.digest`, DIGEST_BYTES);
  const length = reader.u32(`${name}.length`);
  if (length === 0) throw reader.error(`${name}.length`, 'is 0');
  return { digest, length };
}
function readValues(reader: ByteReader, name: string): Uint8Array[] {
  const count = readCount(reader, name, VALUES_MOST);
  return Array.from({ length: count }, (_, i) => reader.bytes(`${name}[${i}]`, DIGEST_BYTES));
}
function readCount(reader: ByteReader, name: string, most: number): number {
  const count = reader.u8(`${name}.length`);
  if (count > most) throw reader.error(`${name}.length`, `is ${count}, more than ${most}`);
  return count;
}
function writeInstant(writer: ByteWriter, field: string, unixMs: number): void {
  writer.u16(`${field} (high)`, Math.floor(unixMs / TWO_32)).u32(field, unixMs % TWO_32);
}
const readInstant = (reader: ByteReader, field: string): number =>
  reader.u16(`${field} (high)`) * TWO_32 + reader.u32(field);
