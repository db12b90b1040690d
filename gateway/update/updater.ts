/**
 * Brings a household to a new release, step by step; each step is on the disk before it is taken, and may be taken twice.
 *
 *   idle ─► fetching    manifest and images, verified: key, version against the TPM's counter, instant, digests
 *        ─► measuring   the meter's new image into PCR 9, before the meter gets it
 *        ─► flashing    carried to the meter, which starts it (image-sender.ts)
 *        ─► proving     the meter, asked with a nonce, runs just that image; then it has confirmed itself
 *        ─► switching   the gateway's own software: staged, linked, started on trial (installation.ts, launcher.ts)
 *                       and the machine once more, for a TPM that has seen nothing but this release
 *        ─► committing  the TPM's counter is raised: nothing older is installed from now on, nor opens what is sealed
 *        ─► idle        and the verifier is shown the new state
 *
 * Where it cannot go on it stops in `failed` with a sentence, and waits for another release; what helps by waiting (no network,
 * no meter, no TPM) is tried again and told as `trouble`. A kill or a power cut of gateway or meter at any moment: the step is
 * taken again.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { PCR_GATEWAY } from '../../protocol/attestation/evidence.ts';
import type { ReleaseAuthorization } from '../../protocol/attestation/policy.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { archiveDigest, decodeArchive } from '../../protocol/updates/archive.ts';
import { PART_BYTES, type PartRequest } from '../../protocol/updates/exchange.ts';
import {
  checkFirmware,
  checkInstallable,
  type Manifest,
  ManifestError,
  openManifest,
  shareOf,
} from '../../protocol/updates/manifest.ts';
import { digestOfImage, MEASURE_NONCE_BYTES, measurementOfImage } from '../../protocol/updates/measurement.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { Measurement } from '../../protocol/wire/link-messages.ts';
import { withRecovery } from '../tpm/error.ts';
import { writeDurably } from './durable-file.ts';
import type { Program } from './image-sender.ts';
import type { Installation } from './installation.ts';
import type { MeterImages } from './meter-images.ts';
import type { ReleaseSource } from './release-source.ts';

export type UpdatePhase =
  | 'idle'
  | 'fetching'
  | 'measuring'
  | 'flashing'
  | 'proving'
  | 'switching'
  | 'committing'
  | 'failed';

/** For page and console. */
export interface UpdateView {
  /** The release that runs, 0 before the first one. */
  version: number;
  state: UpdatePhase;
  /** The release that is being installed, or was not; null where there is none. */
  next: number | null;
  /** Why it failed, or what it waits for; null where nothing is wrong. */
  reason: string | null;
  /** Bytes that have reached the meter, and of how many; null but while flashing. */
  progress: { arrived: number; of: number } | null;
}

/** The TPM's counter of releases (protocol/attestation/policy.ts, NV_INDEX.version). @throws TpmError */
export interface VersionCounter {
  /** 0 where it was never counted. */
  read(): Promise<number>;
  raise(to: number): Promise<void>;
}

export interface UpdaterOptions {
  /** Holds the state and what is fetched. */
  folder: string;
  clock: Clock;
  source: ReleaseSource;
  /** Pinned, Ed25519, 32 B. */
  releaseKey: Uint8Array;
  counter: VersionCounter;
  /** PCR 9 is extended by the image, unless it was already since the TPM's start. @throws TpmError */
  measureFirmware(digest: Uint8Array): Promise<void>;
  meter: Pick<MeterImages, 'install' | 'stop' | 'measure' | 'sender'>;
  /** Null: the gateway's own software is replaced by hand (bench, development). */
  installation: Installation | null;
  /** What PCR 8 holds now; absent where nothing is measured. @throws TpmError */
  gatewayPcr?(): Promise<Uint8Array>;
  /** The release that meter and gateway were delivered with; 0: none, the first one is installed like any other. */
  delivered?: number;
  /** Ends this process, to be started anew in another release. */
  restart(): void;
  /** Starts this machine anew, and its TPM with it; absent: a person does. */
  restartMachine?(): void;
  /** The image that the meter has, or is about to get; for whoever measures it after the next start of the TPM. */
  keepMeterImage?(digest: Uint8Array | null): void;
  /** The states in which sealed keys open now. */
  keepAuthorizations(authorizations: readonly ReleaseAuthorization[]): void;
  /** The verifier is to be shown the new state. */
  attest(): void;
  log(line: string): void;
  /** Protocol time between two looks for a release. */
  everyMs?: number;
}

const HOUR_MS = 3_600_000;
const RETRY_MS = 60_000;
const FETCHES_MOST = 3;
const STATE_FILE = 'state.json';
const phases = ['idle', 'fetching', 'measuring', 'flashing', 'proving', 'switching', 'committing', 'failed'] as const;
const stateSchema = v.object({
  phase: v.picklist(phases),
  version: v.number(),
  next: v.nullable(v.number()),
  reason: v.nullable(v.string()),
  /** SHA-256 of the image that was flashed last, hex. */
  meterImage: v.nullable(v.string()),
  /** And of the one before, which the meter runs where that one is given up. */
  imageBefore: v.nullable(v.string()),
  /** The machine was started anew for this release: not a second time. */
  machineRestarted: v.optional(v.boolean(), false),
  /** The household's place in roll-outs comes from it, hex. */
  secret: v.string(),
});
type State = v.InferOutput<typeof stateSchema>;

/** It will not get any further with this release. */
class UpdateFailed extends Error {}

export class Updater {
  readonly #options: UpdaterOptions;
  #state: State;
  #manifest: Manifest | null = null;
  #working = false;
  #trouble: string | null = null;
  #notBeforeMs = 0;
  #idle: Promise<void> = Promise.resolve();
  #closed = false;
  /** What the meter was asked, until it was looked at. */
  #question: { nonce: Uint8Array; answer: Measurement | Error | null } | null = null;
  /** How often what was fetched was not what the manifest names. */
  #fetches = 0;

  constructor(options: UpdaterOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#state = this.#load();
    if (this.#state.meterImage !== null) options.keepMeterImage?.(this.meterImage);
    if (this.#state.next !== null && this.#state.phase !== 'failed') this.#reopen(this.#state.next);
  }

  get view(): UpdateView {
    const { version, phase, next, reason } = this.#state;
    const sender = phase === 'flashing' ? this.#options.meter.sender : null;
    return {
      version,
      state: phase,
      next,
      reason: reason ?? this.#trouble,
      progress: sender && this.#manifest ? { arrived: sender.arrived, of: this.#manifest.firmware.length } : null,
    };
  }
  /** Digest of the image that this gateway gave the meter last; null where it never did. */
  get meterImage(): Uint8Array | null {
    return this.#state.meterImage === null ? null : Buffer.from(this.#state.meterImage, 'hex');
  }

  /** About once a second, and whenever something came from the meter. */
  tick(): void {
    if (this.#working || this.#closed || this.#options.clock.nowMs() < this.#notBeforeMs) return;
    this.#working = true;
    this.#idle = this.#step()
      .catch((error: Error) => this.#waitAfter(error))
      .finally(() => {
        this.#working = false;
      });
  }
  /** It gets on by every word of the meter: not while it waits for time, for other people or for the machine. */
  get busy(): boolean {
    const { phase } = this.#state;
    return phase !== 'idle' && phase !== 'failed' && this.#trouble === null && !this.#closed;
  }
  /** When what is under way has ended or waits for time or the meter. */
  idle(): Promise<void> {
    return this.#idle;
  }
  /** Looks for a release now. */
  look(): void {
    this.#notBeforeMs = 0;
    this.tick();
  }
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.meter.stop();
    await this.#idle;
  }

  async #step(): Promise<void> {
    const { phase } = this.#state;
    if (phase === 'idle' || phase === 'failed') await this.#lookForRelease();
    else if (phase === 'fetching') await this.#fetch();
    else if (phase === 'measuring') await this.#measure();
    else if (phase === 'flashing') this.#flash();
    else if (phase === 'proving') this.#prove();
    else if (phase === 'switching') this.#switch();
    else await this.#commit();
    this.#trouble = null;
  }

  // ── the steps ──

  async #lookForRelease(): Promise<void> {
    const { source, clock, everyMs = HOUR_MS } = this.#options;
    const nowMs = clock.nowMs();
    this.#notBeforeMs = nowMs + RETRY_MS;
    const signed = await source.newest();
    this.#notBeforeMs = nowMs + everyMs;
    if (signed === null) return;
    const manifest = openManifest(signed, this.#options.releaseKey);
    const { version } = manifest;
    if (version === this.#state.version || (this.#state.phase === 'failed' && version === this.#state.next)) return;
    const counter = Math.max(await this.#options.counter.read(), this.#state.version);
    checkInstallable(manifest, { counter, nowMs, share: shareOf(Buffer.from(this.#state.secret, 'hex'), version) });
    this.#forgetOthers(version);
    mkdirSync(this.#folder(version), { recursive: true, mode: 0o700 });
    writeDurably(join(this.#folder(version), 'manifest.bin'), signed, 0o600);
    this.#manifest = manifest;
    this.#fetches = 0;
    this.#go('fetching', { next: version, reason: null });
    this.#notBeforeMs = 0;
  }

  async #fetch(): Promise<void> {
    const manifest = this.#manifest!;
    try {
      await this.#fetchPart('firmware', manifest.firmware.length);
      await this.#fetchPart('gateway', manifest.gateway.length);
      checkFirmware(manifest, this.#firmware());
      this.#gatewayFiles();
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      // a disk that lost its power may have kept other bytes than it was given: fetched anew, but not for ever
      this.#forgetParts(manifest.version);
      if (++this.#fetches === FETCHES_MOST) throw error;
      this.#notBeforeMs = this.#options.clock.nowMs() + RETRY_MS;
      return;
    }
    this.#go('measuring');
  }

  async #measure(): Promise<void> {
    const { firmware, authorizations = [] } = this.#manifest!;
    this.#options.keepAuthorizations(authorizations);
    const { meterImage } = this.#state;
    const image = hex(firmware.digest);
    if (image !== meterImage) this.#go('measuring', { meterImage: image, imageBefore: meterImage });
    await this.#options.measureFirmware(firmware.digest);
    this.#go('flashing');
  }

  #flash(): void {
    const { meter } = this.#options;
    const { version } = this.#manifest!;
    const sender = meter.sender ?? meter.install(programOf(version, this.#firmware()));
    if (sender.state === 'sending') return;
    meter.stop();
    if (sender.state === 'failed') throw new UpdateFailed(sender.reason);
    this.#go('proving');
  }

  /** The meter runs what it was given, and has confirmed it. */
  #prove(): void {
    const { meter } = this.#options;
    const { version } = this.#manifest!;
    const confirmed = meter.sender;
    if (confirmed === null) {
      this.#question ??= this.#askMeter();
      const { nonce, answer } = this.#question;
      if (answer === null) return;
      this.#question = null;
      if (answer instanceof Error) throw answer;
      if (answer.version !== version) {
        // not started yet, or given up already: the meter says which when it is offered the image once more
        this.#go('flashing');
        this.#notBeforeMs = this.#options.clock.nowMs() + RETRY_MS / 4;
        return;
      }
      const image = this.#firmware();
      checkMeasurement(answer, nonce, image);
      meter.install(programOf(version, image));
      return;
    }
    if (confirmed.state === 'sending') return;
    meter.stop();
    if (confirmed.state === 'failed') throw new UpdateFailed(confirmed.reason);
    if (confirmed.state === 'running') this.#go('switching');
  }

  /** Nobody waits for the answer: it is there at one of the next ticks. */
  #askMeter(): { nonce: Uint8Array; answer: Measurement | Error | null } {
    const nonce = randomBytes(MEASURE_NONCE_BYTES);
    const question: { nonce: Uint8Array; answer: Measurement | Error | null } = { nonce, answer: null };
    const heard = (answer: Measurement | Error): void => {
      question.answer = answer;
    };
    this.#options.meter.measure(nonce).then(heard, heard);
    return question;
  }

  #switch(): void {
    const { installation, restart } = this.#options;
    const { version } = this.#manifest!;
    if (installation === null || installation.current() === null) {
      this.#go('committing');
      return;
    }
    if (installation.failed() === version)
      throw new UpdateFailed(`the gateway's release ${version} did not come up; the one before runs`);
    if (installation.current() === version) {
      installation.confirm();
      this.#go('committing');
      return;
    }
    try {
      installation.stage(version, this.#gatewayFiles());
    } catch (error) {
      throw new UpdateFailed((error as Error).message);
    }
    installation.switchTo(version);
    this.#closed = true;
    restart();
  }

  async #commit(): Promise<void> {
    const { counter, attest, restartMachine, log } = this.#options;
    const { version } = this.#manifest!;
    if (await this.#isOnTheWay()) {
      if (!restartMachine || this.#state.machineRestarted)
        throw new Error(`release ${version} runs; it waits for this machine to be started anew`);
      this.#go('committing', { machineRestarted: true });
      this.#closed = true;
      restartMachine();
      return;
    }
    await counter.raise(version);
    this.#go('idle', { version, next: null, machineRestarted: false });
    log(`release ${version} runs`);
    attest();
  }

  /**
   * A gateway that has replaced its own software goes on in the TPM's old start: what is sealed opens there until the counter is
   * raised, so it is raised after the next one.
   */
  async #isOnTheWay(): Promise<boolean> {
    const { version, authorizations = [] } = this.#manifest!;
    const now = await this.#options.gatewayPcr?.();
    if (!now) return false;
    const states = authorizations.filter(({ pcrs }) =>
      pcrs.some(({ pcr, value }) => pcr === PCR_GATEWAY && Buffer.compare(value, now) === 0),
    );
    return states.length > 0 && states.every(({ counterMost }) => counterMost < version);
  }

  // ── state and files ──

  #waitAfter(error: Error): void {
    const final = error instanceof UpdateFailed || (error instanceof ManifestError && error.trouble === 'image');
    if (final && this.#state.next !== null) {
      this.#options.log(`release ${this.#state.next} is not installed: ${error.message}`);
      this.#options.meter.stop();
      // a meter that has given a program up runs the one before
      const { phase, imageBefore } = this.#state;
      const back = (phase === 'flashing' || phase === 'proving') && { meterImage: imageBefore };
      this.#go('failed', { reason: error.message, ...back });
      return;
    }
    const trouble = withRecovery(error);
    if (this.#trouble !== trouble) this.#options.log(`update: ${trouble}`);
    this.#trouble = trouble;
    this.#notBeforeMs = Math.max(this.#notBeforeMs, this.#options.clock.nowMs() + RETRY_MS);
  }

  #go(phase: UpdatePhase, changes: Partial<State> = {}): void {
    this.#state = { ...this.#state, ...changes, phase };
    writeDurably(join(this.#options.folder, STATE_FILE), Buffer.from(`${JSON.stringify(this.#state)}\n`), 0o600);
    if ('meterImage' in changes) this.#options.keepMeterImage?.(this.meterImage);
  }
  #load(): State {
    const file = join(this.#options.folder, STATE_FILE);
    if (existsSync(file)) return v.parse(stateSchema, JSON.parse(readFileSync(file, 'utf8')));
    const secret = randomBytes(32).toString('hex');
    const fresh: State = {
      phase: 'idle',
      version: this.#options.delivered ?? 0,
      next: null,
      reason: null,
      meterImage: null,
      imageBefore: null,
      machineRestarted: false,
      secret,
    };
    writeDurably(file, Buffer.from(`${JSON.stringify(fresh)}\n`), 0o600);
    return fresh;
  }
  /** What was accepted is checked again: a file on a disk proves nothing. */
  #reopen(version: number): void {
    try {
      const signed = readFileSync(join(this.#folder(version), 'manifest.bin'));
      this.#manifest = openManifest(signed, this.#options.releaseKey);
      if (this.#state.phase !== 'fetching') checkFirmware(this.#manifest, this.#firmware());
    } catch (error) {
      this.#options.log(`update: ${(error as Error).message}; begun anew`);
      this.#go('idle', { next: null });
    }
  }

  async #fetchPart(of: PartRequest['of'], length: number): Promise<void> {
    const file = this.#file(of);
    const { version } = this.#manifest!;
    let offset = existsSync(file) ? statSync(file).size : 0;
    while (offset < length) {
      const bytes = await this.#options.source.part({ version, of, offset });
      if (bytes.length === 0 || bytes.length > PART_BYTES)
        throw new Error(`the ${of} of release ${version} ends at byte ${offset}`);
      await appendFile(file, bytes, { mode: 0o600 });
      offset += bytes.length;
    }
    const handle = await open(file, 'r+');
    await handle.sync();
    await handle.close();
    if (offset !== length) {
      rmSync(file);
      throw new ManifestError('image', `the ${of} of release ${version} is longer than the manifest says`);
    }
  }
  #firmware(): Uint8Array {
    return readFileSync(this.#file('firmware'));
  }
  #gatewayFiles() {
    const { version, gateway } = this.#manifest!;
    try {
      const files = decodeArchive(readFileSync(this.#file('gateway')));
      if (Buffer.compare(archiveDigest(files), gateway.digest) === 0) return files;
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
    }
    throw new ManifestError(
      'image',
      `the gateway's software is not the one that the manifest of release ${version} names`,
    );
  }
  #folder(version: number): string {
    return join(this.#options.folder, String(version));
  }
  #file(of: PartRequest['of']): string {
    return join(this.#folder(this.#manifest!.version), of);
  }
  #forgetParts(version: number): void {
    for (const part of ['firmware', 'gateway']) rmSync(join(this.#folder(version), part), { force: true });
  }
  #forgetOthers(version: number): void {
    for (const name of readdirSync(this.#options.folder))
      if (/^\d+$/.test(name) && name !== String(version))
        rmSync(join(this.#options.folder, name), { recursive: true, force: true });
  }
}

const programOf = (version: number, bytes: Uint8Array): Program => ({ version, bytes, digest: digestOfImage(bytes) });

/** @throws UpdateFailed in plain words */
function checkMeasurement(measurement: Measurement, nonce: Uint8Array, image: Uint8Array): void {
  if (measurement.length !== image.length)
    throw new UpdateFailed(
      `the meter says its program is ${measurement.length} bytes long; it was given ${image.length}`,
    );
  if (Buffer.compare(measurement.digest, measurementOfImage(nonce, image)) !== 0)
    throw new UpdateFailed('the meter runs something else than the image that it was given');
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
