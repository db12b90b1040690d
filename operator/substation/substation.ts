/**
 * Substation (microgrid-trading.txt; protocol/trading/messages.ts tells the whole flow): hears what nobody says, pairs, and signs what
 * happened for everybody; and knows of each customer how many coins were withdrawn and deposited.
 *
 *   Intake     OFFER, REQUEST, EXCHANGE            from nobody, on the power line
 *   Pairing    BEACON, BATCH, RESEND, FIND         for everybody
 *   Accounts   withdrawal, deposit, bill           under a name, TLS
 */
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { SUBSTATION_PARTY } from '../../protocol/trading/coins.ts';
import { BATCH, BEACON, decodeFind, decodeResend, FIND, RESEND } from '../../protocol/trading/messages.ts';
import { BusReceiver, encodeBusFrames } from '../../protocol/wire/bus-frame.ts';
import { type KeyPlan, KeysetStore, type NewKey } from '../shared/keyset-store.ts';
import { SigningEngine } from '../shared/signing-engine.ts';
import { forgetLog } from '../shared/store.ts';
import { Accounts } from './accounts.ts';
import { Books, type SubstationSettings } from './books.ts';
import { keysNow } from './calendar.ts';
import { Intake } from './intake.ts';
import { Pairing } from './pairing.ts';
import { openSubstationStore } from './store.ts';

const DAY_MS = 86_400_000;

export interface SubstationOptions {
  /** SQLite; made if it is not there. */
  file: string;
  settings: SubstationSettings;
  /** Ed25519 by the offline master key. */
  sign(message: Uint8Array): Uint8Array;
  /** Of this month: every meter of the cell has it. */
  groupKey: Uint8Array;
  /** Puts frames on the line. */
  broadcast(frames: Uint8Array[]): void;
  random(bytes: number): Uint8Array;
  workers?: number;
  generate?(plan: KeyPlan): Promise<NewKey>;
}

export class Substation {
  readonly books: Books;
  readonly intake: Intake;
  readonly pairing: Pairing;
  readonly accounts: Accounts;
  readonly receiver: BusReceiver;
  readonly #options: SubstationOptions;
  #work: Promise<void> = Promise.resolve();
  #day = -1;
  #epoch = -1;
  #started = false;

  constructor(options: SubstationOptions) {
    const { file, settings, sign, workers, generate, groupKey } = options;
    this.#options = options;
    const database = openSubstationStore(file);
    const keys = new KeysetStore({
      ...{ database, party: SUBSTATION_PARTY, sign, generate },
      plan: (nowMs) => keysNow(nowMs, settings),
    });
    this.books = new Books(database, keys, new SigningEngine({ workers }), settings);
    this.intake = new Intake(this.books);
    this.pairing = new Pairing(this.books);
    this.accounts = new Accounts(this.books);
    this.receiver = new BusReceiver(nodeNatives, groupKey);
  }

  /** A frame from the line. */
  receive(frame: Uint8Array): void {
    const message = this.receiver.push(frame);
    if (message) void this.take(message);
  }
  /** A whole message. Resolves when what it changes is on disk. */
  take(message: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#take(message));
  }
  /** Moves time and pairs: the beacon where an epoch has begun, a batch where something happened. */
  tick(nowMs: number): Promise<void> {
    return this.#inTurn(() => this.#tick(nowMs));
  }
  /** All that was asked for is done. */
  async settled(): Promise<void> {
    await this.#work;
  }
  /** Takes a key out of use; another takes its place. */
  async revoke(keyId: Uint8Array): Promise<void> {
    await this.books.keys.revoke(keyId, this.books.now);
    this.#tellEngine();
  }

  async close(): Promise<void> {
    await this.#work.catch(() => {});
    await this.books.engine.close();
    this.books.database.close();
  }

  /** One after the other: so no two steps meet, whatever comes at once. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  async #take(message: Uint8Array): Promise<void> {
    if (this.books.nowMs === undefined || message[0] === BATCH || message[0] === BEACON) return;
    if (message[0] === RESEND || message[0] === FIND) {
      const number = this.#wanted(message);
      if (number !== null) this.#again(number);
      return;
    }
    const number = await this.intake.take(message);
    if (number !== null) this.#again(number);
  }

  #wanted(message: Uint8Array): number | null {
    try {
      if (message[0] === RESEND) return decodeResend(message);
      return this.intake.find(decodeFind(message))?.batch ?? null;
    } catch (error) {
      if ((error as Error).name !== 'TradeError') throw error;
      this.books.counters.add('malformed');
      return null;
    }
  }
  #again(number: number): void {
    const bytes = this.pairing.again(number);
    if (bytes) this.#say(bytes);
  }

  async #tick(nowMs: number): Promise<void> {
    const { keys } = this.books;
    const day = Math.floor(nowMs / DAY_MS);
    if (day !== this.#day) {
      await keys.advance(nowMs);
      this.#tellEngine();
      this.#day = day;
      forgetLog(this.books.database);
    }
    this.books.nowMs = nowMs;
    const { epoch } = this.books;
    this.receiver.enterEpoch(epoch);
    if (!this.#started) {
      for (const { number, bytes } of this.pairing.unannounced()) {
        this.#say(bytes);
        this.pairing.announced(number);
      }
      this.#started = true;
    }
    for (;;) {
      const batch = await this.pairing.tick();
      if (!batch) break;
      this.#say(batch.bytes);
      this.pairing.announced(batch.number);
    }
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#say(this.pairing.beacon(this.#options.groupKey));
    }
  }

  #say(message: Uint8Array): void {
    const { groupKey, random, broadcast } = this.#options;
    broadcast(encodeBusFrames(nodeNatives, groupKey, this.books.epoch, random(12), message));
  }

  #tellEngine(): void {
    const { engine, keys } = this.books;
    for (const { kind, keyId, publicKey, privateKey } of keys.keys)
      if (kind === 'blind') engine.addKey(keyId, publicKey, privateKey);
  }
}
