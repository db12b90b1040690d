/**
 * The meter's credentials, and what is under way with them, in the vault. (Espruino dialect; everything it needs is passed in)
 *
 * A credential takes one byte here: its state, and which of its c candidates stayed closed. All else about it comes from its month's
 * secret by its index (firmware/session/selling-secrets.ts), or lies with the gateway, sealed: BID and signature, later its receipt.
 *
 *   vault, SPACE_SELLING, integers big-endian
 *   id 0                              what is shared with the centre: done u8 · secretValue 32 · sk 32
 *      1                              carried u32 × 2 (high, low; microcredits) · soldUpTo u32 (slot) · nextBatch u32
 *      MONTHS + month                 phase u8 · mode u8 · c u8 · k u8 · value u32 · amount u32 · D u16 · L/8 u16 · firstSlot u32 · endSlot u32 ·
 *                                     ids of the keys for credentials, receipts, sealing 32 × 3 · secret 32
 *      SHEETS + 128 × month + n       64 credentials: state + 8 × closed candidate
 *      BATCHES + number               sales of one slot that have no answer yet: month u32 · slot u32 · weightVersion u32 · secret 32 ·
 *                                     { number in the batch u8 · due u16 (slots after `slot`) · credentials u16 × k } …
 *
 * **Each change is one commit**: a sale, its credentials, what of the slot's export it is for (ledger.ts) and what is carried on; an
 * answer, its credentials and the end of its seeds. So a credential is in at most one sale, and a sale in the vault or nowhere. The
 * secret of a batch goes with its last sale. In memory: a byte for each credential, some numbers for each batch.
 */
import { joined, word } from '../../protocol/selling/natives.ts';
import type { TermsMessage } from '../../protocol/wire/selling-session.ts';
import {
  MONTH_CLOSED,
  MONTH_OPEN,
  STATE_HELD,
  STATE_LAPSED,
  STATE_NONE,
  STATE_OPENED,
  STATE_RESERVED,
  STATE_USED,
  STATES,
} from '../../protocol/wire/selling-session.ts';
import { copyOf } from './cipher.ts';
import { SPACE_SELLING } from './spaces.ts';
import type { Vault, VaultChange } from './vault.ts';

const SHARED_ID = 0;
const STATE_ID = 1;
const MONTHS = 65536;
const SHEETS = 16777216;
const BATCHES = 67108864;
const SHEETS_A_MONTH = 128;
export const CREDENTIALS_A_SHEET = 64;
/** 64 × 128; more than five a slot, all of a month long. */
export const AMOUNT_MOST = 8192;
/** A commit holds their sheets and all that goes with them. */
export const CREDENTIALS_A_BATCH = 16;
/** Slots whose sales wait for answers. */
export const BATCHES_MOST = 192;
const MONTH_BYTES = 24 + 4 * 32;
const BATCH_HEAD_BYTES = 44;
const U32 = 4294967296;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

export interface Shared {
  /** The centre has it. */
  done: boolean;
  secretValue: Uint8Array;
  sharedKey: Uint8Array;
}

/** A month's credentials. */
export interface WalletMonth {
  month: number;
  phase: number;
  mode: number;
  candidatesEach: number;
  perSale: number;
  value: number;
  amount: number;
  windowSlots: number;
  keyBytes: number;
  firstSlot: number;
  endSlot: number;
  credentialKeyId: Uint8Array;
  receiptKeyId: Uint8Array;
  sealingKeyId: Uint8Array;
  secret: Uint8Array;
  /** State + 8 × closed candidate, of each credential. */
  credentials: Uint8Array;
  /** How many are in each state. */
  counts: number[];
  /** Sheets that are in memory. */
  loaded: number;
  /** As the gateway told them in this start; null: it has not. */
  terms: TermsMessage | null;
}

export interface Sale {
  /** In its batch. */
  number: number;
  dueSlot: number;
  /** Indices of its k credentials. */
  credentials: number[];
}
export interface Batch {
  number: number;
  month: number;
  slot: number;
  weightVersion: number;
  secret: Uint8Array;
  sales: Sale[];
}

function encodeMonth(m: WalletMonth): Uint8Array {
  const head = new Uint8Array(24);
  const view = viewOf(head);
  head[0] = m.phase;
  head[1] = m.mode;
  head[2] = m.candidatesEach;
  head[3] = m.perSale;
  view.setUint32(4, m.value, false);
  view.setUint32(8, m.amount, false);
  view.setUint16(12, m.windowSlots, false);
  view.setUint16(14, m.keyBytes >> 3, false);
  view.setUint32(16, m.firstSlot, false);
  view.setUint32(20, m.endSlot, false);
  return joined([head, m.credentialKeyId, m.receiptKeyId, m.sealingKeyId, m.secret]);
}
function decodeMonth(month: number, bytes: Uint8Array): WalletMonth {
  const view = viewOf(bytes);
  const part = (n: number) => copyOf(bytes, 24 + 32 * n, 56 + 32 * n);
  if (bytes.length !== MONTH_BYTES) throw new Error('selling: month ' + month + ' is damaged');
  return {
    month: month,
    phase: bytes[0],
    mode: bytes[1],
    candidatesEach: bytes[2],
    perSale: bytes[3],
    value: view.getUint32(4, false),
    amount: view.getUint32(8, false),
    windowSlots: view.getUint16(12, false),
    keyBytes: 8 * view.getUint16(14, false),
    firstSlot: view.getUint32(16, false),
    endSlot: view.getUint32(20, false),
    credentialKeyId: part(0),
    receiptKeyId: part(1),
    sealingKeyId: part(2),
    secret: part(3),
    credentials: new Uint8Array(view.getUint32(8, false)),
    counts: [0, 0, 0, 0, 0, 0, 0],
    loaded: 0,
    terms: null,
  };
}
const sheetsOf = (m: WalletMonth) => Math.ceil(m.amount / CREDENTIALS_A_SHEET);

function encodeBatch(batch: Batch): Uint8Array {
  const parts = [word(batch.month), word(batch.slot), word(batch.weightVersion), batch.secret];
  for (const sale of batch.sales) {
    const bytes = new Uint8Array(3 + 2 * sale.credentials.length);
    const view = viewOf(bytes);
    bytes[0] = sale.number;
    view.setUint16(1, sale.dueSlot - batch.slot, false);
    let at = 3;
    for (const index of sale.credentials) {
      view.setUint16(at, index, false);
      at += 2;
    }
    parts.push(bytes);
  }
  return joined(parts);
}

export class Credentials {
  vault: Vault;
  shared: Shared | null = null;
  carriedMicrocredits = 0;
  /** Slots up to this one are through. */
  soldUpTo = 0;
  nextBatch = 0;
  months: WalletMonth[] = [];
  /** Numbers of the batches that have sales without an answer. */
  batches: number[] = [];
  /** Months of which sheets are still to be read. */
  loading: WalletMonth[] = [];

  /** @param vault open */
  constructor(vault: Vault) {
    this.vault = vault;
    const shared = vault.get(SPACE_SELLING, SHARED_ID);
    if (shared)
      this.shared = {
        done: shared[0] === 1,
        secretValue: copyOf(shared, 1, 33),
        sharedKey: copyOf(shared, 33, 65),
      };
    const state = vault.get(SPACE_SELLING, STATE_ID);
    if (state) {
      const view = viewOf(state);
      this.carriedMicrocredits = view.getUint32(0, false) * U32 + view.getUint32(4, false);
      this.soldUpTo = view.getUint32(8, false);
      this.nextBatch = view.getUint32(12, false);
    }
    for (const id of vault.ids(SPACE_SELLING)) {
      if (id >= BATCHES) this.batches.push(id - BATCHES);
      else if (id >= MONTHS && id < SHEETS) this.loadMonth(id - MONTHS);
    }
  }
  loadMonth(month: number): void {
    const one = decodeMonth(month, this.vault.get(SPACE_SELLING, MONTHS + month)!);
    this.months.push(one);
    this.loading.push(one);
  }

  /** Reads a few sheets: whether that was all. Nothing else is to be asked before. */
  load(): boolean {
    const month = this.loading[0];
    if (!month) return true;
    const sheets = sheetsOf(month);
    for (let i = 0; i < 4 && month.loaded < sheets; i++) {
      const sheet = this.vault.get(SPACE_SELLING, this.sheetId(month, month.loaded));
      if (sheet) month.credentials.set(sheet, month.loaded * CREDENTIALS_A_SHEET);
      month.loaded++;
    }
    if (month.loaded < sheets) return false;
    this.count(month);
    this.loading.shift();
    return this.loading.length === 0;
  }
  count(month: WalletMonth): void {
    const counts = month.counts;
    for (let state = 0; state < STATES; state++) counts[state] = 0;
    for (const byte of month.credentials) counts[byte & 7]++;
  }

  month(month: number): WalletMonth | null {
    for (const one of this.months) if (one.month === month) return one;
    return null;
  }
  stateOf(month: WalletMonth, index: number): number {
    return month.credentials[index] & 7;
  }
  keptOf(month: WalletMonth, index: number): number {
    return month.credentials[index] >> 3;
  }

  // ── steps, each one commit ──

  share(secretValue: Uint8Array, sharedKey: Uint8Array): void {
    this.keepShared({ done: false, secretValue: secretValue, sharedKey: sharedKey });
  }
  setUpDone(done: boolean): void {
    const shared = this.shared;
    if (!shared || shared.done === done) return;
    this.keepShared({ done: done, secretValue: shared.secretValue, sharedKey: shared.sharedKey });
  }

  /** A month's terms, for good. */
  addMonth(terms: TermsMessage, keyIds: Uint8Array[], secret: Uint8Array): WalletMonth {
    const head = new Uint8Array(24);
    viewOf(head).setUint32(8, terms.amount, false);
    const month = decodeMonth(terms.month, joined([head, keyIds[0], keyIds[1], keyIds[2], secret]));
    month.phase = MONTH_OPEN;
    month.mode = terms.mode;
    month.candidatesEach = terms.candidatesEach;
    month.perSale = terms.perSale;
    month.value = terms.value;
    month.windowSlots = terms.windowSlots;
    month.keyBytes = terms.credentialKey.length;
    month.firstSlot = terms.firstSlot;
    month.endSlot = terms.endSlot;
    month.terms = terms;
    this.commit([this.monthChange(month)]);
    this.count(month);
    this.months.push(month);
    return month;
  }

  /** Which candidates stay closed, before the others are opened. @return false where one was settled otherwise */
  settleOpening(month: WalletMonth, first: number, keep: Uint8Array): boolean {
    for (let i = 0; i < keep.length; i++) {
      const state = this.stateOf(month, first + i);
      if (state !== STATE_NONE && this.keptOf(month, first + i) !== keep[i]) return false;
    }
    const indices: number[] = [];
    for (let i = 0; i < keep.length; i++)
      if (this.stateOf(month, first + i) === STATE_NONE) {
        indices.push(first + i);
        month.credentials[first + i] = keep[i] * 8;
      }
    this.commitWith(month, indices, STATE_OPENED, []);
    return true;
  }
  /** Signed, verified, and kept by the gateway under the meter's seal. */
  hold(month: WalletMonth, indices: number[]): void {
    this.commitWith(month, indices, STATE_HELD, []);
  }

  /**
   * The changes that a sale of a slot's export is, for the ledger to commit with its own; `sold` when it has.
   * @param batch with the credentials that it takes; null where the export makes no whole credential
   */
  sellingChanges(
    month: WalletMonth,
    batch: Batch | null,
    carriedMicrocredits: number,
    soldUpTo: number,
  ): VaultChange[] {
    const next = this.nextBatch + (batch ? 1 : 0);
    const changes = [this.stateChange(carriedMicrocredits, soldUpTo, next)];
    if (!batch) return changes;
    changes.push({ space: SPACE_SELLING, id: BATCHES + batch.number, value: encodeBatch(batch) });
    return this.withSheets(month, indicesOf(batch), STATE_RESERVED, changes);
  }
  sold(month: WalletMonth, batch: Batch | null, carriedMicrocredits: number, soldUpTo: number): void {
    this.carriedMicrocredits = carriedMicrocredits;
    this.soldUpTo = soldUpTo;
    if (!batch) return;
    this.nextBatch++;
    this.batches.push(batch.number);
    this.setStates(month, indicesOf(batch), STATE_RESERVED);
  }

  /** A sale has its answer: its credentials get their state; where they lapse, what they were for is to be sold again. */
  settleSale(month: WalletMonth, batch: Batch, sale: Sale, accepted: boolean): void {
    const sales: Sale[] = [];
    for (const one of batch.sales) if (one.number !== sale.number) sales.push(one);
    const left = {
      number: batch.number,
      month: batch.month,
      slot: batch.slot,
      weightVersion: batch.weightVersion,
      secret: batch.secret,
      sales: sales,
    };
    const changes: VaultChange[] = [
      {
        space: SPACE_SELLING,
        id: BATCHES + batch.number,
        value: sales.length > 0 ? encodeBatch(left) : null,
      },
    ];
    let carried = this.carriedMicrocredits;
    if (!accepted) {
      carried += month.value * 1000000 * sale.credentials.length;
      changes.push(this.stateChange(carried, this.soldUpTo, this.nextBatch));
    }
    this.commitWith(month, sale.credentials, accepted ? STATE_USED : STATE_LAPSED, changes);
    this.carriedMicrocredits = carried;
    if (sales.length === 0) this.batches = this.batches.filter((number) => number !== batch.number);
  }

  /** From here on nothing of the month is shown but under the customer's name. @throws Error where a sale has no answer */
  close(month: WalletMonth): void {
    if (month.counts[STATE_RESERVED] > 0) throw new Error('selling: a sale is under way');
    const before = month.phase;
    month.phase = MONTH_CLOSED;
    try {
      this.commit([this.monthChange(month)]);
    } catch (error) {
      month.phase = before;
      throw error;
    }
  }
  /** It is paid: nothing of it is left. */
  forget(month: WalletMonth): void {
    const changes: VaultChange[] = [{ space: SPACE_SELLING, id: MONTHS + month.month, value: null }];
    for (let n = 0; n < sheetsOf(month); n++)
      changes.push({ space: SPACE_SELLING, id: this.sheetId(month, n), value: null });
    this.commit(changes);
    this.months = this.months.filter((one) => one !== month);
  }
  /** What a month cannot sell any more does not go into the next one where it is more than a credential. */
  dropCarried(): void {
    this.commit([this.stateChange(0, this.soldUpTo, this.nextBatch)]);
    this.carriedMicrocredits = 0;
  }

  batch(number: number): Batch | null {
    const bytes = this.vault.get(SPACE_SELLING, BATCHES + number);
    if (!bytes) return null;
    const view = viewOf(bytes);
    const batch: Batch = {
      number: number,
      month: view.getUint32(0, false),
      slot: view.getUint32(4, false),
      weightVersion: view.getUint32(8, false),
      secret: copyOf(bytes, 12, BATCH_HEAD_BYTES),
      sales: [],
    };
    const month = this.month(batch.month);
    if (!month) return null;
    for (let at = BATCH_HEAD_BYTES; at < bytes.length; ) {
      const sale: Sale = { number: bytes[at], dueSlot: batch.slot + view.getUint16(at + 1, false), credentials: [] };
      at += 3;
      for (let i = 0; i < month.perSale; i++) {
        sale.credentials.push(view.getUint16(at, false));
        at += 2;
      }
      batch.sales.push(sale);
    }
    return batch;
  }

  // ── inside ──

  keepShared(shared: Shared): void {
    const value = joined([new Uint8Array([shared.done ? 1 : 0]), shared.secretValue, shared.sharedKey]);
    this.commit([{ space: SPACE_SELLING, id: SHARED_ID, value: value }]);
    this.shared = shared;
  }
  commit(changes: VaultChange[]): void {
    this.vault.commit(changes);
  }
  commitWith(month: WalletMonth, indices: number[], state: number, changes: VaultChange[]): void {
    this.vault.commit(this.withSheets(month, indices, state, changes));
    this.setStates(month, indices, state);
  }
  setStates(month: WalletMonth, indices: number[], state: number): void {
    const credentials = month.credentials;
    const counts = month.counts;
    for (const index of indices) {
      counts[credentials[index] & 7]--;
      counts[state]++;
      credentials[index] = (credentials[index] & 248) | state;
    }
  }
  /** The sheets as they will be, behind the other changes. */
  withSheets(month: WalletMonth, indices: number[], state: number, changes: VaultChange[]): VaultChange[] {
    const all: VaultChange[] = [];
    for (const change of changes) all.push(change);
    const sheets: { n: number; value: Uint8Array }[] = [];
    for (const index of indices) {
      const n = Math.floor(index / CREDENTIALS_A_SHEET);
      let sheet = sheets.find((one) => one.n === n);
      if (!sheet) {
        const from = n * CREDENTIALS_A_SHEET;
        sheet = {
          n: n,
          value: copyOf(month.credentials, from, Math.min(from + CREDENTIALS_A_SHEET, month.amount)),
        };
        sheets.push(sheet);
        all.push({ space: SPACE_SELLING, id: this.sheetId(month, n), value: sheet.value });
      }
      const at = index - n * CREDENTIALS_A_SHEET;
      sheet.value[at] = (sheet.value[at] & 248) | state;
    }
    return all;
  }
  sheetId(month: WalletMonth, n: number): number {
    return SHEETS + SHEETS_A_MONTH * month.month + n;
  }
  monthChange(month: WalletMonth): VaultChange {
    return { space: SPACE_SELLING, id: MONTHS + month.month, value: encodeMonth(month) };
  }
  stateChange(carried: number, soldUpTo: number, nextBatch: number): VaultChange {
    const value = joined([word(Math.floor(carried / U32)), word(carried % U32), word(soldUpTo), word(nextBatch)]);
    return { space: SPACE_SELLING, id: STATE_ID, value: value };
  }
}

function indicesOf(batch: Batch): number[] {
  const indices: number[] = [];
  for (const sale of batch.sales) for (const index of sale.credentials) indices.push(index);
  return indices;
}
