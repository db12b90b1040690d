/**
 * Which provider this household has, slot by slot: the configured one, and whoever came after by a document that the grid operator
 * signed (protocol/grid-fees/provider-change.ts). Readings of a slot are sealed to the provider of that slot, however late they
 * leave; a change never reaches back.
 */
import type { DatabaseSync } from 'node:sqlite';
import { openProviderChange, type ProviderChange } from '../../protocol/grid-fees/provider-change.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { slotOf } from '../../protocol/time/slots.ts';

/** A change that is not taken: a plain sentence. */
export class ChangeError extends Error {
  override readonly name = 'ChangeError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

export interface ProviderChoiceOptions {
  /** Opened by `openYearlyStore`. */
  database: DatabaseSync;
  clock: Clock;
  /** Signs changes, Ed25519, 32 B. */
  gridOperatorKey: Uint8Array;
  /** Serial number of this gateway's EK certificate. */
  device(): string | null;
  /** As configured: until the first change. */
  first: { readingKey: Uint8Array; controlKey: Uint8Array | null };
  /** A change was taken: registers are due at its slot, and the old one's bill ends there. */
  onChange(change: ProviderChange): void;
}

export class ProviderChoice {
  readonly #options: ProviderChoiceOptions;
  /** In the order of their slots. */
  #changes: ProviderChange[];

  constructor(options: ProviderChoiceOptions) {
    this.#options = options;
    this.#changes = options.database
      .prepare('SELECT document FROM changes ORDER BY number')
      .all()
      .map(({ document }) => openProviderChange(document as string, options.gridOperatorKey));
  }

  /** Takes a document; one that is known changes nothing. @throws MalformedError, DocumentError, ChangeError */
  take(text: string): void {
    const { database, clock, gridOperatorKey, device, onChange } = this.#options;
    const change = openProviderChange(text, gridOperatorKey);
    if (change.device !== device()) throw new ChangeError('document.device', 'is not this gateway');
    const last = this.#changes.at(-1);
    if (last && change.number <= last.number) {
      const known = this.#changes.some((one) => JSON.stringify(one) === JSON.stringify(change));
      if (known) return;
      throw new ChangeError('document.number', `is ${change.number}, not newer than ${last.number}, which was taken`);
    }
    const earliest = Math.max(slotOf(clock.nowMs()), last?.fromSlot ?? 0) + 1;
    if (change.fromSlot < earliest)
      throw new ChangeError('document.fromSlot', 'has begun: what was reported cannot go to another provider');
    database.prepare('INSERT INTO changes VALUES (?, ?, ?)').run(change.number, change.fromSlot, text);
    this.#changes = [...this.#changes, change];
    onChange(change);
  }

  /** Who has a slot by a change; null: the configured one. */
  at(slot: number): ProviderChange | null {
    return this.#changes.findLast(({ fromSlot }) => fromSlot <= slot) ?? null;
  }
  /** HPKE, 32 B: what the reading of a slot is sealed to. */
  readingKey(slot: number): Uint8Array {
    const change = this.at(slot);
    return change ? Buffer.from(change.provider.readingKey, 'hex') : this.#options.first.readingKey;
  }
  /** Whose control messages are obeyed now; Ed25519, 32 B. */
  controlKey(): Uint8Array | null {
    const change = this.at(slotOf(this.#options.clock.nowMs()));
    return change ? Buffer.from(change.provider.controlKey, 'hex') : this.#options.first.controlKey;
  }
  /** Every change that was taken, in its order. */
  get changes(): readonly ProviderChange[] {
    return this.#changes;
  }
}
