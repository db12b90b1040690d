/**
 * The meter's half of selling with anonymous credentials (selling-power-back.txt; protocol/selling/messages.ts tells the whole flow,
 * protocol/wire/selling-session.ts what is said to the gateway). (Espruino dialect; everything it needs is passed in)
 *
 *   Tasks          one long computation at a time, beside metering          selling-tasks.ts
 *   Registration   set-up, candidates, signatures                           selling-registration.ts
 *   Sales          a slot's export → credentials → SALE → ANSWER → receipt   selling-sales.ts
 *   Settlement     receipts, or L4 and what opens it; what was never shown  selling-settlement.ts
 *
 * Whether there is anything to sell on is the customer's choice at the gateway: without TERMS in this start nothing is registered or
 * sold. A month's terms are taken once. The meter cannot check who signed them; it knows the keys by their ids, which say what each
 * is for, and the centre's signatures by the keys. What the gateway could do by lying is keep its own household from selling.
 */

import { CREDENTIAL_KEY, centreKeyId, RECEIPT_KEY, SEALING_KEY } from '../../protocol/selling/keys.ts';
import { MODE_M_OF_N, MODE_RECEIPTS } from '../../protocol/selling/messages.ts';
import { equalBytes } from '../../protocol/selling/natives.ts';
import type { MonthStatus, TermsMessage } from '../../protocol/wire/selling-session.ts';
import {
  ALARM_TERMS,
  decodeAnswerMessage,
  decodeCollect,
  decodeOpen,
  decodeReveal,
  decodeSettled,
  decodeSetUpDone,
  decodeSigned,
  decodeTaken,
  decodeTermsMessage,
  decodeWeightsMessage,
  encodeStatus,
  SELL_ANSWER,
  SELL_COLLECT,
  SELL_OPEN,
  SELL_REVEAL,
  SELL_SET_UP_DONE,
  SELL_SETTLED,
  SELL_SIGNED,
  SELL_TAKEN,
  SELL_TERMS,
  SELL_WEIGHTS,
  STATUS_IS_SET_UP,
  STATUS_WANTS_TERMS,
} from '../../protocol/wire/selling-session.ts';
import { SESSION_SELLING } from '../../protocol/wire/sessions.ts';
import type { WalletMonth } from '../wallet/credentials.ts';
import { AMOUNT_MOST } from '../wallet/credentials.ts';
import type { Session } from './hub.ts';
import { SellingRegistration } from './selling-registration.ts';
import { SellingSales } from './selling-sales.ts';
import { SellingSettlement } from './selling-settlement.ts';
import type { SellingParts } from './selling-tasks.ts';
import { Tasks } from './selling-tasks.ts';

const SLOT_MS = 900000;
/** Messages that wait for the task under way: a page of signatures and some answers. */
const WAITING_MOST = 24;
const STATUS_EVERY_MS = 900000;
/** Months in the wallet: one in registration, one in sale, two in settlement. */
const MONTHS_MOST = 4;
/** Microcredits of it are exact in a double, whatever is carried. */
const VALUE_MOST = 1000000;

export class SellingSession implements Session {
  id = SESSION_SELLING;
  parts: SellingParts;
  tasks: Tasks;
  registration: SellingRegistration;
  sales: SellingSales;
  settlement: SellingSettlement;
  waiting: Uint8Array[] = [];
  /** The present slot; 0: not known. */
  slot = 0;
  loaded = false;
  wantsTerms = true;
  /** A slot has ended, or there is more to know about those that have. */
  sellNow = true;
  statusAtMs = 0;
  /** Messages that were none. */
  refused = 0;

  constructor(parts: SellingParts) {
    this.parts = parts;
    this.tasks = new Tasks(parts);
    this.registration = new SellingRegistration(this.tasks);
    this.sales = new SellingSales(this.tasks);
    this.settlement = new SellingSettlement(this.tasks);
    this.tasks.next = () => this.next();
  }

  record(): void {
    this.sellNow = true;
    this.statusAtMs = 0;
  }

  receive(body: Uint8Array): void {
    const type = body[0];
    if (!this.loaded) return; // it is said again
    if (type === SELL_SIGNED || type === SELL_ANSWER || type === SELL_OPEN) {
      if (this.waiting.length < WAITING_MOST) this.waiting.push(body);
      if (!this.tasks.busy) this.next();
      return;
    }
    try {
      this.take(type, body);
    } catch (error) {
      this.refused++;
      this.parts.complain('selling: ' + error);
    }
  }
  take(type: number, body: Uint8Array): void {
    if (type === SELL_TERMS) this.takeTerms(decodeTermsMessage(body));
    else if (type === SELL_WEIGHTS) {
      this.sales.addWeights(decodeWeightsMessage(body));
      this.sellNow = true;
    } else if (type === SELL_SET_UP_DONE) this.registration.setUpDone(decodeSetUpDone(body));
    else if (type === SELL_TAKEN) this.sales.taken(decodeTaken(body));
    else if (type === SELL_COLLECT) this.settlement.collect(decodeCollect(body), this.slot);
    else if (type === SELL_REVEAL) this.settlement.reveal(decodeReveal(body));
    else if (type === SELL_SETTLED) {
      this.settlement.settled(decodeSettled(body));
      this.statusAtMs = 0;
    } else this.refused++;
  }

  tick(unixMs: number, uptimeMs: number): void {
    if (!this.loaded) {
      this.loaded = this.parts.credentials.load();
      if (this.loaded) this.sales.open();
      return;
    }
    this.slot = Math.floor(unixMs / SLOT_MS);
    this.tasks.tick(uptimeMs);
    if (uptimeMs >= this.statusAtMs && this.parts.say(this.status())) this.statusAtMs = uptimeMs + STATUS_EVERY_MS;
    if (this.slot === 0) return;
    if (this.sellNow) {
      this.sellNow = false;
      this.tasks.aside(() => {
        this.sellNow = this.sales.sell();
      });
    }
    this.sales.fetch(this.slot);
    if (!this.tasks.busy) this.next();
  }

  /** Begins the next task: what came in, then sales that are due, then registration. */
  next(): void {
    if (this.tasks.busy || this.slot === 0) return;
    const body = this.waiting.shift();
    this.tasks.guarded(() => {
      if (body) this.takeTask(body);
      else if (!this.sales.begin()) this.registration.begin(this.slot);
    });
  }
  takeTask(body: Uint8Array): void {
    try {
      if (body[0] === SELL_SIGNED) this.registration.take(decodeSigned(body));
      else if (body[0] === SELL_OPEN) this.registration.open(decodeOpen(body));
      else this.sales.answer(decodeAnswerMessage(body));
    } catch (error) {
      this.refused++;
      throw error;
    }
  }

  // ── terms ──

  takeTerms(terms: TermsMessage): void {
    const credentials = this.parts.credentials;
    const known = credentials.month(terms.month);
    const keyIds = [
      this.keyId(CREDENTIAL_KEY, terms.value, terms.month, terms.credentialKey),
      this.keyId(RECEIPT_KEY, terms.value, terms.month, terms.receiptKey),
      this.keyId(SEALING_KEY, 0, terms.month, terms.sealingKey),
    ];
    if (known) {
      if (known.terms) return;
      if (!isSame(known, terms, keyIds)) {
        this.tasks.warn(ALARM_TERMS);
        return;
      }
      known.terms = terms;
    } else {
      // who was not there in time has nothing to sell in this month
      if (this.slot === 0 || this.slot < terms.opensSlot || this.slot >= terms.closesSlot) return;
      if (!makesSense(terms) || credentials.months.length >= MONTHS_MOST) {
        this.tasks.warn(ALARM_TERMS);
        return;
      }
      credentials.addMonth(terms, keyIds, this.parts.random(32));
    }
    this.wantsTerms = false;
    for (const month of credentials.months) if (!month.terms) this.wantsTerms = true;
    this.sellNow = true;
    if (!this.tasks.busy) this.next();
  }
  keyId(purpose: string, value: number, month: number, modulus: Uint8Array): Uint8Array {
    return centreKeyId(this.parts.natives, purpose, value, month, modulus);
  }

  // ── status ──

  status(): Uint8Array {
    const credentials = this.parts.credentials;
    const tasks = this.tasks;
    const months: MonthStatus[] = [];
    for (const month of credentials.months) {
      months.push({ month: month.month, phase: month.phase, amount: month.amount, states: month.counts });
    }
    const shared = credentials.shared;
    return encodeStatus({
      flags: (shared && shared.done ? STATUS_IS_SET_UP : 0) + (this.wantsTerms ? STATUS_WANTS_TERMS : 0),
      alarm: tasks.alarm,
      alarms: tasks.alarms,
      carriedMicrocredits: credentials.carriedMicrocredits,
      months: months,
    });
  }
}

function makesSense(terms: TermsMessage): boolean {
  return (
    (terms.mode === MODE_RECEIPTS || terms.mode === MODE_M_OF_N) &&
    terms.value >= 1 &&
    terms.value <= VALUE_MOST &&
    terms.amount >= 1 &&
    terms.amount <= AMOUNT_MOST &&
    terms.candidatesEach >= 1 &&
    terms.candidatesEach <= 32 &&
    terms.perSale >= 1 &&
    terms.perSale <= 16 &&
    terms.windowSlots >= 1 &&
    terms.firstSlot < terms.endSlot
  );
}
function isSame(known: WalletMonth, terms: TermsMessage, keyIds: Uint8Array[]): boolean {
  return (
    known.mode === terms.mode &&
    known.value === terms.value &&
    known.amount === terms.amount &&
    known.candidatesEach === terms.candidatesEach &&
    known.perSale === terms.perSale &&
    known.windowSlots === terms.windowSlots &&
    known.firstSlot === terms.firstSlot &&
    known.endSlot === terms.endSlot &&
    equalBytes(known.credentialKeyId, keyIds[0]) &&
    equalBytes(known.receiptKeyId, keyIds[1]) &&
    equalBytes(known.sealingKeyId, keyIds[2])
  );
}
