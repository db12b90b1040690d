/**
 * "One of these households says so, once in this slot", without an issuer: the linkable ring signature of Liu, Wei, Wong, "Linkable
 * spontaneous anonymous group signature for ad hoc groups", 2004, section 4 (LSAG), in P-256. It takes the place of the group key that
 * tasking-and-trading.txt, section 2.2.1, has k meters share.
 *
 *   ring      public keys P_1 … P_k of households, the same for a month; who signs is k-anonymous among them
 *   tag       I = h^x, h = hashToElement of ring and slot: two signatures of one member in one slot have the same tag, whatever they
 *             say; in another slot, or another ring, the tag tells nothing (decisional Diffie–Hellman)
 *   Signer    member π: α at random, c_{π+1} = H(message, G^α, h^α); around the ring c_{j+1} = H(message, G^{s_j}·P_j^{c_j}, h^{s_j}·I^{c_j})
 *             with s_j at random, and closes it: s_π = α − c_π·x
 *   Verifier  goes around once and comes out at c_1
 *
 *   signature   1   version = 1
 *               2   k
 *               33  I
 *               32  c_1
 *               32  s_j, each: 1,092 B for 32 members
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { FixedBase } from './fixed-base.ts';
import {
  BASE,
  decodeScalar,
  ELEMENT_BYTES,
  Element,
  encodeScalar,
  hashToElement,
  modulo,
  multiplyBase,
  multiScalar,
  SCALAR_BYTES,
  scalarOf,
} from './group.ts';
import { LABELS, labelled } from './labels.ts';
import { Transcript } from './transcript.ts';

const VERSION = 1;
export const RING_MOST = 256;
export const ringSignatureBytes = (members: number): number => 3 + ELEMENT_BYTES + (1 + members) * SCALAR_BYTES;

type Random = (bytes: number) => Uint8Array;

/** Households that are anonymous among each other. */
export class Ring {
  readonly keys: readonly Element[];
  /** SHA-256 of all keys in their order, 32 B. */
  readonly digest: Uint8Array;
  #slot = -1;
  #tagBase: Element | undefined;

  /** @param publicKeys 33 B each, all different, in the order everybody has them @throws GroupError, RangeError */
  constructor(publicKeys: readonly Uint8Array[]) {
    if (publicKeys.length < 2 || publicKeys.length > RING_MOST)
      throw new RangeError(`ring: has ${publicKeys.length} members, not 2 to ${RING_MOST}`);
    if (new Set(publicKeys.map((key) => Buffer.from(key).toString('hex'))).size !== publicKeys.length)
      throw new RangeError('ring: one key stands there twice');
    this.keys = publicKeys.map((key, i) => Element.decode(key, `ring.${i}`));
    this.digest = createHash('sha256')
      .update(labelled(LABELS.ring, ...publicKeys))
      .digest();
  }

  /** h of a slot. */
  tagBase(slot: number): Element {
    if (this.#slot !== slot || !this.#tagBase) {
      this.#tagBase = hashToElement(`ring/${Buffer.from(this.digest).toString('hex')}/${slot}`);
      this.#slot = slot;
    }
    return this.#tagBase;
  }
}

/** I of a member in a slot, 33 B, before anything is signed: a dealing is bound to it (pvss.ts). */
export const tagInRing = (ring: Ring, slot: number, secret: Uint8Array): Uint8Array =>
  new FixedBase(ring.tagBase(slot)).multiply(decodeScalar(secret, 'secret')).encode();

/**
 * @param secret x of the signer, 32 B, whose G^x stands in the ring
 * @param message what is signed, 32 B or any other length
 * @throws RangeError where the signer is no member
 */
export function signInRing(
  ring: Ring,
  slot: number,
  secret: Uint8Array,
  message: Uint8Array,
  random: Random,
): Uint8Array {
  const own = multiplyBase(secret);
  const signer = ring.keys.findIndex((key) => key.equals(own));
  if (signer < 0) throw new RangeError('secret: its key is not in the ring');
  const x = decodeScalar(secret, 'secret');
  const fresh = (): bigint => scalarOf(random(64)) || 1n;
  const base = ring.tagBase(slot);
  const table = new FixedBase(base);
  const tag = table.multiply(x);
  const start = transcriptOf(ring, slot, tag, message);
  const k = ring.keys.length;
  const alpha = fresh();
  const challenges = new Array<bigint>(k);
  const responses = ring.keys.map(fresh);
  challenges[(signer + 1) % k] = start(multiplyBase(encodeScalar(alpha)), table.multiply(alpha));
  for (let step = 1; step < k; step++) {
    const j = (signer + step) % k;
    challenges[(j + 1) % k] = start(...around(ring.keys[j], base, tag, responses[j], challenges[j]));
  }
  responses[signer] = modulo(alpha - challenges[signer] * x);
  return new ByteWriter('signature')
    .u8('version', VERSION)
    .u16('members', k)
    .bytes('tag', tag.encode(), ELEMENT_BYTES)
    .bytes('challenge', encodeScalar(challenges[0]), SCALAR_BYTES)
    .bytes('responses', Buffer.concat(responses.map(encodeScalar)), k * SCALAR_BYTES)
    .finish();
}

/**
 * @returns the tag, 33 B, where a member of the ring signed the message for this slot; null where none did
 * @throws MalformedError, GroupError
 */
export function verifyInRing(
  ring: Ring,
  slot: number,
  message: Uint8Array,
  signature: Uint8Array,
  path = 'signature',
): Uint8Array | null {
  const reader = new ByteReader(path, signature);
  reader.constant('version', VERSION);
  const members = reader.u16('members');
  if (members !== ring.keys.length) throw reader.error('members', `is ${members}, not ${ring.keys.length}`);
  const tagBytes = reader.bytes('tag', ELEMENT_BYTES);
  const tag = Element.decode(tagBytes, `${path}.tag`);
  const first = decodeScalar(reader.bytes('challenge', SCALAR_BYTES), `${path}.challenge`);
  const responses = ring.keys.map((_, j) =>
    decodeScalar(reader.bytes('responses', SCALAR_BYTES), `${path}.responses.${j}`),
  );
  reader.end();
  const start = transcriptOf(ring, slot, tag, message);
  const base = ring.tagBase(slot);
  let challenge = first;
  for (const [j, key] of ring.keys.entries()) challenge = start(...around(key, base, tag, responses[j], challenge));
  return challenge === first ? tagBytes : null;
}

/** G^s·P^c and h^s·I^c. */
const around = (key: Element, base: Element, tag: Element, s: bigint, c: bigint): [Element, Element] => [
  multiScalar([BASE, key], [s, c]),
  multiScalar([base, tag], [s, c]),
];

/** The hash of everything that stays, then of the two elements of a step. */
function transcriptOf(ring: Ring, slot: number, tag: Element, message: Uint8Array): (l: Element, r: Element) => bigint {
  const where = new ByteWriter('ring').bytes('ring', ring.digest, 32).u32('slot', slot).finish();
  return (l, r) =>
    new Transcript(LABELS.ringSignature)
      .absorb('ring', where)
      .absorb('message', message)
      .absorbElement('tag', tag)
      .absorbElement('L', l)
      .absorbElement('R', r)
      .challenge('c');
}
