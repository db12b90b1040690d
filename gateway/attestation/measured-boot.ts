/**
 * What was measured into the TPM since it was started, and that nothing is measured twice.
 *
 *   after each start of the TPM   1  PCR 8 ← digest of the gateway's software
 *                                 2  PCR 9 ← digest of the image that is in the meter
 *   before each flash                PCR 9 ← digest of the new image
 *
 * Always in this order, so that PCR values can be known ahead. A PCR tells no more than its value: the log beside it says by what
 * it was extended. It is on the disk before the TPM is told, so a kill in between leaves at most one entry that the TPM has not;
 * that one is made up for. The TPM's resetCount says which start the log is of.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { type MeasuredEvent, PCR_GATEWAY, PCR_METER } from '../../protocol/attestation/evidence.ts';
import { replay } from '../../protocol/attestation/software.ts';
import { TpmError } from '../tpm/error.ts';
import type { Tpm } from '../tpm/tpm.ts';

export const MEASUREMENTS_FILE = 'measurements.json';
export const MEASURED_PCRS = [PCR_GATEWAY, PCR_METER] as const;

/** What it needs of a TPM. */
export type MeasuringTpm = Pick<Tpm, 'clock' | 'readPcrs' | 'extendPcr'>;

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const logSchema = v.strictObject({
  resetCount: v.pipe(v.number(), v.integer()),
  events: v.array(v.strictObject({ pcr: v.picklist(MEASURED_PCRS), digest })),
});
interface Log {
  resetCount: number;
  events: MeasuredEvent[];
}

export interface Measured {
  events: readonly MeasuredEvent[];
  pcrs: readonly { pcr: number; value: Uint8Array }[];
  /** A PCR holds what the log does not explain: somebody else extended it, or the log was lost. Only a restart helps. */
  unexplained: boolean;
}

export class MeasuredBoot {
  readonly #file: string;
  readonly #tpm: () => Promise<MeasuringTpm>;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param tpm opens it where it is not open; throws TpmError */
  constructor(tpm: () => Promise<MeasuringTpm>, dataDir: string) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.#file = join(dataDir, MEASUREMENTS_FILE);
    this.#tpm = tpm;
  }

  /**
   * Measures what has not been measured since the TPM's start. May be called at any time, any number of times.
   * @param gateway digest of the software that runs
   * @param meter digest of the image in the meter; null where the gateway never flashed one
   */
  ensure(gateway: Uint8Array, meter: Uint8Array | null): Promise<Measured> {
    return this.#inTurn(async () => {
      const tpm = await this.#tpm();
      const log = await this.#current(tpm);
      await this.#extendOnce(tpm, log, PCR_GATEWAY, gateway);
      if (meter) await this.#extendOnce(tpm, log, PCR_METER, meter);
      return this.#measured(tpm, log);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** The log of this start of the TPM, with what the TPM had not been told. */
  async #current(tpm: MeasuringTpm): Promise<Log> {
    const { resetCount } = await tpm.clock();
    const kept = this.#read();
    if (kept?.resetCount !== resetCount) return { resetCount, events: [] };
    if (kept.events.length > 0) await this.#extend(tpm, kept);
    return kept;
  }

  async #extendOnce(
    tpm: MeasuringTpm,
    log: Log,
    pcr: (typeof MEASURED_PCRS)[number],
    value: Uint8Array,
  ): Promise<void> {
    const known = digestsOf(log, pcr);
    // a meter that gave a new image up runs the one before again, which was measured then: its answer says which
    if (pcr === PCR_METER ? known.some((one) => same(one, value)) : known.length > 0 && same(known.at(-1)!, value))
      return;
    log.events.push({ pcr, digest: value });
    await this.#write(log);
    await this.#extend(tpm, log);
  }

  /** By the log's last entry, where the TPM has not been told of it. */
  async #extend(tpm: MeasuringTpm, log: Log): Promise<void> {
    const { pcr, digest } = log.events.at(-1)!;
    const from = replay(digestsOf(log, pcr).slice(0, -1));
    try {
      await tpm.extendPcr(pcr, digest, { from });
    } catch (error) {
      // it holds something else: said by `unexplained`, and by the verifier
      if (!(error instanceof TpmError) || error.kind !== 'reset') throw error;
    }
  }

  async #measured(tpm: MeasuringTpm, log: Log): Promise<Measured> {
    const values = await tpm.readPcrs(MEASURED_PCRS);
    const pcrs = MEASURED_PCRS.map((pcr) => ({ pcr, value: values.get(pcr)! }));
    const unexplained = pcrs.some(({ pcr, value }) => !same(value, replay(digestsOf(log, pcr))));
    return { events: log.events, pcrs, unexplained };
  }

  /** A log that cannot be read is as good as none. */
  #read(): Log | null {
    try {
      const { resetCount, events } = v.parse(logSchema, JSON.parse(readFileSync(this.#file, 'utf8')));
      return { resetCount, events: events.map(({ pcr, digest }) => ({ pcr, digest: Buffer.from(digest, 'hex') })) };
    } catch {
      return null;
    }
  }

  async #write({ resetCount, events }: Log): Promise<void> {
    const text = events.map(({ pcr, digest }) => ({ pcr, digest: Buffer.from(digest).toString('hex') }));
    const fresh = await open(`${this.#file}.new`, 'w', 0o600);
    try {
      await fresh.writeFile(`${JSON.stringify({ resetCount, events: text }, null, 1)}\n`);
      await fresh.sync();
    } finally {
      await fresh.close();
    }
    await rename(`${this.#file}.new`, this.#file);
  }
}

const digestsOf = ({ events }: Log, pcr: number): Uint8Array[] =>
  events.filter((event) => event.pcr === pcr).map(({ digest }) => digest);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
