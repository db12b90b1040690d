/**
 * The gateway's passes on disk: one file that only its user may read, replaced whole, so that a power cut leaves the old one or the
 * new one. What was asked stands there before it is asked: the verifier signs one pass for a day, and answers the same question
 * again, but no other.
 *
 *   asked     blinded and on its way; `inverse` takes the blinding off the answer
 *   held      the pass, as it goes into submissions
 *   without   the day's readings go without a pass, all of them (passes.ts)
 */
import * as v from 'valibot';
import { bytes, encodeBody, fitting } from '../../protocol/services/call.ts';
import { readIfThere, writeWhole } from '../../web/private-files.ts';

const someBytes = bytes(1, 1024);
const entry = v.variant('state', [
  v.strictObject({
    state: v.literal('asked'),
    pseudonym: someBytes,
    random: someBytes,
    blinded: someBytes,
    inverse: someBytes,
  }),
  v.strictObject({ state: v.literal('held'), pass: someBytes }),
  v.strictObject({ state: v.literal('without') }),
]);
export type PassEntry = v.InferOutput<typeof entry>;

const content = v.strictObject({
  version: v.literal(1),
  days: v.array(v.strictObject({ day: v.pipe(v.number(), v.integer()), entry })),
  /** The verifier's keys as they were published last. */
  keys: v.nullable(bytes(0, 60_000)),
});

export class PassFile {
  readonly #path: string;
  readonly #days = new Map<number, PassEntry>();
  #keys: Uint8Array | null = null;

  /** A file that cannot be read is said and begun anew: what is lost are passes, and readings go on without. */
  constructor(path: string, log: (line: string) => void) {
    this.#path = path;
    const text = readIfThere(path);
    if (text === null) return;
    const read = fitting(content, parsed(text));
    if ('problem' in read) {
      log(`${path}: ${read.path} ${read.problem}; the attestation passes in it are lost`);
      return;
    }
    for (const { day, entry } of read.value.days) this.#days.set(day, entry);
    this.#keys = read.value.keys;
  }

  get(day: number): PassEntry | undefined {
    return this.#days.get(day);
  }
  get keys(): Uint8Array | null {
    return this.#keys;
  }

  /** On disk when it returns. Days before `keptFrom` are forgotten. */
  set(entries: readonly { day: number; entry: PassEntry | null }[], keptFrom: number): void {
    for (const { day, entry } of entries) {
      if (entry) this.#days.set(day, entry);
      else this.#days.delete(day);
    }
    for (const day of this.#days.keys()) if (day < keptFrom) this.#days.delete(day);
    this.#write();
  }

  setKeys(keys: Uint8Array): void {
    this.#keys = keys;
    this.#write();
  }

  #write(): void {
    const days = [...this.#days].map(([day, entry]) => ({ day, entry }));
    writeWhole(this.#path, Buffer.from(encodeBody({ version: 1, days, keys: this.#keys })).toString('utf8'));
  }
}

/** Undefined where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
