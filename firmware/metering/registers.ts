/**
 * Stages F and G: energy registers that only grow. (Espruino dialect)
 *
 * Power is integrated over the time that really passed, netted over a block of 10 s and then split into import and export:
 * split window by window, noise alone would creep into both registers. A block that could be noise, or is less than a meter
 * has to start at, is held and added to the next one, until together they are clearly a load: then all that was held is
 * credited. What has not become one within a span that would show the least load, was none, and is dropped. A load of more
 * than a few watts is credited with every block; with nothing on the clamp nothing is ever counted.
 */
import { NOMINAL_V, START_CURRENT_A } from '../../hardware/board.ts';

/** Least load that is counted, as a part of the one at which a meter has to start. */
const GATE_PART = 1 / 3;
/** And its mean has to be so many standard deviations off zero. */
const GATE_SIGMAS = 6;
const MW_MS_PER_MWH = 3600000;

/** One direction: whole mWh, and what is not yet one. */
class Register {
  mwh: number;
  private restMwMs = 0;

  constructor(mwh: number) {
    this.mwh = mwh;
  }

  add(mwMs: number): void {
    this.restMwMs += mwMs;
    const whole = Math.floor(this.restMwMs / MW_MS_PER_MWH);
    this.mwh += whole;
    this.restMwMs -= whole * MW_MS_PER_MWH;
  }
}

export class EnergyRegisters {
  private imported: Register;
  private exported: Register;
  private noiseMw: number;
  private gateMw = NOMINAL_V * START_CURRENT_A * 1000 * GATE_PART;
  /** So many windows tell a load at the gate from noise. */
  private spanWindows: number;
  /** Since the last block that was credited or dropped. */
  private mwMs = 0;
  private ms = 0;
  private windows = 0;

  /**
   * @param importMwh, exportMwh where the registers stand
   * @param noiseMw standard deviation of one window's power
   */
  constructor(importMwh: number, exportMwh: number, noiseMw: number) {
    this.imported = new Register(importMwh);
    this.exported = new Register(exportMwh);
    this.noiseMw = noiseMw;
    this.spanWindows = Math.ceil(Math.pow((GATE_SIGMAS * noiseMw) / this.gateMw, 2)) + 1;
  }

  get importMwh(): number {
    return this.imported.mwh;
  }
  get exportMwh(): number {
    return this.exported.mwh;
  }

  /** A window's power over the time since. @param powerMw, elapsedMs integers */
  integrate(powerMw: number, elapsedMs: number): void {
    this.mwMs += powerMw * elapsedMs;
    this.ms += elapsedMs;
    this.windows++;
  }

  /** Ends a netting block: its balance goes to one register, or is held. */
  closeBlock(): void {
    if (this.ms <= 0) return;
    const meanMw = Math.abs(this.mwMs / this.ms);
    const isLoad = meanMw > this.gateMw && meanMw > (GATE_SIGMAS * this.noiseMw) / Math.sqrt(this.windows);
    if (!isLoad && this.windows < this.spanWindows) return;
    if (isLoad && this.mwMs > 0) this.imported.add(this.mwMs);
    if (isLoad && this.mwMs < 0) this.exported.add(-this.mwMs);
    this.mwMs = 0;
    this.ms = 0;
    this.windows = 0;
  }
}
