/**
 * What meter and gateway say to each other about selling, over the session SELLING. (Espruino dialect: the firmware imports this
 * file) protocol/selling/messages.ts tells the whole flow; the gateway carries it to the control centre, and helps with inverses.
 *
 *   Meter                              Gateway
 *   STATUS              ──►            what there is in the wallet; asks for what it has to know
 *                       ◄──  TERMS …   a month's terms and keys; the meter knows keys by their ids and takes no others later
 *                       ◄──  WEIGHTS … R of each slot of a day
 *   SET_UP              ──►  ◄── SET_UP_DONE
 *   CANDIDATE … BATCH   ──►            c candidates for each credential, with what to invert where c is 1; the tag ends the batch
 *                       ◄──  OPEN      c > 1: which candidate stays closed      OPENED … ──►
 *                       ◄──  SIGNED …  for each credential BID, blind signature, inverse
 *   SALE                ──►  ◄── TAKEN   ◄── ANSWER, until   DONE ──►
 *                       ◄──  COLLECT   RECEIPTS, LIST or RETURNS ──►   a page at a time, after the month
 *                       ◄──  REVEAL    REVEALS ──►
 *                       ◄──  SETTLED   the month is paid: the meter forgets it
 *
 *   meter → gateway, each with its type before it; integers big-endian, L the length of the moduli
 *   STATUS     01  flags u8 · alarm u8 · alarms u32 · carried u32 × 2 (high, low) · n u8 ·
 *                  (month u32 · phase u8 · amount u32 · states: u32 × 6, from HELD on … (STATE_…)) × n
 *   SET_UP     02  sealed
 *   CANDIDATE  03  month u32 · index u32 · c u8 · L/8 u8 · blinded L × c · question L where c = 1
 *   BATCH      04  month u32 · first u32 · count u8 · tag 32
 *   OPENED     05  month u32 · index u32 · n u8 · L/8 u8 · question L · seed 32 × n
 *   SALE       06  number u32 · month u32 · n u8 · L/8 u8 · saleId 32 · question L × n · sealed
 *   DONE       07  number u32 · code u8
 *   RECEIPTS   08  month u32 · from u32 · next u32 · n u8 · L/8 u8 · (RID 32 · signature L) × n
 *   LIST       09  month u32 · from u32 · next u32 · n u8 · commitment 32 × n · at the end: count u32 · lapsed u32 · digest 32 · tag 32
 *   REVEALS    0a  month u32 · n u8 · (place u32 · BID 16 · seed 32 · salt 32) × n
 *   RETURNS    0b  month u32 · from u32 · next u32 · n u8 · (BID 16 · seed 32) × n
 *
 *   gateway → meter
 *   TERMS      81  month u32 · mode u8 · value u32 · amount u32 · c u8 · k u8 · D u16 · firstSlot, endSlot u32 of the month ·
 *                  opensSlot, closesSlot u32 of registration · L/8 u8 · moduli L × 3: credentials, receipts, sealing
 *   WEIGHTS    82  number u32 · firstSlot u32 · R u16 × 96                      number 0: nothing is sold from now on
 *   SET_UP_DONE 83 done u8: 1, or 0 where the centre knows this meter no more
 *   SIGNED     84  month u32 · index u32 · BID 16 · L/8 u8 · blind signature L · inverse L
 *   OPEN       85  month u32 · first u32 · count u8 · keep u8 × count
 *   TAKEN      86  number u32
 *   ANSWER     87  number u32 · saleId 32 · n u8 · L/8 u8 · inverse L × n · answer
 *   COLLECT    88  month u32 · what u8 · from u32
 *   REVEAL     89  month u32 · n u8 · place u32 × n
 *   SETTLED    8a  month u32
 *
 * Everything may be said again, and is until it is answered. Whoever decodes throws an Error that names the field.
 */
export const SELL_STATUS = 0x01;
export const SELL_SET_UP = 0x02;
export const SELL_CANDIDATE = 0x03;
export const SELL_BATCH = 0x04;
export const SELL_OPENED = 0x05;
export const SELL_SALE = 0x06;
export const SELL_DONE = 0x07;
export const SELL_RECEIPTS = 0x08;
export const SELL_LIST = 0x09;
export const SELL_REVEALS = 0x0a;
export const SELL_RETURNS = 0x0b;
export const SELL_TERMS = 0x81;
export const SELL_WEIGHTS = 0x82;
export const SELL_SET_UP_DONE = 0x83;
export const SELL_SIGNED = 0x84;
export const SELL_OPEN = 0x85;
export const SELL_TAKEN = 0x86;
export const SELL_ANSWER = 0x87;
export const SELL_COLLECT = 0x88;
export const SELL_REVEAL = 0x89;
export const SELL_SETTLED = 0x8a;

/** Flags of STATUS. */
export const STATUS_IS_SET_UP = 1;
export const STATUS_WANTS_TERMS = 2;

/** What is wrong, for a person to look at. */
export const ALARM_NONE = 0;
/** An inverse was none. */
export const ALARM_HELPER = 1;
/** What came back from the centre is no signature of what was asked for. */
export const ALARM_SIGNATURE = 2;
/** An answer to a sale that the centre did not make. */
export const ALARM_ANSWER = 3;
/** A sealed value that the gateway should have is not there. */
export const ALARM_LOST = 4;
/** Terms or keys of a month are others than before. */
export const ALARM_TERMS = 5;
/** No room in the vault, or it threw. */
export const ALARM_VAULT = 6;
/** Candidates were to be opened otherwise than before. */
export const ALARM_OPEN = 7;

/** States of a credential in the wallet. */
export const STATE_NONE = 0;
/** c > 1: which candidate stays closed is settled. */
export const STATE_OPENED = 1;
export const STATE_HELD = 2;
/** In a sale that has no answer yet. */
export const STATE_RESERVED = 3;
/** Sold: its receipt is there, or L3 has it. */
export const STATE_USED = 4;
/** Shown and refused. */
export const STATE_LAPSED = 5;
export const STATE_RETURNED = 6;
export const STATES = 7;

/** Phases of a month in the wallet. */
export const MONTH_OPEN = 0;
/** Nothing of it is shown to anybody any more but under the customer's name. */
export const MONTH_CLOSED = 1;

/** What COLLECT asks for. */
export const COLLECT_RECEIPTS = 1;
export const COLLECT_LIST = 2;
export const COLLECT_RETURNS = 3;
/** `next` of the last page. */
export const COLLECT_END = 4294967295;
/** On a page. */
export const PAGE_MOST = 8;

export const SLOTS_OF_WEIGHTS = 96;
const ID = 32;
const BID = 16;
/** Of one number. */
const LENGTH_MOST = 512;
const LENGTH_LEAST = 256;

/** Writes what a message has, one after the other. */
class Writer {
  parts: Uint8Array[] = [];
  size = 0;

  constructor(type: number) {
    this.u8(type);
  }
  bytes(bytes: Uint8Array): Writer {
    this.parts.push(bytes);
    this.size += bytes.length;
    return this;
  }
  u8(value: number): Writer {
    return this.bytes(new Uint8Array([value]));
  }
  u16(value: number): Writer {
    return this.bytes(new Uint8Array([value >> 8, value & 255]));
  }
  u32(value: number): Writer {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, false);
    return this.bytes(bytes);
  }
  all(list: Uint8Array[]): Writer {
    for (const one of list) this.bytes(one);
    return this;
  }
  finish(): Uint8Array {
    const body = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.parts) {
      body.set(part, at);
      at += part.length;
    }
    return body;
  }
}

class Reader {
  path: string;
  body: Uint8Array;
  view: DataView;
  at = 1;

  constructor(path: string, type: number, body: Uint8Array) {
    this.path = path;
    this.body = body;
    this.view = new DataView(body.buffer, body.byteOffset, body.length);
    if (body.length < 1 || body[0] !== type) throw new Error(path + ' is none');
  }
  take(field: string, length: number): number {
    const from = this.at;
    if (from + length > this.body.length) throw new Error(this.path + '.' + field + ' is cut off');
    this.at = from + length;
    return from;
  }
  u8(field: string): number {
    return this.view.getUint8(this.take(field, 1));
  }
  u16(field: string): number {
    return this.view.getUint16(this.take(field, 2), false);
  }
  u32(field: string): number {
    return this.view.getUint32(this.take(field, 4), false);
  }
  bytes(field: string, length: number): Uint8Array {
    const from = this.take(field, length);
    const bytes = new Uint8Array(length);
    bytes.set(this.body.subarray(from, from + length), 0);
    return bytes;
  }
  many(field: string, count: number, length: number): Uint8Array[] {
    const list: Uint8Array[] = [];
    for (let i = 0; i < count; i++) list.push(this.bytes(field, length));
    return list;
  }
  /** Length of the moduli. */
  words(): number {
    const length = 8 * this.u8('words');
    if (length < LENGTH_LEAST || length > LENGTH_MOST) throw new Error(this.path + '.words: ' + length + ' bytes');
    return length;
  }
  rest(field: string): Uint8Array {
    return this.bytes(field, this.body.length - this.at);
  }
  end(): void {
    if (this.at !== this.body.length) throw new Error(this.path + ' is longer than its layout');
  }
}

// ── meter → gateway ──

export interface MonthStatus {
  month: number;
  phase: number;
  amount: number;
  /** How many credentials are in each state, by STATE_…; of NONE and OPENED nothing is told, they are 0. */
  states: number[];
}
export interface SellingStatus {
  flags: number;
  alarm: number;
  /** How often something was refused since the start. */
  alarms: number;
  carriedMicrocredits: number;
  months: MonthStatus[];
}
const U32 = 4294967296;

export function encodeStatus(status: SellingStatus): Uint8Array {
  const carried = status.carriedMicrocredits;
  const writer = new Writer(SELL_STATUS).u8(status.flags).u8(status.alarm).u32(status.alarms);
  writer.u32(Math.floor(carried / U32)).u32(carried % U32);
  writer.u8(status.months.length);
  for (const month of status.months) {
    writer.u32(month.month).u8(month.phase).u32(month.amount);
    for (let state = STATE_HELD; state < STATES; state++) writer.u32(month.states[state]);
  }
  return writer.finish();
}
export function decodeStatus(body: Uint8Array): SellingStatus {
  const reader = new Reader('STATUS', SELL_STATUS, body);
  const status: SellingStatus = {
    flags: reader.u8('flags'),
    alarm: reader.u8('alarm'),
    alarms: reader.u32('alarms'),
    carriedMicrocredits: reader.u32('carried') * U32 + reader.u32('carried'),
    months: [],
  };
  const count = reader.u8('months');
  for (let i = 0; i < count; i++) {
    const month: MonthStatus = {
      month: reader.u32('month'),
      phase: reader.u8('phase'),
      amount: reader.u32('amount'),
      states: [0, 0],
    };
    for (let state = STATE_HELD; state < STATES; state++) month.states.push(reader.u32('states'));
    status.months.push(month);
  }
  reader.end();
  return status;
}

export function encodeSetUpMessage(sealed: Uint8Array): Uint8Array {
  return new Writer(SELL_SET_UP).bytes(sealed).finish();
}
export function decodeSetUpMessage(body: Uint8Array): Uint8Array {
  return new Reader('SET_UP', SELL_SET_UP, body).rest('sealed');
}

export interface CandidateMessage {
  month: number;
  index: number;
  /** c of them. */
  blinded: Uint8Array[];
  /** Where c is 1. */
  question: Uint8Array | null;
}
export function encodeCandidate(message: CandidateMessage): Uint8Array {
  const blinded = message.blinded;
  const writer = new Writer(SELL_CANDIDATE).u32(message.month).u32(message.index);
  writer.u8(blinded.length).u8(blinded[0].length >> 3);
  writer.all(blinded);
  if (message.question) writer.bytes(message.question);
  return writer.finish();
}
export function decodeCandidate(body: Uint8Array): CandidateMessage {
  const reader = new Reader('CANDIDATE', SELL_CANDIDATE, body);
  const month = reader.u32('month');
  const index = reader.u32('index');
  const count = reader.u8('count');
  const length = reader.words();
  if (count < 1) throw new Error('CANDIDATE.count: 0');
  const blinded = reader.many('blinded', count, length);
  const question = count === 1 ? reader.bytes('question', length) : null;
  reader.end();
  return { month: month, index: index, blinded: blinded, question: question };
}

export interface BatchMessage {
  month: number;
  first: number;
  count: number;
  tag: Uint8Array;
}
export function encodeBatch(message: BatchMessage): Uint8Array {
  return new Writer(SELL_BATCH).u32(message.month).u32(message.first).u8(message.count).bytes(message.tag).finish();
}
export function decodeBatch(body: Uint8Array): BatchMessage {
  const reader = new Reader('BATCH', SELL_BATCH, body);
  const message = {
    month: reader.u32('month'),
    first: reader.u32('first'),
    count: reader.u8('count'),
    tag: reader.bytes('tag', ID),
  };
  reader.end();
  return message;
}

export interface OpenedMessage {
  month: number;
  index: number;
  question: Uint8Array;
  /** Of the candidates that do not stay closed, in their order. */
  seeds: Uint8Array[];
}
export function encodeOpened(message: OpenedMessage): Uint8Array {
  const writer = new Writer(SELL_OPENED).u32(message.month).u32(message.index);
  writer.u8(message.seeds.length).u8(message.question.length >> 3);
  writer.bytes(message.question);
  return writer.all(message.seeds).finish();
}
export function decodeOpened(body: Uint8Array): OpenedMessage {
  const reader = new Reader('OPENED', SELL_OPENED, body);
  const month = reader.u32('month');
  const index = reader.u32('index');
  const count = reader.u8('count');
  const question = reader.bytes('question', reader.words());
  const seeds = reader.many('seeds', count, ID);
  reader.end();
  return { month: month, index: index, question: question, seeds: seeds };
}

export interface SaleMessage {
  /** The meter's. */
  number: number;
  month: number;
  /** 32 B: what the ANSWER is given back with; of the sale itself it tells nothing. */
  saleId: Uint8Array;
  /** Of the receipts. */
  questions: Uint8Array[];
  sealed: Uint8Array;
}
export function encodeSaleMessage(message: SaleMessage, keyBytes: number): Uint8Array {
  const writer = new Writer(SELL_SALE).u32(message.number).u32(message.month);
  writer.u8(message.questions.length).u8(keyBytes >> 3);
  writer.bytes(message.saleId);
  return writer.all(message.questions).bytes(message.sealed).finish();
}
export function decodeSaleMessage(body: Uint8Array): SaleMessage {
  const reader = new Reader('SALE', SELL_SALE, body);
  const number = reader.u32('number');
  const month = reader.u32('month');
  const count = reader.u8('questions');
  const length = reader.words();
  const saleId = reader.bytes('saleId', ID);
  const questions = reader.many('questions', count, length);
  return { number: number, month: month, saleId: saleId, questions: questions, sealed: reader.rest('sealed') };
}

export interface DoneMessage {
  number: number;
  /** As in the ANSWER; DONE_BEFORE where the meter knows of no such sale any more. */
  code: number;
}
export const DONE_BEFORE = 255;
export function encodeDone(message: DoneMessage): Uint8Array {
  return new Writer(SELL_DONE).u32(message.number).u8(message.code).finish();
}
export function decodeDone(body: Uint8Array): DoneMessage {
  const reader = new Reader('DONE', SELL_DONE, body);
  const message = { number: reader.u32('number'), code: reader.u8('code') };
  reader.end();
  return message;
}

export interface Page {
  month: number;
  from: number;
  /** Where the next page begins, or COLLECT_END. */
  next: number;
}
export interface ReceiptsPage extends Page {
  receipts: { id: Uint8Array; signature: Uint8Array }[];
}
export function encodeReceipts(page: ReceiptsPage, keyBytes: number): Uint8Array {
  const writer = new Writer(SELL_RECEIPTS).u32(page.month).u32(page.from).u32(page.next);
  writer.u8(page.receipts.length).u8(keyBytes >> 3);
  for (const receipt of page.receipts) writer.bytes(receipt.id).bytes(receipt.signature);
  return writer.finish();
}
export function decodeReceipts(body: Uint8Array): ReceiptsPage {
  const reader = new Reader('RECEIPTS', SELL_RECEIPTS, body);
  const page: ReceiptsPage = {
    month: reader.u32('month'),
    from: reader.u32('from'),
    next: reader.u32('next'),
    receipts: [],
  };
  const count = reader.u8('count');
  const length = reader.words();
  for (let i = 0; i < count; i++)
    page.receipts.push({ id: reader.bytes('id', ID), signature: reader.bytes('signature', length) });
  reader.end();
  return page;
}

export interface ListPage extends Page {
  commitments: Uint8Array[];
  /** Of the whole list; with the last page. */
  whole: { count: number; lapsed: number; digest: Uint8Array; tag: Uint8Array } | null;
}
export function encodeList(page: ListPage): Uint8Array {
  const writer = new Writer(SELL_LIST).u32(page.month).u32(page.from).u32(page.next);
  writer.u8(page.commitments.length).all(page.commitments);
  const whole = page.whole;
  if (whole) writer.u32(whole.count).u32(whole.lapsed).bytes(whole.digest).bytes(whole.tag);
  return writer.finish();
}
export function decodeList(body: Uint8Array): ListPage {
  const reader = new Reader('LIST', SELL_LIST, body);
  const month = reader.u32('month');
  const from = reader.u32('from');
  const next = reader.u32('next');
  const commitments = reader.many('commitments', reader.u8('count'), ID);
  let whole = null;
  if (next === COLLECT_END)
    whole = {
      count: reader.u32('count'),
      lapsed: reader.u32('lapsed'),
      digest: reader.bytes('digest', ID),
      tag: reader.bytes('tag', ID),
    };
  reader.end();
  return { month: month, from: from, next: next, commitments: commitments, whole: whole };
}

export interface RevealedCredential {
  place: number;
  bid: Uint8Array;
  seed: Uint8Array;
  salt: Uint8Array;
}
export interface RevealsMessage {
  month: number;
  reveals: RevealedCredential[];
}
export function encodeReveals(message: RevealsMessage): Uint8Array {
  const writer = new Writer(SELL_REVEALS).u32(message.month).u8(message.reveals.length);
  for (const one of message.reveals) writer.u32(one.place).bytes(one.bid).bytes(one.seed).bytes(one.salt);
  return writer.finish();
}
export function decodeReveals(body: Uint8Array): RevealsMessage {
  const reader = new Reader('REVEALS', SELL_REVEALS, body);
  const message: RevealsMessage = { month: reader.u32('month'), reveals: [] };
  const count = reader.u8('count');
  for (let i = 0; i < count; i++)
    message.reveals.push({
      place: reader.u32('place'),
      bid: reader.bytes('bid', BID),
      seed: reader.bytes('seed', ID),
      salt: reader.bytes('salt', ID),
    });
  reader.end();
  return message;
}

export interface ReturnsPage extends Page {
  unused: { bid: Uint8Array; seed: Uint8Array }[];
}
export function encodeReturns(page: ReturnsPage): Uint8Array {
  const writer = new Writer(SELL_RETURNS).u32(page.month).u32(page.from).u32(page.next).u8(page.unused.length);
  for (const one of page.unused) writer.bytes(one.bid).bytes(one.seed);
  return writer.finish();
}
export function decodeReturns(body: Uint8Array): ReturnsPage {
  const reader = new Reader('RETURNS', SELL_RETURNS, body);
  const page: ReturnsPage = {
    month: reader.u32('month'),
    from: reader.u32('from'),
    next: reader.u32('next'),
    unused: [],
  };
  const count = reader.u8('count');
  for (let i = 0; i < count; i++) page.unused.push({ bid: reader.bytes('bid', BID), seed: reader.bytes('seed', ID) });
  reader.end();
  return page;
}

// ── gateway → meter ──

export interface TermsMessage {
  month: number;
  mode: number;
  value: number;
  amount: number;
  candidatesEach: number;
  perSale: number;
  windowSlots: number;
  /** Of the month: the first, and the first after it. */
  firstSlot: number;
  endSlot: number;
  /** Registration: from the first on, and not any more from the second on; then credentials may be shown. */
  opensSlot: number;
  closesSlot: number;
  /** All of one length. */
  credentialKey: Uint8Array;
  receiptKey: Uint8Array;
  sealingKey: Uint8Array;
}
export function encodeTermsMessage(terms: TermsMessage): Uint8Array {
  return new Writer(SELL_TERMS)
    .u32(terms.month)
    .u8(terms.mode)
    .u32(terms.value)
    .u32(terms.amount)
    .u8(terms.candidatesEach)
    .u8(terms.perSale)
    .u16(terms.windowSlots)
    .u32(terms.firstSlot)
    .u32(terms.endSlot)
    .u32(terms.opensSlot)
    .u32(terms.closesSlot)
    .u8(terms.credentialKey.length >> 3)
    .bytes(terms.credentialKey)
    .bytes(terms.receiptKey)
    .bytes(terms.sealingKey)
    .finish();
}
export function decodeTermsMessage(body: Uint8Array): TermsMessage {
  const reader = new Reader('TERMS', SELL_TERMS, body);
  const terms = {
    month: reader.u32('month'),
    mode: reader.u8('mode'),
    value: reader.u32('value'),
    amount: reader.u32('amount'),
    candidatesEach: reader.u8('candidatesEach'),
    perSale: reader.u8('perSale'),
    windowSlots: reader.u16('windowSlots'),
    firstSlot: reader.u32('firstSlot'),
    endSlot: reader.u32('endSlot'),
    opensSlot: reader.u32('opensSlot'),
    closesSlot: reader.u32('closesSlot'),
  };
  const length = reader.words();
  const keys = reader.many('moduli', 3, length);
  reader.end();
  return {
    month: terms.month,
    mode: terms.mode,
    value: terms.value,
    amount: terms.amount,
    candidatesEach: terms.candidatesEach,
    perSale: terms.perSale,
    windowSlots: terms.windowSlots,
    firstSlot: terms.firstSlot,
    endSlot: terms.endSlot,
    opensSlot: terms.opensSlot,
    closesSlot: terms.closesSlot,
    credentialKey: keys[0],
    receiptKey: keys[1],
    sealingKey: keys[2],
  };
}

export interface WeightsMessage {
  number: number;
  firstSlot: number;
  /** R of each slot of a day, credits per kWh. */
  weights: Uint16Array;
}
export function encodeWeightsMessage(message: WeightsMessage): Uint8Array {
  const writer = new Writer(SELL_WEIGHTS).u32(message.number).u32(message.firstSlot);
  for (let i = 0; i < SLOTS_OF_WEIGHTS; i++) writer.u16(message.weights[i]);
  return writer.finish();
}
export function decodeWeightsMessage(body: Uint8Array): WeightsMessage {
  const reader = new Reader('WEIGHTS', SELL_WEIGHTS, body);
  const number = reader.u32('number');
  const firstSlot = reader.u32('firstSlot');
  const weights = new Uint16Array(SLOTS_OF_WEIGHTS);
  for (let i = 0; i < SLOTS_OF_WEIGHTS; i++) weights[i] = reader.u16('weights');
  reader.end();
  return { number: number, firstSlot: firstSlot, weights: weights };
}

export function encodeSetUpDone(done: boolean): Uint8Array {
  return new Writer(SELL_SET_UP_DONE).u8(done ? 1 : 0).finish();
}
export function decodeSetUpDone(body: Uint8Array): boolean {
  const reader = new Reader('SET_UP_DONE', SELL_SET_UP_DONE, body);
  const done = reader.u8('done') === 1;
  reader.end();
  return done;
}

export interface SignedMessage {
  month: number;
  index: number;
  bid: Uint8Array;
  blindSignature: Uint8Array;
  inverse: Uint8Array;
}
export function encodeSigned(message: SignedMessage): Uint8Array {
  const writer = new Writer(SELL_SIGNED).u32(message.month).u32(message.index).bytes(message.bid);
  writer.u8(message.blindSignature.length >> 3);
  return writer.bytes(message.blindSignature).bytes(message.inverse).finish();
}
export function decodeSigned(body: Uint8Array): SignedMessage {
  const reader = new Reader('SIGNED', SELL_SIGNED, body);
  const month = reader.u32('month');
  const index = reader.u32('index');
  const bid = reader.bytes('bid', BID);
  const length = reader.words();
  const blindSignature = reader.bytes('blindSignature', length);
  const inverse = reader.bytes('inverse', length);
  reader.end();
  return { month: month, index: index, bid: bid, blindSignature: blindSignature, inverse: inverse };
}

export interface OpenMessage {
  month: number;
  first: number;
  /** For each credential of the batch the candidate that stays closed. */
  keep: Uint8Array;
}
export function encodeOpen(message: OpenMessage): Uint8Array {
  return new Writer(SELL_OPEN)
    .u32(message.month)
    .u32(message.first)
    .u8(message.keep.length)
    .bytes(message.keep)
    .finish();
}
export function decodeOpen(body: Uint8Array): OpenMessage {
  const reader = new Reader('OPEN', SELL_OPEN, body);
  const month = reader.u32('month');
  const first = reader.u32('first');
  const keep = reader.bytes('keep', reader.u8('count'));
  reader.end();
  return { month: month, first: first, keep: keep };
}

export function encodeTaken(number: number): Uint8Array {
  return new Writer(SELL_TAKEN).u32(number).finish();
}
export function decodeTaken(body: Uint8Array): number {
  const reader = new Reader('TAKEN', SELL_TAKEN, body);
  const number = reader.u32('number');
  reader.end();
  return number;
}

export interface AnswerMessage {
  number: number;
  saleId: Uint8Array;
  inverses: Uint8Array[];
  answer: Uint8Array;
}
export function encodeAnswerMessage(message: AnswerMessage, keyBytes: number): Uint8Array {
  const writer = new Writer(SELL_ANSWER).u32(message.number).bytes(message.saleId);
  writer.u8(message.inverses.length).u8(keyBytes >> 3);
  return writer.all(message.inverses).bytes(message.answer).finish();
}
export function decodeAnswerMessage(body: Uint8Array): AnswerMessage {
  const reader = new Reader('ANSWER', SELL_ANSWER, body);
  const number = reader.u32('number');
  const saleId = reader.bytes('saleId', ID);
  const count = reader.u8('inverses');
  const length = reader.words();
  const inverses = reader.many('inverses', count, length);
  return { number: number, saleId: saleId, inverses: inverses, answer: reader.rest('answer') };
}

export interface CollectMessage {
  month: number;
  what: number;
  from: number;
}
export function encodeCollect(message: CollectMessage): Uint8Array {
  return new Writer(SELL_COLLECT).u32(message.month).u8(message.what).u32(message.from).finish();
}
export function decodeCollect(body: Uint8Array): CollectMessage {
  const reader = new Reader('COLLECT', SELL_COLLECT, body);
  const message = { month: reader.u32('month'), what: reader.u8('what'), from: reader.u32('from') };
  reader.end();
  return message;
}

export interface RevealMessage {
  month: number;
  places: number[];
}
export function encodeReveal(message: RevealMessage): Uint8Array {
  const writer = new Writer(SELL_REVEAL).u32(message.month).u8(message.places.length);
  for (const place of message.places) writer.u32(place);
  return writer.finish();
}
export function decodeReveal(body: Uint8Array): RevealMessage {
  const reader = new Reader('REVEAL', SELL_REVEAL, body);
  const message: RevealMessage = { month: reader.u32('month'), places: [] };
  const count = reader.u8('count');
  if (count > PAGE_MOST) throw new Error('REVEAL.count: ' + count);
  for (let i = 0; i < count; i++) message.places.push(reader.u32('places'));
  reader.end();
  return message;
}

export function encodeSettled(month: number): Uint8Array {
  return new Writer(SELL_SETTLED).u32(month).finish();
}
export function decodeSettled(body: Uint8Array): number {
  const reader = new Reader('SETTLED', SELL_SETTLED, body);
  const month = reader.u32('month');
  reader.end();
  return month;
}
