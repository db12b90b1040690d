/**
 * Gateway → collector: every quarter hour's reading, sealed to the provider, signed under the pseudonym, until the
 * collector says that it has it on its disk.
 *
 *   store: report ──seal──► exact bytes in the store ──submit──► collector ──acknowledgement──► delivered
 *
 * The collector learns pseudonym, slot and area; the provider the reading; the broker what the collector learns.
 * Nothing is lost or said twice whoever is killed when: bytes are stored before they are sent, the same bytes are sent
 * until they are answered, and the answer is end to end. What is missing is found in the store at each start.
 *
 * Beside each reading goes the attestation pass of its day, where there is one. Without, the reading is sent all the same, and the
 * collector holds it back.
 *
 * A connection carries the submissions of one reading key only (protocol/readings/topics.ts): a backlog of several days
 * takes as many connections, one after the other.
 */
import { NO_PASS } from '../../protocol/attestation/pass.ts';
import { dayOfSlot } from '../../protocol/identity/pseudonym-certificate.ts';
import { type Acknowledgement, recoveryOf, type Verdict } from '../../protocol/readings/acknowledgement.ts';
import { providerReference } from '../../protocol/readings/provider.ts';
import { sealReading } from '../../protocol/readings/reading.ts';
import { decodeSubmission, signSubmission, submissionDigest } from '../../protocol/readings/submission.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import type { SignerSource } from '../identity/reading-signer.ts';
import type { GatewayStore } from '../store.ts';
import { type BrokerAccess, BrokerSession } from './broker-session.ts';

/** Reconnect, transport time: the first try comes soon, later ones up to a few seconds apart, each at random within half. */
const RECONNECT_FIRST_MS = 120;
const RECONNECT_MOST_MS = 4000;
/** What is not answered in this time is sent again. */
const ANSWER_MS = 5000;
/** After "not now", and after the TPM failed: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;
const TPM_FIRST_MS = 500;
const TPM_MOST_MS = 10_000;
/** So many submissions are under way at once. */
const IN_FLIGHT_MOST = 32;
const SEAL_BATCH = 32;

/** Where attestation passes come from (gateway/attestation/passes.ts). */
export interface PassSource {
  /**
   * The pass of a day for that day's pseudonym, or null. The first answer for a day is the answer for all of it: a day's readings
   * carry the pass all or none, or the one from which on they do would tell when it was fetched. Soon, whatever happens.
   */
  passFor(day: number, pseudonym: Uint8Array): Promise<Uint8Array | null>;
}

export interface UplinkOptions {
  store: GatewayStore;
  clock: Clock;
  signers: SignerSource;
  /** None: every reading is held back by the collector. */
  passes?: PassSource;
  area: string;
  /** X25519, 32 B; by slot where the provider may change (gateway/yearly). */
  providerPublicKey: Uint8Array | ((slot: number) => Uint8Array);
  broker: BrokerAccess;
  log(line: string): void;
}

/** Bytes that wait for their acknowledgement. */
interface Waiting {
  slot: number;
  bytes: Uint8Array;
  digest: string;
  /** The reading key's certificate: what a connection may carry together. */
  certificate: string;
  /** When (performance.now) it is to be sent, again; in flight until then if `sent`. */
  dueAt: number;
  sent: boolean;
  refusals: number;
}

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #sentSlots = new Set<number>();
  #session: BrokerSession | null = null;
  #ready = false;
  #carries: string | null = null;
  #sealing = false;
  #closed = false;
  #failedConnections = 0;
  #failedSeals = 0;
  #trouble: string | null = null;
  #brokerLogged = '';
  #timers = new Map<'reconnect' | 'seal' | 'due', NodeJS.Timeout>();
  #delivered: number[] = [];
  #idleWaiters: (() => void)[] = [];
  /** Messages from the broker that were no acknowledgement of ours. */
  malformed = 0;

  constructor(options: UplinkOptions) {
    this.#options = options;
    for (const { slot, submission } of options.store.undelivered()) this.#addWaiting(slot, submission!);
  }

  /** Connects, and sends what is waiting. Does not wait for anything. */
  start(): void {
    this.#connect();
    this.reportsAdded();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#session?.end('closed');
    this.#flushDelivered();
  }

  /** There are new reports in the store. */
  reportsAdded(): void {
    void this.#seal();
  }

  /** Whether the grid side can be reached now. */
  get connected(): boolean {
    return this.#ready;
  }
  /** Why readings cannot be signed now, in words; null where they can. */
  get trouble(): string | null {
    return this.#trouble;
  }
  /** Whether a slot's bytes have left the house and are not answered yet. */
  isSent(slot: number): boolean {
    return this.#sentSlots.has(slot);
  }
  get pending(): number {
    return this.#options.store.pendingReports();
  }

  /** Resolves when nothing waits to be delivered. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #isIdle(): boolean {
    return this.#waiting.size === 0 && this.pending === 0;
  }

  // ── sealing ──

  async #seal(): Promise<void> {
    if (this.#sealing || this.#closed) return;
    this.#sealing = true;
    try {
      const { store } = this.#options;
      for (let reports = store.unsealed(SEAL_BATCH); reports.length > 0; reports = store.unsealed(SEAL_BATCH)) {
        for (const report of reports) {
          const bytes = await this.#submissionOf(report);
          if (this.#closed) return;
          store.seal(report.slot, bytes);
          this.#addWaiting(report.slot, bytes);
        }
        this.#send();
      }
      this.#sealsAgain();
    } catch (error) {
      if (!this.#closed) this.#sealFailed(error as Error);
    } finally {
      this.#sealing = false;
    }
  }

  async #submissionOf(reading: { slot: number; importWh: number; exportWh: number }): Promise<Uint8Array> {
    const { signers, passes, area, providerPublicKey } = this.#options;
    const { slot, importWh, exportWh } = reading;
    const signer = await signers.signerFor(slot);
    const { certificate, pseudonym, pseudonymCertificate } = signer;
    const recipient = typeof providerPublicKey === 'function' ? providerPublicKey(slot) : providerPublicKey;
    const sealed = await sealReading({ slot, importWh, exportWh }, area, recipient);
    const sign = (message: Uint8Array): Promise<Uint8Array> => signer.sign(message);
    const pass = (await passes?.passFor(dayOfSlot(slot), pseudonym)) ?? NO_PASS;
    const provider = providerReference(recipient);
    return signSubmission({ slot, pseudonymCertificate, certificate, pass, provider, sealed }, sign);
  }

  #sealFailed(error: Error): void {
    if (error.message !== this.#trouble) this.#options.log(`readings wait, they cannot be signed: ${error.message}`);
    this.#trouble = error.message;
    const delay = Math.min(TPM_FIRST_MS * 2 ** this.#failedSeals++, TPM_MOST_MS);
    this.#after('seal', delay, () => void this.#seal());
  }

  #sealsAgain(): void {
    if (this.#trouble !== null) this.#options.log('readings are signed again');
    this.#trouble = null;
    this.#failedSeals = 0;
  }

  #addWaiting(slot: number, bytes: Uint8Array): void {
    const digest = Buffer.from(submissionDigest(bytes)).toString('hex');
    const certificate = Buffer.from(decodeSubmission(bytes).certificate).toString('latin1');
    this.#waiting.set(digest, { slot, bytes, digest, certificate, dueAt: 0, sent: false, refusals: 0 });
  }

  // ── connection ──

  #connect(): void {
    if (this.#closed) return;
    this.#carries = null;
    const session: BrokerSession = new BrokerSession(this.#options.broker, {
      ready: () => {
        this.#failedConnections = 0;
        this.#brokerLogged = '';
        this.#ready = true;
        this.#send();
      },
      acknowledged: (acknowledgement) => this.#acknowledged(acknowledgement),
      collectorListens: () => {
        this.#everythingIsDue();
        this.#send();
      },
      malformed: () => {
        this.malformed++;
      },
      ended: (reason) => {
        if (this.#session === session) this.#sessionEnded(reason);
      },
    });
    this.#session = session;
  }

  #sessionEnded(reason: string): void {
    this.#session = null;
    this.#ready = false;
    this.#everythingIsDue();
    if (this.#closed) return;
    if (reason !== this.#brokerLogged) this.#options.log(`broker: ${reason}`);
    this.#brokerLogged = reason;
    const most = Math.min(RECONNECT_FIRST_MS * 2 ** this.#failedConnections++, RECONNECT_MOST_MS);
    this.#after('reconnect', most * (0.5 + Math.random() / 2), () => this.#connect());
  }

  /** A connection of its own for another reading key. */
  #changeAddress(): void {
    const old = this.#session;
    this.#session = null;
    this.#ready = false;
    old?.end('another reading key');
    this.#connect();
  }

  // ── sending ──

  #everythingIsDue(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.sent = false;
      waiting.dueAt = 0;
    }
    this.#sentSlots.clear();
  }

  #send(): void {
    if (!this.#ready || this.#closed) return;
    const now = performance.now();
    let inFlight = 0;
    const due: Waiting[] = [];
    let nextDueAt = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting.values()) {
      if (waiting.dueAt <= now) due.push(waiting);
      else {
        if (waiting.sent) inFlight++;
        nextDueAt = Math.min(nextDueAt, waiting.dueAt);
      }
    }
    if (due.length > 0 && inFlight === 0 && !due.some(({ certificate }) => this.#mayCarry(certificate))) {
      this.#changeAddress();
      return;
    }
    for (const waiting of due) {
      if (inFlight === IN_FLIGHT_MOST) break;
      if (!this.#mayCarry(waiting.certificate)) continue;
      this.#carries = waiting.certificate;
      waiting.sent = true;
      waiting.dueAt = now + ANSWER_MS;
      nextDueAt = Math.min(nextDueAt, waiting.dueAt);
      this.#sentSlots.add(waiting.slot);
      this.#session!.submit(this.#options.area, waiting.bytes);
      inFlight++;
    }
    if (nextDueAt < Number.POSITIVE_INFINITY) this.#after('due', nextDueAt - now, () => this.#send());
  }

  #mayCarry(certificate: string): boolean {
    return this.#carries === null || this.#carries === certificate;
  }

  // ── answers ──

  #acknowledged({ verdict, digest }: Acknowledgement): void {
    const waiting = this.#waiting.get(Buffer.from(digest).toString('hex'));
    if (waiting === undefined) return; // answered before: the same bytes get the same answer
    waiting.sent = false;
    this.#sentSlots.delete(waiting.slot);
    const recovery = recoveryOf(verdict);
    if (recovery === 'again') this.#askAgainLater(waiting, verdict);
    else {
      this.#waiting.delete(waiting.digest);
      if (recovery === 'done') this.#deliverSoon(waiting.slot);
      else this.#giveUp(waiting, verdict);
    }
    if (this.#waiting.size > 0) this.#send();
  }

  #askAgainLater(waiting: Waiting, verdict: Verdict): void {
    if (waiting.refusals === 0) this.#options.log(`the collector does not take slot ${waiting.slot} yet: ${verdict}`);
    const delay = Math.min(AGAIN_FIRST_MS * 2 ** waiting.refusals++, AGAIN_MOST_MS);
    waiting.dueAt = performance.now() + delay;
  }

  #giveUp({ slot }: Waiting, verdict: Verdict): void {
    this.#options.log(`the collector refuses slot ${slot} for good: ${verdict}`);
    this.#options.store.refuse(slot, verdict);
    this.#wakeIfIdle();
  }

  /** Acknowledgements that come together are one transaction. */
  #deliverSoon(slot: number): void {
    this.#delivered.push(slot);
    if (this.#delivered.length === 1) setImmediate(() => this.#flushDelivered());
  }

  #flushDelivered(): void {
    const slots = this.#delivered.splice(0);
    if (slots.length === 0) return;
    this.#options.store.deliver(slots, this.#options.clock.nowMs());
    this.#wakeIfIdle();
  }

  #wakeIfIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#isIdle()) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  #after(what: 'reconnect' | 'seal' | 'due', ms: number, run: () => void): void {
    clearTimeout(this.#timers.get(what));
    this.#timers.set(what, setTimeout(run, ms));
  }
}
