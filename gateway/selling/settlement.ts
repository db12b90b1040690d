/**
 * After the month (paper, section 4.D; protocols.md, section 1): what the meter gives a page at a time goes to the control centre under
 * the customer's name, then the exports are opened as one sum, and the month is paid.
 *
 *   receipts   collect ─► deposit ─► settle ─► paid ─► over
 *   m of n     collect ─► list ─► challenge … ─► returns ─► settle ─► paid ─► over
 *
 * Every step can be done twice. Where it stands is on disk; pages that a kill or the line has cost are collected anew.
 */
import { MODE_RECEIPTS } from '../../protocol/selling/messages.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import {
  DEPOSIT_PART_MOST,
  DEPOSIT_PATH,
  depositAnswer,
  EXPORTS_PATH,
  exportsAnswer,
  RETURN_PATH,
  REVEAL_PATH,
  type ReconciliationAnswer,
  reconciliationAnswer,
  returnAnswer,
  SETTLEMENT_PATH,
  settlementAnswer,
  USED_LIST_PART_MOST,
  USED_LIST_PATH,
} from '../../protocol/selling/services.ts';
import { depositRoot, openStatement } from '../../protocol/selling/statement.ts';
import { valueIdentity, valuePayload } from '../../protocol/selling/values.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import {
  COLLECT_END,
  COLLECT_LIST,
  COLLECT_RECEIPTS,
  COLLECT_RETURNS,
  encodeCollect,
  encodeReveal,
  encodeSettled,
  type ListPage,
  PAGE_MOST,
  type ReceiptsPage,
  type ReturnsPage,
  type RevealsMessage,
  type SellingStatus,
} from '../../protocol/wire/selling-session.ts';
import type { CentreCall } from './centre.ts';
import type { SellingMonth } from './documents.ts';
import type { CommittedExports } from './exports.ts';
import type { KeptSettlement, SellingStore, SettlementStage } from './store.ts';

/** A page that does not come is asked for again; meanwhile the meter may have started anew. */
const PATIENCE_MS = 20 * 60_000;
/** Long receipts make long requests. */
const DEPOSIT_BYTES_MOST = 40_000;

export interface SettlementOptions {
  store: SellingStore;
  call: CentreCall;
  month(month: number): SellingMonth | null;
  tell(body: Uint8Array): void;
  work(name: string, run: () => Promise<void>): void;
  nowMs(): number;
  slot(): number;
  /** Commitments to the month's exports and the opened sum; null while not all of them are final. */
  exports(month: number): Promise<CommittedExports | null>;
  /** The month is paid and forgotten by the meter: what it kept here under its seal goes. */
  forget(month: number): void;
  log(line: string): void;
}

export class SellingSettlement {
  readonly #options: SettlementOptions;
  /** What the meter was asked for last, and when. */
  #asked: { month: number; what: number; from: number; atMs: number } | null = null;
  #revealing: { month: number; left: number[]; atMs: number } | null = null;
  /** Months that a piece of work is about. */
  readonly #working = new Set<number>();
  /** Centre's word that helps in the next slot only. */
  readonly #notBefore = new Map<number, number>();

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** In the middle of a talk with the meter. */
  get busy(): boolean {
    return this.#asked !== null || this.#revealing !== null;
  }

  /** To be called when time has moved. @param status the meter's */
  tick(status: SellingStatus | null): void {
    for (const { month } of status?.months ?? []) this.#advance(month, true);
    const there = new Set(status?.months.map(({ month }) => month));
    for (const settlement of this.#options.store.settlements())
      if (settlement.stage === 'paid' && status && !there.has(settlement.month)) {
        this.#options.forget(settlement.month);
        this.#options.store.forgetCollected(settlement.month);
        this.#keep({ ...settlement, stage: 'over' });
      }
  }

  #advance(number: number, inWallet: boolean): void {
    const { store, slot, nowMs } = this.#options;
    const month = this.#options.month(number);
    if (!month || !inWallet || slot() <= monthFirstSlot(number + 1) + month.terms.windowSlots) return;
    if (this.#working.has(number) || (this.#notBefore.get(number) ?? 0) > slot()) return;
    const known = store.settlement(number);
    const settlement = known ?? this.#begin(number);
    const late = this.#asked !== null && nowMs() - this.#asked.atMs > PATIENCE_MS;
    const receipts = month.terms.mode === MODE_RECEIPTS;
    switch (settlement.stage) {
      case 'collect':
        if (this.#asked && !late) return;
        store.forgetCollected(number);
        this.#ask(number, receipts ? COLLECT_RECEIPTS : COLLECT_LIST, 0);
        return;
      case 'returns':
        if (!this.#asked || late) this.#ask(number, COLLECT_RETURNS, 0);
        return;
      case 'deposit':
        this.#work(number, 'deposit', () => this.#deposit(settlement, month));
        return;
      case 'list':
      case 'challenge':
        if (this.#revealing && nowMs() - this.#revealing.atMs <= PATIENCE_MS) return;
        this.#work(number, 'reconciliation', () => this.#sendList(settlement, month));
        return;
      case 'settle':
        this.#work(number, 'settlement', () => this.#settle(settlement, month));
        return;
      case 'paid':
        this.#options.tell(encodeSettled(number));
        this.#notBefore.set(number, slot() + 1);
        return;
      default:
        return;
    }
  }

  #begin(month: number): KeptSettlement {
    const made: KeptSettlement = {
      ...{ month, stage: 'collect' as const, statement: null, payment: null, trouble: null, list: null },
    };
    this.#keep(made);
    return made;
  }
  #keep(settlement: KeptSettlement): void {
    this.#options.store.keepSettlement(settlement);
  }
  #toStage(settlement: KeptSettlement, stage: SettlementStage, more: Partial<KeptSettlement> = {}): void {
    this.#keep({ ...settlement, trouble: null, ...more, stage });
    this.#notBefore.delete(settlement.month);
  }

  /** Refusals that a person has to look at end it; others are tried again in the next slot. */
  #work(number: number, name: string, run: () => Promise<void>): void {
    this.#working.add(number);
    const { store, slot, work, log } = this.#options;
    const before = store.settlement(number)!;
    work(name, async () => {
      try {
        await run();
      } catch (error) {
        const { message } = error as Error;
        const final = error instanceof ServiceError && error.kind === 'refused' && error.recovery === 'final';
        const settlement = store.settlement(number)!;
        this.#keep({ ...settlement, trouble: message, stage: final ? 'refused' : settlement.stage });
        if (message !== settlement.trouble) log(`selling, ${name}: ${message}`);
      } finally {
        this.#working.delete(number);
        if (store.settlement(number)!.stage === before.stage) this.#notBefore.set(number, slot() + 1);
      }
    });
  }

  // ── what the meter gives ──

  #ask(month: number, what: number, from: number): void {
    this.#asked = { month, what, from, atMs: this.#options.nowMs() };
    this.#options.tell(encodeCollect({ month, what, from }));
  }
  /** Whether this is the page that was asked for. */
  #expects(what: number, { month, from, next }: { month: number; from: number; next: number }): boolean {
    const asked = this.#asked;
    return asked !== null && asked.what === what && asked.month === month && asked.from === from && next > from;
  }
  #nextPage(what: number, { month, next }: { month: number; next: number }): boolean {
    if (next === COLLECT_END) {
      this.#asked = null;
      return false;
    }
    this.#ask(month, what, next);
    return true;
  }

  receipts(page: ReceiptsPage): void {
    if (!this.#expects(COLLECT_RECEIPTS, page)) return;
    this.#options.store.addReceipts(page.month, page.receipts);
    if (!this.#nextPage(COLLECT_RECEIPTS, page)) this.#toStage(this.#options.store.settlement(page.month)!, 'deposit');
  }

  list(page: ListPage): void {
    if (!this.#expects(COLLECT_LIST, page)) return;
    this.#options.store.addEntries(page.month, page.commitments);
    if (this.#nextPage(COLLECT_LIST, page)) return;
    const { count, lapsed, digest, tag } = page.whole!;
    const list = { count, lapsed, digest: hex(digest), tag: hex(tag) };
    this.#toStage(this.#options.store.settlement(page.month)!, 'list', { list });
  }

  returns(page: ReturnsPage): void {
    const month = this.#options.month(page.month);
    if (!month || !this.#expects(COLLECT_RETURNS, page) || this.#working.has(page.month)) return;
    const settlement = this.#options.store.settlement(page.month)!;
    this.#work(page.month, 'returns', async () => {
      const request = { keyId: month.credentialKey.keyId, unused: page.unused };
      if (page.unused.length > 0) await this.#options.call(RETURN_PATH, request, returnAnswer);
      if (!this.#nextPage(COLLECT_RETURNS, page)) this.#toStage(settlement, 'settle');
    });
  }

  reveals({ month: number, reveals }: RevealsMessage): void {
    const month = this.#options.month(number);
    const revealing = this.#revealing;
    if (!month || revealing?.month !== number || this.#working.has(number)) return;
    const settlement = this.#options.store.settlement(number)!;
    this.#work(number, 'reconciliation', async () => {
      const request = {
        keyId: month.credentialKey.keyId,
        reveals: reveals.map(({ place, bid, seed, salt }) => ({ index: place, bid, seed, salt })),
      };
      const answer = await this.#options.call(REVEAL_PATH, request, reconciliationAnswer);
      this.#take(settlement, answer);
    });
  }

  // ── to the centre ──

  async #deposit(settlement: KeptSettlement, month: SellingMonth): Promise<void> {
    const { keyId, publicKey, value } = month.receiptKey;
    const receipts = this.#options.store.receipts(settlement.month);
    const identities = receipts.map(({ id }) =>
      valueIdentity(nodeNatives, keyId, valuePayload(id, settlement.month, value)),
    );
    const root = depositRoot(identities);
    const part = Math.min(DEPOSIT_PART_MOST, Math.floor(DEPOSIT_BYTES_MOST / (publicKey.length + 48)));
    for (let at = 0; at === 0 || at < receipts.length; at += part) {
      const request = { keyId, count: receipts.length, root, receipts: receipts.slice(at, at + part) };
      const answer = await this.#options.call(DEPOSIT_PATH, request, depositAnswer);
      if (!('statement' in answer)) continue;
      const statement = openStatement(answer.statement, month.announcementKey.publicKey);
      if (statement.count !== receipts.length || Buffer.compare(statement.root, root) !== 0)
        throw new Error('the centre has signed for other receipts than were deposited');
      this.#toStage(settlement, 'settle', { statement: answer.statement });
      return;
    }
    throw new Error('the centre misses receipts that it was given');
  }

  async #sendList(settlement: KeptSettlement, month: SellingMonth): Promise<void> {
    const { keyId } = month.credentialKey;
    const { count, lapsed, digest, tag } = settlement.list!;
    const entries = this.#options.store.entries(settlement.month);
    const common = { keyId, count, lapsed, digest: Buffer.from(digest, 'hex'), tag: Buffer.from(tag, 'hex') };
    let answer: ReconciliationAnswer | null = null;
    for (let at = 0; at === 0 || at < count; at += USED_LIST_PART_MOST) {
      const request = { ...common, at, entries: entries.slice(at, at + USED_LIST_PART_MOST) };
      answer = await this.#options.call(USED_LIST_PATH, request, reconciliationAnswer);
      if (answer.state !== 'list') break;
    }
    this.#take(settlement, answer!);
  }

  #take(settlement: KeptSettlement, answer: ReconciliationAnswer): void {
    this.#revealing = null;
    if (answer.state === 'credited') this.#toStage(settlement, 'returns');
    else if (answer.state === 'refused') this.#toStage(settlement, 'refused', { trouble: answer.reason });
    else if (answer.state === 'challenge') {
      if (settlement.stage !== 'challenge') this.#toStage(settlement, 'challenge');
      const places = answer.indices.slice(0, PAGE_MOST);
      this.#revealing = { month: settlement.month, left: places, atMs: this.#options.nowMs() };
      this.#options.tell(encodeReveal({ month: settlement.month, places }));
    }
  }

  async #settle(settlement: KeptSettlement, month: SellingMonth): Promise<void> {
    const exported = await this.#options.exports(settlement.month);
    if (!exported) return; // in a slot or two
    for (const commitments of exported.batches) await this.#options.call(EXPORTS_PATH, { commitments }, exportsAnswer);
    const { keyId } = month.terms.mode === MODE_RECEIPTS ? month.receiptKey : month.credentialKey;
    const { sum, randomness } = exported.opened;
    const payment = await this.#options.call(
      SETTLEMENT_PATH,
      { keyId, sumMicrocredits: String(sum), opening: randomness },
      settlementAnswer,
    );
    this.#toStage(settlement, 'paid', { payment });
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
