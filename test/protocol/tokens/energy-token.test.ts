import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { blindSign, blindSigningKey, importBlindRsaKey } from '../../../protocol/crypto/blind-rsa.ts';
import {
  BASE,
  decodeAffine,
  Element,
  encodeScalar,
  GroupError,
  multiplyBase,
  ORDER,
  scalarOf,
  sum,
} from '../../../protocol/crypto/group.ts';
import { COMB_POINTS, combDigits, combTable, isCombTable } from '../../../protocol/tokens/comb.ts';
import {
  blindTokens,
  challengeOf,
  decodePayment,
  decodeToken,
  ENERGY_TOKEN_BYTES,
  encodePayment,
  energyTokenId,
  finishToken,
  isEvidence,
  MemoryTokenBook,
  secretOf,
  TOKEN_PAYMENT_BYTES,
  TokenError,
  type TokenHalves,
  type TokenKey,
  verifyPayment,
  verifyToken,
} from '../../../protocol/tokens/energy-token.ts';
import {
  type Answered,
  type Asked,
  addModOrder,
  challengeBytes,
  type ResponseJournal,
  type ResponseNatives,
  respond,
  type TokenSecrets,
} from '../../../protocol/tokens/response.ts';

const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const natives: ResponseNatives = {
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
  multiply: (a, b) => encodeScalar(number(a) * number(b)),
};
class Journal implements ResponseJournal {
  readonly #kept = new Map<string, Answered>();
  kept(id: Uint8Array): Answered | null {
    return this.#kept.get(hex(id)) ?? null;
  }
  keep(id: Uint8Array, answered: Answered): void {
    this.#kept.set(hex(id), answered);
  }
}
const MONTH = 680;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signer = blindSigningKey(privateKey);
const key: TokenKey = { keyId: randomBytes(32), value: 1000, month: MONTH, key: importBlindRsaKey(signer.modulus) };

interface Owned {
  secrets: TokenSecrets;
  halves: TokenHalves;
  bytes: Uint8Array;
}
function secretsAndHalves() {
  const [s, r] = [scalarOf(randomBytes(64)), scalarOf(randomBytes(64))];
  const halves = { v: multiplyBase(encodeScalar(-s)).encode(), x: multiplyBase(encodeScalar(r)).encode() };
  return { secrets: { s: encodeScalar(s), r: encodeScalar(r) }, halves };
}
function bought(): Owned {
  const { secrets, halves } = secretsAndHalves();
  const [{ blinded, inverse }] = blindTokens(key, [halves]);
  return { secrets, halves, bytes: finishToken(key, halves, blindSign(signer, blinded), inverse) };
}
const asked = (): Asked => ({ nonce: randomBytes(32), time: 1_700_000_000, order: randomBytes(32) });
function paid({ secrets, bytes }: Owned, challenge: Asked, journal: ResponseJournal = new Journal()): Uint8Array {
  const token = decodeToken(bytes);
  const y = respond(natives, journal, energyTokenId(token), secrets, challenge);
  if (!y) throw new Error('the meter does not answer');
  return encodePayment({ token, ...challenge, y });
}

test('a token is bought blindly, paid with, and verified', (t) => {
  const token = bought();
  t.is(token.bytes.length, ENERGY_TOKEN_BYTES);
  verifyToken(decodeToken(token.bytes), key, MONTH + 12);
  const payment = paid(token, asked());
  t.is(payment.length, TOKEN_PAYMENT_BYTES);
  t.notThrows(() => verifyPayment(decodePayment(payment), key, MONTH));
});

test('what is wrong is said', (t) => {
  const token = bought();
  const flaw = (change: (payment: ReturnType<typeof decodePayment>) => void, month = MONTH) => {
    const payment = decodePayment(paid(token, asked()));
    change(payment);
    const error = t.throws(() => verifyPayment(payment, key, month));
    return error instanceof TokenError || error instanceof GroupError ? error.path : String(error);
  };
  t.is(
    flaw((payment) => (payment.token.value = 2000)),
    'payment.token.value',
  );
  t.is(
    flaw((payment) => (payment.token.month = MONTH + 1)),
    'payment.token.month',
  );
  t.is(
    flaw(() => {}, MONTH + 13),
    'payment.token.month',
  );
  t.is(
    flaw((payment) => (payment.token.keyId = randomBytes(32))),
    'payment.token.keyId',
  );
  t.is(
    flaw((payment) => (payment.token.signature = randomBytes(256))),
    'payment.token.signature',
  );
  t.is(
    flaw((payment) => (payment.order = randomBytes(32))),
    'payment.y',
  );
  t.is(
    flaw((payment) => (payment.nonce = randomBytes(32))),
    'payment.y',
  );
  t.is(
    flaw((payment) => payment.time++),
    'payment.y',
  );
  t.is(
    flaw((payment) => (payment.y = Buffer.alloc(32, 0xff))),
    'payment.y',
  );
});

test('the meter’s arithmetic is the group’s', (t) => {
  const scalar = fc.bigInt({ min: 0n, max: ORDER - 1n });
  fc.assert(
    fc.property(scalar, scalar, (a, b) => {
      t.is(number(addModOrder(encodeScalar(a), encodeScalar(b))), (a + b) % ORDER);
    }),
    { numRuns: 200 },
  );
  for (const [a, b] of [
    [ORDER - 1n, 1n],
    [ORDER - 1n, ORDER - 1n],
    [0n, 0n],
    [ORDER - 1n, 0n],
  ])
    t.is(number(addModOrder(encodeScalar(a), encodeScalar(b))), (a + b) % ORDER);
  const challenge = asked();
  const id = randomBytes(32);
  const e = challengeBytes(natives, id, challenge);
  t.is(hex(e), `${'00'.repeat(16)}${hex(challengeOf(id, challenge))}`);
});

test('the comb: its table is the known one, and gives the halves', (t) => {
  const table = combTable();
  t.is(table.length, COMB_POINTS * 64);
  t.true(isCombTable(table));
  const points = decodeAffine(table);
  const secret = encodeScalar(scalarOf(randomBytes(64)));
  let at = sum([]);
  for (const digit of combDigits(secret)) {
    at = at.add(at);
    if (digit > 0) at = at.add(points[digit - 1]);
  }
  t.true(at.equals(multiplyBase(secret)));
  const wrong = table.slice();
  wrong[4000] ^= 1;
  t.false(isCombTable(wrong));
});

test('a nonce refreshed on a retry extracts nothing: one challenge for a token, for ever', (t) => {
  const { secrets } = bought();
  const [journal, id, first] = [new Journal(), randomBytes(32), asked()];
  const y = respond(natives, journal, id, secrets, first);
  t.deepEqual(respond(natives, journal, id, secrets, first), y);
  t.is(respond(natives, journal, id, secrets, { ...first, nonce: randomBytes(32) }), null);
  t.is(respond(natives, journal, id, secrets, { ...first, time: first.time + 1 }), null);
  t.is(respond(natives, journal, id, secrets, { ...first, order: randomBytes(32) }), null);
});

test('A6: two spends in one second are two challenges, and the second gives the secret away', (t) => {
  const token = bought();
  // in print e = F(token, date and time): one challenge, one answer, no evidence
  const printed = (time: number) => {
    const e = number(createHash('sha256').update(token.bytes).update(String(time)).digest()) % ORDER;
    return (number(token.secrets.r) + e * number(token.secrets.s)) % ORDER;
  };
  t.is(printed(1_700_000_000), printed(1_700_000_000));
  // ours: a cheat's meter that forgets its journal, two verifiers, one second
  const payments = [asked(), asked()].map((challenge) => decodePayment(paid(token, challenge)));
  for (const payment of payments) verifyPayment(payment, key, MONTH);
  t.is(payments[0].time, payments[1].time);
  const secret = secretOf(payments[0], payments[1]);
  t.is(hex(secret), hex(token.secrets.s));
  t.true(isEvidence(token.halves, secret));
  t.false(isEvidence(bought().halves, secret));
  t.throws(() => secretOf(payments[0], payments[0]), { message: /answer one challenge/ });
  t.throws(() => secretOf(payments[0], decodePayment(paid(bought(), asked()))), { message: /two tokens/ });
});

test('spent once; the same payment again is the same payment', (t) => {
  const token = bought();
  const book = new MemoryTokenBook();
  const [first, second] = [paid(token, asked()), paid(token, asked())];
  const id = energyTokenId(decodeToken(token.bytes));
  t.deepEqual(book.spend(id, first), { outcome: 'spent' });
  t.deepEqual(book.spend(id, first), { outcome: 'repeated' });
  t.deepEqual(book.spend(id, second), { outcome: 'double', earlier: first });
  t.is(hex(secretOf(decodePayment(first), decodePayment(second))), hex(token.secrets.s));
});

// ── the paper as printed, on raw RSA ──

const jwk = privateKey.export({ format: 'jwk' });
const [n, d] = [jwk.n!, jwk.d!].map((part) => number(Buffer.from(part, 'base64url')));
const e = 65_537n;
function powerOf(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = base % n, rest = exponent; rest > 0n; rest >>= 1n, b = (b * b) % n)
    if (rest & 1n) result = (result * b) % n;
  return result;
}
const rawSign = (m: bigint): bigint => powerOf(m, d);
const rawVerify = (m: bigint, s: bigint): boolean => powerOf(s, e) === m % n;

test('A3: halves signed apart recombine, three tokens make nine; ours do not', (t) => {
  const tokens = [1, 2, 3].map(() => bought());
  const raw = tokens.map(({ halves: { v, x } }) => ({
    v: number(v),
    x: number(x),
    signedV: rawSign(number(v)),
    signedX: rawSign(number(x)),
  }));
  let printed = 0;
  let ours = 0;
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++) {
      if (rawVerify(raw[i].v, raw[i].signedV) && rawVerify(raw[j].x, raw[j].signedX)) printed++;
      // the owner of both answers for any pair: y = r_j + e·s_i
      const token = { ...decodeToken(tokens[i].bytes), x: tokens[j].halves.x };
      const secrets = { s: tokens[i].secrets.s, r: tokens[j].secrets.r };
      const challenge = asked();
      const y = respond(natives, new Journal(), energyTokenId(token), secrets, challenge)!;
      try {
        verifyPayment({ token, ...challenge, y }, key, MONTH);
        ours++;
      } catch (error) {
        t.true(error instanceof TokenError && error.path === 'payment.token.signature');
      }
    }
  t.deepEqual([printed, ours], [9, 3]);
});

test('A3b: a product of two halves verifies in print; ours are elements in their one encoding, signed at full width', (t) => {
  const [a, b] = [bought(), bought()];
  const [v1, v2] = [number(a.halves.v), number(b.halves.v)];
  t.true(v1 * v2 < n);
  t.true(rawVerify(v1 * v2, (rawSign(v1) * rawSign(v2)) % n));
  const tokens = [a, b].map(({ bytes }) => decodeToken(bytes));
  const signature = Buffer.from(
    ((number(tokens[0].signature) * number(tokens[1].signature)) % n).toString(16).padStart(512, '0'),
    'hex',
  );
  const product = Element.decode(a.halves.v).add(Element.decode(b.halves.v)).encode();
  t.throws(() => verifyToken({ ...tokens[0], v: product, signature }, key, MONTH), { message: /token\.signature/ });
  // out of the field, off the curve, the neutral element
  const over = Buffer.from(a.halves.v).fill(0xff, 1);
  const none = Buffer.alloc(33);
  for (const v of [over, none])
    t.throws(() => blindTokens(key, [{ ...a.halves, v }]), { instanceOf: GroupError, message: /halves\.0\.v/ });
  t.throws(() => verifyToken({ ...tokens[0], x: over }, key, MONTH), { instanceOf: GroupError });
  t.true(BASE.multiply(ORDER).isNeutral); // the group has no other subgroup
});

test('A5: unblinding as printed gives no signature; by the inverse it does', (t) => {
  const { v } = bought().halves;
  const m = number(createHash('sha384').update(v).digest());
  const factor = number(randomBytes(250));
  const [{ blinded, inverse }] = blindTokens(key, [bought().halves]);
  t.is(blinded.length, inverse.length);
  const printed = (powerOf(factor, e) * rawSign((factor * m) % n)) % n;
  t.false(rawVerify(m, printed));
  t.notThrows(() => verifyToken(decodeToken(bought().bytes), key, MONTH));
  // the answer to another question is noticed when it is unblinded
  const [first, second] = [secretsAndHalves().halves, secretsAndHalves().halves];
  const [one, two] = blindTokens(key, [first, second]);
  t.throws(() => finishToken(key, first, blindSign(signer, two.blinded), one.inverse));
});
