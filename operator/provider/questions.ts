/**
 * What the provider would like to know of a customer, beyond the fee, and what the customer tells (protocol/billing/disclosure.ts).
 *
 *   Provider ── question: which sum, and why ──► Gateway: shown to the customer, who agrees or not; its ledger may say no (A10)
 *   Gateway ── value with its proof, or no ──► Provider: verified by the commitments ──► kept
 *
 *   questions   number → customer, what was asked and why; state: open, told, refused; what was told, with its proof
 */
import * as v from 'valibot';
import { REST } from '../../protocol/billing/commitments.ts';
import { readDisclosure } from '../../protocol/billing/disclosure.ts';
import { type DisclosureRequest, disclosureRequest } from '../../protocol/billing/services.ts';
import { Refusal } from '../shared/service.ts';
import type { DatabaseSync } from '../shared/store.ts';
import type { CommitmentStore } from './commitments.ts';
import type { Verdicts } from './verdicts.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY, customer TEXT NOT NULL, kind TEXT NOT NULL, register TEXT NOT NULL, firstSlot INTEGER NOT NULL,
    endSlot INTEGER NOT NULL, why TEXT NOT NULL, state TEXT NOT NULL, value INTEGER, unitMwh INTEGER, slot INTEGER,
    bytes BLOB, askedMs INTEGER NOT NULL, answeredMs INTEGER
  ) STRICT;
`;
const OPEN_MOST = 100;

/** What people of the provider fill in. */
export const asked = v.strictObject({
  ...v.omit(disclosureRequest, ['id']).entries,
  customer: v.pipe(v.string(), v.minLength(1, 'is empty')),
});

export interface Question extends DisclosureRequest {
  customer: string;
  /** `told` also where the customer said it unasked. */
  state: 'open' | 'told' | 'refused';
  /** In units of `unitMwh`; null where nothing was told. */
  value: number | null;
  unitMwh: number | null;
  /** Of a peak. */
  slot: number | null;
  askedMs: number;
  answeredMs: number | null;
}

export interface QuestionsOptions {
  database: DatabaseSync;
  commitments: CommitmentStore;
  verdicts: Pick<Verdicts, 'disclosure'>;
}

export class Questions {
  readonly #options: QuestionsOptions;

  constructor(options: QuestionsOptions) {
    this.#options = options;
    options.database.exec(SCHEMA);
  }

  /** @returns its number @throws Refusal */
  ask({ customer, kind, register, firstSlot, endSlot, why }: v.InferOutput<typeof asked>, nowMs: number): number {
    const { database } = this.#options;
    if (endSlot <= firstSlot)
      throw new Refusal('no period', 'endSlot is not after firstSlot', 'correct', { path: 'endSlot' });
    if (this.open(customer).length >= OPEN_MOST)
      throw new Refusal('too many', 'this customer has enough to answer', 'again', { path: 'customer' });
    const { lastInsertRowid } = database
      .prepare(
        `INSERT INTO questions (customer, kind, register, firstSlot, endSlot, why, state, askedMs)
         VALUES (?, ?, ?, ?, ?, ?, 'open', ?)`,
      )
      .run(customer, kind, register, firstSlot, endSlot, why, nowMs);
    return Number(lastInsertRowid);
  }

  /** Those that wait for an answer. */
  open(customer: string): DisclosureRequest[] {
    return this.#options.database
      .prepare(
        `SELECT id, kind, register, firstSlot, endSlot, why FROM questions WHERE customer = ? AND state = 'open' ORDER BY id`,
      )
      .all(customer) as unknown as DisclosureRequest[];
  }

  all(): Question[] {
    return this.#options.database
      .prepare(
        `SELECT id, customer, kind, register, firstSlot, endSlot, why, state, value, unitMwh, slot, askedMs, answeredMs
         FROM questions ORDER BY id`,
      )
      .all() as unknown as Question[];
  }

  /**
   * An answer, verified by the commitments; the same again changes nothing.
   * @param request null: told unasked @param disclosure null: no
   * @throws Refusal
   */
  async receive(
    customer: string,
    meterKey: Uint8Array,
    request: number | null,
    disclosure: Uint8Array | null,
    nowMs: number,
  ): Promise<void> {
    const { database } = this.#options;
    const question =
      request === null ? null : this.all().find((one) => one.id === request && one.customer === customer);
    if (question === undefined)
      throw new Refusal('no such question', 'nothing of this number was asked', 'final', { path: 'request' });
    if (disclosure === null) {
      database
        .prepare(`UPDATE questions SET state = 'refused', answeredMs = ? WHERE id = ? AND state = 'open'`)
        .run(nowMs, request);
      return;
    }
    const told = await this.#verified(disclosure, meterKey);
    if (
      question &&
      (['kind', 'register', 'firstSlot', 'endSlot'] as const).some((field) => question[field] !== told[field])
    )
      throw new Refusal('another answer', 'this is not what was asked', 'correct', { path: 'disclosure' });
    const known = database
      .prepare('SELECT id FROM questions WHERE bytes = ? AND customer = ?')
      .get(disclosure, customer);
    if (known) return;
    const { kind, register, firstSlot, endSlot, value, unitMwh, slot } = told;
    if (question)
      database
        .prepare(
          `UPDATE questions SET state = 'told', value = ?, unitMwh = ?, slot = ?, bytes = ?, answeredMs = ? WHERE id = ?`,
        )
        .run(value, unitMwh, slot, disclosure, nowMs, question.id);
    else
      database
        .prepare(
          `INSERT INTO questions (customer, kind, register, firstSlot, endSlot, why, state, value, unitMwh, slot, bytes, askedMs, answeredMs)
           VALUES (?, ?, ?, ?, ?, '', 'told', ?, ?, ?, ?, ?, ?)`,
        )
        .run(customer, kind, register, firstSlot, endSlot, value, unitMwh, slot, disclosure, nowMs, nowMs);
  }

  async #verified(disclosure: Uint8Array, meterKey: Uint8Array) {
    const { commitments, verdicts } = this.#options;
    const wrong = (problem: string): never => {
      throw new Refusal('disclosure refused', problem, 'final', { path: 'disclosure' });
    };
    try {
      const { register, firstSlot, endSlot, purpose, meter } = readDisclosure(disclosure);
      if (purpose !== REST) wrong('is of another purpose than the bill');
      const batches = commitments.batches(meter, register, firstSlot, endSlot);
      const verdict = await verdicts.disclosure({ disclosure, batches, meterKey, firstSlot, endSlot });
      return 'wrong' in verdict ? wrong(verdict.wrong) : verdict.right;
    } catch (error) {
      if ((error as Error).name !== 'MalformedError') throw error;
      return wrong((error as Error).message);
    }
  }
}
