/**
 * Stages F and G: energy registers that only grow. (Espruino dialect)
 *
 * Power is integrated over the time that really passed, netted over a block of 10 s and then split into import and export:
 * split window by window, noise alone would creep into both registers. For the same reason nothing is counted while what
 * came together could be noise, or is less than a meter has to start at. It is held, and credited when the gate opens.
 */
import { NOMINAL_V, START_CURRENT_A } from '../../hardware/board.ts';

/** The gate opens at this part of the power at which a meter has to start. */
const GATE_PART = 1 / 3;
/** And only for a mean that is so many standard deviations off zero. */
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
  private open = false;
  private blockMwMs = 0;
  private blockMs = 0;
  private blockWindows = 0;
  /** Closed: held for when the gate opens. Open: seen since the last look whether it should close. */
  private heldMwMs = 0;
  private heldMs = 0;
  private heldWindows = 0;

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

  /** A window's power held for so long. @param powerMw, elapsedMs integers */
  integrate(powerMw: number, elapsedMs: number): void {
    this.blockMwMs += powerMw * elapsedMs;
    this.blockMs += elapsedMs;
    this.blockWindows++;
  }

  /** Ends a netting block: its balance goes to one register, or is held. */
  closeBlock(): void {
    this.heldMwMs += this.blockMwMs;
    this.heldMs += this.blockMs;
    this.heldWindows += this.blockWindows;
    const energy = this.open ? this.blockMwMs : this.heldMwMs;
    const loaded =
      this.significant(this.heldMwMs, this.heldMs, this.heldWindows) ||
      this.significant(this.blockMwMs, this.blockMs, this.blockWindows);
    if (this.open || loaded) {
      if (energy > 0) this.imported.add(energy);
      else this.exported.add(-energy);
    }
    const spanEnds = this.heldWindows >= this.spanWindows;
    if (loaded) this.open = true;
    else if (spanEnds) this.open = false;
    if (loaded || spanEnds) {
      this.heldMwMs = 0;
      this.heldMs = 0;
      this.heldWindows = 0;
    }
    this.blockMwMs = 0;
    this.blockMs = 0;
    this.blockWindows = 0;
  }

  private significant(mwMs: number, ms: number, windows: number): boolean {
    if (windows === 0 || ms <= 0) return false;
    const meanMw = Math.abs(mwMs / ms);
    return meanMw > this.gateMw && meanMw > (GATE_SIGMAS * this.noiseMw) / Math.sqrt(windows);
  }
}
