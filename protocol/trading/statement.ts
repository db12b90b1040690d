/**
 * What was deposited, signed by the substation: by it the customer can show how his bill came about.
 *
 *   statement   version u8 · customer 1+n · keyId 32 · month u32 · value u32 · withdrawn u32 · deposited u32 · root 32 · signature 64
 *   root        SHA-256 of the identities of the coins, sorted
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { KEY_ID_BYTES } from './messages.ts';

const VERSION = 1;
const SIGNATURE_BYTES = 64;
const CUSTOMER = /^[\x20-\x7e]{1,100}$/;
export const STATEMENT_LABEL = 'quietmeter/v1/trade-statement';

export interface TradeStatement {
  customer: string;
  keyId: Uint8Array;
  month: number;
  /** V of a coin, Wh. */
  value: number;
  /** Coins. */
  withdrawn: number;
  deposited: number;
  root: Uint8Array;
}

export function coinsRoot(identities: readonly Uint8Array[]): Uint8Array {
  const sha = createHash('sha256');
  for (const identity of [...identities].sort(Buffer.compare)) sha.update(identity);
  return sha.digest();
}
/** Without its signature. @throws MalformedError */
export function encodeStatementBody(statement: TradeStatement): Uint8Array {
  return new ByteWriter('statement')
    .u8('version', VERSION)
    .text('customer', statement.customer, CUSTOMER)
    .bytes('keyId', statement.keyId, KEY_ID_BYTES)
    .u32('month', statement.month)
    .u32('value', statement.value)
    .u32('withdrawn', statement.withdrawn)
    .u32('deposited', statement.deposited)
    .bytes('root', statement.root, 32)
    .finish();
}
/** Form only (`signedPart` of batch.ts under STATEMENT_LABEL is what is signed). @throws MalformedError */
export function decodeStatement(bytes: Uint8Array): TradeStatement {
  const reader = new ByteReader('statement', bytes);
  reader.constant('version', VERSION);
  const statement = {
    customer: reader.text('customer', CUSTOMER),
    keyId: reader.bytes('keyId', KEY_ID_BYTES),
    month: reader.u32('month'),
    value: reader.u32('value'),
    withdrawn: reader.u32('withdrawn'),
    deposited: reader.u32('deposited'),
    root: reader.bytes('root', 32),
  };
  reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  return statement;
}
