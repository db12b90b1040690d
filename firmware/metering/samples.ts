/**
 * Stages A and B: from interleaved codes to two arrays of volts at the pins. (Espruino dialect)
 */
import { ADC_CODES } from '../../hardware/adc.ts';
import { CODE_TABLE_KNOTS, CODE_TABLE_STEP } from './calibration.ts';
import type { Dsp } from './dsp.ts';

/** Samples are kept in tenths of a millivolt at the pin: an eighth of the ADC's step. */
export const SAMPLE_UV = 100;

export class Samples {
  voltage: Int16Array;
  current: Int16Array;
  private dsp: Dsp;
  private table: Int16Array;
  private mapped: Int16Array;
  private currentAsWords: Int32Array;
  private shifted: Int16Array;
  private voltageAsWords: Int32Array;

  /**
   * @param codeTableUv knots of the code table, see calibration.ts
   * @param centreUv what becomes 0: the current's bias, so that its offset stays near 0
   */
  constructor(dsp: Dsp, pairs: number, codeTableUv: number[], centreUv: number) {
    this.dsp = dsp;
    this.voltage = new Int16Array(pairs);
    this.current = new Int16Array(pairs);
    this.table = new Int16Array(ADC_CODES);
    let code = 0;
    for (let knot = 1; knot < CODE_TABLE_KNOTS; knot++) {
      let value = (codeTableUv[knot - 1] - centreUv) / SAMPLE_UV + 0.5;
      const step = (codeTableUv[knot] - codeTableUv[knot - 1]) / (SAMPLE_UV * CODE_TABLE_STEP);
      for (let n = 0; n < CODE_TABLE_STEP; n++) {
        this.table[code++] = Math.floor(value);
        value += step;
      }
    }
    // No native helper takes every second element. But the low half of a 32-bit word is what remains when it is stored
    // in 16 bits: seen as words, the samples give the voltages, and the same samples moved by one the currents.
    const buffer = new ArrayBuffer(4 * pairs + 4);
    this.mapped = new Int16Array(buffer, 2, 2 * pairs);
    this.currentAsWords = new Int32Array(buffer, 4, pairs);
    this.shifted = new Int16Array(2 * pairs);
    this.voltageAsWords = new Int32Array(this.shifted.buffer, 0, pairs);
  }

  /** @param raw codes, voltage and current by turns */
  take(raw: Uint16Array): void {
    this.dsp.mapInPlace(raw, this.mapped, this.table);
    this.current.set(this.currentAsWords);
    this.shifted.set(this.mapped);
    this.voltage.set(this.voltageAsWords);
  }
}

/** Stage A: did a sample touch an end of the ADC's range? */
export function isClipped(raw: Uint16Array): boolean {
  return raw.indexOf(0) >= 0 || raw.indexOf(ADC_CODES - 1) >= 0;
}
