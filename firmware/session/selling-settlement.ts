/**
 * After the month, as the meter does it: receipts, or the paper's L4 and what opens it, and credentials that nobody was ever shown
 * (paper, section 4.D; protocol/selling/reconciliation.ts). (Espruino dialect)
 *
 * The gateway collects a page at a time and gives it to the centre under the customer's name. **First the month is closed in flash**:
 * nothing of it is shown any more, so what was returned never is, and L4 is the same however often it is collected. L4 is in the order
 * of the credentials' numbers; they were picked at random, so it says nothing of when. A month that is paid is forgotten.
 */
import { MODE_M_OF_N, MODE_RECEIPTS } from '../../protocol/selling/messages.ts';
import { commitmentOf, usedListTag } from '../../protocol/selling/reconciliation.ts';
import { listStart, listStep } from '../../protocol/selling/registration.ts';
import type { CollectMessage, RevealedCredential, RevealMessage } from '../../protocol/wire/selling-session.ts';
import {
  ALARM_LOST,
  COLLECT_END,
  COLLECT_LIST,
  COLLECT_RECEIPTS,
  COLLECT_RETURNS,
  encodeList,
  encodeReceipts,
  encodeReturns,
  encodeReveals,
  MONTH_CLOSED,
  PAGE_MOST,
  STATE_HELD,
  STATE_LAPSED,
  STATE_RESERVED,
  STATE_USED,
} from '../../protocol/wire/selling-session.ts';
import { copyOf } from '../wallet/cipher.ts';
import type { WalletMonth } from '../wallet/credentials.ts';
import type { Tasks } from './selling-tasks.ts';
import { CREDENTIAL_KIND, RECEIPT_VERSION, SIGNATURE_VERSION, sealedId } from './selling-tasks.ts';

const BID_BYTES = 16;
const ID_BYTES = 32;
/** A page whose values do not come is given up after … */
const PATIENCE_MS = 1200000;

/** Values that are on their way from the gateway. */
interface Fetching {
  month: WalletMonth;
  indices: number[];
  values: (Uint8Array | null)[];
  missing: number;
  sinceMs: number;
}

export class SellingSettlement {
  tasks: Tasks;
  fetching: Fetching | null = null;
  /** L4 as far as it was collected in one go. */
  listMonth = 0;
  listNext = 0;
  listCount = 0;
  listDigest: Uint8Array = listStart();

  constructor(tasks: Tasks) {
    this.tasks = tasks;
  }

  /** Whether the month is closed now. @param slot the present one */
  close(month: WalletMonth, slot: number): boolean {
    if (month.phase === MONTH_CLOSED) return true;
    if (slot <= month.endSlot + month.windowSlots || month.counts[STATE_RESERVED] > 0) return false;
    this.tasks.parts.credentials.close(month);
    return true;
  }

  collect(message: CollectMessage, slot: number): void {
    const month = this.tasks.parts.credentials.month(message.month);
    if (this.isFetching() || !month || !month.terms || !this.close(month, slot)) return;
    const what = message.what;
    if (what === COLLECT_RECEIPTS && month.mode === MODE_RECEIPTS) {
      this.page(month, message.from, STATE_USED, RECEIPT_VERSION, (fetched, next) =>
        this.receipts(fetched, message.from, next),
      );
    } else if (what === COLLECT_LIST && month.mode === MODE_M_OF_N) {
      if (message.from === 0) {
        this.listMonth = month.month;
        this.listNext = 0;
        this.listCount = 0;
        this.listDigest = listStart();
      } else if (this.listMonth !== month.month || this.listNext !== message.from) return;
      this.page(month, message.from, STATE_USED, SIGNATURE_VERSION, (fetched, next) =>
        this.list(fetched, message.from, next),
      );
    } else if (what === COLLECT_RETURNS && month.mode === MODE_M_OF_N) {
      this.page(month, message.from, STATE_HELD, SIGNATURE_VERSION, (fetched, next) =>
        this.returns(fetched, message.from, next),
      );
    }
  }

  /** Opens entries of L4. */
  reveal(message: RevealMessage): void {
    const month = this.tasks.parts.credentials.month(message.month);
    const places = message.places;
    if (this.isFetching() || !month || !month.terms || places.length === 0) return;
    if (month.phase !== MONTH_CLOSED || month.mode !== MODE_M_OF_N) return;
    const indices: number[] = [];
    for (let i = 0; i < places.length; i++) indices.push(-1);
    let place = 0;
    for (let index = 0; index < month.amount; index++)
      if ((month.credentials[index] & 7) === STATE_USED) {
        const at = places.indexOf(place);
        if (at >= 0) indices[at] = index;
        place++;
      }
    if (indices.indexOf(-1) >= 0) return;
    this.fetch(month, indices, SIGNATURE_VERSION, (fetched) => {
      const reveals: RevealedCredential[] = [];
      for (let i = 0; i < indices.length; i++) {
        const opening = this.opening(fetched, i);
        reveals.push({ place: places[i], bid: opening.bid, seed: opening.seed, salt: opening.salt });
      }
      this.say(encodeReveals({ month: month.month, reveals: reveals }));
    });
  }

  /** The month is paid. */
  settled(number: number): void {
    const credentials = this.tasks.parts.credentials;
    const month = credentials.month(number);
    if (month && month.phase === MONTH_CLOSED) credentials.forget(month);
  }

  // ── pages ──

  receipts(fetched: Fetching, from: number, next: number): void {
    const receipts: { id: Uint8Array; signature: Uint8Array }[] = [];
    for (const value of fetched.values) {
      receipts.push({ id: copyOf(value!, 0, ID_BYTES), signature: copyOf(value!, ID_BYTES, value!.length) });
    }
    const page = { month: fetched.month.month, from: from, next: next, receipts: receipts };
    this.say(encodeReceipts(page, fetched.month.keyBytes));
  }
  list(fetched: Fetching, from: number, next: number): void {
    const natives = this.tasks.parts.natives;
    const month = fetched.month;
    const commitments: Uint8Array[] = [];
    let digest = this.listDigest;
    for (let i = 0; i < fetched.indices.length; i++) {
      const opening = this.opening(fetched, i);
      const commitment = commitmentOf(natives, opening, month.credentialKeyId, month.terms!.credentialKey);
      digest = listStep(natives, digest, commitment);
      commitments.push(commitment);
    }
    this.listDigest = digest;
    this.listNext = next;
    this.listCount += commitments.length;
    let whole = null;
    if (next === COLLECT_END) {
      const used = {
        keyId: month.credentialKeyId,
        count: this.listCount,
        lapsed: month.counts[STATE_LAPSED],
        digest: digest,
      };
      const tag = usedListTag(natives, this.tasks.parts.credentials.shared!.sharedKey, used);
      whole = { count: used.count, lapsed: used.lapsed, digest: digest, tag: tag };
    }
    this.say(encodeList({ month: month.month, from: from, next: next, commitments: commitments, whole: whole }));
  }
  returns(fetched: Fetching, from: number, next: number): void {
    const unused: { bid: Uint8Array; seed: Uint8Array }[] = [];
    for (let i = 0; i < fetched.indices.length; i++) {
      const opening = this.opening(fetched, i);
      unused.push({ bid: opening.bid, seed: opening.seed });
    }
    this.say(encodeReturns({ month: fetched.month.month, from: from, next: next, unused: unused }));
  }
  opening(fetched: Fetching, i: number): { bid: Uint8Array; seed: Uint8Array; salt: Uint8Array } {
    const tasks = this.tasks;
    const month = fetched.month;
    const index = fetched.indices[i];
    return {
      bid: copyOf(fetched.values[i]!, 0, BID_BYTES),
      seed: tasks.candidateSeed(month, index, tasks.parts.credentials.keptOf(month, index)),
      salt: tasks.salt(month, index),
    };
  }
  /** What is not said now is collected again. */
  say(body: Uint8Array): void {
    this.tasks.say(body, () => {});
  }

  page(
    month: WalletMonth,
    from: number,
    state: number,
    version: number,
    then: (fetched: Fetching, next: number) => void,
  ): void {
    const indices: number[] = [];
    let index = from;
    while (index < month.amount && indices.length < PAGE_MOST) {
      if ((month.credentials[index] & 7) === state) indices.push(index);
      index++;
    }
    const next = index < month.amount ? index : COLLECT_END;
    this.fetch(month, indices, version, (fetched) => then(fetched, next));
  }
  isFetching(): boolean {
    return this.fetching !== null && this.tasks.uptimeMs < this.fetching.sinceMs + PATIENCE_MS;
  }
  fetch(month: WalletMonth, indices: number[], version: number, then: (fetched: Fetching) => void): void {
    const fetched: Fetching = {
      month: month,
      indices: indices,
      values: [],
      missing: indices.length,
      sinceMs: this.tasks.uptimeMs,
    };
    if (indices.length === 0) {
      then(fetched);
      return;
    }
    this.fetching = fetched;
    for (let i = 0; i < indices.length; i++) this.fetchOne(fetched, i, version, then);
  }
  fetchOne(fetched: Fetching, i: number, version: number, then: (fetched: Fetching) => void): void {
    const tasks = this.tasks;
    const id = sealedId(fetched.month, fetched.indices[i]);
    fetched.values.push(null);
    const got = (value: Uint8Array | null) => {
      fetched.values[i] = value;
      fetched.missing--;
      if (fetched.missing > 0 || this.fetching !== fetched) return;
      this.fetching = null;
      if (fetched.values.indexOf(null) >= 0) tasks.warn(ALARM_LOST);
      else tasks.aside(() => then(fetched));
    };
    tasks.until(
      () => tasks.parts.store.get(CREDENTIAL_KIND, id, version, got),
      () => {},
    );
  }
}
