/**
 * Two of the ADC's pins, voltage and current of a phase: a window of samples in one native call. (Espruino dialect; touches Espruino's globals.)
 *
 * `E.mapInPlace(pins, readings, analogRead)` calls the native function for each pin without any interpreting in between,
 * voltage and current by turns, and allocates nothing. What it writes are parts of the range; they become codes
 * afterwards, since no native helper multiplies.
 */
import { ADC_CODES } from '../../hardware/adc.ts';
import { PAIRS_PER_WINDOW } from '../../hardware/board.ts';

export class Adc {
  /** The last window's codes, voltage and current by turns. */
  raw: Uint16Array;
  private readings: Float32Array;
  private pins = new Uint8Array(2 * PAIRS_PER_WINDOW);

  /** @param shared another phase's: both write into the same memory, one after the other */
  constructor(voltagePin: number, currentPin: number, shared?: Adc) {
    this.raw = shared ? shared.raw : new Uint16Array(2 * PAIRS_PER_WINDOW);
    this.readings = shared ? shared.readings : new Float32Array(2 * PAIRS_PER_WINDOW);
    for (let n = 0; n < this.pins.length; n += 2) {
      this.pins[n] = voltagePin;
      this.pins[n + 1] = currentPin;
    }
  }

  /** Fills `raw`. @return how long that took, s */
  read(): number {
    const begin = getTime();
    E.mapInPlace(this.pins, this.readings, analogRead);
    const seconds = getTime() - begin;
    const raw = this.raw;
    let n = 0;
    for (const reading of this.readings) raw[n++] = reading * ADC_CODES;
    return seconds;
  }
}
