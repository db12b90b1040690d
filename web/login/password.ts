/**
 * The customer's password: made by the gateway on its first start from the system's generator, shown once, and kept
 * only as a scrypt hash in a file that only the gateway's user may read. Forgotten: delete the file and restart.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { readIfThere, writeWhole } from '../private-files.ts';

/** 2¹⁵ · 8 · 128 B = 32 MiB and some 0.1 s per guess (OWASP's advice for scrypt, scaled to a small computer). */
const COST = { N: 2 ** 15, r: 8, p: 1 };
const MAX_MEMORY = 64 * 1024 * 1024;
const HASH_BYTES = 32;
/** No 0/o, 1/l/i: read from a terminal and typed into a phone. 31 letters: 4.95 bits each. */
const ALPHABET = '23456789abcdefghjkmnpqrstuvwxyz';
/** 16 letters are 79 bits. */
const GROUPS = 4;
const GROUP_LETTERS = 4;

export const MIN_PASSWORD_LETTERS = 10;
export const MAX_PASSWORD_LETTERS = 200;

const Stored = v.object({
  version: v.literal(1),
  N: v.number(),
  r: v.number(),
  p: v.number(),
  saltHex: v.pipe(v.string(), v.hexadecimal()),
  hashHex: v.pipe(v.string(), v.hexadecimal()),
});

export class Password {
  readonly #path: string;
  #stored: v.InferOutput<typeof Stored>;

  private constructor(path: string, stored: v.InferOutput<typeof Stored>) {
    this.#path = path;
    this.#stored = stored;
  }

  /** Opens the kept hash; on the first start makes a password and returns it too, this once. */
  static async open(path: string, random = randomBytes): Promise<{ password: Password; first?: string }> {
    const text = readIfThere(path);
    if (text !== null) return { password: new Password(path, decode(path, text)) };
    const first = generate(random);
    const stored = await hash(first, random(16));
    writeWhole(path, JSON.stringify(stored));
    return { password: new Password(path, stored), first };
  }

  async matches(candidate: string): Promise<boolean> {
    if (candidate.length > MAX_PASSWORD_LETTERS) return false;
    const { saltHex, hashHex, N, r, p } = this.#stored;
    const found = await derive(candidate, Buffer.from(saltHex, 'hex'), { N, r, p });
    return timingSafeEqual(found, Buffer.from(hashHex, 'hex'));
  }

  async change(next: string): Promise<void> {
    const stored = await hash(next, randomBytes(16));
    writeWhole(this.#path, JSON.stringify(stored));
    this.#stored = stored;
  }
}

/** Letters drawn evenly: bytes that would favour some letters are thrown away. */
function generate(random: (size: number) => Buffer): string {
  const even = 256 - (256 % ALPHABET.length);
  let letters = '';
  while (letters.length < GROUPS * GROUP_LETTERS) {
    const byte = random(1)[0];
    if (byte < even) letters += ALPHABET[byte % ALPHABET.length];
  }
  return letters.match(new RegExp(`.{${GROUP_LETTERS}}`, 'g'))!.join('-');
}

async function hash(password: string, salt: Buffer): Promise<v.InferOutput<typeof Stored>> {
  const found = await derive(password, salt, COST);
  return { version: 1, ...COST, saltHex: salt.toString('hex'), hashHex: found.toString('hex') };
}

function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // NFKC: the same letters typed on another keyboard are the same password. Spaces around it come from copying.
    scrypt(password.normalize('NFKC').trim(), salt, HASH_BYTES, { ...cost, maxmem: MAX_MEMORY }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

function decode(path: string, text: string): v.InferOutput<typeof Stored> {
  try {
    return v.parse(Stored, JSON.parse(text));
  } catch {
    throw new Error(`${path}: not a password file; delete it to have a new password made`);
  }
}
