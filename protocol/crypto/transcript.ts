/**
 * What makes an interactive proof a message (Fiat, Shamir, "How to prove yourself", 1986): each challenge is the hash of all that was
 * said before it. Every message is absorbed with its name and length, and every challenge too, so that two different conversations
 * never hash to the same challenges.
 *
 *   state     64 B, SHA-512(label)
 *   absorb    state = SHA-512(state ‖ 00 ‖ length of name, 1 B ‖ name ‖ length of message, 4 B ‖ message)
 *   challenge state = SHA-512(state ‖ 01 ‖ length of name, 1 B ‖ name); the challenge is SHA-512(state ‖ 02) mod ORDER
 */
import { createHash } from 'node:crypto';
import { type Element, NEUTRAL, scalarOf } from './group.ts';
import { type Label, labelBytes } from './labels.ts';

const sha512 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export class Transcript {
  #state: Uint8Array;

  constructor(label: Label) {
    this.#state = sha512(labelBytes(label));
  }

  absorb(name: string, message: Uint8Array): this {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    this.#state = sha512(this.#state, Uint8Array.of(0, name.length), Buffer.from(name, 'latin1'), length, message);
    return this;
  }
  absorbElement(name: string, element: Element): this {
    return this.absorb(name, element.equals(NEUTRAL) ? new Uint8Array(0) : element.encode());
  }
  /** A scalar that is not 0 (it would be once in 2^256). */
  challenge(name: string): bigint {
    this.#state = sha512(this.#state, Uint8Array.of(1, name.length), Buffer.from(name, 'latin1'));
    return scalarOf(sha512(this.#state, Uint8Array.of(2))) || 1n;
  }
}
