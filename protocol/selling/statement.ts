/**
 * The control centre's word for a deposit (messages.md, "Selling with receipts"): so many receipts of a key stand to a customer's
 * account. Who holds it can prove of each receipt that it was counted. (For gateway and control centre.)
 *
 *   1     version = 1
 *   1+n   customer     as the identifier certificate names him: provider/number
 *   32    keyId        of the receipts
 *   4     month
 *   4     value        V
 *   4     count        receipts
 *   32    root         Merkle root over the receipts' identities, ascending (RFC 6962, section 2.1)
 *   64    signature    Ed25519 by the announcement key over label ‖ 00 ‖ everything before
 */
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { KEY_ID_BYTES } from '../crypto/keyset.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { merkleRoot } from '../crypto/merkle.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';

const VERSION = 1;
const ROOT_BYTES = 32;
export const CUSTOMER_PATTERN = /^[\x21-\x7e][\x20-\x7e]{0,199}$/;

export interface DepositStatement {
  customer: string;
  keyId: Uint8Array;
  month: number;
  value: number;
  count: number;
  root: Uint8Array;
}

/** The control centre's step. @throws MalformedError */
export function signStatement(statement: DepositStatement, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const body = new ByteWriter('statement')
    .u8('version', VERSION)
    .text('customer', statement.customer, CUSTOMER_PATTERN)
    .bytes('keyId', statement.keyId, KEY_ID_BYTES)
    .u32('month', statement.month)
    .u32('value', statement.value)
    .u32('count', statement.count)
    .bytes('root', statement.root, ROOT_BYTES)
    .finish();
  return Buffer.concat([body, sign(labelled(LABELS.depositStatement, body))]);
}

/** @param key announcement key, 32 B @throws MalformedError where it is none of that key, too */
export function openStatement(bytes: Uint8Array, key: Uint8Array): DepositStatement {
  const reader = new ByteReader('statement', bytes);
  reader.constant('version', VERSION);
  const statement = {
    customer: reader.text('customer', CUSTOMER_PATTERN),
    keyId: reader.bytes('keyId', KEY_ID_BYTES),
    month: reader.u32('month'),
    value: reader.u32('value'),
    count: reader.u32('count'),
    root: reader.bytes('root', ROOT_BYTES),
  };
  const message = labelled(LABELS.depositStatement, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(key, message, signature))
    throw new MalformedError('statement.signature', "was not made by the centre's announcement key");
  return statement;
}

/** Over the receipts' identities in any order; 32 B. */
export const depositRoot = (identities: readonly Uint8Array[]): Uint8Array =>
  merkleRoot([...identities].sort(Buffer.compare));
