/**
 * Who is logged in. The browser keeps a random token in a cookie; the gateway keeps only the token's hash, in a file, so
 * that a restart of the gateway logs nobody out and a copy of the file lets nobody in.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { readIfThere, writeWhole } from '../private-files.ts';

export const SESSION_DAYS = 30;
const SESSION_MS = SESSION_DAYS * 86_400_000;
/** The oldest goes when another comes: a household has a few browsers, not thousands. */
const MAX_SESSIONS = 50;
const TOKEN_BYTES = 32;

const Stored = v.array(v.object({ hashHex: v.pipe(v.string(), v.hexadecimal()), endsMs: v.number() }));

export class Sessions {
  readonly #path: string;
  readonly #nowMs: () => number;
  /** Hash of the token → when it ends, oldest first. */
  readonly #endsMs = new Map<string, number>();

  constructor(path: string, nowMs: () => number) {
    this.#path = path;
    this.#nowMs = nowMs;
    for (const { hashHex, endsMs } of decode(readIfThere(path))) this.#endsMs.set(hashHex, endsMs);
  }

  /** Begins a session; the token is for the cookie and kept nowhere else. */
  begin(): string {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    this.#endsMs.set(hashOf(token), this.#nowMs() + SESSION_MS);
    this.#dropOld();
    this.#save();
    return token;
  }

  isValid(token: string | undefined): boolean {
    if (!token || token.length > 100) return false;
    return (this.#endsMs.get(hashOf(token)) ?? 0) > this.#nowMs();
  }

  end(token: string): void {
    if (this.#endsMs.delete(hashOf(token))) this.#save();
  }

  /** After a change of password: everybody else has to log in again. */
  endAll(): void {
    this.#endsMs.clear();
    this.#save();
  }

  #dropOld(): void {
    for (const [hash, endsMs] of this.#endsMs) {
      if (endsMs <= this.#nowMs() || this.#endsMs.size > MAX_SESSIONS) this.#endsMs.delete(hash);
    }
  }

  #save(): void {
    const rows = [...this.#endsMs].map(([hashHex, endsMs]) => ({ hashHex, endsMs }));
    writeWhole(this.#path, JSON.stringify(rows));
  }
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** A file that cannot be read logs everybody out, and nothing worse. */
function decode(text: string | null): v.InferOutput<typeof Stored> {
  try {
    return v.parse(Stored, JSON.parse(text ?? '[]'));
  } catch {
    return [];
  }
}
