/**
 * How the parts of selling compute and wait, and what they share. (Espruino dialect; everything it needs is passed in)
 *
 * Long computations are jobs of the worker; one task of selling is under way at a time, so that memory is that of one. What has no
 * room now, on the line or in the store's requests, is tried again each second.
 */
import type { SellingNatives } from '../../protocol/selling/natives.ts';
import { ascii, joined, word } from '../../protocol/selling/natives.ts';
import { factorOfSeed, type ValueKind } from '../../protocol/selling/values.ts';
import { ALARM_NONE, ALARM_VAULT } from '../../protocol/wire/selling-session.ts';
import type { Random as RandomBytes } from '../arithmetic/blind-rsa.ts';
import type { Moduli } from '../arithmetic/moduli.ts';
import type { Modulus } from '../arithmetic/modulus.ts';
import type { Job, Worker } from '../arithmetic/worker.ts';
import type { CipherNatives } from '../wallet/cipher.ts';
import type { Credentials, WalletMonth } from '../wallet/credentials.ts';
import type { AllocationLedger } from '../wallet/ledger.ts';
import { SPACE_SELLING } from '../wallet/spaces.ts';
import type { SealedValues } from './sealed-values.ts';

/** What the gateway keeps of a credential: version 1 is BID ‖ signature, version 2 its receipt, RID ‖ signature. */
export const CREDENTIAL_KIND = SPACE_SELLING * 16;
export const SIGNATURE_VERSION = 1;
export const RECEIPT_VERSION = 2;
const IDS_A_MONTH = 8192;
export const sealedId = (month: WalletMonth, index: number) => month.month * IDS_A_MONTH + index;

export interface SellingParts {
  natives: SellingNatives;
  cipher: CipherNatives;
  worker: Worker;
  moduli: Moduli;
  store: SealedValues;
  ledger: AllocationLedger;
  credentials: Credentials;
  /** Random bytes that are fit for money. */
  random: RandomBytes;
  /** 8 B */
  meterId: Uint8Array;
  /** Whether there was room for it. */
  say: (body: Uint8Array) => boolean;
  complain: (what: string) => void;
}

interface Attempt {
  attempt: () => boolean;
  follow: () => void;
}

export class Tasks {
  parts: SellingParts;
  /** A task is under way. */
  busy = false;
  alarm = ALARM_NONE;
  alarms = 0;
  uptimeMs = 0;
  attempts: Attempt[] = [];
  /** Looks for the next task; set by the session. */
  next: () => void = () => {};

  constructor(parts: SellingParts) {
    this.parts = parts;
  }

  /** Ends a task. */
  end(): void {
    this.busy = false;
    this.next();
  }
  /** Ends a task that came to nothing: what it was about is tried again by who asked for it. */
  fail(alarm: number): void {
    this.warn(alarm);
    this.busy = false;
  }
  warn(alarm: number): void {
    this.alarm = alarm;
    this.alarms++;
  }
  /** What was wrong is well again. */
  well(alarm: number): void {
    if (this.alarm === alarm) this.alarm = ALARM_NONE;
  }

  /** A job, then what follows. What either throws ends the task. */
  run(job: Job, then: () => void): void {
    this.until(
      () =>
        this.parts.worker.add(job, (problem) => {
          this.guarded(() => {
            if (problem) throw problem;
            then();
          });
        }),
      () => {},
    );
  }
  /** With a modulus that is ready. */
  modulus(bytes: Uint8Array, then: (modulus: Modulus) => void): void {
    const modulus = this.parts.moduli.take(bytes);
    if (modulus.ready) then(modulus);
    else this.run(modulus, () => then(modulus));
  }
  /** Now, or at a later second: as soon as there is room. */
  until(attempt: () => boolean, then: () => void): void {
    if (attempt()) then();
    else this.attempts.push({ attempt: attempt, follow: then });
  }
  say(body: Uint8Array, then: () => void): void {
    this.until(() => this.parts.say(body), then);
  }
  guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.parts.complain('selling: ' + error);
      this.fail(ALARM_VAULT);
    }
  }

  /** The same for what is no task of its own. */
  aside(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.parts.complain('selling: ' + error);
      this.warn(ALARM_VAULT);
    }
  }

  tick(uptimeMs: number): void {
    this.uptimeMs = uptimeMs;
    const waiting = this.attempts;
    if (waiting.length === 0) return;
    this.attempts = [];
    for (const one of waiting) this.retry(one);
  }
  retry(one: Attempt): void {
    this.guarded(() => this.until(one.attempt, one.follow));
  }

  // ── what comes from a secret ──

  /** 32 B of a secret, for one purpose. */
  derive(secret: Uint8Array, label: string, numbers: number[]): Uint8Array {
    const parts = [ascii('quietmeter/v1/meter-selling ' + label)];
    for (const number of numbers) parts.push(word(number));
    return this.parts.natives.expand(secret, joined(parts), 32);
  }
  /** As many bytes as are wanted of a secret, always the same: what was computed from them once is computed again. */
  stream(secret: Uint8Array): RandomBytes {
    let draw = 0;
    return (bytes) =>
      this.parts.natives.expand(secret, joined([ascii('draw'), word(draw++)]), 4 * Math.ceil(bytes / 4));
  }
  /** Blinding factor and mask of a seed. The mask is as long as the modulus and below it, too. */
  factors(
    kind: ValueKind,
    seed: Uint8Array,
    maskSeed: Uint8Array,
    keyId: Uint8Array,
    modulus: Uint8Array,
  ): Uint8Array[] {
    const natives = this.parts.natives;
    return [factorOfSeed(natives, kind, seed, keyId, modulus), factorOfSeed(natives, kind, maskSeed, keyId, modulus)];
  }
  /** Of a candidate. */
  candidateSeed(month: WalletMonth, index: number, candidate: number): Uint8Array {
    return this.derive(month.secret, 'seed', [index, candidate]);
  }
  maskSeed(month: WalletMonth, index: number): Uint8Array {
    return this.derive(month.secret, 'mask', [index]);
  }
  /** u of the commitment in L4: of nothing that is ever revealed. */
  salt(month: WalletMonth, index: number): Uint8Array {
    return this.derive(month.secret, 'salt', [index]);
  }
}
