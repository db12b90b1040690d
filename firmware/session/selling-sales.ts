/**
 * Selling as the meter does it (paper, section 4.C; messages.md, "Selling with receipts"). (Espruino dialect)
 *
 *   a slot has ended   T = what the ledger grants of its export; ⌊T·R/V⌋ credentials, picked at random; the rest is carried on.
 *                      One commit: ledger, credentials RESERVED, the batch with its secret, what is carried
 *   due                each sale at a slot of its own, drawn from those in which it can be sold: when it comes says nothing of when
 *                      was measured. SALE, sealed; all of it comes from the batch's secret and the credentials, so the same bytes again
 *   ANSWER             unblind, verify, have the receipt kept under the meter's seal; one commit: credential USED, the sale gone.
 *                      The secret goes with the batch's last sale
 *   refused            what was shown lapses, its value is carried on: sold again, with other credentials
 *
 * A sale whose answer never comes stays, and is said again after each start; no second blinding is ever made for a credential.
 */
import { claimOf } from '../../protocol/selling/amount.ts';
import {
  encodeSale,
  MODE_RECEIPTS,
  openAnswerTo,
  SALE_ACCEPTED,
  saleHeader,
  saleIdOf,
} from '../../protocol/selling/messages.ts';
import { joined } from '../../protocol/selling/natives.ts';
import { CREDENTIAL, idOfSeed, RECEIPT, valuePayload } from '../../protocol/selling/values.ts';
import { DIRECTION_EXPORT, PURPOSE_CENTRE } from '../../protocol/wire/ledger.ts';
import type { AnswerMessage, WeightsMessage } from '../../protocol/wire/selling-session.ts';
import {
  ALARM_ANSWER,
  ALARM_HELPER,
  ALARM_LOST,
  ALARM_SIGNATURE,
  DONE_BEFORE,
  encodeDone,
  encodeSaleMessage,
  MONTH_OPEN,
  SLOTS_OF_WEIGHTS,
  STATE_HELD,
} from '../../protocol/wire/selling-session.ts';
import { Blinding, Inverse, Unblinding } from '../arithmetic/blind-rsa.ts';
import type { Modulus } from '../arithmetic/modulus.ts';
import { Sealing } from '../arithmetic/seal.ts';
import type { Batch, Sale, WalletMonth } from '../wallet/credentials.ts';
import { BATCHES_MOST, CREDENTIALS_A_BATCH } from '../wallet/credentials.ts';
import { OPEN_SLOTS } from '../wallet/ledger.ts';
import type { Tasks } from './selling-tasks.ts';
import { CREDENTIAL_KIND, RECEIPT_VERSION, SIGNATURE_VERSION, sealedId } from './selling-tasks.ts';

const SALES_A_BATCH = 256;
/** Left of the slots in which a sale is accepted, for bundles that come late. */
const MARGIN_SLOTS = 8;
/** A sale that the gateway has not taken is said again after … */
const PATIENCE_MS = 1200000;
/** Sales that are fetched for at a time. */
const FETCHED_MOST = 6;

/** A batch that has sales without an answer, in memory. */
interface Waiting {
  number: number;
  /** The first slot in which a sale of it is due that is not said. */
  dueSlot: number;
  /** By number of the sale: −1 not said, else when; what the gateway has taken is said no more in this start. */
  saidMs: number[];
}
const TAKEN = Infinity;
/** One of so many credentials, and fewer: they are looked for, not drawn until one is met. */
const FEW = 8;
interface Fetched {
  batch: Batch;
  sale: Sale;
  month: WalletMonth;
  signatures: (Uint8Array | null)[];
  missing: number;
}
/** What is made of a sale's own secret. */
interface SaleSecrets {
  nonce: Uint8Array;
  receiptSeeds: Uint8Array[];
  maskSeeds: Uint8Array[];
  sealing: Uint8Array;
}

export class SellingSales {
  tasks: Tasks;
  weights: WeightsMessage[] = [];
  waiting: Waiting[] = [];
  fetching: Fetched[] = [];
  /** Numbers of sales whose receipts are on their way to the gateway. */
  keeping: number[] = [];
  nextDueSlot = 0;
  /** Slots up to this one have nothing more to sell. */
  examined = 0;

  constructor(tasks: Tasks) {
    this.tasks = tasks;
  }

  /** Once the credentials are loaded. */
  open(): void {
    for (const number of this.tasks.parts.credentials.batches) this.await(number);
  }

  /** Number 0 says that nothing is sold from now on. */
  addWeights(weights: WeightsMessage): void {
    if (weights.number === 0) {
      this.weights = [];
      return;
    }
    const list = this.weights.filter((one) => one.number !== weights.number);
    list.push(weights);
    // a version that begins later counts from then on; the two newest are those that can matter to open slots
    list.sort((a, b) => a.number - b.number);
    while (list.length > 3) list.shift();
    this.weights = list;
  }
  weightsOf(slot: number): WeightsMessage | null {
    let found: WeightsMessage | null = null;
    for (const one of this.weights) if (one.firstSlot <= slot && (!found || one.number > found.number)) found = one;
    return found;
  }

  // ── a slot has ended ──

  /** Sells what the slots that have ended exported, a batch at a time. @return whether to come again at the next tick */
  sell(): boolean {
    const credentials = this.tasks.parts.credentials;
    const newest = this.tasks.parts.ledger.records.newestSlot();
    let slot = Math.max(Math.max(credentials.soldUpTo, this.examined) + 1, newest - OPEN_SLOTS + 1);
    while (slot <= newest) {
      const month = this.monthOf(slot);
      // terms may still come, while the slot is open
      if (month && (!month.terms || !this.weightsOf(slot))) return false;
      if (month && this.sellSlot(month, slot)) return true;
      this.examined = slot++;
    }
    return false;
  }
  monthOf(slot: number): WalletMonth | null {
    for (const month of this.tasks.parts.credentials.months)
      if (slot >= month.firstSlot && slot < month.endSlot) return month.phase === MONTH_OPEN ? month : null;
    return null;
  }

  /** One batch of a slot. @return whether there may be more of it */
  sellSlot(month: WalletMonth, slot: number): boolean {
    const parts = this.tasks.parts;
    const credentials = parts.credentials;
    if (slot < month.terms!.closesSlot) return false;
    const weights = this.weightsOf(slot)!;
    const weight = weights.weights[slot % SLOTS_OF_WEIGHTS];
    const k = month.perSale;
    const most = Math.floor(CREDENTIALS_A_BATCH / k);
    const rooms = credentials.batches.length < BATCHES_MOST ? most : 0;
    const available = Math.min(Math.floor(month.counts[STATE_HELD] / k), rooms);
    const left = parts.ledger.left(slot, DIRECTION_EXPORT);
    const perSaleCredits = month.value * k;
    if (slot === month.firstSlot && credentials.carriedMicrocredits >= month.value * 1000000) credentials.dropCarried();
    const carried = credentials.carriedMicrocredits;
    const worth = available * perSaleCredits * 1000000 - carried;
    const energyMwh = weight > 0 && worth > 0 ? Math.min(left, Math.ceil(worth / weight)) : 0;
    if (available === 0 || (energyMwh === 0 && carried < perSaleCredits * 1000000)) return false;
    let batch: Batch | null = null;
    let after = 0;
    let more = false;
    const request = { slot: slot, direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: energyMwh };
    parts.ledger.allocateWith([request], (granted) => {
      const claim = claimOf(granted[0], weight, carried, perSaleCredits, available);
      after = claim.carriedMicrocredits;
      more = claim.count === most && left > granted[0];
      if (claim.count > 0) batch = this.pick(month, slot, weights.number, claim.count);
      return credentials.sellingChanges(month, batch, after, more ? credentials.soldUpTo : slot);
    });
    credentials.sold(month, batch, after, more ? credentials.soldUpTo : slot);
    if (batch) this.await((batch as Batch).number);
    return more;
  }

  /** Sales of credentials picked at random, each due at a slot of its own. */
  pick(month: WalletMonth, slot: number, weightVersion: number, count: number): Batch {
    const parts = this.tasks.parts;
    const picked: number[] = [];
    const total = count * month.perSale;
    if (month.counts[STATE_HELD] * FEW < month.amount) {
      const held: number[] = [];
      let index = 0;
      for (const byte of month.credentials) {
        if ((byte & 7) === STATE_HELD) held.push(index);
        index++;
      }
      while (picked.length < total) picked.push(held.splice(this.below(held.length), 1)[0]);
    }
    while (picked.length < total) {
      const index = this.below(month.amount);
      if ((month.credentials[index] & 7) === STATE_HELD && picked.indexOf(index) < 0) picked.push(index);
    }
    const span = Math.max(1, month.windowSlots - Math.min(MARGIN_SLOTS, Math.ceil(month.windowSlots / 2)));
    const batch: Batch = {
      number: parts.credentials.nextBatch,
      month: month.month,
      slot: slot,
      weightVersion: weightVersion,
      secret: parts.random(32),
      sales: [],
    };
    for (let n = 0; n < count; n++) {
      const sale: Sale = { number: n, dueSlot: slot + 1 + this.below(span), credentials: [] };
      for (let i = 0; i < month.perSale; i++) sale.credentials.push(picked.pop()!);
      batch.sales.push(sale);
    }
    return batch;
  }
  /** Uniform, to 2^-20 and better. */
  below(n: number): number {
    const bytes = this.tasks.parts.random(4);
    return Math.floor(new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, false) / (4294967296 / n));
  }

  // ── due ──

  await(number: number): void {
    this.waiting.push({ number: number, dueSlot: 0, saidMs: [] });
    this.nextDueSlot = 0;
  }

  /** Fetches the credentials of sales that are due. */
  fetch(slot: number): void {
    if (slot < this.nextDueSlot || this.fetching.length > 0) return;
    let next = Infinity;
    for (const one of this.waiting) {
      if (this.fetching.length < FETCHED_MOST && one.dueSlot <= slot) this.fetchOf(one, slot);
      next = Math.min(next, one.dueSlot);
    }
    this.nextDueSlot = next;
  }
  fetchOf(one: Waiting, slot: number): void {
    const credentials = this.tasks.parts.credentials;
    const batch = credentials.batch(one.number);
    if (!batch) {
      this.waiting = this.waiting.filter((other) => other !== one);
      return;
    }
    const month = credentials.month(batch.month)!;
    if (!month.terms) return;
    let next = Infinity;
    const now = this.tasks.uptimeMs;
    for (const sale of batch.sales) {
      const said = one.saidMs[sale.number];
      if (said === TAKEN) continue;
      const again = said !== undefined && said >= 0 && now < said + PATIENCE_MS;
      if (sale.dueSlot <= slot && !again && this.fetching.length < FETCHED_MOST) {
        one.saidMs[sale.number] = now;
        this.fetchSale(batch, sale, month);
      }
      next = Math.min(next, Math.max(sale.dueSlot, again || sale.dueSlot <= slot ? slot + 1 : 0));
    }
    one.dueSlot = this.fetching.length < FETCHED_MOST ? next : slot;
  }
  fetchSale(batch: Batch, sale: Sale, month: WalletMonth): void {
    const fetched: Fetched = {
      batch: batch,
      sale: sale,
      month: month,
      signatures: [],
      missing: sale.credentials.length,
    };
    this.fetching.push(fetched);
    for (let i = 0; i < sale.credentials.length; i++) this.fetchCredential(fetched, i);
  }
  fetchCredential(fetched: Fetched, i: number): void {
    const tasks = this.tasks;
    const id = sealedId(fetched.month, fetched.sale.credentials[i]);
    fetched.signatures.push(null);
    const got = (value: Uint8Array | null) => {
      fetched.missing--;
      if (value) fetched.signatures[i] = value.subarray(16);
      else tasks.warn(ALARM_LOST);
      if (fetched.missing === 0 && !tasks.busy) tasks.next();
    };
    tasks.until(
      () => tasks.parts.store.get(CREDENTIAL_KIND, id, SIGNATURE_VERSION, got),
      () => {},
    );
  }

  /** Begins to build a sale that was fetched for. */
  begin(): boolean {
    const at = this.fetching.findIndex((one) => one.missing === 0);
    if (at < 0) return false;
    const one = this.fetching.splice(at, 1)[0];
    this.nextDueSlot = 0;
    if (one.signatures.indexOf(null) >= 0) return this.begin(); // said again with patience
    const secrets = this.secretsOf(one.batch, one.sale);
    this.tasks.busy = true;
    if (one.month.mode === MODE_RECEIPTS)
      this.tasks.modulus(one.month.terms!.receiptKey, (modulus) => this.blind(one, secrets, modulus, [], []));
    else this.seal(one, secrets, [], []);
    return true;
  }

  secretsOf(batch: Batch, sale: Sale): SaleSecrets {
    const tasks = this.tasks;
    const secret = tasks.derive(batch.secret, 'sale', [sale.number]);
    const secrets: SaleSecrets = {
      nonce: tasks.derive(secret, 'nonce', []),
      receiptSeeds: [],
      maskSeeds: [],
      sealing: tasks.derive(secret, 'sealing', []),
    };
    for (let i = 0; i < sale.credentials.length; i++) {
      secrets.receiptSeeds.push(tasks.derive(secret, 'receipt', [i]));
      secrets.maskSeeds.push(tasks.derive(secret, 'receipt mask', [i]));
    }
    return secrets;
  }
  receiptId(month: WalletMonth, seed: Uint8Array): Uint8Array {
    return idOfSeed(this.tasks.parts.natives, RECEIPT, seed, month.receiptKeyId);
  }
  receiptFactors(month: WalletMonth, secrets: SaleSecrets, i: number): Uint8Array[] {
    const seed = secrets.receiptSeeds[i];
    return this.tasks.factors(RECEIPT, seed, secrets.maskSeeds[i], month.receiptKeyId, month.terms!.receiptKey);
  }

  blind(one: Fetched, secrets: SaleSecrets, modulus: Modulus, blinded: Uint8Array[], questions: Uint8Array[]): void {
    const month = one.month;
    const i = blinded.length;
    if (i === month.perSale) {
      this.seal(one, secrets, blinded, questions);
      return;
    }
    const factors = this.receiptFactors(month, secrets, i);
    const payload = valuePayload(this.receiptId(month, secrets.receiptSeeds[i]), month.month, month.value);
    const blinding = new Blinding(modulus, payload, factors[0], factors[1]);
    this.tasks.run(blinding, () => {
      blinded.push(blinding.blinded);
      questions.push(blinding.question);
      this.blind(one, secrets, modulus, blinded, questions);
    });
  }
  seal(one: Fetched, secrets: SaleSecrets, blinded: Uint8Array[], questions: Uint8Array[]): void {
    const tasks = this.tasks;
    const natives = tasks.parts.natives;
    const month = one.month;
    const shown = [];
    for (let i = 0; i < month.perSale; i++) {
      const index = one.sale.credentials[i];
      const kept = tasks.parts.credentials.keptOf(month, index);
      const seed = tasks.candidateSeed(month, index, kept);
      shown.push({
        id: idOfSeed(natives, CREDENTIAL, seed, month.credentialKeyId),
        signature: one.signatures[i]!,
      });
    }
    const sale = encodeSale(
      {
        mode: month.mode,
        slot: one.batch.slot,
        weightVersion: one.batch.weightVersion,
        nonce: secrets.nonce,
        keyId: month.credentialKeyId,
        receiptKeyId: month.mode === MODE_RECEIPTS ? month.receiptKeyId : new Uint8Array(32),
        credentials: shown,
        blindedReceipts: blinded,
      },
      month.keyBytes,
    );
    const saleId = saleIdOf(natives, sale);
    tasks.modulus(month.terms!.sealingKey, (modulus) => {
      const header = saleHeader(month.sealingKeyId);
      const sealing = new Sealing(tasks.parts.cipher, modulus, header, sale, tasks.stream(secrets.sealing));
      tasks.run(sealing, () => {
        const message = {
          number: one.batch.number * SALES_A_BATCH + one.sale.number,
          month: month.month,
          saleId: saleId,
          questions: questions,
          sealed: sealing.sealed,
        };
        tasks.say(encodeSaleMessage(message, month.keyBytes), () => tasks.end());
      });
    });
  }
  /** The gateway has it on its disk. */
  taken(number: number): void {
    for (const one of this.waiting)
      if (one.number === Math.floor(number / SALES_A_BATCH)) one.saidMs[number % SALES_A_BATCH] = TAKEN;
  }

  // ── the centre's answer ──

  answer(message: AnswerMessage): void {
    const tasks = this.tasks;
    const parts = tasks.parts;
    tasks.busy = true;
    const batch = parts.credentials.batch(Math.floor(message.number / SALES_A_BATCH));
    let sale: Sale | null = null;
    if (batch) for (const one of batch.sales) if (one.number === message.number % SALES_A_BATCH) sale = one;
    if (!batch || !sale) {
      tasks.say(encodeDone({ number: message.number, code: DONE_BEFORE }), () => tasks.end());
      return;
    }
    const month = parts.credentials.month(batch.month)!;
    if (!month.terms || this.keeping.indexOf(message.number) >= 0) {
      tasks.end();
      return;
    }
    const secrets = this.secretsOf(batch, sale);
    const reader = { mode: month.mode, k: month.perSale, saleId: message.saleId, nonce: secrets.nonce };
    const opened = openAnswerTo(parts.natives, reader, message.answer, month.keyBytes);
    if (!opened) {
      tasks.fail(ALARM_ANSWER);
      return;
    }
    tasks.well(ALARM_ANSWER);
    const receipts = opened.code === SALE_ACCEPTED && month.mode === MODE_RECEIPTS;
    if (!receipts) {
      this.settle(month, batch, sale, opened.code);
      tasks.end();
      return;
    }
    if (message.inverses.length !== month.perSale) {
      tasks.fail(ALARM_HELPER);
      return;
    }
    const found: Uint8Array[] = [];
    const wanted = sale;
    tasks.modulus(month.terms.receiptKey, (modulus) =>
      this.unblind(
        { month: month, batch: batch, sale: wanted, secrets: secrets },
        modulus,
        message,
        opened.blindSignatures,
        found,
      ),
    );
  }
  unblind(
    one: { month: WalletMonth; batch: Batch; sale: Sale; secrets: SaleSecrets },
    modulus: Modulus,
    message: AnswerMessage,
    blindSignatures: Uint8Array[],
    receipts: Uint8Array[],
  ): void {
    const tasks = this.tasks;
    const month = one.month;
    const i = receipts.length;
    if (i === month.perSale) {
      this.keep(one.month, one.batch, one.sale, message.number, receipts);
      return;
    }
    if (!modulus.isBetween(message.inverses[i])) {
      tasks.fail(ALARM_HELPER);
      return;
    }
    if (!modulus.isBetween(blindSignatures[i])) {
      tasks.fail(ALARM_SIGNATURE);
      return;
    }
    const factors = this.receiptFactors(month, one.secrets, i);
    const inverse = new Inverse(modulus, factors[0], factors[1], message.inverses[i]);
    tasks.run(inverse, () => {
      if (!inverse.inverse) {
        tasks.fail(ALARM_HELPER);
        return;
      }
      const id = this.receiptId(month, one.secrets.receiptSeeds[i]);
      const payload = valuePayload(id, month.month, month.value);
      const unblinding = new Unblinding(modulus, payload, blindSignatures[i], inverse.inverse);
      tasks.run(unblinding, () => {
        if (!unblinding.signature) {
          tasks.fail(ALARM_SIGNATURE);
          return;
        }
        receipts.push(joined([id, unblinding.signature]));
        this.unblind(one, modulus, message, blindSignatures, receipts);
      });
    });
  }

  /** Receipts go to the gateway, sealed; when it has them, the sale is done. */
  keep(month: WalletMonth, batch: Batch, sale: Sale, number: number, receipts: Uint8Array[]): void {
    const tasks = this.tasks;
    this.keeping.push(number);
    tasks.well(ALARM_HELPER);
    tasks.well(ALARM_SIGNATURE);
    let missing = receipts.length;
    const kept = () =>
      tasks.aside(() => {
        missing--;
        if (missing > 0) return;
        this.keeping = this.keeping.filter((other) => other !== number);
        const now = tasks.parts.credentials.batch(batch.number);
        if (now) this.settle(month, now, sale, SALE_ACCEPTED);
      });
    for (let i = 0; i < receipts.length; i++) this.keepOne(sealedId(month, sale.credentials[i]), receipts[i], kept);
    tasks.end();
  }
  keepOne(id: number, receipt: Uint8Array, kept: () => void): void {
    const tasks = this.tasks;
    tasks.until(
      () => tasks.parts.store.put(CREDENTIAL_KIND, id, RECEIPT_VERSION, receipt, kept),
      () => {},
    );
  }
  settle(month: WalletMonth, batch: Batch, sale: Sale, code: number): void {
    const tasks = this.tasks;
    tasks.parts.credentials.settleSale(month, batch, sale, code === SALE_ACCEPTED);
    if (batch.sales.length === 1) this.waiting = this.waiting.filter((one) => one.number !== batch.number);
    const number = batch.number * SALES_A_BATCH + sale.number;
    tasks.say(encodeDone({ number: number, code: code }), () => {});
  }
}
