/**
 * The verifier's steps (tpm-privacy-concept.txt, "Integrity Attestation"; RATS, RFC 9334: the passport model).
 *
 *   Gateway  ── evidence ──► Verifier: challenge once · appraise · keep · sign ── result (EAR) ──► Gateway
 *   Verifier ── failed, revoked ──► web hook
 *   Verifier: signs the day's pass blindly, for devices it trusts (passes.ts); to collector and provider it says nothing
 *
 * It knows each device's address and state, and when it was attested. It learns no reading, no pseudonym and no person.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import {
  type AppraisalInput,
  appraise,
  type ChallengeVerdict,
  type DeviceFacts,
  type KnownDevice,
  type Revocation,
  type Severity,
  type TrustAnchors,
  type Verdict,
} from '../../protocol/attestation/appraisal.ts';
import { signResult, vectorsOf } from '../../protocol/attestation/attestation-result.ts';
import { type DecodedEvidence, decodeEvidence, evidenceDigest } from '../../protocol/attestation/evidence.ts';
import type { ChallengeAnswer, EvidenceAnswer } from '../../protocol/attestation/exchange.ts';
import { PASS_DAYS_AHEAD } from '../../protocol/attestation/pass-issue.ts';
import type { ReferenceValues } from '../../protocol/attestation/reference-values.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Counters } from '../shared/counters.ts';
import { Refusal } from '../shared/service.ts';
import { CHALLENGE_RANDOM_BYTES, type Challenges } from './challenges.ts';
import type { DeviceRow, NoticeContent, VerifierStore } from './store.ts';

/** What the grid operator's register says of a device. */
export interface Registered {
  serial: string;
  address: string | null;
  area: string | null;
  state: 'in stock' | 'installed' | 'revoked';
}
export interface DeviceRegister {
  device(serial: string): Registered | undefined;
  all(): Registered[];
}

export type FleetState = 'trusted' | 'expired' | 'failed' | 'never seen' | 'suspended' | 'revoked';
/** One line of the operator's console. */
export interface FleetRow {
  device: string;
  address: string | null;
  area: string | null;
  state: FleetState;
  /** Since when, Unix ms; null for a device that was never seen. */
  sinceMs: number | null;
  seenMs: number | null;
  /** Until when it is trusted, where it is. */
  expiresMs: number | null;
  /** Sentences: why it is not trusted. */
  why: string[];
  warnings: string[];
  gatewayVersion: number | null;
  meterVersion: number | null;
  restarts: number;
  failures: number;
}

export interface VerifierOptions {
  store: VerifierStore;
  challenges: Challenges;
  trust: TrustAnchors;
  register: DeviceRegister;
  /** As they are now; they change with every release. */
  references(): ReferenceValues;
  isCertificateRevoked(serialNumber: string): boolean;
  /** Signs results; P-256. */
  resultKey: KeyObject;
  /** How often a gateway is to push evidence. */
  intervalMs: number;
  /** How long a trusting result holds. */
  resultLifeMs: number;
  /** For challenges; the machine's unless told. */
  random?: (bytes: number) => Uint8Array;
  /** The machine's time, for certificates of TPMs' makers. */
  calendarMs?: () => number;
  /** Something for the web hook is in the store. */
  onNotice?: () => void;
}

/** A device that fails is heard less often, up to this many intervals apart: it costs the verifier as much as a good one. */
const BACK_OFF_MOST = 16;
const KEPT_TRUSTED_MS = 7 * DAY_MS;
const KEPT_FAILED_MS = 400 * DAY_MS;
/** Refusals that say nothing of the device, only of this answer. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['foreign nonce', 'nonce expired', 'nonce used']);
const NEVER: readonly string[] = ['The device has never been attested.'];

export class Verifier {
  readonly counters = new Counters<string>();
  readonly #options: VerifierOptions;
  readonly #store: VerifierStore;
  #nowMs: number | undefined;
  #forgotDay = -1;

  constructor(options: VerifierOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  /** Protocol time; undefined until the first step. */
  get nowMs(): number | undefined {
    return this.#nowMs;
  }
  advance(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs ?? 0, nowMs);
    const day = Math.floor(nowMs / DAY_MS);
    if (day === this.#forgotDay) return;
    this.#forgotDay = day;
    this.#store.forget({ trustedMs: nowMs - KEPT_TRUSTED_MS, failedMs: nowMs - KEPT_FAILED_MS, nowMs });
  }

  // Attestation

  challenge(device: string): ChallengeAnswer {
    const random = (this.#options.random ?? randomBytes)(CHALLENGE_RANDOM_BYTES);
    this.counters.add('challenges');
    return this.#options.challenges.issue(device, this.#now(), random);
  }

  /**
   * Judges evidence that `device` sent; on disk when it returns. The same bytes get the same answer, whenever they come.
   * @throws Refusal where it is malformed: then nothing has changed
   */
  receive(device: string, bytes: Uint8Array): EvidenceAnswer {
    const nowMs = this.#now();
    const digest = evidenceDigest(bytes);
    const before = this.#store.answerTo(digest);
    if (before !== undefined) {
      this.counters.add('again');
      return JSON.parse(before);
    }
    const evidence = this.#decode(bytes);
    const { challenges, resultLifeMs } = this.#options;
    const { state, expiresMs } = challenges.judge(device, evidence.nonce, nowMs);
    const challenge = state === 'fresh' && this.#store.isUsed(evidence.nonce) ? 'used' : state;
    const verdict = appraise(this.inputFor(evidence, { challenge, sender: device, nowMs }));
    this.counters.add(verdict.trusted ? 'trusted' : (verdict.refusals[0]?.code ?? 'refused'));
    const policyId = this.#options.references().policyId;
    const result = signResult(
      {
        device,
        issuedMs: nowMs,
        expiresMs: nowMs + resultLifeMs,
        nonce: evidence.nonce,
        evidence: digest,
        policyId,
        trusted: verdict.trusted,
        refusals: verdict.refusals.map(({ code, sentence }) => ({ code, sentence })),
        warnings: verdict.warnings.map(({ code, sentence }) => ({ code, sentence })),
        vectors: vectorsOf([...verdict.refusals, ...verdict.warnings]),
      },
      this.#options.resultKey,
    );
    const known = this.#store.device(device);
    const says = !verdict.refusals.some(({ code }) => SAYS_NOTHING.has(code));
    const row = says ? rowAfter(known, device, verdict, nowMs, resultLifeMs, result) : null;
    const answer: EvidenceAnswer = {
      result,
      nextMs: this.#nextMs(row?.failures ?? known?.failures ?? 0),
      explain: verdict.refusals.some(({ code }) => code === 'gateway unknown') && evidence.files.length === 0,
    };
    const notices = row ? noticesOf(known, row, nowMs) : [];
    this.#store.add({
      digest,
      serial: device,
      receivedMs: nowMs,
      trusted: verdict.trusted,
      bytes,
      answer: JSON.stringify(answer),
      used: challenge === 'fresh' ? { nonce: evidence.nonce, untilMs: expiresMs } : null,
      device: row,
      notices,
    });
    if (notices.length > 0) this.#options.onNotice?.();
    return answer;
  }

  /** What an appraisal at this instant starts from; also for evidence that was kept. */
  inputFor(
    evidence: DecodedEvidence,
    { challenge, sender, nowMs }: { challenge: ChallengeVerdict; sender: string | null; nowMs: number },
  ): AppraisalInput {
    const { trust, references, register, isCertificateRevoked, calendarMs } = this.#options;
    return {
      evidence,
      trust,
      references: references(),
      challenge,
      nowMs,
      calendarMs: calendarMs?.(),
      sender,
      isRegistered: (ekSerial) => register.device(ekSerial) !== undefined,
      isCertificateRevoked,
      revocationOf: (ekSerial) => this.#revocationOf(ekSerial),
      known: (sender !== null && this.#store.device(sender)?.known) || null,
    };
  }

  #decode(bytes: Uint8Array): DecodedEvidence {
    try {
      return decodeEvidence(bytes);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.counters.add('malformed');
      throw new Refusal('malformed', error.message, 'correct', { status: 400, path: error.path });
    }
  }

  #nextMs(failures: number): number {
    return this.#options.intervalMs * Math.min(BACK_OFF_MOST, 2 ** Math.max(0, failures - 1));
  }

  #now(): number {
    if (this.#nowMs === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return this.#nowMs;
  }

  // What others may ask

  /** Whether a pass for that day may be signed: the device is trusted now, and the day is today or one of the next. */
  trusted(device: string, day: number): boolean {
    const nowMs = this.#nowMs;
    if (nowMs === undefined) return false;
    const today = Math.floor(nowMs / DAY_MS);
    // a gateway's clock may be ahead by a slot, and the verifier's by one of yesterday's
    if (day < today - 1 || day > today + PASS_DAYS_AHEAD) return false;
    return this.#stateOf(device, this.#store.device(device), nowMs).state === 'trusted';
  }

  /** Every device that is registered or was ever seen, in the order of their serial numbers. */
  fleet(): FleetRow[] {
    const nowMs = this.#nowMs ?? 0;
    const seen = new Map(this.#store.devices().map((row) => [row.serial, row]));
    const registered = new Map(this.#options.register.all().map((device) => [device.serial, device]));
    const serials = [...new Set([...registered.keys(), ...seen.keys()])].sort();
    return serials.map((serial) => this.#fleetRow(serial, registered.get(serial), seen.get(serial), nowMs));
  }

  #fleetRow(device: string, registered: Registered | undefined, row: DeviceRow | undefined, nowMs: number): FleetRow {
    const { state, sinceMs, why } = this.#stateOf(device, row, nowMs);
    return {
      device,
      address: registered?.address ?? null,
      area: registered?.area ?? null,
      state,
      sinceMs,
      seenMs: row?.seenMs ?? null,
      expiresMs: state === 'trusted' ? row!.expiresMs : null,
      why,
      warnings: row?.warnings ?? [],
      gatewayVersion: row?.known?.gatewayVersion ?? null,
      meterVersion: row?.known?.meterVersion ?? null,
      restarts: row?.restarts ?? 0,
      failures: row?.failures ?? 0,
    };
  }

  #stateOf(
    device: string,
    row: DeviceRow | undefined,
    nowMs: number,
  ): { state: FleetState; sinceMs: number | null; why: string[] } {
    const revocation = this.#revocationOf(device);
    if (revocation && revocation.severity !== 'advisory') {
      const why = [`The device is ${revocation.severity}: ${revocation.reason}.`];
      return { state: revocation.severity, sinceMs: this.#store.revocation(device)?.atMs ?? row?.seenMs ?? null, why };
    }
    if (!row) return { state: 'never seen', sinceMs: null, why: [...NEVER] };
    if (row.verdict === 'failed') return { state: 'failed', sinceMs: row.sinceMs, why: row.reasons };
    if (nowMs < row.expiresMs) return { state: 'trusted', sinceMs: row.sinceMs, why: [] };
    const why = [`The last result has expired: no evidence came since ${new Date(row.seenMs).toISOString()}.`];
    return { state: 'expired', sinceMs: row.expiresMs, why };
  }

  health(): object {
    const states: Record<string, number> = {};
    for (const { state } of this.fleet()) states[state] = (states[state] ?? 0) + 1;
    return { states, noticesWaiting: this.#store.noticesWaiting(), ...this.counters.read() };
  }

  /** Kept evidence as `scripts/verify-evidence` reads it. */
  keptEvidence(digest: Uint8Array): object | undefined {
    const kept = this.#store.evidence(digest);
    return kept && keptRecord(kept.serial, kept.receivedMs, kept.bytes);
  }
  /** Newest first. */
  evidenceOf(device: string): { digest: string; receivedMs: number; trusted: boolean }[] {
    const rows = this.#store.evidenceOf(device, 100);
    return rows.map(({ digest, ...row }) => ({ digest: Buffer.from(digest).toString('hex'), ...row }));
  }

  // Revocation

  revoke(device: string, severity: Severity, reason: string): void {
    const atMs = this.#now();
    this.#store.revoke(device, { severity, reason }, { event: 'revoked', device, atMs, severity, reasons: [reason] });
    this.#options.onNotice?.();
  }
  reinstate(device: string): void {
    this.#store.reinstate(device, { event: 'reinstated', device, atMs: this.#now(), reasons: [] });
    this.#options.onNotice?.();
  }

  #revocationOf(ekSerial: string): Revocation | null {
    if (this.#options.register.device(ekSerial)?.state === 'revoked')
      return { severity: 'revoked', reason: 'the grid operator took it out of its register' };
    return this.#store.revocation(ekSerial);
  }
}

/** The device's row after a verdict on it. */
function rowAfter(
  before: DeviceRow | undefined,
  serial: string,
  { trusted, refusals, warnings, facts }: Verdict,
  nowMs: number,
  lifeMs: number,
  result: string,
): DeviceRow {
  const verdict = trusted ? 'trusted' : 'failed';
  const wasTrusting = before?.verdict === 'trusted' && nowMs < before.expiresMs;
  const same = trusted ? wasTrusting : before?.verdict === 'failed';
  return {
    serial,
    verdict,
    sinceMs: same ? before!.sinceMs : nowMs,
    seenMs: nowMs,
    trustedMs: trusted ? nowMs : (before?.trustedMs ?? null),
    expiresMs: trusted ? nowMs + lifeMs : nowMs,
    failures: trusted ? 0 : (before?.failures ?? 0) + 1,
    restarts: (before?.restarts ?? 0) + (facts ? restartsBetween(before?.known ?? null, facts) : 0),
    reasons: refusals.map(({ sentence }) => sentence),
    warnings: warnings.map(({ sentence }) => sentence),
    result,
    known: facts ? knownAfter(before?.known ?? null, facts, trusted) : (before?.known ?? null),
  };
}

const restartsBetween = (known: KnownDevice | null, { akName, resetCount }: DeviceFacts): number =>
  known && Buffer.compare(known.akName, akName) === 0 ? Math.max(0, resetCount - known.resetCount) : 0;

/** Counters are believed even of a device that failed, so that it cannot go back; releases only where it was trusted. */
function knownAfter(before: KnownDevice | null, facts: DeviceFacts, trusted: boolean): KnownDevice {
  const { akName, akUntilMs, resetCount, restartCount, clockMs } = facts;
  const sameKey = before !== null && Buffer.compare(before.akName, akName) === 0;
  const newest = (seen: number | null, had: number | null | undefined): number | null => {
    if (!trusted || seen === null) return had ?? null;
    return Math.max(seen, had ?? 0);
  };
  const later = !sameKey || isLater(facts, before);
  return {
    akName,
    akUntilMs,
    resetCount: later ? resetCount : before.resetCount,
    restartCount: later ? restartCount : before.restartCount,
    clockMs: later ? clockMs : before.clockMs,
    gatewayVersion: newest(facts.gatewayVersion, before?.gatewayVersion),
    meterVersion: newest(facts.meterVersion, before?.meterVersion),
    calibration: facts.calibration ?? before?.calibration ?? null,
  };
}

function isLater(facts: DeviceFacts, known: KnownDevice): boolean {
  if (facts.resetCount !== known.resetCount) return facts.resetCount > known.resetCount;
  if (facts.restartCount !== known.restartCount) return facts.restartCount > known.restartCount;
  return facts.clockMs > known.clockMs;
}

/** A device that fails, and one that is in order again; not every repetition of it. */
function noticesOf(before: DeviceRow | undefined, after: DeviceRow, atMs: number): NoticeContent[] {
  const { serial: device, verdict, reasons } = after;
  if (verdict === 'failed' && (before?.verdict !== 'failed' || before.reasons.join() !== reasons.join()))
    return [{ event: 'failed', device, atMs, reasons }];
  if (verdict === 'trusted' && before?.verdict === 'failed') return [{ event: 'recovered', device, atMs, reasons: [] }];
  return [];
}

/** The file that evidence is handed on in. */
export const keptRecord = (device: string, receivedMs: number, bytes: Uint8Array): object => ({
  version: 1,
  device,
  receivedMs,
  evidence: Buffer.from(bytes).toString('base64url'),
});
