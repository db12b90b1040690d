/** A meter on the virtual board, with its line to a gateway that calibrates it, and known loads on its mains. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdcChip, makeChip } from '../../../bench/board/adc-model.ts';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { MeterCalibration } from '../../../gateway/calibration/calibration.ts';
import { ConductorChannel } from '../../../gateway/meter/channel.ts';
import { MeterLink } from '../../../gateway/meter/link.ts';
import { GatewayStore, type TimedLive } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { buildFirmware } from '../../../scripts/build.mjs';

const START_MS = Date.UTC(2026, 2, 2, 10);
const POINTS = 256;
export const MAINS_V = 230;

export class CalibrationBench {
  readonly board: VirtualBoard;
  readonly link: MeterLink;
  readonly calibration: MeterCalibration;
  readonly log: string[] = [];
  readonly signed: Uint8Array[] = [];
  readonly lives: TimedLive[] = [];
  readonly #clock = new DrivenClock(START_MS);
  readonly #channel = new ConductorChannel();
  #nowMs = START_MS;

  private constructor(bundle: string, chip: AdcChip, storage?: Record<string, string>) {
    const dataDir = mkdtempSync(join(tmpdir(), 'quietmeter-calibration-'));
    this.board = new VirtualBoard({ bundle, chip, seed: 7, startMs: START_MS, storage });
    const log = (line: string) => this.log.push(line);
    this.link = new MeterLink({
      channel: this.#channel,
      store: new GatewayStore(dataDir),
      clock: this.#clock,
      resolutionWh: 50,
      onLives: (lives) => this.lives.push(...lives),
      onReports: () => {},
      log,
    });
    const sign = async (message: Uint8Array) => {
      this.signed.push(message);
      return new Uint8Array(64).fill(9);
    };
    this.calibration = new MeterCalibration({ sessions: this.link.sessions, dataDir, clock: this.#clock, sign, log });
  }

  static async start(seed = 3, storage?: Record<string, string>): Promise<CalibrationBench> {
    const bench = new CalibrationBench((await buildFirmware()).code, makeChip(seed), storage);
    bench.load(0);
    bench.board.start();
    bench.link.start();
    bench.seconds(3);
    return bench;
  }

  /** What is on the mains from now on. @param lagRad how far the current lags */
  load(amps: number, lagRad = 0, clamp: 1 | -1 = 1): void {
    const wave = (peak: number, lag: number) =>
      Float64Array.from({ length: POINTS }, (_, n) => peak * Math.SQRT2 * Math.sin((2 * Math.PI * n) / POINTS - lag));
    const currentA = wave(clamp * amps, lagRad);
    this.board.setMains({ frequencyHz: 50, cycles: 1, voltageV: wave(MAINS_V, 0), currentA });
  }

  seconds(count: number): void {
    for (let n = 0; n < count; n++) {
      this.#nowMs += 1000;
      this.#clock.advanceTo(this.#nowMs);
      this.board.advanceTo(this.#nowMs);
      this.#channel.deliver(this.board.take());
      this.link.tick();
      this.calibration.tick(this.link.boot);
      this.board.receive(this.#channel.take());
    }
  }
  /** Drives time until the promise is settled. */
  async until<T>(promise: Promise<T>, mostS = 1200): Promise<T> {
    let settled = false;
    const ended = () => {
      settled = true;
    };
    promise.then(ended, ended);
    for (let n = 0; n < mostS && !settled; n++) {
      this.seconds(1);
      await new Promise((next) => setImmediate(next));
    }
    return promise;
  }

  async point(amps: number, windows: number, { lagRad = 0, clamp = 1 as 1 | -1 } = {}): Promise<void> {
    this.load(amps, lagRad, clamp);
    this.seconds(3);
    const [watts, vars] = [MAINS_V * amps * Math.cos(lagRad), MAINS_V * amps * Math.sin(lagRad)];
    await this.until(this.calibration.addPoint({ volts: MAINS_V, watts, vars }, windows));
  }
  /** The mean of what the meter shows of a load, W. */
  watts(amps: number, lagRad: number, windows: number, clamp: 1 | -1 = 1): number {
    this.load(amps, lagRad, clamp);
    this.seconds(5);
    this.lives.length = 0;
    this.seconds(windows);
    return this.lives.reduce((sum, { powerMw }) => sum + powerMw / 1000, 0) / this.lives.length;
  }
}
