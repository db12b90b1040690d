/**
 * The attestation pass: "whoever this is, the verifier found its meter and gateway in order", and no more (protocols.md, section 3).
 *
 * The verifier knows the household's address, so collector and provider must never see its results. It signs blindly: once for each
 * device and day, when asked under the household's name (pass-issue.ts), with the key of that day (pass-keys.ts), so that it knows
 * for which day it signs and for no pseudonym. What comes out goes along with every submission of the day, under the pseudonym.
 *
 *   what is signed   "quietmeter/v1/attestation-pass" ‖ 00 ‖ day 4 ‖ pseudonym 33 ‖ random 32
 *
 *   in a submission, 326 B, so that one without a pass is as long as one with
 *   offset  size
 *        0     1  version = 1, or 0: no pass, and all that follows is zero
 *        1     4  day         big-endian; UTC days since 1970
 *        5    33  pseudonym   of that day, compressed P-256: nobody else can use the pass
 *       38    32  random      drawn by the gateway; blindness rests on it
 *       70   256  signature   RSABSSA-SHA384-PSSZERO-Deterministic, RSA-2048, under the key of the day
 *
 * Day and pseudonym stand in it although the submission has both: a pass says by itself what it is good for, and where it is
 * refused the reason can be told. A household can spend its one pass of a day on a neighbour's pseudonym, as it could lend him
 * its meter; it then has none itself.
 */
import { type Blinded, type BlindRsaKey, blind, finalize, type Random, verifyBlindRsa } from '../crypto/blind-rsa.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { PUBLIC_KEY_BYTES } from '../crypto/p256.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;
const NONE = 0;
const RANDOM_BYTES = 32;

/** RSA-2048. */
export const PASS_KEY_BYTES = 256;
export const PASS_BYTES = 5 + PUBLIC_KEY_BYTES + RANDOM_BYTES + PASS_KEY_BYTES;

/** What a pass is good for. */
export interface PassClaims {
  /** UTC days since 1970. */
  day: number;
  /** The pseudonym of that day, compressed P-256, 33 B. */
  pseudonym: Uint8Array;
  /** 32 B. */
  random: Uint8Array;
}
export interface Pass extends PassClaims {
  /** 256 B. */
  signature: Uint8Array;
}

/** Why a pass is no good; whoever counts refusals counts these apart. */
export type PassFlaw = 'forged' | 'another day' | 'another pseudonym';

export class PassError extends Error {
  override readonly name = 'PassError';
  readonly path: string;
  readonly flaw: PassFlaw;
  constructor(path: string, problem: string, flaw: PassFlaw) {
    super(`${path} ${problem}`);
    this.path = path;
    this.flaw = flaw;
  }
}

/** The pass field of a submission that has none. */
export const NO_PASS: Uint8Array = new Uint8Array(PASS_BYTES);

const claimsWriter = ({ day, pseudonym, random }: PassClaims): ByteWriter =>
  new ByteWriter('pass')
    .u32('day', day)
    .bytes('pseudonym', pseudonym, PUBLIC_KEY_BYTES)
    .bytes('random', random, RANDOM_BYTES);

/** @throws MalformedError */
const passMessage = (claims: PassClaims): Uint8Array => labelled(LABELS.attestationPass, claimsWriter(claims).finish());

/**
 * The gateway's first step: draws passes for days to come and blinds them.
 * @param wanted for each day its key, and the pseudonym that the household will have then
 */
export function blindPasses(
  wanted: readonly { key: BlindRsaKey; day: number; pseudonym: Uint8Array }[],
  random: Random,
): (PassClaims & Blinded)[] {
  return wanted.map(({ key, day, pseudonym }) => {
    const claims = { day, pseudonym, random: random(RANDOM_BYTES) };
    const [blinded] = blind(key, [passMessage(claims)], random);
    return { ...claims, ...blinded };
  });
}

/** The gateway's second step: the pass as it goes into submissions. @throws BlindRsaError where the answer is none to this question */
export function finishPass(
  key: BlindRsaKey,
  claims: PassClaims,
  blindSignature: Uint8Array,
  inverse: Uint8Array,
): Uint8Array {
  return encodePass({ ...claims, signature: finalize(key, passMessage(claims), blindSignature, inverse) });
}

/** @throws MalformedError */
export function encodePass(pass: Pass): Uint8Array {
  const signature = new ByteWriter('pass').bytes('signature', pass.signature, PASS_KEY_BYTES).finish();
  return Buffer.concat([Buffer.of(VERSION), claimsWriter(pass).finish(), signature]);
}

/** Null where there is none. Layout only; whether to believe it is `verifyPass`'s. @throws MalformedError */
export function decodePass(bytes: Uint8Array, path = 'pass'): Pass | null {
  const reader = new ByteReader(path, bytes);
  const version = reader.u8('version');
  if (version === NONE) {
    if (reader.bytes('padding', PASS_BYTES - 1).some((byte) => byte !== 0))
      throw reader.error('padding', 'is not zero');
    reader.end();
    return null;
  }
  if (version !== VERSION) throw reader.error('version', `is ${version}, not ${VERSION}`);
  const pass = {
    day: reader.u32('day'),
    pseudonym: reader.bytes('pseudonym', PUBLIC_KEY_BYTES),
    random: reader.bytes('random', RANDOM_BYTES),
    signature: reader.bytes('signature', PASS_KEY_BYTES),
  };
  reader.end();
  return pass;
}

/** Whether a pass is for this day and pseudonym, whoever signed it. @throws PassError */
export function checkPassClaims(pass: Pass, day: number, pseudonym: Uint8Array, path = 'pass'): void {
  if (pass.day !== day)
    throw new PassError(`${path}.day`, `is ${pass.day}, not ${day}: it is another day's`, 'another day');
  if (Buffer.compare(pass.pseudonym, pseudonym) !== 0)
    throw new PassError(`${path}.pseudonym`, 'is not the one that presents it', 'another pseudonym');
}

/** Whether the key of its day signed it. @throws PassError */
export function verifyPass(pass: Pass, key: BlindRsaKey, path = 'pass'): void {
  if (!verifyBlindRsa(key, passMessage(pass), pass.signature))
    throw new PassError(`${path}.signature`, "was not made by the verifier's key of that day over this pass", 'forged');
}
