import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { bitEquations, bitProofBytes, proveBits } from '../../../protocol/crypto/bit-proof.ts';
import { smallLogarithm } from '../../../protocol/crypto/discrete-logarithm.ts';
import { EquationBatch } from '../../../protocol/crypto/equations.ts';
import { FixedBase } from '../../../protocol/crypto/fixed-base.ts';
import {
  AFFINE_BYTES,
  BASE,
  decodeAffine,
  encodeScalar,
  GroupError,
  hashToElement,
  multiplyBase,
  multiScalar,
  NEUTRAL,
  ORDER,
  scalarOf,
  sum,
} from '../../../protocol/crypto/group.ts';
import { LABELS } from '../../../protocol/crypto/labels.ts';
import { commitment } from '../../../protocol/crypto/pedersen.ts';
import {
  type Dealing,
  decryptShare,
  distribute,
  generateServerKey,
  lagrangeAtZero,
  Panel,
  recoverSum,
  type ServerKey,
  ShareError,
  sumShares,
  verifyDealings,
  verifyShare,
} from '../../../protocol/crypto/pvss.ts';
import { Transcript } from '../../../protocol/crypto/transcript.ts';

const scalar = (): bigint => scalarOf(randomBytes(64));
const ROSTER = createHash('sha256').update('roster').digest();
const WHERE = { slot: 1_900_000, area: 'north-1' };
const context = () => ({ ...WHERE, token: randomBytes(32) });
const sumContext = { ...WHERE, roster: ROSTER };

function panelOf(servers: number, threshold: number, rangeBits = 0): { panel: Panel; keys: ServerKey[] } {
  const keys = Array.from({ length: servers }, () => generateServerKey(randomBytes));
  return { panel: new Panel({ publicKeys: keys.map(({ publicKey }) => publicKey), threshold, rangeBits }), keys };
}
function dealt(panel: Panel, values: readonly number[]): Dealing[] {
  const dealings = values.map((value) => {
    const where = context();
    return { context: where, bytes: distribute(panel, where, value, randomBytes) };
  });
  return verifyDealings(panel, dealings, randomBytes).map((verdict) => {
    if ('refusal' in verdict) throw new Error(verdict.refusal);
    return verdict.dealing;
  });
}
const shareOf = (panel: Panel, keys: readonly ServerKey[], dealings: readonly Dealing[], server: number): Uint8Array =>
  decryptShare(panel, server, keys[server - 1].secret, sumShares(dealings, server), sumContext, randomBytes);
const subsets = (n: number, t: number): number[][] =>
  t === 0 ? [[]] : n < t ? [] : [...subsets(n - 1, t), ...subsets(n - 1, t - 1).map((rest) => [...rest, n])];

test('elements with both coordinates: back again, and nothing else is taken', (t) => {
  for (let i = 0; i < 600; i++) {
    // coordinates that begin with zeros come up here
    const element = multiplyBase(encodeScalar(scalar()));
    t.true(decodeAffine(element.encodeAffine())[0].equals(element));
  }
  const good = BASE.encodeAffine();
  const wrong = (change: (bytes: Uint8Array) => void) => {
    const bytes = good.slice();
    change(bytes);
    return t.throws(() => decodeAffine(bytes, 'point'), { instanceOf: GroupError });
  };
  t.is(wrong((bytes) => bytes.fill(0)).message, 'point.0: is no point of P-256');
  t.is(wrong((bytes) => bytes.set([bytes[63] ^ 1], 63)).message, 'point.0: is no point of P-256');
  t.is(wrong((bytes) => bytes.fill(255, 32)).message, "point.0: has a coordinate that is not below the field's prime");
  t.throws(() => NEUTRAL.encodeAffine(), { instanceOf: RangeError });
});

test('secret multiples by table are what the engine says', (t) => {
  const base = hashToElement('test/fixed');
  const table = new FixedBase(base);
  for (const s of [0n, 1n, 15n, 16n, ORDER - 1n, scalar(), scalar()])
    t.true(table.multiply(s, BASE).equals(multiScalar([base, BASE], [s, 1n])));
});

test('small logarithms are found, to the edge of their bound and not beyond', (t) => {
  const times = (value: number) => BASE.multiply(BigInt(value));
  for (const value of [0, 1, 65_535, 65_536, 1_234_567, 2 ** 32 - 1]) t.is(smallLogarithm(times(value)), value);
  t.is(smallLogarithm(times(99), 100), 99);
  t.is(smallLogarithm(times(100), 100), null);
  t.is(smallLogarithm(times(2 ** 32 + 5)), null);
  t.is(smallLogarithm(BASE.multiply(-1n)), null);
  t.throws(() => smallLogarithm(BASE, 2 ** 32 + 1), { instanceOf: RangeError });
});

test('a value is proved to have so many bits, and no other value is', (t) => {
  const transcript = () => new Transcript(LABELS.dealing).absorb('context', Buffer.from('test'));
  const holds = (value: bigint, proof: Uint8Array, r: bigint, bits: number): boolean => {
    const batch = new EquationBatch(randomBytes);
    bitEquations(batch, transcript(), commitment(value, r), bits, proof);
    return batch.holds();
  };
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (value) => {
      const r = scalar();
      const proof = proveBits(transcript(), commitment(BigInt(value), r), 32, value, r, randomBytes);
      t.is(proof.length, bitProofBytes(32));
      t.true(holds(BigInt(value), proof, r, 32));
      t.false(holds(BigInt(value) + 1n, proof, r, 32));
    }),
    { numRuns: 4 },
  );
  // the bits of 44 for a commitment to 300, to 44 − 256 and to 44 + 2^200: what overflowed bits would say
  const r = scalar();
  for (const lie of [300n, 44n - 256n, 44n + (1n << 200n)]) {
    const proof = proveBits(transcript(), commitment(lie, r), 8, 44, r, randomBytes);
    t.false(holds(lie, proof, r, 8));
  }
  t.throws(() => proveBits(transcript(), commitment(256n, r), 8, 256, r, randomBytes), { instanceOf: RangeError });
});

test('known answer: Lagrange at zero', (t) => {
  t.deepEqual(lagrangeAtZero([1, 2, 3]), [3n, ORDER - 3n, 1n]);
});

test('every t of n servers give the same sum; fewer cannot', (t) => {
  const { panel, keys } = panelOf(5, 3, 16);
  const values = [0, 3217, 65_535, 250];
  const dealings = dealt(panel, values);
  const shares = keys.map((_, i) =>
    verifyShare(panel, shareOf(panel, keys, dealings, i + 1), (server) => sumShares(dealings, server), sumContext),
  );
  for (const subset of subsets(5, 3)) {
    const sumOf = recoverSum(
      panel,
      subset.map((server) => shares[server - 1]),
    );
    t.is(sumOf, 69_002, subset.join());
  }
  t.is(recoverSum(panel, shares), 69_002);
  t.throws(() => recoverSum(panel, shares.slice(0, 2)), { message: /are 2, 3 are needed/ });
  t.throws(() => recoverSum(panel, [shares[0], shares[0], shares[1]]), { message: /two are of one server/ });
});

test('other panels, over meters and over time', (t) => {
  for (const [servers, threshold] of [
    [1, 1],
    [3, 2],
    [10, 6],
  ]) {
    const { panel, keys } = panelOf(servers, threshold);
    const dealings = [...dealt(panel, [1000, 2000]), ...dealt(panel, [30])];
    const from = servers - threshold;
    const shares = Array.from({ length: threshold }, (_, i) =>
      verifyShare(
        panel,
        shareOf(panel, keys, dealings, from + i + 1),
        (server) => sumShares(dealings, server),
        sumContext,
      ),
    );
    t.is(recoverSum(panel, shares, 10_000), 3030);
    t.is(recoverSum(panel, shares, 3030), null);
  }
});

test('A7: g^reading is a dictionary; our commitment is none, and t − 1 servers see nothing else', (t) => {
  const reading = 3217;
  // the paper's C_0
  t.is(smallLogarithm(BASE.multiply(BigInt(reading)), 2 ** 16), reading);
  // all that reaches two of three servers of a 3-of-5 panel, put together in every way that gives an element
  const { panel, keys } = panelOf(5, 3);
  const [dealing] = dealt(panel, [reading]);
  const secrets = keys.slice(0, 2).map(({ secret }) => BigInt(`0x${Buffer.from(secret).toString('hex')}`));
  const decrypted = secrets.map((_, i) => {
    const bytes = shareOf(panel, keys, [dealing], i + 1);
    return verifyShare(panel, bytes, (server) => sumShares([dealing], server), sumContext).element;
  });
  const [c0] = decodeAffine(dealing.commitment);
  const weights = lagrangeAtZero([1, 2]);
  const guesses = [c0, ...dealing.shares, ...decrypted, sum(decrypted), multiScalar(decrypted, weights)];
  for (const guess of guesses) t.is(smallLogarithm(guess, 2 ** 16), null);
  // for two servers every reading is as good as any other: one polynomial of degree 2 goes through both shares and any guess
  const [s1, s2] = decrypted;
  for (const guess of [0n, 1n, 3217n]) {
    const third = multiScalar([BASE.multiply(guess), s1, s2], lagrangeFor3());
    const shares = [s1, s2, third].map((element, i) => ({ server: i + 1, element }));
    t.is(recoverSum(panel, shares, 2 ** 16), Number(guess));
  }
});
/** p(3) of p(0), p(1), p(2). */
const lagrangeFor3 = (): bigint[] => [1n, -3n, 3n];

test('A12: a copied dealing is none, wherever it is presented', (t) => {
  const { panel } = panelOf(5, 3);
  const where = context();
  const bytes = distribute(panel, where, 500, randomBytes);
  const copies = [
    { ...where, token: randomBytes(32) },
    { ...where, slot: where.slot + 1 },
    { ...where, area: 'north-2' },
  ].map((other) => ({ context: other, bytes }));
  const verdicts = verifyDealings(panel, [{ context: where, bytes }, ...copies], randomBytes);
  t.true('dealing' in verdicts[0]);
  for (const verdict of verdicts.slice(1))
    t.true('refusal' in verdict && /its proof does not hold/.test(verdict.refusal));
  // the same servers in another order are another panel
  const { panel: other } = panelOf(5, 3);
  t.true('refusal' in verifyDealings(other, [{ context: where, bytes }], randomBytes)[0]);
});

test('whoever deals badly is found among those who do not, whatever is wrong', (t) => {
  const { panel } = panelOf(5, 3, 8);
  const dealings = Array.from({ length: 12 }, (_, i) => {
    const where = context();
    return { context: where, bytes: distribute(panel, where, i * 20, randomBytes) };
  });
  const change = (at: number, offset: number, bytes: Uint8Array) => {
    const copy = Buffer.from(dealings[at].bytes);
    copy.set(bytes, offset);
    dealings[at] = { ...dealings[at], bytes: copy };
  };
  const head = 4;
  const share1 = head + 3 * AFFINE_BYTES;
  const range = head + 16 * AFFINE_BYTES + 6 * 32;
  change(1, share1, multiplyBase(encodeScalar(scalar())).encodeAffine()); // a share of another polynomial
  change(4, head, multiplyBase(encodeScalar(scalar())).encodeAffine()); // another commitment
  change(6, range, Buffer.from(dealings[7].bytes).subarray(range)); // another's range proof
  change(8, range - 32, encodeScalar(scalar())); // a response
  change(9, share1, Buffer.alloc(AFFINE_BYTES)); // no element
  dealings[10] = { ...dealings[10], bytes: dealings[10].bytes.subarray(1) };
  const verdicts = verifyDealings(panel, dealings, randomBytes);
  const refused = verdicts.flatMap((verdict, i) => ('refusal' in verdict ? [i] : []));
  t.deepEqual(refused, [1, 4, 6, 8, 9, 10]);
  t.regex((verdicts[9] as { refusal: string }).refusal, /dealings\.9\.shares\.0: is no point of P-256/);
  t.regex((verdicts[10] as { refusal: string }).refusal, /^dealings\.10: is \d+ bytes long/);
  t.throws(() => distribute(panel, context(), 256, randomBytes), { message: /^value: is no whole number/ });
});

test('a lying server is named, and t others still give the sum', (t) => {
  const { panel, keys } = panelOf(5, 3);
  const dealings = dealt(panel, [100, 200]);
  const encrypted = (server: number) => sumShares(dealings, server);
  const honest = [1, 3, 5].map((server) => shareOf(panel, keys, dealings, server));
  // server 2 leaves a dealing out; server 4's share is somebody else's element under its own proof
  const short = shareOf(panel, keys, dealings.slice(1), 2);
  const swapped = Buffer.from(shareOf(panel, keys, dealings, 4));
  swapped.set(multiplyBase(encodeScalar(scalar())).encode(), 2);
  for (const [bytes, server] of [
    [short, 2],
    [swapped, 4],
  ] as const) {
    const error = t.throws(() => verifyShare(panel, bytes, encrypted, sumContext), { instanceOf: ShareError });
    t.is(error.server, server);
  }
  // a share for one roster is none for another
  t.throws(() => verifyShare(panel, honest[0], encrypted, { ...sumContext, roster: randomBytes(32) }), {
    instanceOf: ShareError,
  });
  const shares = honest.map((bytes) => verifyShare(panel, bytes, encrypted, sumContext));
  t.is(recoverSum(panel, shares, 1000), 300);
  t.throws(() => decryptShare(panel, 2, keys[0].secret, encrypted(2), sumContext, randomBytes), {
    message: /not that of server 2/,
  });
});

test('a panel is what it says: keys, threshold and range are checked', (t) => {
  const publicKeys = [1, 2, 3].map(() => generateServerKey(randomBytes).publicKey);
  const made = (change: object) => () => new Panel({ publicKeys, threshold: 2, rangeBits: 16, ...change });
  t.throws(made({ threshold: 4 }), { message: /^panel\.threshold/ });
  t.throws(made({ rangeBits: 33 }), { message: /^panel\.rangeBits/ });
  t.throws(made({ publicKeys: [publicKeys[0], publicKeys[0]] }), { message: /stands there twice/ });
  t.throws(made({ publicKeys: [publicKeys[0], new Uint8Array(33)] }), { message: /^panel\.publicKeys\.1/ });
  t.notDeepEqual(made({})().digest, made({ threshold: 3 })().digest);
});
