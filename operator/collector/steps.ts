/**
 * The collector's steps (tpm-privacy-concept.txt, "Data Provisioning for the PROVIDER"; protocols.md, section 3).
 *
 *   Gateway ── submission ──► Collector: verify · refuse replays · strip · store ── answer ──► Gateway
 *                             Collector: when a slot closes, for each provider:
 *                             shuffle · batch · MAC ──► Provider ── stored ──► Collector: delete
 *
 * It learns who (by the pseudonym of the day) reported which slot, and no content: it has no key for what it passes on.
 *
 * Whom it believes: a pseudonym that the trusted third party certified for the slot's day and for this area, and that signed by the
 * chain in the submission. Whether meter and gateway are in order it learns as a yes or no, by the verifier's blind-signed pass: a
 * reading without one is **held back**, which is to say it counts as a late one, and is never dropped.
 */
import { createHash, randomInt } from 'node:crypto';
import {
  checkPassClaims,
  encodePass,
  type Pass,
  PassError,
  type PassFlaw,
  verifyPass,
} from '../../protocol/attestation/pass.ts';
import { PseudonymError } from '../../protocol/identity/pseudonym-certificate.ts';
import {
  type Acknowledgement,
  type Refusal,
  recoveryOf,
  VERDICTS,
  type Verdict,
} from '../../protocol/readings/acknowledgement.ts';
import {
  type BatchKind,
  batchDigest,
  decodeBatchAnswer,
  encodeBatch,
  ForgedError,
} from '../../protocol/readings/batch.ts';
import { CertificateError } from '../../protocol/readings/certificate.ts';
import { providerReference } from '../../protocol/readings/provider.ts';
import {
  decodeSubmission,
  SubmissionForgedError,
  submissionDigest,
  verifySubmission,
} from '../../protocol/readings/submission.ts';
import { monthFirstSlot, monthOf } from '../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS, slotEndMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Counters } from '../shared/counters.ts';
import type { Accepted, BatchMaker, CollectorStore } from './store.ts';
import type { Trust } from './trust.ts';

/**
 * How far a slot's end may lie in the future: the conductor of a bench moves the gateways' clocks before the collector's, by a
 * slot at most. On the system's clock it is what a gateway's clock may be wrong by.
 */
const AHEAD_MS = SLOT_MS;

/** Whom batches are delivered to. */
export interface CollectorProvider {
  /** As in its topics. */
  party: string;
  /** What is sealed to one of these is for it; HPKE, 32 B each. */
  readingKeys: readonly Uint8Array[];
  /** Shared with it, 32 B. */
  macKey: Uint8Array;
}

export interface CollectorOptions {
  store: CollectorStore;
  trust: Trust;
  providers: readonly CollectorProvider[];
  /** Of each provider: a settlement releases no fewer readings. */
  k: number;
  graceMs: number;
  settlementDelayDays: number;
}

/** A submission as the broker delivered it. */
export interface Arrival {
  /** From its topic. */
  area: string;
  bytes: Uint8Array;
}

export type CollectorCount =
  | Refusal
  | 'again'
  | 'topicMalformed'
  | 'muted'
  | 'storeFailed'
  | 'answerMalformed'
  | 'answerForged'
  | 'answerOfAnotherBatch'
  | 'batchRefused';

const PASS_VERDICTS: Record<PassFlaw, Refusal> = {
  forged: 'badPass',
  'another day': 'passOfAnotherDay',
  'another pseudonym': 'passOfAnotherPseudonym',
};

export class Collector {
  readonly counters = new Counters<CollectorCount>();
  readonly #options: CollectorOptions;
  readonly #store: CollectorStore;
  /** Unix ms of protocol time; undefined until the first step. */
  #nowMs: number | undefined;
  #startedMs = 0;
  /** Reference in hexadecimal → party. */
  readonly #parties: ReadonlyMap<string, string>;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#parties = new Map(
      options.providers.flatMap(({ party, readingKeys }) =>
        readingKeys.map((key) => [hexOf(providerReference(key)), party] as const),
      ),
    );
  }

  // Submissions

  /** Judges submissions and stores the good ones; the answers hold when this returns, in the order of the arrivals. */
  accept(arrivals: readonly Arrival[]): Acknowledgement[] {
    const accepted: (Accepted & { index: number })[] = [];
    const answers = arrivals.map((arrival, index): Acknowledgement => {
      const digest = submissionDigest(arrival.bytes);
      const judged = this.#judge(arrival, digest);
      if (typeof judged === 'object') accepted.push({ ...judged, index });
      return { verdict: typeof judged === 'object' ? 'stored' : judged, digest };
    });
    if (accepted.length > 0) {
      this.#store.accept(accepted).forEach((verdict, i) => {
        answers[accepted[i].index].verdict = verdict;
      });
    }
    for (const { verdict } of answers) if (verdict !== 'stored') this.counters.add(verdict);
    return answers;
  }

  /** What is to be stored, or the answer. Cheap questions come first, signatures last. */
  #judge(arrival: Arrival, digest: Uint8Array): Accepted | Verdict {
    try {
      const { trust } = this.#options;
      const submission = decodeSubmission(arrival.bytes);
      const { slot, sealed, pass } = submission;
      const { publicKey: pseudonym, area, day } = submission.pseudonym;
      if (area !== arrival.area) return 'wrongArea';
      if (this.#hasIt(slot, pseudonym, digest)) return 'stored';
      const objection = this.#slotObjection(slot);
      if (objection) return objection;
      const provider = this.#parties.get(hexOf(submission.provider));
      if (provider === undefined) return 'unknownProvider';
      trust.believe(submission.pseudonym, slot);
      if (trust.isRevoked(pseudonym)) return 'revoked';
      verifySubmission(submission, arrival.bytes);
      const accepted = { slot, area, provider, pseudonym, digest, sealed };
      if (!pass) return { ...accepted, pass: null, heldBack: true };
      const judged = this.#judgePass(pass, day, pseudonym);
      return typeof judged === 'string' ? judged : { ...accepted, pass: { day, digest: judged }, heldBack: false };
    } catch (error) {
      if (error instanceof MalformedError) return 'malformed';
      if (error instanceof PseudonymError) return 'badPseudonym';
      if (error instanceof CertificateError) return 'badCertificate';
      if (error instanceof SubmissionForgedError) return 'badSignature';
      if (error instanceof PassError) return PASS_VERDICTS[error.flaw];
      throw error;
    }
  }

  /** The digest of a pass that holds, or why it is not known to. Verified once for each pseudonym and day. @throws PassError */
  #judgePass(pass: Pass, day: number, pseudonym: Uint8Array): Uint8Array | Verdict {
    checkPassClaims(pass, day, pseudonym, 'submission.pass');
    const digest = createHash('sha256').update(encodePass(pass)).digest();
    const known = this.#store.passOf(day, pseudonym);
    if (known && Buffer.compare(known, digest) === 0) return digest;
    const key = this.#options.trust.passKeyOf(day);
    if (!key) return 'passKeyMissing';
    verifyPass(pass, key, 'submission.pass');
    return known ? 'secondPass' : digest;
  }

  #hasIt(slot: number, pseudonym: Uint8Array, digest: Uint8Array): boolean {
    const known = this.#store.digestOf(slot, pseudonym);
    if (!known || Buffer.compare(known, digest) !== 0) return false;
    this.counters.add('again');
    return true;
  }

  #slotObjection(slot: number): Verdict | undefined {
    const nowMs = this.#nowMs;
    // a conductor that has just started this process has not told the time yet; with the system's clock it is always known
    if (nowMs !== undefined && slotEndMs(slot) > nowMs + AHEAD_MS) return 'tooEarly';
    if (monthOf(slot * SLOT_MS) <= (this.#store.state('settledThroughMonth') ?? -1)) return 'tooLate';
    return undefined;
  }

  // Time

  /** Moves protocol time, closes the slots that are due and settles the months that are. */
  advance(nowMs: number): void {
    if (this.#nowMs === undefined) this.#start(nowMs);
    this.#nowMs = Math.max(nowMs, this.#nowMs ?? nowMs);
    // after an outage of the collector itself gateways get the grace once more: what they kept meanwhile is not late
    if (this.#nowMs < this.#startedMs + this.#options.graceMs) return;

    const through = this.#closingSlot(this.#nowMs);
    if (through > this.#store.state('closedThroughSlot')!) this.#store.closeSlots(through, this.#batchMaker('regular'));
    const lastDue = this.#settlingMonth(this.#nowMs);
    for (let month = this.#store.state('settledThroughMonth')! + 1; month <= lastDue; month++) {
      const [first, last] = [monthFirstSlot(month), monthFirstSlot(month + 1) - 1];
      this.#store.settleMonth(month, first, last, this.#options.k, this.#batchMaker('settlement'));
    }
  }

  /** A new collector has published nothing of the past and settles nothing of it: what ended before it began is late. */
  #start(nowMs: number): void {
    this.#startedMs = nowMs;
    if (this.#store.state('closedThroughSlot') !== undefined) return;
    this.#store.setState('closedThroughSlot', this.#closingSlot(nowMs));
    this.#store.setState('settledThroughMonth', this.#settlingMonth(nowMs));
  }

  /** The last slot whose batch is due at this instant. */
  #closingSlot(nowMs: number): number {
    return Math.floor((nowMs - this.#options.graceMs) / SLOT_MS) - 1;
  }
  /** The last month whose settlement is due at this instant. */
  #settlingMonth(nowMs: number): number {
    return monthOf(nowMs - this.#options.settlementDelayDays * DAY_MS) - 1;
  }

  #batchMaker(kind: BatchKind): BatchMaker {
    return ({ slot, area, provider, items }, counter) => {
      // a clock that was set back over the end of a month does not lead back to an old key
      const epoch = Math.max(monthOf(this.#nowMs!), this.#store.state('epoch') ?? 0);
      this.#store.setState('epoch', epoch);
      return encodeBatch({ kind, epoch, counter, slot, area, items: shuffled(items) }, this.#macKeyOf(provider));
    };
  }

  #macKeyOf(party: string): Uint8Array {
    const provider = this.#options.providers.find((one) => one.party === party);
    // what is held for a provider that is no longer configured waits until it is again
    if (!provider) throw new Error(`there are readings for ${party}, which is not configured`);
    return provider.macKey;
  }

  // The providers' answers

  /** @returns true where the provider waits for batches that it was sent before, or has just connected */
  answered(provider: string, bytes: Uint8Array): boolean {
    try {
      const { status, counter, digest } = decodeBatchAnswer(bytes, this.#macKeyOf(provider));
      if (status === 'expect') return true;
      const batch = this.#store.batch(provider, counter);
      // answered before
      if (!batch) return false;
      if (Buffer.compare(batchDigest(batch), digest) !== 0) this.counters.add('answerOfAnotherBatch');
      else if (status === 'refused') this.counters.add('batchRefused');
      else this.#store.forgetBatch(provider, counter);
    } catch (error) {
      if (error instanceof MalformedError) this.counters.add('answerMalformed');
      else if (error instanceof ForgedError) this.counters.add('answerForged');
      else throw error;
    }
    return false;
  }

  /** Sums over the collector's life; `rejected` since the process began. */
  deliveries(): Record<string, number> {
    const sum = (name: Parameters<CollectorStore['state']>[0]): number => this.#store.state(name) ?? 0;
    const counts = this.counters.read();
    const final = Object.keys(VERDICTS).filter((verdict) => recoveryOf(verdict as Verdict) === 'final') as Refusal[];
    return {
      stored: sum('stored'),
      late: sum('late'),
      heldBack: sum('heldBack'),
      settled: sum('settled'),
      withheld: sum('withheld'),
      waiting: this.#store.waiting(),
      batches: this.#store.batchesMade(),
      unacknowledged: this.#store.unacknowledged(),
      rejected: final.reduce((total, verdict) => total + (counts[verdict] ?? 0), 0),
    };
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** In random order (Fisher and Yates): the provider learns nothing from an item's place. */
export function shuffled<T>(items: readonly T[], random: (below: number) => number = randomInt): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
