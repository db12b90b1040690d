/**
 * What the customer decides about supply: another provider from a day on, and moving out. No meter is changed for either.
 *
 *   another provider   letter typed ─► identifier for it (gateway/identity) ─► grid operator signs the change ─► provider-choice.ts
 *   moving out         day said ─► that day: registers told, last bill and readings gone ─► third party ends the names
 *   moving in          the next people's names have come ─► a contract begins, with the provider that their identifier names
 *
 * What was decided is on the disk before anything is asked, and goes on after a kill. The letter's PIN is not kept.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { ProviderTerms } from '../../protocol/grid-fees/provider-change.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { SLOT_MS, SLOTS_PER_DAY, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { Contracts } from '../billing/contracts.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import type { SupplyView } from '../web/household-view.ts';
import type { ProviderChoice } from './provider-choice.ts';
import type { Registers } from './registers.ts';

/** One row at most in each: what is under way. */
const TABLES = `
  CREATE TABLE IF NOT EXISTS choosing (one INTEGER PRIMARY KEY CHECK (one = 1), provider TEXT NOT NULL,
    from_slot INTEGER NOT NULL, refusal TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS leaving (one INTEGER PRIMARY KEY CHECK (one = 1), slot INTEGER NOT NULL) STRICT;`;
/** A day so far ahead is a slip of the pen. */
const AHEAD_MOST_SLOTS = 366 * SLOTS_PER_DAY;
/** Real time after a failure that passes: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 300_000;

export interface SupplyOptions {
  database: DatabaseSync;
  clock: Clock;
  registers: Pick<Registers, 'want' | 'rows'>;
  choice: Pick<ProviderChoice, 'at' | 'take' | 'changes'>;
  identity: Pick<HouseholdIdentity, 'provider' | 'state' | 'takeLetter' | 'end'>;
  contracts: Pick<Contracts, 'last' | 'begin' | 'end'>;
  /** The provider of the configuration. */
  configured: string;
  /** What of the time before a slot has still to leave the house, in words; null: nothing. */
  owes(slot: number): string | null;
  /** Of the grid operator. @throws ServiceError, TpmError */
  offers(): Promise<ProviderTerms[]>;
  choose(provider: string, fromSlot: number): Promise<string>;
  log(line: string): void;
}

export class Supply {
  readonly #options: SupplyOptions;
  #running: Promise<void> | null = null;
  #notBefore = 0;
  #failures = 0;
  #trouble: string | null = null;

  constructor(options: SupplyOptions) {
    this.#options = options;
    options.database.exec(TABLES);
  }

  /** The providers that supply here, but the present one. @throws ServiceError, TpmError */
  async offers(): Promise<ProviderTerms[]> {
    const offers = await this.#options.offers();
    return offers.filter(({ name }) => name !== this.#latest);
  }

  /**
   * Another provider, from the first quarter hour of a day on.
   * @param form {day, provider, customerNumber, pin}: the day as `2026-12-01`, the rest as in the provider's letter
   * @throws MalformedError that names the field (`letter.day`), ServiceError where it was refused, TpmError
   */
  async change(form: unknown): Promise<void> {
    const { database, identity, clock } = this.#options;
    const { day, ...letter } = (form ?? {}) as { day?: unknown; provider?: unknown };
    const fromSlot = daySlot('letter.day', day, clock.nowMs());
    if (this.#leaving !== null) throw new MalformedError('letter', 'comes after you have said that you move out');
    const last = this.#options.choice.changes.at(-1);
    if (last && fromSlot <= last.fromSlot)
      throw new MalformedError('letter.day', 'is not after the change that is settled already');
    if (!(await this.offers()).some(({ name }) => name === letter.provider))
      throw new MalformedError('letter.provider', 'is no other provider that supplies here');
    if (letter.provider !== identity.provider) await identity.takeLetter(letter);
    database.prepare('INSERT OR REPLACE INTO choosing VALUES (1, ?, ?, NULL)').run(letter.provider as string, fromSlot);
    this.#notBefore = 0;
    this.tick();
    await this.idle();
  }

  /** The people leave when a day begins. @param form {day} @throws MalformedError that names the field */
  moveOut(form: unknown): void {
    const { database, registers, contracts, identity, clock } = this.#options;
    const slot = daySlot('moving.day', ((form ?? {}) as { day?: unknown }).day, clock.nowMs());
    if (identity.state.state !== 'ready') throw new MalformedError('moving', 'comes before this meter is set up');
    if (this.#leaving !== null) throw new MalformedError('moving', 'was said already');
    const next = this.#options.choice.changes.at(-1);
    if (next && next.fromSlot >= slot)
      throw new MalformedError('moving.day', `is before ${next.provider.name} begins to supply you`);
    database.prepare('INSERT INTO leaving VALUES (1, ?)').run(slot);
    registers.want('moving out', slot);
    contracts.end(slot);
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const { database, contracts, clock } = this.#options;
    if (clock.nowMs() === 0) return;
    const leaving = this.#leaving;
    if (leaving !== null) {
      // a kill may have come between
      this.#options.registers.want('moving out', leaving);
      contracts.end(leaving);
    } else this.#moveIn();
    if (this.#running !== null || performance.now() < this.#notBefore) return;
    const due = leaving !== null && leaving <= slotOf(clock.nowMs());
    const choosing = database.prepare('SELECT 1 FROM choosing WHERE refusal IS NULL').get() !== undefined;
    if (!due && !choosing) return;
    this.#running = this.#work().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  get view(): SupplyView {
    const { choice, clock, registers, database, identity } = this.#options;
    const slot = slotOf(clock.nowMs());
    const next = choice.changes.find(({ fromSlot }) => fromSlot > slot);
    const asked = database.prepare('SELECT provider, from_slot, refusal FROM choosing').get();
    const leaving = this.#leaving;
    return {
      provider: this.#options.contracts.last.endSlot <= slot ? null : this.#at(slot),
      next: next ? { provider: next.provider.name, fromMs: slotStartMs(next.fromSlot) } : null,
      asked: asked
        ? {
            provider: asked.provider as string,
            fromMs: slotStartMs(asked.from_slot as number),
            refusal: asked.refusal as string | null,
          }
        : null,
      leaving:
        leaving === null ? null : { fromMs: slotStartMs(leaving), waitsFor: this.#trouble ?? this.#keeps(leaving) },
      mayChange: identity.state.state === 'ready' && leaving === null,
      registers: registers.rows().map(({ slot: at, ...row }) => ({ ...row, atMs: slotStartMs(at) })),
    };
  }

  get #leaving(): number | null {
    const row = this.#options.database.prepare('SELECT slot FROM leaving').get();
    return row === undefined ? null : (row.slot as number);
  }
  #at(slot: number): string {
    return this.#options.choice.at(slot)?.provider.name ?? this.#options.configured;
  }
  get #latest(): string {
    return this.#options.choice.changes.at(-1)?.provider.name ?? this.#options.configured;
  }

  async #work(): Promise<void> {
    try {
      await this.#choose();
      await this.#leave();
      this.#trouble = null;
      this.#failures = 0;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#trouble) this.#options.log(`supply: ${message}`);
      this.#trouble = message;
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    }
  }

  async #choose(): Promise<void> {
    const { database, choice, identity, choose } = this.#options;
    const row = database.prepare('SELECT provider, from_slot FROM choosing WHERE refusal IS NULL').get();
    // the identifier is on its way, or its letter was refused
    if (row === undefined || row.provider !== identity.provider) return;
    try {
      choice.take(await choose(row.provider as string, row.from_slot as number));
      database.exec('DELETE FROM choosing');
    } catch (error) {
      if (!(error instanceof ServiceError) || error.recovery === 'again') throw error;
      database.prepare('UPDATE choosing SET refusal = ?').run(error.message);
    }
  }

  async #leave(): Promise<void> {
    const { database, identity, clock, log } = this.#options;
    const slot = this.#leaving;
    if (slot === null || slot > slotOf(clock.nowMs()) || this.#keeps(slot) !== null) return;
    await identity.end();
    database.exec('DELETE FROM leaving');
    log('the people have moved out: this meter waits for the next ones');
  }

  /** What is still to be done before the names may end. */
  #keeps(slot: number): string | null {
    const { registers, owes, clock } = this.#options;
    if (slot > slotOf(clock.nowMs())) return null;
    const told = registers.rows().find((row) => row.slot === slot && row.reason === 'moving out');
    if (told?.state === 'waiting') return 'the grid operator, who has not taken the registers yet';
    return owes(slot);
  }

  /** A house without a contract whose people have their names: it begins. */
  #moveIn(): void {
    const { database, contracts, identity, clock } = this.#options;
    const slot = slotOf(clock.nowMs());
    const { last } = contracts;
    const provider = identity.state.state === 'ready' ? identity.provider : null;
    if (last.endSlot > slot || provider === null) return;
    if (provider === this.#latest) contracts.begin(slot + 1, last.terms);
    else {
      const tomorrow = (Math.floor(slot / SLOTS_PER_DAY) + 1) * SLOTS_PER_DAY;
      database.prepare('INSERT OR IGNORE INTO choosing VALUES (1, ?, ?, NULL)').run(provider, tomorrow);
    }
  }
}

/** @throws MalformedError */
function daySlot(path: string, day: unknown, nowMs: number): number {
  const ms = typeof day === 'string' && /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new MalformedError(path, 'is no day like 2026-12-01');
  const slot = ms / SLOT_MS;
  if (slot <= slotOf(nowMs)) throw new MalformedError(path, 'has begun: tomorrow is the earliest');
  if (slot > slotOf(nowMs) + AHEAD_MOST_SLOTS) throw new MalformedError(path, 'is more than a year ahead');
  return slot;
}
