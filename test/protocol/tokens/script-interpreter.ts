/**
 * As much of Bitcoin as a deposit needs, from its specifications and without the library that builds it: segregated witness (BIP 141),
 * its signature hash (BIP 143), CHECKLOCKTIMEVERIFY (BIP 65), and the script's own opcodes. Low-s DER signatures (BIP 146).
 */
import { createHash } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const twice = (...parts: Uint8Array[]): Buffer => sha256(sha256(...parts));

export interface ParsedTransaction {
  version: number;
  input: { outpoint: Buffer; script: Buffer; sequence: number };
  outputs: Buffer;
  witness: Buffer[];
  lockTime: number;
}

/** A transaction of one input, with witness. */
export function parseTransaction(bytes: Uint8Array): ParsedTransaction {
  const buffer = Buffer.from(bytes);
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > buffer.length) throw new Error('the transaction is cut off');
    at += length;
    return buffer.subarray(at - length, at);
  };
  const size = (): number => {
    const first = take(1)[0];
    if (first === 0xfd) return take(2).readUInt16LE();
    if (first > 0xfd) throw new Error('too large for this test');
    return first;
  };
  const version = take(4).readInt32LE();
  if (take(2).toString('hex') !== '0001') throw new Error('there is no witness');
  if (size() !== 1) throw new Error('there is not one input');
  const outpoint = take(36);
  const script = take(size());
  const sequence = take(4).readUInt32LE();
  const count = size();
  const from = at;
  for (let i = 0; i < count; i++) {
    take(8);
    take(size());
  }
  const outputs = buffer.subarray(from, at);
  const witness = Array.from({ length: size() }, () => take(size()));
  const lockTime = take(4).readUInt32LE();
  if (at !== buffer.length) throw new Error('the transaction goes on');
  return { version, input: { outpoint, script, sequence }, outputs, witness, lockTime };
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

/** BIP 143 for SIGHASH_ALL and the only input. */
function signatureHash(transaction: ParsedTransaction, script: Buffer, satoshi: bigint): Buffer {
  if (script.length >= 0xfd) throw new Error('too large for this test');
  const { version, input, outputs, lockTime } = transaction;
  return twice(
    u32(version),
    twice(input.outpoint),
    twice(u32(input.sequence)),
    input.outpoint,
    Buffer.of(script.length),
    script,
    u64(satoshi),
    u32(input.sequence),
    twice(outputs),
    u32(lockTime),
    u32(1),
  );
}

const truthy = (bytes: Buffer): boolean =>
  bytes.some((byte, i) => byte !== 0 && !(i === bytes.length - 1 && byte === 0x80));

/**
 * Whether a transaction may spend an output: its witness opens the output's script, and holds it.
 * @param output the script as it stands in the chain: 00 20 ‖ SHA-256 of the witness script
 * @param medianTime of the block that would hold it: a lock time after it is not final (BIP 113)
 * @returns null where it may, or why not
 */
export function whyNot(bytes: Uint8Array, output: Uint8Array, satoshi: bigint, medianTime: number): string | null {
  const transaction = parseTransaction(bytes);
  const { witness, input, lockTime } = transaction;
  const script = witness[witness.length - 1];
  if (input.script.length > 0) return 'script of the input is not empty';
  if (Buffer.compare(output, Buffer.concat([Buffer.of(0, 32), sha256(script)])) !== 0) return 'script is another';
  if (input.sequence !== 0xffff_ffff && lockTime > medianTime) return 'transaction is not final yet';
  const stack = witness.slice(0, -1);
  const pop = (): Buffer => {
    const top = stack.pop();
    if (!top) throw new Error('stack is empty');
    return top;
  };
  const signed = (signature: Buffer, key: Buffer): boolean => {
    if (signature.length === 0) return false;
    if (signature[signature.length - 1] !== 1) throw new Error('signature is not for all');
    const hash = signatureHash(transaction, script, satoshi);
    const options = { prehash: false, format: 'der', lowS: true } as const;
    return secp256k1.verify(signature.subarray(0, -1), hash, key, options);
  };
  const branches: boolean[] = [];
  try {
    for (let at = 0; at < script.length; ) {
      const opcode = script[at++];
      const runs = branches.every(Boolean);
      if (opcode >= 1 && opcode <= 75) {
        if (runs) stack.push(script.subarray(at, at + opcode));
        at += opcode;
      } else if (opcode === 0x63) {
        // IF, with a minimal argument
        if (!runs) branches.push(false);
        else {
          const top = pop();
          if (top.length > 1 || (top.length === 1 && top[0] !== 1)) return 'argument of IF is not minimal';
          branches.push(top.length === 1);
        }
      } else if (opcode === 0x67) {
        branches.push(!branches.pop());
      } else if (opcode === 0x68) {
        branches.pop();
      } else if (!runs) {
      } else if (opcode >= 0x51 && opcode <= 0x60) {
        stack.push(Buffer.of(opcode - 0x50));
      } else if (opcode === 0xb1) {
        const top = stack[stack.length - 1];
        const wanted = top.readUIntLE(0, Math.min(top.length, 6));
        if (wanted >= 500_000_000 !== lockTime >= 500_000_000) return 'lock time is of another kind';
        if (wanted > lockTime) return 'lock time is before that of the script';
        if (input.sequence === 0xffff_ffff) return 'input is final';
      } else if (opcode === 0x75) {
        pop();
      } else if (opcode === 0xac) {
        const key = pop();
        const signature = pop();
        const good = signed(signature, key);
        if (!good && signature.length > 0) return 'signature is wrong';
        stack.push(good ? Buffer.of(1) : Buffer.alloc(0));
      } else if (opcode === 0xae) {
        const keys = Array.from({ length: pop()[0] }, pop).reverse();
        const signatures = Array.from({ length: pop()[0] }, pop).reverse();
        if (pop().length > 0) return 'element before the signatures is not empty';
        let next = 0;
        for (const key of keys) if (next < signatures.length && signed(signatures[next], key)) next++;
        if (next < signatures.length) return 'signatures are wrong';
        stack.push(Buffer.of(1));
      } else return `opcode ${opcode} is not known here`;
    }
  } catch (error) {
    return (error as Error).message;
  }
  return stack.length === 1 && truthy(stack[0]) ? null : 'script comes out false';
}
