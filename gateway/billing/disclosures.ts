/**
 * What the household tells its provider beyond the fee: a total, a day, one reading, the peak of a month, each with a proof
 * (protocol/billing/disclosure.ts), and only what the customer agreed to on the page.
 *
 *   Provider ── question ──► here ──► page: the customer agrees, or not ──► ledger (A10): may it be told? ──► proof ──► Provider
 *
 * Everything that was ever told is remembered, bills with their prices among it, and a disclosure that would confine other readings than
 * the ones it names is refused with the reason. The bill that is to come counts as told.
 *
 *   disclosures         what was told: name, party, weights by register and slot; bytes and whether the provider has them
 *   disclosure_requests what the provider asked: number, what and why; state: open, agreed, refused
 */
import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import * as v from 'valibot';
import { REST, type Register } from '../../protocol/billing/commitments.ts';
import { disclose, ledgerEntry } from '../../protocol/billing/disclosure.ts';
import { type Disclosure, DisclosureLedger, readingKey } from '../../protocol/billing/ledger.ts';
import { type DisclosureRequest, disclosureRequest } from '../../protocol/billing/services.ts';
import { linearWeights } from '../../protocol/billing/tariff.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { GatewayStore, StoreCompanion } from '../store.ts';
import type { DisclosureRow, DisclosureView } from '../web/household-view.ts';
import type { BillPart } from './bill-part.ts';
import type { Commitments } from './commitments.ts';

const TABLES = `CREATE TABLE IF NOT EXISTS disclosures (id INTEGER PRIMARY KEY, name TEXT NOT NULL, party TEXT NOT NULL,
    kind TEXT NOT NULL, weights TEXT NOT NULL, value_mwh INTEGER, slot INTEGER, request INTEGER, contract INTEGER NOT NULL, bytes BLOB,
    made_ms INTEGER NOT NULL, told INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS disclosure_requests (contract INTEGER, id INTEGER, asked TEXT NOT NULL, state TEXT NOT NULL,
    told INTEGER NOT NULL, PRIMARY KEY (contract, id)) STRICT`;

/** Consecutive slots of one register with their weights, as they are kept. */
interface Weights {
  register: Register;
  firstSlot: number;
  weights: number[];
}
/** What the customer agrees to. */
const CONSENT = v.strictObject({
  ...v.omit(disclosureRequest, ['id', 'why']).entries,
  /** Number of the provider's question; null: told unasked. */
  request: v.nullable(v.pipe(v.number(), v.integer())),
});
const REFUSAL = v.strictObject({ request: v.pipe(v.number(), v.integer()) });

export interface DisclosuresOptions {
  commitments: Commitments;
  /** The parts of a month (Bills.parts). */
  parts(store: GatewayStore, month: number): BillPart[];
  nowMs(): number;
}
/** What is on its way to the provider. */
export interface Outgoing {
  request: number | null;
  disclosure: Uint8Array | null;
  /** The provider has it. */
  told(): void;
}

export class Disclosures implements StoreCompanion {
  readonly #options: DisclosuresOptions;
  #database!: DatabaseSync;

  constructor(options: DisclosuresOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLES);
  }

  // ── the customer's steps ──

  /**
   * The customer agrees to tell this.
   * @throws MalformedError that names the field; its sentence says why the ledger refuses, where it does
   */
  async agree(store: GatewayStore, form: unknown): Promise<void> {
    const { kind, register, firstSlot, endSlot, request } = checked(CONSENT, form);
    const month = monthOf(slotStartMs(firstSlot));
    const part = this.#options
      .parts(store, month)
      .find((one) => one.firstSlot <= firstSlot && endSlot <= one.endSlot && one.contract.policies.at(one.firstSlot));
    if (!part) throw new MalformedError('disclosure.firstSlot', 'is of no month and contract of this household');
    const name = { contract: part.contract.number, month, purpose: REST };
    const { commitments } = this.#options;
    let values: number[];
    try {
      values = commitments.readings(name, register, firstSlot, endSlot);
    } catch {
      throw new MalformedError('disclosure.endSlot', 'is not committed to yet: a day is, once it is over');
    }
    const peak = kind === 'peak' ? firstSlot + values.indexOf(Math.max(...values)) : null;
    const party = part.contract.terms.provider;
    const entry = ledgerEntry({ kind, purpose: REST, register, firstSlot, endSlot, slot: peak }, party);
    const answer = new DisclosureLedger([...this.#told(), ...this.#billsToCome(part)]).check(entry);
    if (!answer.allowed) throw new MalformedError('disclosure', answer.reason);
    const openings = await commitments.openings(name, register, firstSlot, endSlot);
    const series = { ...commitments.series(name)!, register };
    const bytes = disclose(kind, series, firstSlot, openings, randomBytes);
    const value = kind === 'peak' ? Math.max(...values) : values.reduce((sum, one) => sum + one, 0);
    const weights = { register, firstSlot: peak ?? firstSlot, weights: peak === null ? values.map(() => 1) : [1] };
    this.#database
      .prepare('INSERT INTO disclosures VALUES (NULL,?,?,?,?,?,?,?,?,?,?,0)')
      .run(
        ...[entry.name, party, kind, JSON.stringify([weights]), value * series.unitMwh, peak, request],
        ...[name.contract, bytes, this.#options.nowMs()],
      );
    if (request !== null) this.#answered(name.contract, request, 'agreed');
  }

  /** The customer does not. @throws MalformedError */
  refuse(form: unknown): void {
    const { request } = checked(REFUSAL, form);
    const row = this.#database
      .prepare("SELECT contract FROM disclosure_requests WHERE id = ? AND state = 'open'")
      .get(request);
    if (!row) throw new MalformedError('disclosure.request', 'is no question that waits');
    this.#answered(row.contract as number, request, 'refused');
  }

  view(): DisclosureView {
    const told: DisclosureRow[] = this.#database
      .prepare('SELECT name, party, kind, value_mwh, slot, made_ms, told FROM disclosures ORDER BY id DESC')
      .all()
      .map((row) => ({
        name: row.name as string,
        party: row.party as string,
        kind: row.kind as DisclosureRow['kind'],
        valueMwh: row.value_mwh as number | null,
        atMs: row.slot === null ? null : slotStartMs(row.slot as number),
        madeMs: row.made_ms as number,
        told: row.told === 1,
      }));
    const questions = this.#database
      .prepare("SELECT asked FROM disclosure_requests WHERE state = 'open' ORDER BY id")
      .all()
      .map(({ asked }) => {
        const { id, kind, register, firstSlot, endSlot, why } = JSON.parse(asked as string) as DisclosureRequest;
        const period = { fromMs: slotStartMs(firstSlot), toMs: slotStartMs(endSlot) };
        return { id, kind, register, firstSlot, endSlot, why, ...period };
      });
    return { told, questions };
  }

  // ── with the provider ──

  /** What the provider asks now. */
  asked(contract: number, requests: readonly DisclosureRequest[]): void {
    const insert = this.#database.prepare("INSERT OR IGNORE INTO disclosure_requests VALUES (?,?,?,'open',0)");
    for (const request of requests) insert.run(contract, request.id, JSON.stringify(request));
  }

  /** What was agreed to, or refused, and the provider does not have yet. */
  outgoing(contract: number): Outgoing[] {
    const disclosed = this.#database
      .prepare(
        'SELECT id, request, bytes FROM disclosures WHERE contract = ? AND told = 0 AND bytes IS NOT NULL ORDER BY id',
      )
      .all(contract)
      .map(
        ({ id, request, bytes }): Outgoing => ({
          request: request as number | null,
          disclosure: bytes as Uint8Array,
          told: () => this.#database.prepare('UPDATE disclosures SET told = 1 WHERE id = ?').run(id),
        }),
      );
    const refused = this.#database
      .prepare("SELECT id FROM disclosure_requests WHERE contract = ? AND told = 0 AND state = 'refused'")
      .all(contract)
      .map(
        ({ id }): Outgoing => ({
          request: id as number,
          disclosure: null,
          told: () =>
            this.#database
              .prepare('UPDATE disclosure_requests SET told = 1 WHERE contract = ? AND id = ?')
              .run(contract, id as number),
        }),
      );
    return [...disclosed, ...refused];
  }

  /** A bill was made: its prices are a linear function of the month's readings, too. */
  billed(part: BillPart): void {
    const { name, party, pieces } = this.#billOf(part);
    if (this.#billsToCome(part).length === 0) return; // it died between this and the bill itself
    this.#database
      .prepare('INSERT INTO disclosures VALUES (NULL,?,?,?,?,NULL,NULL,NULL,?,NULL,?,1)')
      .run(name, party, 'bill', JSON.stringify(pieces), part.contract.number, this.#options.nowMs());
  }

  // ── inside ──

  #answered(contract: number, request: number, state: 'agreed' | 'refused'): void {
    this.#database
      .prepare('UPDATE disclosure_requests SET state = ? WHERE contract = ? AND id = ?')
      .run(state, contract, request);
  }

  #told(): Disclosure[] {
    return this.#database
      .prepare('SELECT name, party, weights FROM disclosures ORDER BY id')
      .all()
      .map((row) => entryOf(row.name as string, row.party as string, JSON.parse(row.weights as string)));
  }

  /** Of the part, unless it is billed already. */
  #billsToCome(part: BillPart): Disclosure[] {
    const { name, party, pieces } = this.#billOf(part);
    const known = this.#database.prepare("SELECT 1 FROM disclosures WHERE kind = 'bill' AND name = ?").get(name);
    return known ? [] : [entryOf(name, party, pieces)];
  }

  #billOf({ contract, month, firstSlot, endSlot }: BillPart): { name: string; party: string; pieces: Weights[] } {
    const { policy } = contract.policies.at(firstSlot)!;
    const pieces = (['import', 'export'] as const).map((register): Weights => {
      // prices that are not known yet are taken as they will be on average: all alike
      const known = linearWeights(
        policy,
        register,
        { firstSlot, endSlot },
        (slot) => contract.book.at(slot) ?? UNKNOWN,
      );
      return { register, firstSlot, weights: known.map(Number) };
    });
    const from = new Date(slotStartMs(firstSlot)).toISOString().slice(0, 10);
    const whole = firstSlot === monthFirstSlot(month);
    return {
      name: `the bill of ${whole ? from.slice(0, 7) : `${from.slice(0, 7)} from ${from} on`}`,
      party: contract.terms.provider,
      pieces,
    };
  }
}

const UNKNOWN = { importMilliCentPerKwh: 25_000, exportMilliCentPerKwh: 8_000 };

function entryOf(name: string, party: string, pieces: readonly Weights[]): Disclosure {
  const weights = new Map<string, number>();
  for (const { register, firstSlot, weights: each } of pieces)
    for (const [i, weight] of each.entries())
      if (weight !== 0) weights.set(readingKey(REST, register, firstSlot + i), weight);
  return { name, party, consented: true, weights };
}

function checked<T extends v.GenericSchema>(schema: T, form: unknown): v.InferOutput<T> {
  const result = v.safeParse(schema, form);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  throw new MalformedError(path === null ? 'disclosure' : `disclosure.${path}`, issue.message);
}
