/**
 * What a TPM says of itself, and whether to believe it. Whoever verifies has no TPM: bytes in, a plain answer out.
 *
 * The checks, in this order; each refusal is an `AttestError` with a code and a sentence:
 *
 *   1 the attestation key is one that signs only what its TPM says, and cannot leave it   attestation key
 *   2 the signature is that key's                                                         signature
 *   3 what was signed begins as only a TPM begins                                         magic
 *   4 it is what was asked for: quote, certified key, certified NV index                  type, malformed
 *   5 it answers this challenge                                                           nonce
 *   6 quote: exactly these PCRs, of the SHA-256 bank                                      empty selection, bank, selection
 *   7 quote: over these values                                                            pcr values
 *     key: of this name, and fit for its purpose                                          name, key
 *     NV: of this index                                                                   name
 *
 * Names and layouts: Part 2, 10.12 (TPMS_ATTEST).
 */
import { timingSafeEqual } from 'node:crypto';
import { compressPoint, P256Error, uncompressPublicKey, verifyP256 } from '../crypto/p256.ts';
import { nvName, type PcrValue, pcrDigest } from './policy.ts';
import { OBJECT, readSigningPublic, TPM_ALG, TPM_GENERATED, TPM_ST, TpmReader, TpmWireError } from './tpm-wire.ts';

/** What is wrong with an attestation. */
export type AttestTrouble =
  | 'attestation key'
  | 'signature'
  | 'magic'
  | 'type'
  | 'malformed'
  | 'nonce'
  | 'bank'
  | 'empty selection'
  | 'selection'
  | 'pcr values'
  | 'name'
  | 'key';

/** The message is a plain sentence. */
export class AttestError extends Error {
  override readonly name = 'AttestError';
  readonly code: AttestTrouble;
  constructor(code: AttestTrouble, message: string) {
    super(message);
    this.code = code;
  }
}

// Keys

/** A P-256 key in a TPM. */
export interface TpmPublic {
  /** Compressed, 33 B. */
  publicKey: Uint8Array;
  /** What the TPM knows it by, 34 B. */
  name: Uint8Array;
  /** TPMA_OBJECT. */
  attributes: number;
}

type Rule = readonly [attribute: number, wanted: boolean, problem: string];
const IN_THE_TPM: readonly Rule[] = [
  [OBJECT.sign, true, 'it is no signing key'],
  [OBJECT.fixedTPM, true, 'it could be moved to another TPM'],
  [OBJECT.fixedParent, true, 'it could be moved under another parent'],
  [OBJECT.sensitiveDataOrigin, true, 'its secret was not made by the TPM'],
  [OBJECT.decrypt, false, 'it also decrypts'],
];
const ATTESTATION: readonly Rule[] = [
  [OBJECT.restricted, true, 'it is not restricted, so it signs anything that it is given'],
  ...IN_THE_TPM,
];
const SIGNING: readonly Rule[] = [[OBJECT.restricted, false, 'it is restricted to what the TPM says'], ...IN_THE_TPM];

/** A key that signs only what its TPM says, from its TPM2B_PUBLIC. @throws AttestError `attestation key` */
export const readAttestationKey = (publicBlob: Uint8Array): TpmPublic =>
  readKey(publicBlob, ATTESTATION, 'attestation key', 'the attestation key');

function readKey(publicBlob: Uint8Array, rules: readonly Rule[], code: AttestTrouble, what: string): TpmPublic {
  try {
    const { attributes, x, y, name } = readSigningPublic(publicBlob);
    for (const [attribute, wanted, problem] of rules)
      if (((attributes & attribute) !== 0) !== wanted) throw new AttestError(code, `${what} is unfit: ${problem}`);
    const publicKey = compressPoint(x, y);
    const point = Buffer.from(uncompressPublicKey(publicKey));
    if (!point.subarray(point.length - y.length).equals(y))
      throw new AttestError(code, `${what} is none: its point is not on the curve`);
    return { publicKey, name, attributes };
  } catch (error) {
    if (error instanceof P256Error) throw new AttestError(code, `${what} is none: its point is not on the curve`);
    if (error instanceof TpmWireError) throw new AttestError(code, `${what} is none: ${error.message}`);
    throw error;
  }
}

// TPMS_ATTEST

/** What every attestation says. */
interface Attested {
  /** Name of the signing key and of all its parents, hashed. */
  qualifiedSigner: Uint8Array;
  /** What was given to be signed with it: the challenge. */
  extraData: Uint8Array;
  /** The TPM's clock: counts while it has power. */
  clockMs: number;
  /** Starts from nothing; starts from a suspended state since. */
  resetCount: number;
  restartCount: number;
  /** False for some time after an unclean stop: the clock may have said this instant before. */
  safe: boolean;
  firmwareVersion: bigint;
}
export interface PcrSelection {
  /** TPM_ALG_ID of the bank's hash. */
  bank: number;
  pcrs: number[];
}
export interface Quote extends Attested {
  type: 'quote';
  selections: PcrSelection[];
  pcrDigest: Uint8Array;
}
export interface KeyCertification extends Attested {
  type: 'key';
  keyName: Uint8Array;
  qualifiedName: Uint8Array;
}
export interface NvCertification extends Attested {
  type: 'nv';
  indexName: Uint8Array;
  offset: number;
  content: Uint8Array;
}
export type Attest = Quote | KeyCertification | NvCertification;

/** A TPML_PCR_SELECTION has at most one entry a bank. */
const SELECTIONS_MOST = 16;
const WORDS = { quote: 'a quote', key: 'the certification of a key', nv: 'the certification of an NV index' } as const;

/** Reads a TPMS_ATTEST, all of it. @throws AttestError `magic`, `type` or `malformed` */
export function readAttest(attest: Uint8Array): Attest {
  const reader = new TpmReader(attest, 'attest');
  try {
    if (reader.u32('magic') !== TPM_GENERATED)
      throw new AttestError('magic', 'what was signed does not begin as everything does that a TPM says of itself');
    const type = reader.u16('type');
    const qualifiedSigner = reader.sized('qualifiedSigner');
    const extraData = reader.sized('extraData');
    const clockMs = Number(reader.u64('clock'));
    const resetCount = reader.u32('resetCount');
    const restartCount = reader.u32('restartCount');
    const safe = reader.u8('safe') === 1;
    const firmwareVersion = reader.u64('firmwareVersion');
    const all = { qualifiedSigner, extraData, clockMs, resetCount, restartCount, safe, firmwareVersion };
    const result = readBody(reader, type, all);
    reader.end();
    return result;
  } catch (error) {
    if (error instanceof TpmWireError)
      throw new AttestError('malformed', `what was signed is malformed: ${error.message}`);
    throw error;
  }
}

function readBody(reader: TpmReader, type: number, all: Attested): Attest {
  if (type === TPM_ST.ATTEST_QUOTE) {
    const count = reader.u32('pcrSelect.count');
    if (count > SELECTIONS_MOST) reader.fail('pcrSelect.count', `is ${count}`);
    const selections = Array.from({ length: count }, () => readSelection(reader));
    return { type: 'quote', ...all, selections, pcrDigest: reader.sized('pcrDigest') };
  }
  if (type === TPM_ST.ATTEST_CERTIFY)
    return { type: 'key', ...all, keyName: reader.sized('name'), qualifiedName: reader.sized('qualifiedName') };
  if (type === TPM_ST.ATTEST_NV) {
    const indexName = reader.sized('indexName');
    return { type: 'nv', ...all, indexName, offset: reader.u16('offset'), content: reader.sized('nvContents') };
  }
  throw new AttestError('type', `what was signed is something else: its type is 0x${type.toString(16)}`);
}

function readSelection(reader: TpmReader): PcrSelection {
  const bank = reader.u16('pcrSelect.hash');
  const bits = reader.take(reader.u8('pcrSelect.sizeofSelect'), 'pcrSelect.pcrSelect');
  const pcrs = Array.from({ length: 8 * bits.length }, (_, pcr) => pcr);
  return { bank, pcrs: pcrs.filter((pcr) => (bits[pcr >> 3] >> (pcr & 7)) & 1) };
}

// Checks

/** What was shown, and what it is to answer. */
export interface Shown {
  /** TPMS_ATTEST, without size. */
  attest: Uint8Array;
  /** r ‖ s, 64 B. */
  signature: Uint8Array;
  /** As `readAttestationKey` gave it. */
  attestationKey: TpmPublic;
  /** What the TPM was given to sign with it. */
  nonce: Uint8Array;
}

/** The TPM's registers hold these values, all of them and no others being told of. @throws AttestError */
export function verifyQuote(shown: Shown, pcrs: readonly PcrValue[]): Quote {
  const quote = verifyShown(shown, 'quote');
  checkSelection(
    quote,
    pcrs.map(({ pcr }) => pcr),
  );
  if (!sameBytes(quote.pcrDigest, pcrDigest(pcrs)))
    throw new AttestError('pcr values', 'the quote is over other values of the PCRs');
  return quote;
}

/** Exactly these PCRs, of the SHA-256 bank only. @throws AttestError `bank`, `empty selection` or `selection` */
export function checkSelection({ selections }: Pick<Quote, 'selections'>, pcrs: readonly number[]): void {
  const quoted = selections.flatMap((selection) => selection.pcrs);
  if (quoted.length === 0 || pcrs.length === 0)
    throw new AttestError('empty selection', 'the quote is over no PCR at all');
  if (selections.some(({ bank }) => bank !== TPM_ALG.SHA256))
    throw new AttestError('bank', 'the quote is over PCRs of another bank than SHA-256');
  const wanted = [...pcrs].sort((a, b) => a - b);
  if (selections.length !== 1 || quoted.join() !== wanted.join())
    throw new AttestError('selection', `the quote is over PCRs ${quoted.join(', ')}, not ${wanted.join(', ')}`);
}

/**
 * The key with this TPM2B_PUBLIC is in the TPM of the attestation key, cannot leave it, and signs.
 * @throws AttestError
 */
export function verifyKeyCertification(shown: Shown, publicBlob: Uint8Array): KeyCertification & { key: TpmPublic } {
  const certification = verifyShown(shown, 'key');
  const key = readKey(publicBlob, SIGNING, 'key', 'the key');
  if (!sameBytes(certification.keyName, key.name))
    throw new AttestError('name', 'another key was certified than the one that is shown');
  return { ...certification, key };
}

/** The NV index, a counter or an area of so many bytes, holds what `content` says. @throws AttestError */
export function verifyNvCertification(shown: Shown, index: number, kind: 'counter' | number): NvCertification {
  const certification = verifyShown(shown, 'nv');
  if (!sameBytes(certification.indexName, nvName(index, kind)) || certification.offset !== 0)
    throw new AttestError('name', 'another NV index was certified than the one that was asked for');
  return certification;
}

/** Steps 1 to 5. */
function verifyShown<Type extends Attest['type']>(
  { attest, signature, attestationKey, nonce }: Shown,
  type: Type,
): Extract<Attest, { type: Type }> {
  if (!isSigned(attestationKey.publicKey, attest, signature))
    throw new AttestError('signature', 'what the TPM is said to have said was not signed by the attestation key');
  const found = readAttest(attest);
  if (found.type !== type) throw new AttestError('type', `what was signed is ${WORDS[found.type]}, not ${WORDS[type]}`);
  if (!sameBytes(found.extraData, nonce)) throw new AttestError('nonce', 'what was signed answers another challenge');
  return found as Extract<Attest, { type: Type }>;
}

function isSigned(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifyP256(publicKey, message, signature);
  } catch (error) {
    if (error instanceof P256Error) return false; // no point of the curve, or no signature by its length
    throw error;
  }
}

/** In a time that tells nothing of where they differ. */
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
