/**
 * Tests that compute: what the papers' own formulas give away to whoever holds the party's keys (protocols.md, A9 and the PRF shared
 * by two products).
 */
import { createHmac } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import type { SeenRecord, Transcript } from './transcript.ts';

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
const bytesOf = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');

const inverses = new WeakMap<SeenRecord, bigint>();

/**
 * A9: the centre has given the blind signature s_B and seen the signature s_C; F = s_B/s_C is the blinding factor if they belong
 * together, which L4 = HMAC(sk, BID ‖ F) confirms. Fields: `modulus`, `signature` (shown), `blindSignature`, `bid`, `l4` (one entry
 * after the other), `sk`.
 */
export function sharedFactor(shown: SeenRecord, named: SeenRecord, _: Transcript): number {
  const { signature, modulus } = shown.fields;
  const { blindSignature, bid, l4, sk } = named.fields;
  if (!isBytes(signature) || !isBytes(modulus) || !isBytes(blindSignature) || !isBytes(bid)) return 0;
  if (!isBytes(l4) || !isBytes(sk)) return 0;
  const n = numberOf(modulus);
  let inverse = inverses.get(shown);
  if (inverse === undefined) {
    inverse = invert(numberOf(signature), n);
    inverses.set(shown, inverse);
  }
  const factor = bytesOf((numberOf(blindSignature) * inverse) % n, modulus.length);
  return Number(Buffer.from(l4).includes(createHmac('sha256', sk).update(bid).update(factor).digest()));
}

const isBytes = (field: unknown): field is Uint8Array => field instanceof Uint8Array;

function invert(value: bigint, modulus: bigint): bigint {
  let [r0, r1, t0, t1] = [modulus, value % modulus, 0n, 1n];
  while (r1 > 0n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return ((t0 % modulus) + modulus) % modulus;
}

/** What a leaky product commits to, at most; the adversary tries differences up to it. */
export const COMMITTED_MOST = 500;
export const BASE = p256.Point.BASE;
/** Second generator. That its logarithm is known here helps nobody: the adversary does not use it. */
export const SECOND = BASE.multiply(0x5eedn);
type Point = typeof BASE;
const points = new WeakMap<Uint8Array, Point>();
let differences: Set<string> | null = null;

/**
 * Two commitments G^r·H^x and G^r'·H^y to small values: their quotient is H^(x−y) if r = r', and that can be looked up. Field:
 * `commitment`, a compressed point of P-256.
 */
export function commitmentDifference(one: SeenRecord, other: SeenRecord): number {
  const [c, d] = [one.fields.commitment, other.fields.commitment];
  if (!isBytes(c) || !isBytes(d)) return 0;
  if (!differences) {
    differences = new Set();
    let point = p256.Point.ZERO;
    for (let i = 0; i <= COMMITTED_MOST; i++, point = point.add(SECOND)) differences.add(abscissa(point));
  }
  return Number(differences.has(abscissa(pointOf(c).subtract(pointOf(d)))));
}

function pointOf(bytes: Uint8Array): Point {
  let point = points.get(bytes);
  if (!point) {
    point = p256.Point.fromBytes(bytes);
    points.set(bytes, point);
  }
  return point;
}

/** Of a point and its negative it is the same: the sign of the difference does not matter. */
const abscissa = (point: Point): string => (point.is0() ? '0' : point.toAffine().x.toString(16));
