/**
 * Readings in shares, that anybody can verify and nobody alone can read: publicly verifiable secret sharing, as tasking-and-trading.txt
 * has it in Algorithm 2 (after Schoenmakers, "A simple publicly verifiable secret sharing scheme", 1999), with what protocols.md,
 * section 2, corrects.
 *
 *   Dealer (a gateway)        draws p, p(0) = reading, and b, both of degree t − 1;
 *                             C_j = G^{b_j}·H^{p_j}, Y_i = y_i^{p(i)} for server i of n, and the proof ──► all servers
 *   Server i                  verifies; multiplies the Y_i of a roster to ΠY_i = y_i^{Σp(i)}
 *                             S_i = (ΠY_i)^{1/x_i} = G^{Σp(i)}, and the proof ──► whoever recovers
 *   Whoever recovers          verifies t of them; Π S_i^{λ_i} = G^{Σ readings}; the sum by smallLogarithm
 *
 * Fewer than t servers learn nothing: what they decrypt are independent random multiples, and the commitments hide perfectly (the
 * paper's C_0 = g^reading would be looked up in a dictionary: A7). With t or more it is the whole.
 *
 * **The proof** that one pair (p, b) stands in all C_j and Y_i (Maurer, "Unifying zero-knowledge proofs of knowledge", 2009, for the
 * homomorphism (p, b) → (C, Y)): random polynomials w and u of degree t − 1, A_j = G^{u_j}·H^{w_j}, B_i = y_i^{w(i)},
 * e = hash(all), r = w − e·p, z = u − e·b. To verify: A_j = G^{z_j}·H^{r_j}·C_j^e, B_i = y_i^{r(i)}·Y_i^e. So it is t + n equations, not 2n;
 * those of many dealings are verified in one multiplication (equations.ts). The hash binds slot, area, servers and the dealer's
 * report token, so that a copied dealing is none (A12); the same C_0 twice in a slot is refused beside that (reporting/roster.ts).
 * A range proof for C_0 goes on in the same transcript, so that one meter cannot spoil the sum.
 *
 *   dealing                                 decryption share, 99 B
 *     1      version = 1                      1    version = 1
 *     1      n                                1    i, from 1
 *     1      t                                33   S_i
 *     1      bits of the range proof; 0: none 32   e     equality of logarithms (Chaum, Pedersen, 1992):
 *     64·t   C_j                              32   r     log_G y_i = log_{S_i} ΠY_i
 *     64·n   Y_i
 *     64·t   A_j
 *     64·n   B_i
 *     32·t   r_j
 *     32·t   z_j
 *     …      range proof
 *
 * Sizes are the same for every reading: 1,220 B for 3 of 5, 2,436 B for 6 of 10, without range proof; 1,220 B more with one of 32 bits.
 * (Elements stand there with both coordinates: to find y from x would be half of what verifying costs.)
 */
import { createHash } from 'node:crypto';
import { AREA_PATTERN } from '../readings/area.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';
import { bitEquations, bitProofBytes, proveBits } from './bit-proof.ts';
import { LOGARITHM_BOUND, smallLogarithm } from './discrete-logarithm.ts';
import { EquationBatch } from './equations.ts';
import { FixedBase } from './fixed-base.ts';
import {
  AFFINE_BYTES,
  BASE,
  decodeAffine,
  decodeScalar,
  ELEMENT_BYTES,
  Element,
  encodeScalar,
  GroupError,
  invert,
  invertAll,
  modulo,
  multiplyBase,
  multiScalar,
  ORDER,
  SCALAR_BYTES,
  scalarOf,
  sum,
} from './group.ts';
import { LABELS, labelled } from './labels.ts';
import { hideSecret, VALUE_BASE } from './pedersen.ts';
import { Transcript } from './transcript.ts';

const VERSION = 1;
const HEAD_BYTES = 4;
export const SERVERS_MOST = 32;
export const RANGE_BITS_MOST = 32;
export const SHARE_TOKEN_BYTES = 32;
export const DECRYPTION_SHARE_BYTES = 2 + ELEMENT_BYTES + 2 * SCALAR_BYTES;

export type Random = (bytes: number) => Uint8Array;

/** A share that is not what its maker says it is; `server` counts from 1. */
export class ShareError extends Error {
  override readonly name = 'ShareError';
  readonly server: number;
  constructor(server: number, problem: string) {
    super(`shares.${server}: ${problem}`);
    this.server = server;
  }
}

// ── the servers ──

export interface ServerKey {
  /** x_i, 32 B; from 1 to ORDER − 1. */
  secret: Uint8Array;
  /** y_i = G^{x_i}, 33 B. */
  publicKey: Uint8Array;
}
export function generateServerKey(random: Random): ServerKey {
  const secret = encodeScalar(nonZero(random));
  return { secret, publicKey: multiplyBase(secret).encode() };
}

/** Report servers that share the readings of an area for a month. */
export interface PanelDescription {
  /** y_1, y_2 …, 33 B each; all different. */
  publicKeys: readonly Uint8Array[];
  /** t: as many recover, fewer learn nothing. */
  threshold: number;
  /** Readings are proved to be below 2^rangeBits, at most 32; 0: nothing is proved. */
  rangeBits: number;
}

export class Panel {
  readonly servers: number;
  readonly threshold: number;
  readonly rangeBits: number;
  /** Of each dealing, B. */
  readonly dealingBytes: number;
  /** SHA-256 of all that is agreed, 32 B. */
  readonly digest: Uint8Array;
  readonly keys: readonly Element[];
  #tables: FixedBase[] | undefined;

  /** @throws GroupError, RangeError */
  constructor({ publicKeys, threshold, rangeBits }: PanelDescription) {
    const n = publicKeys.length;
    if (n < 1 || n > SERVERS_MOST) throw new RangeError(`panel.publicKeys: are ${n}, not 1 to ${SERVERS_MOST}`);
    if (!Number.isInteger(threshold) || threshold < 1 || threshold > n)
      throw new RangeError('panel.threshold: is no whole number from 1 to the number of servers');
    if (!Number.isInteger(rangeBits) || rangeBits < 0 || rangeBits > RANGE_BITS_MOST)
      throw new RangeError(`panel.rangeBits: is no whole number up to ${RANGE_BITS_MOST}`);
    this.keys = publicKeys.map((key, i) => Element.decode(key, `panel.publicKeys.${i}`));
    if (new Set(publicKeys.map((key) => Buffer.from(key).toString('hex'))).size !== n)
      throw new RangeError('panel.publicKeys: one stands there twice');
    [this.servers, this.threshold, this.rangeBits] = [n, threshold, rangeBits];
    this.dealingBytes =
      HEAD_BYTES +
      2 * (n + threshold) * AFFINE_BYTES +
      2 * threshold * SCALAR_BYTES +
      (rangeBits > 0 ? bitProofBytes(rangeBits) : 0);
    this.digest = createHash('sha256')
      .update(labelled(LABELS.panel, Uint8Array.of(n, threshold, rangeBits), ...publicKeys))
      .digest();
  }

  /** Of y_1, y_2 … */
  get tables(): readonly FixedBase[] {
    this.#tables ??= this.keys.map((key) => new FixedBase(key));
    return this.#tables;
  }
}

// ── the dealer ──

/** What a dealing is bound to. */
export interface DealingContext {
  slot: number;
  area: string;
  /** The identity of the report token or of the ring's tag, 32 B: once in a slot. */
  token: Uint8Array;
}

/**
 * Shares a reading.
 * @param value a whole number from 0, below 2^rangeBits, or below 2^32 where nothing is proved
 * @param random uniform bytes, never used elsewhere
 * @throws RangeError where the value is none
 */
export function distribute(panel: Panel, context: DealingContext, value: number, random: Random): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (panel.rangeBits || RANGE_BITS_MOST))
    throw new RangeError(`value: is no whole number from 0 to 2^${panel.rangeBits || RANGE_BITS_MOST} − 1`);
  const t = panel.threshold;
  const polynomial = (first?: bigint): bigint[] =>
    Array.from({ length: t }, (_, j) => (j === 0 && first !== undefined ? first : nonZero(random)));
  const [p, b, w, u] = [polynomial(BigInt(value)), polynomial(), polynomial(), polynomial()];
  const encrypt = (coefficients: readonly bigint[]): Element[] =>
    panel.tables.map((table, i) => table.multiply(evaluate(coefficients, i + 1)));
  const commitments = p.map((_, j) => hideSecret(p[j], b[j]));
  const shares = encrypt(p);
  const masks = w.map((_, j) => hideSecret(w[j], u[j]));
  const shareMasks = encrypt(w);
  const elements = [commitments, shares, masks, shareMasks].map(encodeAll);
  const transcript = contextTranscript(panel, context);
  const e = dealingChallenge(transcript, elements);
  const [r, z] = [w.map((wj, j) => modulo(wj - e * p[j])), u.map((uj, j) => modulo(uj - e * b[j]))];
  const head = Uint8Array.of(VERSION, panel.servers, t, panel.rangeBits);
  const parts = [head, ...elements, ...r.map(encodeScalar), ...z.map(encodeScalar)];
  if (panel.rangeBits > 0) parts.push(proveBits(transcript, commitments[0], panel.rangeBits, value, b[0], random));
  return Buffer.concat(parts);
}

// ── the verifier: anybody ──

/** A dealing that holds. */
export interface Dealing {
  /** C_0, 64 B: no two in a slot are the same. */
  commitment: Uint8Array;
  /** Y_1, Y_2 … */
  shares: readonly Element[];
}
export type DealingVerdict = { dealing: Dealing } | { refusal: string };

interface Decoded extends Dealing {
  commitments: readonly Element[];
  masks: readonly Element[];
  shareMasks: readonly Element[];
  elements: Uint8Array[];
  r: bigint[];
  z: bigint[];
  range: Uint8Array;
}

/** @throws MalformedError, GroupError */
function decodeDealing(panel: Panel, bytes: Uint8Array, path: string): Decoded {
  const { servers: n, threshold: t } = panel;
  if (bytes.length !== panel.dealingBytes)
    throw new MalformedError(path, `is ${bytes.length} bytes long, not ${panel.dealingBytes}`);
  const reader = new ByteReader(path, bytes);
  reader.constant('version', VERSION);
  reader.constant('servers', n);
  reader.constant('threshold', t);
  reader.constant('rangeBits', panel.rangeBits);
  const names = ['commitments', 'shares', 'masks', 'shareMasks'];
  const elements = [t, n, t, n].map((count, i) => reader.bytes(names[i], count * AFFINE_BYTES));
  const [commitments, shares, masks, shareMasks] = elements.map((part, i) => decodeAffine(part, `${path}.${names[i]}`));
  const scalars = (field: string): bigint[] =>
    Array.from({ length: t }, (_, j) => decodeScalar(reader.bytes(field, SCALAR_BYTES), `${path}.${field}.${j}`));
  const [r, z] = [scalars('r'), scalars('z')];
  const range = reader.bytes('range', bytes.length - reader.at);
  const commitment = elements[0].subarray(0, AFFINE_BYTES);
  return { commitment, commitments, shares, masks, shareMasks, elements, r, z, range };
}

/** Adds to `batch` what holds if the dealing does. @throws GroupError where the range proof is malformed */
function dealingEquations(
  batch: EquationBatch,
  panel: Panel,
  context: DealingContext,
  dealing: Decoded,
  path: string,
): void {
  const transcript = contextTranscript(panel, context);
  const e = dealingChallenge(transcript, dealing.elements);
  for (const [j, commitment] of dealing.commitments.entries()) {
    batch.next();
    batch.term(BASE, dealing.z[j]);
    batch.term(VALUE_BASE, dealing.r[j]);
    batch.term(commitment, e);
    batch.term(dealing.masks[j], -1n);
  }
  for (const [i, share] of dealing.shares.entries()) {
    batch.next();
    batch.term(panel.keys[i], evaluate(dealing.r, i + 1));
    batch.term(share, e);
    batch.term(dealing.shareMasks[i], -1n);
  }
  if (panel.rangeBits > 0)
    bitEquations(batch, transcript, dealing.commitments[0], panel.rangeBits, dealing.range, `${path}.range`);
}

/**
 * Verifies dealings together; where they do not all hold, halves them until those are found that do not. What one bad dealing costs
 * is about twice log₂ of their number.
 * @param random bytes that no dealer knew
 * @returns for each, in order, the dealing or why it is refused
 */
export function verifyDealings(
  panel: Panel,
  dealings: readonly { context: DealingContext; bytes: Uint8Array }[],
  random: Random,
): DealingVerdict[] {
  const verdicts = new Array<DealingVerdict>(dealings.length);
  const good: { at: number; dealing: Decoded; batch: EquationBatch }[] = [];
  for (const [at, { context, bytes }] of dealings.entries()) {
    const path = `dealings.${at}`;
    try {
      const dealing = decodeDealing(panel, bytes, path);
      const batch = new EquationBatch(random, panel.keys);
      dealingEquations(batch, panel, context, dealing, path);
      good.push({ at, dealing, batch });
    } catch (error) {
      if (!(error instanceof MalformedError || error instanceof GroupError || error instanceof RangeError)) throw error;
      verdicts[at] = { refusal: error.message };
    }
  }
  const settle = (some: typeof good): void => {
    if (some.length === 0) return;
    const all = new EquationBatch(random, panel.keys);
    for (const { batch } of some) all.include(batch);
    if (all.holds())
      for (const { at, dealing } of some)
        verdicts[at] = { dealing: { commitment: dealing.commitment, shares: dealing.shares } };
    else if (some.length === 1)
      verdicts[some[0].at] = {
        refusal: `dealings.${some[0].at}: its proof does not hold for this slot, area, servers and token`,
      };
    else {
      settle(some.slice(0, some.length >> 1));
      settle(some.slice(some.length >> 1));
    }
  };
  settle(good);
  return verdicts;
}

// ── a server ──

/** What a decryption is for: a server makes one for each roster, and one roster for each slot and area. */
export interface SumContext {
  slot: number;
  area: string;
  /** SHA-256 of the dealings that are summed, 32 B (reporting/roster.ts). */
  roster: Uint8Array;
}

/** ΠY_i of one server over dealings, of one slot or of many. @param server from 1 */
export const sumShares = (dealings: readonly Dealing[], server: number): Element =>
  sum(dealings.map(({ shares }) => shares[server - 1]));

/**
 * The server's step.
 * @param server from 1
 * @param encrypted ΠY_i
 * @throws RangeError where the key is not that server's, or there is nothing to decrypt
 */
export function decryptShare(
  panel: Panel,
  server: number,
  secret: Uint8Array,
  encrypted: Element,
  context: SumContext,
  random: Random,
): Uint8Array {
  if (server < 1 || server > panel.servers || !multiplyBase(secret).equals(panel.keys[server - 1]))
    throw new RangeError(`server: the key is not that of server ${server}`);
  if (encrypted.isNeutral) throw new RangeError('encrypted: is neutral');
  const x = decodeScalar(secret, 'secret');
  const share = new FixedBase(encrypted).multiply(invert(x));
  const w = nonZero(random);
  const e = shareChallenge(panel, server, context, [
    share,
    encrypted,
    multiplyBase(encodeScalar(w)),
    new FixedBase(share).multiply(w),
  ]);
  return Buffer.concat([
    Uint8Array.of(VERSION, server),
    share.encode(),
    encodeScalar(e),
    encodeScalar(modulo(w - e * x)),
  ]);
}

// ── whoever recovers ──

/** S_i of a server that proved it. */
export interface VerifiedShare {
  /** From 1. */
  server: number;
  element: Element;
}

/**
 * @param encrypted ΠY_i for server i, from the same dealings: as whoever verifies has them
 * @throws MalformedError, GroupError where it is malformed, ShareError where its maker lies
 */
export function verifyShare(
  panel: Panel,
  bytes: Uint8Array,
  encrypted: (server: number) => Element,
  context: SumContext,
  path = 'share',
): VerifiedShare {
  const reader = new ByteReader(path, bytes);
  reader.constant('version', VERSION);
  const server = reader.u8('server');
  if (server < 1 || server > panel.servers) throw reader.error('server', `is ${server}, of ${panel.servers}`);
  const element = Element.decode(reader.bytes('share', ELEMENT_BYTES), `${path}.share`);
  const e = decodeScalar(reader.bytes('e', SCALAR_BYTES), `${path}.e`);
  const r = decodeScalar(reader.bytes('r', SCALAR_BYTES), `${path}.r`);
  reader.end();
  const sums = encrypted(server);
  const masks = [multiScalar([BASE, panel.keys[server - 1]], [r, e]), multiScalar([element, sums], [r, e])];
  if (shareChallenge(panel, server, context, [element, sums, ...masks]) !== e)
    throw new ShareError(server, 'is not the decryption of what was summed');
  return { server, element };
}

/**
 * The sum of readings from the shares of any t servers or more.
 * @param bound above every sum that can be: the number of dealings times the bound of a reading, at most 2^32
 * @throws RangeError for fewer than t, or two of one server, or a bound out of reach; ShareError never
 * @returns null where the sum is not below the bound: then a dealing without a range proof lied
 */
export function recoverSum(panel: Panel, shares: readonly VerifiedShare[], bound = LOGARITHM_BOUND): number | null {
  const servers = shares.map(({ server }) => server);
  if (new Set(servers).size !== servers.length) throw new RangeError('shares: two are of one server');
  if (shares.length < panel.threshold)
    throw new RangeError(`shares: are ${shares.length}, ${panel.threshold} are needed`);
  const some = shares.slice(0, panel.threshold);
  const weights = lagrangeAtZero(some.map(({ server }) => server));
  const power = multiScalar(
    some.map(({ element }) => element),
    weights,
  );
  return smallLogarithm(power, bound);
}

/** λ_i = Π_{j ≠ i} j / (j − i), for any set of different points. */
export function lagrangeAtZero(points: readonly number[]): bigint[] {
  const numerators = points.map((i) =>
    points.reduce((product, j) => (j === i ? product : (product * BigInt(j)) % ORDER), 1n),
  );
  const denominators = invertAll(
    points.map((i) => points.reduce((product, j) => (j === i ? product : modulo(product * BigInt(j - i))), 1n)),
  );
  return numerators.map((numerator, k) => (numerator * denominators[k]) % ORDER);
}

// ── inside ──

const nonZero = (random: Random): bigint => scalarOf(random(64)) || 1n;
const encodeAll = (elements: readonly Element[]): Uint8Array =>
  Buffer.concat(elements.map((element) => element.encodeAffine()));

/** The polynomial with these coefficients, the constant first, at x. */
function evaluate(coefficients: readonly bigint[], x: number): bigint {
  let value = 0n;
  for (let j = coefficients.length - 1; j >= 0; j--) value = (value * BigInt(x) + coefficients[j]) % ORDER;
  return value;
}

function contextTranscript(panel: Panel, { slot, area, token }: DealingContext): Transcript {
  const where = new ByteWriter('context')
    .u32('slot', slot)
    .text('area', area, AREA_PATTERN)
    .bytes('token', token, SHARE_TOKEN_BYTES)
    .finish();
  return new Transcript(LABELS.dealing).absorb('context', where).absorb('panel', panel.digest);
}
function dealingChallenge(transcript: Transcript, elements: readonly Uint8Array[]): bigint {
  for (const [i, name] of ['C', 'Y', 'A', 'B'].entries()) transcript.absorb(name, elements[i]);
  return transcript.challenge('e');
}
function shareChallenge(
  panel: Panel,
  server: number,
  { slot, area, roster }: SumContext,
  elements: readonly Element[],
): bigint {
  const where = new ByteWriter('context')
    .u32('slot', slot)
    .text('area', area, AREA_PATTERN)
    .bytes('roster', roster, 32)
    .u8('server', server)
    .finish();
  const transcript = new Transcript(LABELS.decryptionShare).absorb('context', where).absorb('panel', panel.digest);
  for (const element of elements) transcript.absorbElement('element', element);
  return transcript.challenge('e');
}
