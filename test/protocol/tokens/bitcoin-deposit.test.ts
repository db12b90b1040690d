import { randomBytes } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import test from 'ava';
import {
  DepositError,
  type DepositSpending,
  type DepositTerms,
  depositAddress,
  depositOutputScript,
  depositScript,
  isDeposit,
  payout,
  payoutTransaction,
  refund,
  refundTransaction,
} from '../../../protocol/tokens/bitcoin-deposit.ts';
import { whyNot } from './script-interpreter.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const [userSecret, providerSecret, thirdSecret] = [1, 2, 3].map(() => secp256k1.utils.randomSecretKey());
const T = 1_800_000_000;
const terms: DepositTerms = {
  user: secp256k1.getPublicKey(userSecret),
  provider: secp256k1.getPublicKey(providerSecret),
  refundTime: T,
};
const SATOSHI = 50_000n;
const output = { txid: hex(randomBytes(32)), index: 1, satoshi: SATOSHI };
const to = { address: 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', feeSatoshi: 500n };
const sign = ({ digest }: DepositSpending, secret: Uint8Array): Uint8Array =>
  secp256k1.sign(digest, secret, { prehash: false, format: 'der' });
const script = depositOutputScript(terms);
const spent = (transaction: Uint8Array, medianTime: number) => whyNot(transaction, script, SATOSHI, medianTime);

test('the script is the one of the design, byte by byte', (t) => {
  const push = (bytes: Uint8Array) => `${bytes.length.toString(16).padStart(2, '0')}${hex(bytes)}`;
  const [user, provider] = [push(terms.user), push(terms.provider)];
  // T = 0x6b49d200, little-endian
  t.is(hex(depositScript(terms)), `6352${user}${provider}52ae670400d2496bb175${provider}ac68`);
  t.is(hex(script).slice(0, 4), '0020');
  t.regex(depositAddress(terms, 'test'), /^tb1q/);
  t.regex(depositAddress(terms, 'main'), /^bc1q/);
  // a lock time with its highest bit set is no negative number
  t.true(hex(depositScript({ ...terms, refundTime: 0x9000_0000 })).includes('050000009000b175'));
});

test('the work is done: both sign, before T and after', (t) => {
  const spending = payout(terms, output, to, 'test');
  const signatures = { user: sign(spending, userSecret), provider: sign(spending, providerSecret) };
  const transaction = payoutTransaction(spending, terms, signatures);
  t.is(spent(transaction, T - 1_000_000), null);
  t.is(spent(transaction, T + 1), null);
});

test('the customer cannot take it without the provider, nor anybody else', (t) => {
  const spending = payout(terms, output, to, 'test');
  const [user, provider, third] = [userSecret, providerSecret, thirdSecret].map((secret) => sign(spending, secret));
  const both = (first: Uint8Array, second: Uint8Array) =>
    spent(payoutTransaction(spending, terms, { user: first, provider: second }), T + 1);
  t.is(both(user, user), 'signatures are wrong');
  t.is(both(user, third), 'signatures are wrong');
  t.is(both(provider, provider), 'signatures are wrong');
  t.is(both(provider, user), 'signatures are wrong'); // in the script's order
  t.is(both(user, provider), null);
  const taken = refund(terms, output, to, 'test');
  t.is(spent(refundTransaction(taken, terms, sign(taken, userSecret)), T + 1), 'signature is wrong');
  // another amount or destination is another transaction
  const other = payout(terms, output, { ...to, feeSatoshi: 40_000n }, 'test');
  t.is(spent(payoutTransaction(other, terms, { user, provider }), T + 1), 'signatures are wrong');
});

test('the provider cannot take it back before T', (t) => {
  const spending = refund(terms, output, to, 'test');
  const transaction = refundTransaction(spending, terms, sign(spending, providerSecret));
  t.is(spent(transaction, T - 1), 'transaction is not final yet');
  t.is(spent(transaction, T), null);
  // with an earlier lock time, properly signed, the script says no
  const early: DepositTerms = { ...terms, refundTime: T - 1000 };
  const hasty = refund(early, output, to, 'test');
  t.is(spent(refundTransaction(hasty, early, sign(hasty, providerSecret)), T - 500), 'script is another');
  const lockTimeAt = (bytes: Uint8Array) => bytes.length - 4;
  const forged = Buffer.from(transaction);
  forged.writeUInt32LE(T - 1000, lockTimeAt(transaction));
  t.is(spent(forged, T - 500), 'lock time is before that of the script');
  const final = Buffer.from(transaction);
  final.writeUInt32LE(0xffff_ffff, 4 + 2 + 1 + 36 + 1);
  t.is(spent(final, T - 1), 'input is final');
});

test('the household looks before it works', (t) => {
  t.true(isDeposit(terms, script, SATOSHI, SATOSHI));
  t.false(isDeposit(terms, script, SATOSHI - 1n, SATOSHI));
  t.false(isDeposit({ ...terms, refundTime: T - 1 }, script, SATOSHI, SATOSHI));
  const wrong = (change: Partial<DepositTerms>) =>
    t.throws(() => depositScript({ ...terms, ...change }), { instanceOf: DepositError });
  t.is(wrong({ user: randomBytes(32) }).path, 'user');
  t.is(wrong({ user: terms.provider }).path, 'user');
  t.is(wrong({ refundTime: 700_000 }).path, 'refundTime');
  t.throws(() => payout(terms, output, { ...to, feeSatoshi: SATOSHI }, 'test'), { message: /feeSatoshi/ });
});
