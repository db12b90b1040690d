/**
 * Pairs requests with offers and tells everybody (paper, section 5.3, procedure 6; messages.md, "Pairing"). At each tick: what can be
 * paired is signed first; then **one transaction**: coins PAID, request and offer PAIRED, accounts of what was issued, batch n. Only
 * after the commit it is broadcast. Killed before the commit, nothing has happened and the next tick pairs anew; killed after it, the
 * batches from the last announced one on are broadcast at the start, with the signatures as they are stored.
 */
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { slotStartMs } from '../../protocol/time/slots.ts';
import {
  BATCH_LABEL,
  BATCH_MOST_LINES,
  BEACON_LABEL,
  batchHash,
  encodeBatchBody,
  encodeBeaconBody,
  type Line,
  X_EXPIRED,
  X_KEY,
} from '../../protocol/trading/batch.ts';
import { inTransaction } from '../shared/store.ts';
import { type Books, hash } from './books.ts';
import { type CoinState, type Issued, issue } from './store.ts';

interface Row {
  n: number;
  id: Uint8Array;
  kind: string;
  state: string;
  reason: number | null;
  keyId: Uint8Array;
  startSlot: number;
  slots: number;
  validUntil: number;
  tokens: Uint8Array;
}
/** A line with what it changes. */
interface Step {
  line: Line;
  rows: Row[];
  coins: CoinState | 'freed' | null;
  issued: { keyId: Uint8Array; reason: Issued; count: number } | null;
  counted: 'pairings' | 'dsoSales' | 'dsoPurchases' | 'expired' | null;
}

export class Pairing {
  readonly #books: Books;
  readonly #resentMs = new Map<number, number>();

  constructor(books: Books) {
    this.#books = books;
  }

  /** @return the batch, which is on disk; null: nothing happened */
  async tick(): Promise<{ number: number; bytes: Uint8Array } | null> {
    const steps = await this.#sign(this.#plan());
    if (steps.length === 0) return null;
    const { database, counters } = this.#books;
    const batch = inTransaction(database, () => {
      const number = this.nextBatch;
      const previous = number > 0 ? batchHash(nodeNatives, this.batch(number - 1)!) : new Uint8Array(32);
      const body = encodeBatchBody({
        number,
        previous,
        epoch: this.#books.epoch,
        lines: steps.map(({ line }) => line),
      });
      const bytes = this.#books.signed(BATCH_LABEL, body);
      for (const step of steps) this.#apply(step, number);
      database.prepare('INSERT INTO batches VALUES (?, ?, 0)').run(number, bytes);
      return { number, bytes };
    });
    for (const { counted } of steps) if (counted) counters.add(counted);
    return batch;
  }

  /** Everybody could hear it. */
  announced(number: number): void {
    this.#books.database.prepare('UPDATE batches SET announced = 1 WHERE number <= ?').run(number);
  }
  /** From the last announced one on: it may have been cut off. */
  unannounced(): { number: number; bytes: Uint8Array }[] {
    const rows = this.#books.database
      .prepare(
        'SELECT number, bytes FROM batches WHERE number >= (SELECT coalesce(max(number), 0) FROM batches WHERE announced = 1) ORDER BY number',
      )
      .all();
    return rows as never;
  }
  get nextBatch(): number {
    return this.#books.database.prepare('SELECT coalesce(max(number) + 1, 0) AS n FROM batches').get()!.n as number;
  }
  batch(number: number): Uint8Array | undefined {
    return this.#books.database.prepare('SELECT bytes FROM batches WHERE number = ?').get(number)?.bytes as never;
  }
  /** A batch to be said again; null: there is none, or it was said a moment ago. */
  again(number: number): Uint8Array | null {
    const { now, settings, counters } = this.#books;
    const bytes = this.batch(number);
    if (!bytes || now - (this.#resentMs.get(number) ?? Number.NEGATIVE_INFINITY) < settings.resendMs) return null;
    if (this.#resentMs.size > 1000) this.#resentMs.clear();
    this.#resentMs.set(number, now);
    counters.add('resent');
    return bytes;
  }

  beacon(groupKey: Uint8Array): Uint8Array {
    const { epoch, now, keysetHash, settings } = this.#books;
    const beacon = {
      ...{ epoch, utcS: Math.floor(now / 1000), cell: settings.cell, keysetHash, groupKeyHash: hash(groupKey) },
      ...{ nextBatch: this.nextBatch, passRequired: settings.checkPass !== null },
    };
    return this.#books.signed(BEACON_LABEL, encodeBeaconBody(beacon));
  }

  /** What can be said now, oldest first, not more than one batch holds. Without signatures. */
  #plan(): Step[] {
    const { epoch, settings } = this.#books;
    const steps: Step[] = [];
    const all = (where: string): Row[] =>
      this.#books.database.prepare(`SELECT * FROM messages WHERE ${where} ORDER BY n`).all() as unknown as Row[];
    const full = (): boolean => steps.length >= BATCH_MOST_LINES;
    const gone = (row: Row, reason: number, coins: 'freed' | null): Step => ({
      ...{ line: { kind: 'X', id: row.id, reason }, rows: [row], coins, issued: null },
      counted: reason === X_EXPIRED ? 'expired' : null,
    });
    for (const row of all("batch IS NULL AND state = 'GONE'")) if (!full()) steps.push(gone(row, row.reason!, null));

    const offers = all("state = 'OPEN'");
    const held = all("state = 'HELD'");
    const inTime = ({ validUntil }: Row): boolean => validUntil >= epoch + settings.guardEpochs;
    const isLate = ({ validUntil }: Row): boolean => validUntil < epoch;
    const taken = new Set<number>();
    for (const request of held) {
      if (full()) break;
      if (request.kind === 'exchange' && !this.#books.signingKey(request.keyId)) {
        steps.push(gone(request, X_KEY, 'freed'));
      } else if (request.kind === 'exchange') {
        const count = Math.round(request.tokens.length / this.#keyBytes(request.keyId));
        const line: Line = { kind: 'E', exchange: request.id, blindSignatures: [] };
        const issued = { keyId: request.keyId, reason: 'exchanged' as const, count };
        steps.push({ line, rows: [request], coins: 'exchanged', issued, counted: null });
      } else if (isLate(request)) steps.push(gone(request, X_EXPIRED, 'freed'));
      else if (inTime(request)) {
        const offer = offers.find((one) => !taken.has(one.n) && inTime(one) && isSamePiece(one, request));
        if (offer) {
          taken.add(offer.n);
          const line: Line = { kind: 'P', request: request.id, offer: offer.id, blindSignature: new Uint8Array() };
          const issued = { keyId: offer.keyId, reason: 'paired' as const, count: 1 };
          steps.push({ line, rows: [offer, request], coins: 'paid', issued, counted: 'pairings' });
        } else if (this.#hasWaited(request)) {
          const line: Line = { kind: 'D', request: request.id };
          steps.push({ line, rows: [request], coins: 'sold', issued: null, counted: 'dsoSales' });
        }
      }
    }
    const open = offers.filter(({ n }) => !taken.has(n));
    for (const offer of open.filter(isLate)) if (!full()) steps.push(gone(offer, X_EXPIRED, null));
    const still = open.filter(inTime);
    const surplus = settings.surplusThreshold < 0 ? 0 : still.length - settings.surplusThreshold;
    for (const offer of still.slice(0, Math.max(0, surplus))) {
      if (full()) break;
      const line: Line = { kind: 'B', offer: offer.id, blindSignature: new Uint8Array() };
      const issued = { keyId: offer.keyId, reason: 'bought' as const, count: 1 };
      steps.push({ line, rows: [offer], coins: null, issued, counted: 'dsoPurchases' });
    }
    return steps;
  }

  /** A neighbour's offer may come until shortly before the piece begins; then the DSO sells. */
  #hasWaited(request: Row): boolean {
    const { now, settings } = this.#books;
    const guardMs = (settings.guardEpochs + 1) * settings.epochMs;
    const endMs = Math.min(slotStartMs(request.startSlot), request.validUntil * settings.epochMs) - guardMs;
    return now >= endMs - settings.dsoLeadMs;
  }
  #keyBytes(keyId: Uint8Array): number {
    return this.#books.coinKey(keyId)!.publicKey.length;
  }

  /** Fills in the blind signatures. What a key cannot sign any more is left as it is, and expires. */
  async #sign(steps: Step[]): Promise<Step[]> {
    const signed = await Promise.all(
      steps.map(async (step): Promise<Step | null> => {
        const { line, issued, rows } = step;
        if (!issued) return step;
        if (!this.#books.signingKey(issued.keyId)) return null;
        const length = this.#keyBytes(issued.keyId);
        const tokens = Array.from({ length: issued.count }, (_, i) =>
          rows[0].tokens.subarray(i * length, (i + 1) * length),
        );
        const signatures = await this.#books.engine.signBlinded(issued.keyId, tokens);
        if (typeof signatures === 'string') throw new Error('a token that was checked cannot be signed');
        const filled =
          line.kind === 'E' ? { ...line, blindSignatures: signatures } : { ...line, blindSignature: signatures[0] };
        return { ...step, line: filled as Line };
      }),
    );
    return signed.filter((step) => step !== null);
  }

  #apply({ rows, coins, issued }: Step, number: number): void {
    const { database } = this.#books;
    const state = database.prepare('UPDATE messages SET state = ?, batch = ? WHERE n = ? AND batch IS NULL');
    const isPaired = coins === 'paid' || coins === 'sold' || coins === 'exchanged' || issued !== null;
    for (const { n, id } of rows) {
      if (state.run(isPaired ? 'PAIRED' : 'GONE', number, n).changes !== 1)
        throw new Error('a message has its line already');
      if (coins === 'freed') database.prepare("DELETE FROM coins WHERE holder = ? AND state = 'held'").run(id);
      else if (coins) database.prepare("UPDATE coins SET state = ? WHERE holder = ? AND state = 'held'").run(coins, id);
    }
    if (issued) issue(database, issued.keyId, issued.reason, issued.count);
  }
}

const isSamePiece = (a: Row, b: Row): boolean =>
  a.startSlot === b.startSlot && a.slots === b.slots && Buffer.compare(a.keyId, b.keyId) === 0;
