/**
 * What the meter encrypts to a party by itself, because it is worth money: the gateway carries it and can neither read nor change
 * it. The counterpart is protocol/crypto/meter-seal.ts. (Espruino dialect)
 *
 * An ESP32 cannot do elliptic curves in this interpreter, so it is RSA-KEM (ISO/IEC 18033-2) with e = 3 to a key that the party has for
 * this alone, and the vault's cipher under what comes of it:
 *
 *   z         random in 1 … n − 1
 *   key       HMAC-SHA256("quietmeter/v1/meter-seal", z ‖ 00000001)
 *   encapsulated = z³ mod n
 *   text      u16 length of the header ‖ header ‖ plaintext ‖ 80 ‖ 00 … to whole blocks of 16 B
 *   tag       first 16 B of HMAC-SHA256(key of "meter-seal mac", text ‖ 00000001)
 *   cipher    AES-256-CBC(key of "meter-seal encrypt", iv = tag, plaintext ‖ 80 ‖ 00 …)
 *
 *   sealed    encapsulated, as long as the modulus ‖ tag 16 ‖ cipher
 *
 * The key is drawn anew for each message; the header is authenticated and not sent. How long `sealed` is follows from the plaintext's
 * length alone: a protocol pads to what it does not want to tell.
 */
import { BLOCK_BYTES, Cipher, type CipherNatives, TAG_BYTES } from '../wallet/cipher.ts';
import { drawBelow, type Random } from './blind-rsa.ts';
import type { Modulus } from './modulus.ts';
import type { Limbs } from './natives.ts';

const LABEL = 'quietmeter/v1/meter-seal';
const CIPHER_LABEL = 'meter-seal';
const LENGTH_BYTES = 2;
const PAD = 0x80;

/** How many bytes a plaintext takes when it is sealed under a modulus of so many bytes. */
export function sealedBytes(modulusBytes: number, plaintextBytes: number): number {
  return modulusBytes + TAG_BYTES + BLOCK_BYTES * (Math.floor(plaintextBytes / BLOCK_BYTES) + 1);
}

/** Plaintext → `sealed`, in 3 steps. */
export class Sealing {
  /** Empty until the job is done. */
  sealed: Uint8Array = new Uint8Array(0);
  private natives: CipherNatives;
  private modulus: Modulus;
  private header: Uint8Array;
  private plaintext: Uint8Array;
  private secret: Uint8Array;
  private z: Limbs;
  private inForm: Limbs | null = null;
  private squared: Limbs | null = null;

  /**
   * @param modulus of the party's sealing key, whose exponent is 3
   * @param header what the message belongs to; whoever opens it has to have the same
   */
  constructor(natives: CipherNatives, modulus: Modulus, header: Uint8Array, plaintext: Uint8Array, random: Random) {
    this.natives = natives;
    this.modulus = modulus;
    this.header = header;
    this.plaintext = plaintext;
    this.secret = drawBelow(modulus, random);
    this.z = modulus.read(this.secret, 'secret');
  }

  step(): boolean {
    const { modulus, inForm, squared } = this;
    if (inForm === null) this.inForm = modulus.toForm(this.z);
    else if (squared === null) this.squared = modulus.multiply(inForm, this.z);
    else {
      this.sealed = this.encrypt(modulus.write(modulus.multiply(inForm, squared)));
      return true;
    }
    return false;
  }

  private encrypt(encapsulated: Uint8Array): Uint8Array {
    const { header, plaintext } = this;
    const label = new Uint8Array(LABEL.length);
    for (let n = 0; n < LABEL.length; n++) label[n] = LABEL.charCodeAt(n);
    const cipher = new Cipher(this.natives, this.natives.hmac(label, this.secret), CIPHER_LABEL);

    const at = LENGTH_BYTES + header.length;
    const cipherBytes = sealedBytes(0, plaintext.length) - TAG_BYTES;
    const text = new Uint8Array(at + cipherBytes);
    text[0] = header.length >> 8;
    text[1] = header.length & 255;
    text.set(header, LENGTH_BYTES);
    text.set(plaintext, at);
    text[at + plaintext.length] = PAD;
    const tag = cipher.seal(text, at);

    const sealed = new Uint8Array(encapsulated.length + TAG_BYTES + cipherBytes);
    sealed.set(encapsulated, 0);
    sealed.set(tag, encapsulated.length);
    sealed.set(text.subarray(at), encapsulated.length + TAG_BYTES);
    return sealed;
  }
}
