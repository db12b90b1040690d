/**
 * Three phases as one measurement: what each of them draws added up before anything is split into import and export, so that what one phase
 * feeds in pays for what another draws within the netting block, as the grid's own meter counts. (Espruino dialect)
 *
 * Each phase has a voltage, a clamp and a calibration of its own. The windows are taken one after the other, each second, into the same memory.
 */
import type { Measurement, Metering } from './meter.ts';

/** One more phase than the first. */
export interface Phase {
  /** Fills `raw`, and says how long that took, s. */
  sampler: { raw: Uint16Array; read(): number };
  metering: Metering;
}

/** mW, mV, mA of a phase: 4 B each, little-endian. */
export const PHASE_BYTES = 12;

export class Phases {
  /** Sums; the voltage is the mean, the frequency the first phase's. */
  readonly measurement: Measurement;
  /** Of the sum. */
  noiseMw: number;
  /** Of the last windows, a phase after the other. */
  readonly each: Uint8Array;
  private first: Metering;
  private others: Phase[];
  private view: DataView;

  constructor(first: Metering, others: Phase[]) {
    this.first = first;
    this.others = others;
    this.measurement = Object.assign({}, first.measurement);
    let square = first.noiseMw * first.noiseMw;
    for (const other of others) square += other.metering.noiseMw * other.metering.noiseMw;
    this.noiseMw = Math.sqrt(square);
    this.each = new Uint8Array(PHASE_BYTES * (1 + others.length));
    this.view = new DataView(this.each.buffer);
  }

  /** As Metering's, of the first phase's window; the others are read here. */
  window(raw: Uint16Array, windowS: number): Measurement {
    const sum = this.measurement;
    Object.assign(sum, this.first.window(raw, windowS));
    this.note(0, sum);
    let phase = 1;
    for (const other of this.others) {
      const seconds = other.sampler.read();
      const m = other.metering.window(other.sampler.raw, seconds);
      this.note(phase++, m);
      sum.powerMw += m.powerMw;
      sum.reactiveMvar += m.reactiveMvar;
      sum.apparentMva += m.apparentMva;
      sum.currentMa += m.currentMa;
      sum.voltageMv += m.voltageMv;
      sum.flags |= m.flags;
    }
    sum.voltageMv = Math.round(sum.voltageMv / phase);
    // against the arithmetic sum of the phases' apparent powers
    sum.powerFactorE4 = sum.apparentMva > 0 ? Math.round((10000 * sum.powerMw) / sum.apparentMva) : 0;
    sum.powerFactorE4 = Math.max(-10000, Math.min(10000, sum.powerFactorE4));
    return sum;
  }

  private note(phase: number, m: Measurement): void {
    const at = phase * PHASE_BYTES;
    this.view.setInt32(at, m.powerMw, true);
    this.view.setUint32(at + 4, m.voltageMv, true);
    this.view.setUint32(at + 8, m.currentMa, true);
  }
}
