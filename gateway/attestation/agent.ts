/**
 * The gateway's half of attestation (protocol/attestation/exchange.ts): when the verifier wants to hear, it asks for a challenge,
 * has the meter answer it, has the TPM quote, and pushes.
 *
 *   waiting ── due ──► challenge ──► meter ──► quote and push ──► waiting, until the verifier's next time
 *                        └── grid or TPM away: again, after a pause ──┘
 *
 * Protocol time says when it is due, real time how long a failed attempt pauses. Nothing here is lost by a kill: what was measured
 * is in the TPM and its log, the result in the store, and a challenge that was not answered simply expires. While the TPM is
 * gone, or refuses because it is locked, `view()` says so, and the first attempt after its return goes through.
 */
import type * as v from 'valibot';
import {
  type AttestationResult,
  AttestationResultError,
  verifyResult,
} from '../../protocol/attestation/attestation-result.ts';
import {
  bindingOf,
  type CalibrationClaim,
  type Claims,
  encodeClaims,
  encodeEvidence,
  type LogClaim,
  type MeasuredFile,
  meterNonceOf,
} from '../../protocol/attestation/evidence.ts';
import {
  CHALLENGE_PATH,
  type ChallengeAnswer,
  challengeAnswer,
  EVIDENCE_PATH,
  type EvidenceAnswer,
  evidenceAnswer,
} from '../../protocol/attestation/exchange.ts';
import { listingDigest } from '../../protocol/attestation/software.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { TpmError, withRecovery } from '../tpm/error.ts';
import { MEASURED_PCRS, type MeasuredBoot } from './measured-boot.ts';

/** Who the device is to the verifier: present once the gateway was initialised. */
export interface AttestationIdentity {
  /** Serial number of the endorsement key's certificate, as certificates name it. */
  ekSerial: string;
  ekCertificate: Uint8Array;
  akCertificate: Uint8Array;
  /** TPM2B_PUBLIC. */
  akPublic: Uint8Array;
  /** By the attestation key over SHA-256-bank PCRs. @throws TpmError */
  quote(pcrs: readonly number[], extraData: Uint8Array): Promise<{ attest: Uint8Array; signature: Uint8Array }>;
}

/** A call to the verifier, signed by the household's key. @throws ServiceError, TpmError */
export type CallVerifier = <S extends v.GenericSchema>(
  path: string,
  body: object,
  answer: S,
) => Promise<v.InferOutput<S>>;

export interface AgentStore {
  meta(key: string): string | null;
  setMeta(key: string, value: string): void;
}

export interface AgentOptions {
  clock: Clock;
  store: AgentStore;
  boot: MeasuredBoot;
  /** Null until the gateway was initialised. */
  identity(): Promise<AttestationIdentity | null>;
  call: CallVerifier;
  /** The verifier's result key, compressed P-256, pinned. */
  verifierKey: Uint8Array;
  /** Asks the meter which image it runs; rejects where it does not answer in time. */
  measureMeter(nonce: Uint8Array): Promise<Uint8Array>;
  /** Digest of the image that the gateway flashed last; null where it never did. */
  meterImage(): Uint8Array | null;
  /** The files that run. */
  software: readonly MeasuredFile[];
  /** How the household's log is; absent: it keeps none. */
  logClaim?(): LogClaim;
  /** What the meter is calibrated with. */
  calibrationClaim?(): CalibrationClaim;
  /** The verifier found everything in order, and had not before. */
  onTrusted?(): void;
  log(line: string): void;
  /** Real time, for pauses; the machine's unless told. */
  nowMs?: () => number;
}

/**
 *   not initialised   there is no certificate to show yet
 *   never             initialised, and no result yet
 *   trusted, failed   as the verifier said last
 *   expired           it trusted once, and has not been heard of since
 */
export type AttestationState = 'not initialised' | 'never' | 'trusted' | 'failed' | 'expired';
export interface AttestationView {
  state: AttestationState;
  /** Unix ms; null where there never was a result. */
  sinceMs: number | null;
  expiresMs: number | null;
  /** Sentences of the verifier. */
  why: string[];
  warnings: string[];
  /** What keeps the next attempt from succeeding, a sentence; null where nothing does. */
  trouble: string | null;
  nextMs: number;
}

const RESULT = 'attestation.result';
const SINCE = 'attestation.since';
const NEXT = 'attestation.next';
const EXPLAIN = 'attestation.explain';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** How often an uninitialised gateway looks whether it has been. */
const LOOK_MS = 10_000;
/** The meter is given up in time to answer without it. */
const METER_MARGIN = 0.75;

interface Round {
  challenge: ChallengeAnswer;
  /** When the meter is given up, protocol time. */
  meterUntilMs: number;
  measurement: Uint8Array | null;
  answered: boolean;
}

export class AttestationAgent {
  readonly #options: AgentOptions;
  readonly #softwareDigest: Uint8Array;
  #round: Round | null = null;
  #working: Promise<void> | null = null;
  #initialised = false;
  /** When to look again whether the household was initialised, protocol time. */
  #lookMs = 0;
  #trouble: string | null = null;
  #pauseUntilMs = 0;
  #failures = 0;
  #closed = false;
  #pushes = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#softwareDigest = listingDigest(options.software);
  }

  /** Looks what is due; to be called about once a second, and after every step of a conductor. */
  tick(): void {
    if (this.#closed || this.#working || this.#realMs() < this.#pauseUntilMs) return;
    const round = this.#round;
    if (round && !round.answered && this.#nowMs() < round.meterUntilMs) return;
    if (!round && this.#nowMs() < (this.#initialised ? this.#nextMs() : this.#lookMs)) return;
    this.#working = this.#work()
      .then(() => this.#succeeded())
      .catch((error: Error) => this.#failed(error))
      .finally(() => {
        this.#working = null;
      });
  }

  /** Resolves when no call is under way. The meter is not waited for: in a bench its answer comes with a later step. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working;
  }

  /** Measures what runs, where that has not been done since the TPM's start. @throws TpmError */
  async measure(): Promise<void> {
    const { boot, meterImage } = this.#options;
    await boot.ensure(this.#softwareDigest, meterImage());
  }

  /** Measures an image before it is flashed. Must be on its way into the TPM before the first byte is written. */
  async measureImage(digest: Uint8Array): Promise<void> {
    await this.#options.boot.ensure(this.#softwareDigest, digest);
  }

  /** The state has changed (a new image runs, the page's button): do not wait for the interval. */
  attestNow(): void {
    this.#options.store.setMeta(NEXT, '0');
    this.#lookMs = 0;
    this.tick();
  }

  get pushes(): number {
    return this.#pushes;
  }

  view(): AttestationView {
    const { store } = this.#options;
    const nextMs = this.#nextMs();
    const sinceMs = Number(store.meta(SINCE)) || null;
    const result = this.#result();
    if (!result) {
      const state = this.#initialised ? 'never' : 'not initialised';
      return { state, sinceMs: null, expiresMs: null, why: [], warnings: [], trouble: this.#trouble, nextMs };
    }
    const { trusted, expiresMs, refusals, warnings } = result;
    const expired = trusted && this.#nowMs() >= expiresMs;
    return {
      state: expired ? 'expired' : trusted ? 'trusted' : 'failed',
      sinceMs: expired ? expiresMs : sinceMs,
      expiresMs: trusted ? expiresMs : null,
      why: expired ? ['The last result has expired.'] : refusals.map(({ sentence }) => sentence),
      warnings: warnings.map(({ sentence }) => sentence),
      trouble: this.#trouble,
      nextMs,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  /** One step of a round: what can be done without the meter. */
  async #work(): Promise<void> {
    const { boot, identity, meterImage } = this.#options;
    if (!this.#round) {
      // measured as soon as there is a TPM, whether anybody wants to know or not: sealed keys open for this state only
      await boot.ensure(this.#softwareDigest, meterImage());
      const device = await identity();
      this.#initialised = device !== null;
      this.#lookMs = this.#nowMs() + LOOK_MS;
      if (!device || this.#nowMs() < this.#nextMs()) return;
      await this.#begin();
      return;
    }
    const round = this.#round;
    this.#round = null; // whatever fails from here on: a challenge is answered once
    const device = await identity();
    if (device) await this.#push(device, round);
  }

  async #begin(): Promise<void> {
    const { call, measureMeter, log } = this.#options;
    const challenge = await call(CHALLENGE_PATH, {}, challengeAnswer);
    const lifeMs = challenge.expiresMs - this.#nowMs();
    const round: Round = {
      challenge,
      meterUntilMs: this.#nowMs() + lifeMs * METER_MARGIN,
      measurement: null,
      answered: false,
    };
    this.#round = round;
    const answered = (measurement: Uint8Array | null): void => {
      round.measurement = measurement;
      round.answered = true;
      setImmediate(() => this.tick());
    };
    measureMeter(meterNonceOf(challenge.nonce)).then(answered, (error: Error) => {
      log(`attestation: meter: ${error.message}`);
      answered(null);
    });
  }

  async #push(device: AttestationIdentity, { challenge, measurement }: Round): Promise<void> {
    const { boot, store, software, call, meterImage, verifierKey } = this.#options;
    const { nonce } = challenge;
    const measured = await boot.ensure(this.#softwareDigest, meterImage());
    const claims: Claims = {
      ekCertificate: device.ekCertificate,
      akCertificate: device.akCertificate,
      akPublic: device.akPublic,
      pcrs: measured.pcrs,
      events: measured.events,
      files: store.meta(EXPLAIN) === '1' ? software : [],
      measurement,
      log: this.#options.logClaim?.() ?? { state: 'none', begunAnew: 0 },
      calibration: this.#options.calibrationClaim?.(),
    };
    const { attest, signature } = await device.quote(MEASURED_PCRS, bindingOf(nonce, encodeClaims(claims)));
    const evidence = encodeEvidence({ ...claims, nonce, quote: attest, signature });
    const answer: EvidenceAnswer = await call(EVIDENCE_PATH, { evidence }, evidenceAnswer);
    const result = verifyResult(answer.result, verifierKey, { device: device.ekSerial, nowMs: this.#nowMs() });
    this.#keep(result, answer);
  }

  #keep(result: AttestationResult, { result: jwt, nextMs, explain }: EvidenceAnswer): void {
    const { store, log } = this.#options;
    const before = this.view();
    const nowMs = this.#nowMs();
    store.setMeta(NEXT, String(explain ? nowMs : nowMs + nextMs));
    store.setMeta(EXPLAIN, explain ? '1' : '0');
    store.setMeta(RESULT, JSON.stringify({ device: result.device, jwt }));
    const state = result.trusted ? 'trusted' : 'failed';
    if (before.state !== state) store.setMeta(SINCE, String(nowMs));
    const why = result.refusals.map(({ sentence }) => sentence).join(' ');
    if (before.state !== state || before.why.join(' ') !== why) log(`attestation: ${state}${why ? `: ${why}` : ''}`);
    this.#pushes++;
    if (result.trusted && before.state !== 'trusted') this.#options.onTrusted?.();
  }

  /** As it was signed, whether it has expired or not. */
  #result(): AttestationResult | null {
    const kept = this.#options.store.meta(RESULT);
    if (kept === null) return null;
    const { device, jwt } = JSON.parse(kept) as { device: string; jwt: string };
    try {
      return verifyResult(jwt, this.#options.verifierKey, { device, nowMs: 0 });
    } catch (error) {
      if (error instanceof AttestationResultError) return null; // the verifier's key has changed
      throw error;
    }
  }

  #succeeded(): void {
    this.#failures = 0;
    if (this.#trouble) this.#options.log('attestation: goes on');
    this.#trouble = null;
  }

  #failed(error: Error): void {
    const trouble = troubleOf(error);
    if (trouble !== this.#trouble) this.#options.log(`attestation: ${trouble}`);
    this.#trouble = trouble;
    this.#pauseUntilMs =
      this.#realMs() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures++, 10));
  }

  #nextMs(): number {
    return Number(this.#options.store.meta(NEXT) ?? 0);
  }
  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
  #realMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }
}

/** For the customer's page: whose fault it is, and that nothing is lost. */
function troubleOf(error: Error): string {
  if (error instanceof TpmError) return `the TPM does not do its part: ${withRecovery(error)}`;
  if (error instanceof ServiceError && error.kind === 'unreachable')
    return `the verifier cannot be reached: ${error.message}`;
  if (error instanceof ServiceError) return `the verifier refuses: ${error.message}`;
  if (error instanceof AttestationResultError) return `the verifier's answer is not to be believed: ${error.message}`;
  return error.message;
}
