/**
 * The household sells what it exports, without a name (selling-power-back.txt; protocol/selling/messages.ts tells the whole flow): the
 * gateway's half. The meter makes and holds all that is worth money, sealed; the gateway carries it, to the control centre under the
 * customer's identifier where names are shown, and by the door where none is.
 *
 *   SellingDocuments      keyset, terms, weights: the same for everybody
 *   SellingRegistration   candidates, signatures
 *   SellingSales          meter ─► door ─► meter
 *   SellingSettlement     receipts or L4, exports, payment
 */

import type { AcceptanceList } from '../../protocol/selling/acceptance-list.ts';
import { CENTRE_PARTY } from '../../protocol/selling/keys.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import {
  ALARM_ANSWER,
  ALARM_HELPER,
  ALARM_LOST,
  ALARM_NONE,
  ALARM_OPEN,
  ALARM_SIGNATURE,
  ALARM_TERMS,
  ALARM_VAULT,
  decodeBatch,
  decodeCandidate,
  decodeDone,
  decodeList,
  decodeOpened,
  decodeReceipts,
  decodeReturns,
  decodeReveals,
  decodeSaleMessage,
  decodeSetUpMessage,
  decodeStatus,
  encodeTermsMessage,
  encodeWeightsMessage,
  SELL_BATCH,
  SELL_CANDIDATE,
  SELL_DONE,
  SELL_LIST,
  SELL_OPENED,
  SELL_RECEIPTS,
  SELL_RETURNS,
  SELL_REVEALS,
  SELL_SALE,
  SELL_SET_UP,
  SELL_STATUS,
  type SellingStatus,
  SLOTS_OF_WEIGHTS,
  STATE_HELD,
  STATE_LAPSED,
  STATE_RESERVED,
  STATE_RETURNED,
  STATE_USED,
  STATUS_WANTS_TERMS,
} from '../../protocol/wire/selling-session.ts';
import { SESSION_SELLING } from '../../protocol/wire/sessions.ts';
import type { Door, HeardList } from '../door/door.ts';
import type { HouseholdLedger } from '../ledger/household-ledger.ts';
import type { SealedValuesStore } from '../meter/sealed-values.ts';
import type { MeterSessions } from '../meter/sessions.ts';
import type { RequestIdentity } from '../services/client.ts';
import type { SellingMonthView, SellingView } from '../web/household-view.ts';
import type { CentreCall } from './centre.ts';
import { SellingDocuments, type SellingMonth } from './documents.ts';
import { type CommittedExports, commitExports } from './exports.ts';
import { SellingRegistration } from './registration.ts';
import { SellingSales } from './sales.ts';
import { SellingSettlement } from './settlement.ts';
import { SellingStore } from './store.ts';

/** What was published is fetched anew so often, and whenever something does not fit. */
const FETCH_EVERY_SLOTS = 24;
/** Real time between attempts: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;
/** So long after the meter's last word a talk is under way. */
const TALK_MS = 60_000;
/** Weights that the meter is told: those of open slots, and the next ones. */
const WEIGHTS_TOLD = 3;
const SEEN_SLOTS = 96;
const RECENT_SLOTS = 3;
/** As the meter names what it keeps here (firmware/session/selling-tasks.ts): kind, and ids by month. */
const SEALED_KIND = 0x30;
const SEALED_IDS_A_MONTH = 8192;

const ALARMS: Readonly<Record<number, string>> = {
  [ALARM_HELPER]: 'this gateway gave the meter wrong numbers for its credentials: they were refused',
  [ALARM_SIGNATURE]: 'the control centre gave a signature that does not hold: the meter refused it',
  [ALARM_ANSWER]: 'an answer to a sale was not the control centre’s: the meter refused it',
  [ALARM_LOST]: 'something that the meter had sealed and this gateway was to keep is not here',
  [ALARM_TERMS]: 'the meter was told other terms of sale than before: it keeps to the first ones',
  [ALARM_VAULT]: 'the meter could not store what it was about to sell',
  [ALARM_OPEN]: 'the control centre asked to have credentials opened a second time, otherwise: the meter refused it',
};

export interface HouseholdSellingOptions {
  enabled: boolean;
  /** Ed25519, 32 B. */
  masterKey: Uint8Array;
  dataDir: string;
  call: CentreCall;
  /** Signs commitments; null before initialisation. */
  identity(audience: string): RequestIdentity | null;
  sessions: Pick<MeterSessions, 'on' | 'tell' | 'setAlarm'>;
  door: Pick<Door, 'post' | 'withdraw' | 'onAnswers'>;
  ledger: Pick<HouseholdLedger, 'finalSlot' | 'centreExports'>;
  sealed: Pick<SealedValuesStore, 'forget'>;
  /** The first slot that the meter ever measured. */
  sinceSlot(): number | null;
  clock: Clock;
  log(line: string): void;
}

export class HouseholdSelling {
  readonly #options: HouseholdSellingOptions;
  readonly #store: SellingStore;
  readonly #documents: SellingDocuments;
  readonly #registration: SellingRegistration;
  readonly #sales: SellingSales;
  readonly #settlement: SellingSettlement;
  readonly #running = new Set<Promise<void>>();
  #status: SellingStatus | null;
  #slot = 0;
  #fetchedSlot = 0;
  #notBefore = 0;
  #failures = 0;
  #fetching = false;
  #trouble: string | null = null;
  #talkMs = Number.NEGATIVE_INFINITY;
  /** Keysets that everybody else has are others than ours. */
  #mark: string | null = null;
  #doubted: AcceptanceList | null = null;

  constructor(options: HouseholdSellingOptions) {
    this.#options = options;
    const { dataDir, masterKey, call, door, sessions, clock, log } = options;
    this.#store = new SellingStore(dataDir);
    this.#documents = new SellingDocuments(this.#store, masterKey);
    this.#status = this.#store.status();
    const month = (number: number): SellingMonth | null => this.#documents.month(number);
    const tell = (body: Uint8Array): void => void sessions.tell(SESSION_SELLING, body);
    const work = (name: string, run: () => Promise<void>): void => this.#work(name, run);
    const slot = (): number => slotOf(clock.nowMs());
    const store = this.#store;
    this.#registration = new SellingRegistration({ call, month, tell, work });
    this.#sales = new SellingSales({ store, door, month, tell, slot });
    this.#settlement = new SellingSettlement({
      ...{ store, call, month, tell, work, slot, log },
      nowMs: () => clock.nowMs(),
      exports: (number) => this.#exports(number),
      forget: (number) =>
        options.sealed.forget(SEALED_KIND, number * SEALED_IDS_A_MONTH, (number + 1) * SEALED_IDS_A_MONTH),
    });
    this.#sales.open();
    door.onAnswers(CENTRE_PARTY, (list) => this.#heard(list));
    sessions.on(SESSION_SELLING, (body) => this.#receive(body));
  }

  close(): void {
    this.#store.close();
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs === 0) return;
    const slot = slotOf(nowMs);
    if (slot !== this.#slot) {
      this.#slot = slot;
      this.#sales.repeat();
    }
    const due = !this.#documents.isThere || slot >= this.#fetchedSlot + FETCH_EVERY_SLOTS;
    if (due && !this.#fetching && performance.now() >= this.#notBefore) this.#fetch();
    if (this.#documents.isThere) this.#settlement.tick(this.#status);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** In the middle of a long talk with the meter: the next word is due in a second. */
  get busy(): boolean {
    return this.#settlement.busy || this.#options.clock.nowMs() - this.#talkMs < TALK_MS;
  }

  /** What people and the bench see. */
  view(): SellingView {
    const status = this.#status;
    const { enabled } = this.#options;
    const numbers = new Set([
      ...(status?.months ?? []).map(({ month }) => month),
      ...this.#store.settlements().map(({ month }) => month),
    ]);
    return {
      enabled,
      trouble: this.#documents.fault ?? this.#mark ?? this.#trouble,
      months: [...numbers].sort((a, b) => a - b).map((month) => this.#monthView(month)),
      seen: this.#store.answeredSlots(SEEN_SLOTS),
    };
  }

  #monthView(number: number): SellingMonthView {
    const month = this.#documents.month(number);
    const wallet = this.#status?.months.find((one) => one.month === number);
    const settlement = this.#store.settlement(number);
    const states = wallet?.states ?? [];
    const of = (state: number): number => states[state] ?? 0;
    const counts = this.#store.saleCounts(number);
    const terms = month?.terms;
    const exported = this.#options.ledger.centreExports(monthFirstSlot(number), monthFirstSlot(number + 1));
    return {
      month: number,
      mode: terms?.mode === 2 ? 'm of n' : 'receipts',
      value: terms?.value ?? 0,
      creditMilliCent: terms?.creditMilliCent ?? 0,
      amount: wallet?.amount ?? terms?.amount ?? 0,
      registered: of(STATE_HELD) + of(STATE_RESERVED) + of(STATE_USED) + of(STATE_LAPSED) + of(STATE_RETURNED),
      unused: of(STATE_HELD),
      waiting: of(STATE_RESERVED),
      sold: of(STATE_USED),
      lapsed: of(STATE_LAPSED),
      shown: counts.taken,
      accepted: counts.accepted,
      receipts: this.#store.receipts(number).length,
      soldMwh: [...exported.values()].reduce((sum, mwh) => sum + mwh, 0),
      stage: settlement?.stage ?? null,
      trouble: settlement?.trouble ?? null,
      payment: settlement?.payment ?? null,
    };
  }

  // ── what comes from the meter ──

  #receive(body: Uint8Array): void {
    switch (body[0]) {
      case SELL_STATUS:
        this.#heardStatus(decodeStatus(body));
        return;
      case SELL_SALE:
        this.#sales.take(decodeSaleMessage(body));
        return;
      case SELL_DONE:
        this.#sales.done(decodeDone(body));
        return;
      case SELL_RECEIPTS:
        this.#settlement.receipts(decodeReceipts(body));
        return;
      case SELL_LIST:
        this.#settlement.list(decodeList(body));
        return;
      case SELL_RETURNS:
        this.#settlement.returns(decodeReturns(body));
        return;
      case SELL_REVEALS:
        this.#settlement.reveals(decodeReveals(body));
        return;
    }
    this.#talkMs = this.#options.clock.nowMs();
    switch (body[0]) {
      case SELL_SET_UP:
        this.#registration.setUp(decodeSetUpMessage(body));
        return;
      case SELL_CANDIDATE:
        this.#registration.candidate(decodeCandidate(body));
        return;
      case SELL_BATCH:
        this.#registration.batch(decodeBatch(body));
        return;
      case SELL_OPENED:
        this.#registration.opened(decodeOpened(body));
        return;
      default:
        throw new Error(`selling: type ${body[0]} is none`);
    }
  }

  #heardStatus(status: SellingStatus): void {
    this.#status = status;
    this.#store.keepStatus(status);
    const { sessions } = this.#options;
    sessions.setAlarm(SESSION_SELLING, status.alarm === ALARM_NONE ? null : (ALARMS[status.alarm] ?? 'selling'));
    this.#tellTerms(status);
  }

  /** What the meter has to know: of the months that it has, and of one that it can register for now. */
  #tellTerms(status: SellingStatus): void {
    const { enabled, clock, sessions } = this.#options;
    const documents = this.#documents;
    const slot = slotOf(clock.nowMs());
    const wants = (status.flags & STATUS_WANTS_TERMS) !== 0;
    const known = new Set(status.months.map(({ month }) => month));
    let told = false;
    for (const number of documents.months) {
      const month = documents.month(number);
      if (!month) continue;
      const terms = documents.message(month);
      const opens = enabled && !known.has(number) && slot >= terms.opensSlot && slot < terms.closesSlot;
      if (!opens && !(wants && known.has(number))) continue;
      sessions.tell(SESSION_SELLING, encodeTermsMessage(terms));
      told = true;
    }
    if (!enabled)
      sessions.tell(
        SESSION_SELLING,
        encodeWeightsMessage({ number: 0, firstSlot: 0, weights: new Uint16Array(SLOTS_OF_WEIGHTS) }),
      );
    else if (told || this.#weightsTold !== documents.weights.length)
      for (const { number, firstSlot, weights } of documents.weights.slice(-WEIGHTS_TOLD))
        sessions.tell(SESSION_SELLING, encodeWeightsMessage({ number, firstSlot, weights: Uint16Array.from(weights) }));
    this.#weightsTold = documents.weights.length;
  }
  #weightsTold = 0;

  // ── what comes from the control centre ──

  #heard(list: HeardList): void {
    this.#sales.heard(list);
    try {
      const accepted = this.#documents.openList(list.notice);
      if (!accepted) return;
      // ours may be older than the one that it names: fetched first, judged then
      if (this.#documents.knows(accepted.keysetDigest)) this.#mark = null;
      else {
        this.#doubted = accepted;
        this.#fetchedSlot = 0;
      }
    } catch (error) {
      this.#options.log(`selling: a list of accepted credentials: ${(error as Error).message}`);
    }
  }
  /** A list that has just come names the keyset that everybody is told. Of an older one we may have missed it. */
  #judge(): void {
    const doubted = this.#doubted;
    this.#doubted = null;
    if (!doubted || this.#documents.knows(doubted.keysetDigest) || doubted.epoch + RECENT_SLOTS < this.#slot) return;
    this.#mark = 'the control centre tells others of other keys than us: this household may be marked';
    this.#options.log(`selling: ${this.#mark}`);
  }

  #fetch(): void {
    this.#fetching = true;
    this.#work('what the control centre has published', async () => {
      try {
        await this.#documents.fetch(this.#options.call);
        this.#fetchedSlot = this.#slot;
        this.#judge();
        this.#failures = 0;
        if (this.#status) this.#tellTerms(this.#status);
      } catch (error) {
        this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
        throw error;
      } finally {
        this.#fetching = false;
      }
    });
  }

  async #exports(month: number): Promise<CommittedExports | null> {
    const { ledger, sinceSlot, identity } = this.#options;
    const [first, end] = [monthFirstSlot(month), monthFirstSlot(month + 1)];
    const since = sinceSlot();
    const identified = identity(CENTRE_PARTY);
    if (since === null || !identified || ledger.finalSlot < end - 1) return null;
    const exports = { month, sinceSlot: since, exportMwh: ledger.centreExports(first, end) };
    const weights = this.#documents.weights;
    return commitExports(exports, { secret: this.#store.secret(), weights, identity: identified });
  }

  #work(name: string, run: () => Promise<void>): void {
    const work = run()
      .then(
        () => {
          if (this.#trouble?.startsWith(`${name}: `)) this.#trouble = null;
        },
        (error: Error) => {
          const trouble = `${name}: ${error.message}`;
          if (trouble !== this.#trouble) this.#options.log(`selling: ${trouble}`);
          this.#trouble = trouble;
        },
      )
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
  }
}
