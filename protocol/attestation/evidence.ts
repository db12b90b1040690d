/**
 * What a gateway shows of itself and of its meter, and how it travels. Gateway → verifier; nobody else sees it.
 *
 *   offset  size
 *        0     1  version = 3
 *        1    32  nonce         the verifier's challenge, as it came
 *       33     …  claims        see below
 *        …     2  length of the quote
 *        …     …  quote         TPMS_ATTEST of type quote
 *        …    64  signature     by the attestation key over SHA-256(quote), ECDSA r ‖ s
 *
 *   claims
 *        …   2+…  ekCertificate   endorsement key's certificate of the TPM's maker, DER
 *        …   2+…  akCertificate   attestation key's certificate of the trusted third party, DER
 *        …   2+…  akPublic        attestation key as the TPM describes it, TPM2B_PUBLIC
 *        …     1  number of PCRs     each: 1 B number, 32 B value (SHA-256 bank)
 *        …     1  number of events   each: 1 B PCR, 32 B digest that it was extended by, in the order of extension
 *        …     2  number of files    each: 1+… B path, 32 B SHA-256; none but where the gateway explains itself
 *        …     1  1 where the meter answered, otherwise 0
 *        …    32  measurement     what the meter answered to its nonce (protocol/updates/measurement.ts), where it did
 *        …     1  log             0 keeps none · 1 in order · 2 waits to be checked · 3 was changed
 *        …     1  begun anew      how often the log was begun anew after a change; 255: as often or more
 *        …     1  calibration      0 the meter has not told · 1 in the gateway's signed history · 2 not in it
 *        …    32  its digest       SHA-256 of the document that is in force, zeros for the board as drawn; where the meter has told
 *
 * The quote's extraData is `bindingOf(nonce, claims)`: the TPM's signature covers every byte before the quote, so nothing can be
 * taken out of one evidence and put into another. What the meter is asked follows from the nonce (`meterNonceOf`): the gateway
 * cannot choose it, nor ask ahead of its challenge. Paths explain; digests alone decide.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES } from '../crypto/p256.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';

export const EVIDENCE_VERSION = 3;
export const NONCE_BYTES = 32;
export const DIGEST_BYTES = 32;
/** In base64url it has to fit into a request of 64 kB. */
export const EVIDENCE_MOST_BYTES = 45_000;

const QUOTE_MOST_BYTES = 1024;
const CERTIFICATE_MOST_BYTES = 4096;
const PUBLIC_MOST_BYTES = 1024;
/** PCRs of a bank. */
const PCRS_MOST = 24;
/** One each boot for the gateway, and one for each image flashed since. */
const EVENTS_MOST = 64;
const FILES_MOST = 500;
const PATH = /^[\x21-\x7e]{1,120}$/;

/** PCRs that nothing but a reset of the TPM takes back (16 and 23 could be reset by anybody). */
export const PCR_GATEWAY = 8;
export const PCR_METER = 9;

export interface PcrValue {
  pcr: number;
  /** 32 B. */
  value: Uint8Array;
}
/** One TPM2_PCR_Extend. */
export interface MeasuredEvent {
  pcr: number;
  /** 32 B, what the PCR was extended by. */
  digest: Uint8Array;
}
export interface MeasuredFile {
  /** From the project's root, with `/`. */
  path: string;
  /** SHA-256 of its bytes. */
  digest: Uint8Array;
}
/** How the household's log is (protocol/billing/log.ts), by the gateway's word; nothing of what is in it. */
export const LOG_STATES = ['none', 'good', 'waiting', 'changed'] as const;
export interface LogClaim {
  state: (typeof LOG_STATES)[number];
  begunAnew: number;
}
/** What the meter is calibrated with (gateway/calibration), by the gateway's word. */
export const CALIBRATION_STATES = ['untold', 'known', 'unknown'] as const;
export interface CalibrationClaim {
  state: (typeof CALIBRATION_STATES)[number];
  /** 32 B; null where the meter has not told. */
  digest: Uint8Array | null;
}
export interface Claims {
  ekCertificate: Uint8Array;
  akCertificate: Uint8Array;
  akPublic: Uint8Array;
  pcrs: readonly PcrValue[];
  events: readonly MeasuredEvent[];
  /** The files behind the newest event of the gateway's PCR; empty where it does not explain itself. */
  files: readonly MeasuredFile[];
  /** 32 B; null where the meter did not answer. */
  measurement: Uint8Array | null;
  log: LogClaim;
  /** Absent: the meter has not told. */
  calibration?: CalibrationClaim;
}
export interface Evidence extends Claims {
  nonce: Uint8Array;
  quote: Uint8Array;
  signature: Uint8Array;
}
export interface DecodedEvidence extends Evidence {
  /** What the quote has to carry as extraData for this evidence. */
  binding: Uint8Array;
}

/** The bytes that `bindingOf` binds. @throws MalformedError */
export function encodeClaims(claims: Claims): Uint8Array {
  const writer = new ByteWriter('evidence');
  writeSized(writer, 'ekCertificate', claims.ekCertificate, CERTIFICATE_MOST_BYTES);
  writeSized(writer, 'akCertificate', claims.akCertificate, CERTIFICATE_MOST_BYTES);
  writeSized(writer, 'akPublic', claims.akPublic, PUBLIC_MOST_BYTES);
  writer.u8('pcrs.length', atMost('pcrs', claims.pcrs.length, PCRS_MOST));
  claims.pcrs.forEach(({ pcr, value }, i) => {
    writer.u8(`pcrs[${i}].pcr`, pcr).bytes(`pcrs[${i}].value`, value, DIGEST_BYTES);
  });
  writer.u8('events.length', atMost('events', claims.events.length, EVENTS_MOST));
  claims.events.forEach(({ pcr, digest }, i) => {
    writer.u8(`events[${i}].pcr`, pcr).bytes(`events[${i}].digest`, digest, DIGEST_BYTES);
  });
  writer.u16('files.length', atMost('files', claims.files.length, FILES_MOST));
  claims.files.forEach(({ path, digest }, i) => {
    writer.text(`files[${i}].path`, path, PATH).bytes(`files[${i}].digest`, digest, DIGEST_BYTES);
  });
  writer.u8('measured', claims.measurement ? 1 : 0);
  if (claims.measurement) writer.bytes('measurement', claims.measurement, DIGEST_BYTES);
  writer.u8('log', LOG_STATES.indexOf(claims.log.state)).u8('begunAnew', Math.min(255, claims.log.begunAnew));
  const { state, digest } = claims.calibration ?? { state: 'untold', digest: null };
  writer.u8('calibration', CALIBRATION_STATES.indexOf(state));
  if (state !== 'untold') writer.bytes('calibration.digest', digest!, DIGEST_BYTES);
  return writer.finish();
}

/** What the quote carries as extraData, 32 B: the challenge, and everything that the gateway says beside the quote. */
export const bindingOf = (nonce: Uint8Array, claims: Uint8Array): Uint8Array =>
  createHash('sha256')
    .update(labelled(LABELS.evidence, nonce, claims))
    .digest();

/** What the meter is asked with, 32 B. */
export const meterNonceOf = (nonce: Uint8Array): Uint8Array =>
  createHash('sha256').update(labelled(LABELS.meterChallenge, nonce)).digest();

/** @throws MalformedError */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  const head = new ByteWriter('evidence').u8('version', EVIDENCE_VERSION).bytes('nonce', evidence.nonce, NONCE_BYTES);
  const tail = new ByteWriter('evidence');
  writeSized(tail, 'quote', evidence.quote, QUOTE_MOST_BYTES);
  tail.bytes('signature', evidence.signature, SIGNATURE_BYTES);
  const bytes = Buffer.concat([head.finish(), encodeClaims(evidence), tail.finish()]);
  atMost('length', bytes.length, EVIDENCE_MOST_BYTES);
  return bytes;
}

/** Layout only; whether to believe it is `appraise`'s. @throws MalformedError that names the field */
export function decodeEvidence(bytes: Uint8Array): DecodedEvidence {
  if (bytes.length > EVIDENCE_MOST_BYTES)
    throw new MalformedError('evidence', `is ${bytes.length} bytes long, more than ${EVIDENCE_MOST_BYTES}`);
  const reader = new ByteReader('evidence', bytes);
  reader.constant('version', EVIDENCE_VERSION);
  const nonce = reader.bytes('nonce', NONCE_BYTES);
  const claimsAt = reader.at;
  const ekCertificate = readSized(reader, 'ekCertificate', CERTIFICATE_MOST_BYTES);
  const akCertificate = readSized(reader, 'akCertificate', CERTIFICATE_MOST_BYTES);
  const akPublic = readSized(reader, 'akPublic', PUBLIC_MOST_BYTES);
  const pcrs = list('pcrs', reader.u8('pcrs.length'), PCRS_MOST, (at) => ({
    pcr: reader.u8(`${at}.pcr`),
    value: reader.bytes(`${at}.value`, DIGEST_BYTES),
  }));
  const events = list('events', reader.u8('events.length'), EVENTS_MOST, (at) => ({
    pcr: reader.u8(`${at}.pcr`),
    digest: reader.bytes(`${at}.digest`, DIGEST_BYTES),
  }));
  const files = list('files', reader.u16('files.length'), FILES_MOST, (at) => ({
    path: reader.text(`${at}.path`, PATH),
    digest: reader.bytes(`${at}.digest`, DIGEST_BYTES),
  }));
  const measured = reader.u8('measured');
  if (measured > 1) throw reader.error('measured', `is ${measured}, neither 0 nor 1`);
  const measurement = measured ? reader.bytes('measurement', DIGEST_BYTES) : null;
  const state = LOG_STATES[reader.u8('log')];
  if (state === undefined) throw reader.error('log', 'is no state of a log');
  const log = { state, begunAnew: reader.u8('begunAnew') };
  const told = CALIBRATION_STATES[reader.u8('calibration')];
  if (told === undefined) throw reader.error('calibration', 'is no state of a calibration');
  const digest = told === 'untold' ? null : reader.bytes('calibration.digest', DIGEST_BYTES);
  const calibration = { state: told, digest };
  const claims = bytes.subarray(claimsAt, reader.at);
  const quote = readSized(reader, 'quote', QUOTE_MOST_BYTES);
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  return {
    nonce,
    ekCertificate,
    akCertificate,
    akPublic,
    pcrs,
    events,
    files,
    measurement,
    log,
    calibration,
    quote,
    signature,
    binding: bindingOf(nonce, claims),
  };
}

/** By which the same evidence is known again. */
export const evidenceDigest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

function writeSized(writer: ByteWriter, field: string, value: Uint8Array, most: number): void {
  writer.u16(`${field}.length`, atMost(field, value.length, most)).bytes(field, value, value.length);
}
function readSized(reader: ByteReader, field: string, most: number): Uint8Array {
  return reader.bytes(field, atMost(field, reader.u16(`${field}.length`), most));
}
function list<T>(field: string, length: number, most: number, item: (path: string) => T): T[] {
  atMost(field, length, most);
  return Array.from({ length }, (_, i) => item(`${field}[${i}]`));
}
function atMost(field: string, found: number, most: number): number {
  if (found > most) throw new MalformedError(`evidence.${field}`, `has length ${found}, more than ${most}`);
  return found;
}
