/**
 * A reward without a bank: the provider's deposit in Bitcoin (tasking-and-trading.txt, section 2.3.2, "Using a Decentralized System";
 * protocols.md, section 2).
 *
 *   P2WSH   IF 2 <U> <UP> 2 CHECKMULTISIG ELSE <T> CHECKLOCKTIMEVERIFY DROP <UP> CHECKSIG ENDIF
 *
 *   deposit   the provider pays the reward to this script; U is a fresh key of the household's for each deposit
 *   payout    when the result is there: both sign a transaction to the household
 *   refund    after T the provider alone takes back what nobody earned: not before, and never with the household's part
 *
 * So the provider alone cannot take it back early, nor can the customer without the provider's signature, which it gives for the work.
 * (The paper's lock time on the deposit itself became CHECKLOCKTIMEVERIFY, BIP 65. Its blinded Bitcoin signature is not built: blind
 * Schnorr signatures in parallel fall to the ROS attack, Benhamouda and others, 2021.) Whoever watches the chain sees the amount and
 * the provider: hence fixed denominations, and a key that is used once.
 */
import { NETWORK, OutScript, p2wsh, Script, SigHash, TEST_NETWORK, Transaction } from '@scure/btc-signer';

const COMPRESSED_KEY_BYTES = 33;
/** Below it a lock time is a block's height (BIP 65). */
const HEIGHT_BOUND = 500_000_000;
const U32_MOST = 0xffff_ffff;
/** Makes the lock time count (BIP 65: a final input is refused). */
const SEQUENCE_LOCKED = 0xffff_fffe;
const VERSION = 2;

export interface DepositTerms {
  /** U: the household's, compressed secp256k1, 33 B; for this deposit only. */
  user: Uint8Array;
  /** UP: the provider's, 33 B. */
  provider: Uint8Array;
  /** T, Unix time in seconds. */
  refundTime: number;
}
/** Where the deposit stands in the chain. */
export interface DepositOutput {
  /** 32 B, hex, as explorers show it. */
  txid: string;
  index: number;
  satoshi: bigint;
}
export interface Destination {
  /** An address of the same network. */
  address: string;
  /** What miners are left with. */
  feeSatoshi: bigint;
}
export type BitcoinNetwork = 'main' | 'test';

export class DepositError extends Error {
  override readonly name = 'DepositError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

/** The witness script. @throws DepositError */
export function depositScript({ user, provider, refundTime }: DepositTerms): Uint8Array {
  for (const [path, key] of Object.entries({ user, provider }))
    if (key.length !== COMPRESSED_KEY_BYTES || (key[0] !== 2 && key[0] !== 3))
      throw new DepositError(path, 'is no compressed key');
  if (Buffer.compare(user, provider) === 0) throw new DepositError('user', "is the provider's key");
  if (!Number.isInteger(refundTime) || refundTime < HEIGHT_BOUND || refundTime > U32_MOST)
    throw new DepositError('refundTime', 'is no instant in seconds since 1970');
  return Script.encode([
    'IF',
    2,
    user,
    provider,
    2,
    'CHECKMULTISIG',
    'ELSE',
    scriptNumber(refundTime),
    'CHECKLOCKTIMEVERIFY',
    'DROP',
    provider,
    'CHECKSIG',
    'ENDIF',
  ]);
}
/** Little-endian, a zero byte behind a set sign bit. */
function scriptNumber(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  if (bytes[bytes.length - 1] & 0x80) bytes.push(0);
  return Uint8Array.from(bytes);
}

const networkOf = (network: BitcoinNetwork) => (network === 'main' ? NETWORK : TEST_NETWORK);
const payment = (terms: DepositTerms, network: BitcoinNetwork) =>
  p2wsh({ type: 'wsh', script: depositScript(terms) } as Parameters<typeof p2wsh>[0], networkOf(network), true);

/** Where the provider pays to. @throws DepositError */
export const depositAddress = (terms: DepositTerms, network: BitcoinNetwork): string =>
  payment(terms, network).address!;
/** The output's script, as it stands in the chain: what the household looks for. */
export const depositOutputScript = (terms: DepositTerms): Uint8Array => payment(terms, 'main').script;

function spending(
  terms: DepositTerms,
  output: DepositOutput,
  { address, feeSatoshi }: Destination,
  network: BitcoinNetwork,
  lockTime: number,
): Transaction {
  if (feeSatoshi < 0n || feeSatoshi >= output.satoshi) throw new DepositError('feeSatoshi', 'leaves nothing');
  const transaction = new Transaction({ version: VERSION, lockTime, allowUnknownInputs: true });
  transaction.addInput({
    txid: output.txid,
    index: output.index,
    sequence: SEQUENCE_LOCKED,
    witnessUtxo: { script: depositOutputScript(terms), amount: output.satoshi },
    witnessScript: depositScript(terms),
  });
  transaction.addOutputAddress(address, output.satoshi - feeSatoshi, networkOf(network));
  return transaction;
}

/** A spending of a deposit, and what has to be signed of it. */
export interface DepositSpending {
  /** Without witness. */
  transaction: Transaction;
  /** 32 B, BIP 143, SIGHASH_ALL: signed with ECDSA on secp256k1, low s, as DER. */
  digest: Uint8Array;
}
const withDigest = (transaction: Transaction, terms: DepositTerms, satoshi: bigint): DepositSpending => ({
  transaction,
  digest: transaction.preimageWitnessV0(0, depositScript(terms), SigHash.ALL, satoshi),
});

/** To the household, signed by both. @throws DepositError */
export const payout = (
  terms: DepositTerms,
  output: DepositOutput,
  to: Destination,
  network: BitcoinNetwork,
): DepositSpending => withDigest(spending(terms, output, to, network, 0), terms, output.satoshi);

/** Back to the provider, valid from T on. @throws DepositError */
export const refund = (
  terms: DepositTerms,
  output: DepositOutput,
  to: Destination,
  network: BitcoinNetwork,
): DepositSpending => withDigest(spending(terms, output, to, network, terms.refundTime), terms, output.satoshi);

const ALL = Uint8Array.of(SigHash.ALL);
const TRUE = Uint8Array.of(1);
const EMPTY = new Uint8Array(0);

/** The payout as it is broadcast. @param user, provider DER signatures of its digest; in the script's order */
export const payoutTransaction = (
  { transaction }: DepositSpending,
  terms: DepositTerms,
  signatures: { user: Uint8Array; provider: Uint8Array },
): Uint8Array =>
  finished(transaction, [
    EMPTY, // CHECKMULTISIG takes one element too many off the stack
    Buffer.concat([signatures.user, ALL]),
    Buffer.concat([signatures.provider, ALL]),
    TRUE,
    depositScript(terms),
  ]);

/** The refund as it is broadcast. */
export const refundTransaction = (
  { transaction }: DepositSpending,
  terms: DepositTerms,
  signature: Uint8Array,
): Uint8Array => finished(transaction, [Buffer.concat([signature, ALL]), EMPTY, depositScript(terms)]);

function finished(transaction: Transaction, witness: Uint8Array[]): Uint8Array {
  transaction.updateInput(0, { finalScriptWitness: witness }, true);
  return transaction.extract();
}

/** Whether a transaction's output is the deposit that was agreed: the household's check before it works. */
export const isDeposit = (terms: DepositTerms, script: Uint8Array, satoshi: bigint, least: bigint): boolean =>
  OutScript.decode(script)?.type === 'wsh' &&
  Buffer.compare(script, depositOutputScript(terms)) === 0 &&
  satoshi >= least;
