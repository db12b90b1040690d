/**
 * One window of samples → power, RMS values, power factor, frequency: the lettered stages of a measurement.
 * (Espruino dialect; natives, calibration and samples are passed in.)
 *
 * ```ts
 * const metering = new Metering(E, checkCalibration(document), meteringConfig());
 * const registers = new EnergyRegisters(importMwh, exportMwh, metering.noiseMw);  // as they were in flash
 * const clamp = new ReversedClamp(metering.noiseMw, generatorInstalled);
 * // each second
 * registers.integrate(now.powerMw, elapsedMs);           // the last window's power, over the time since it was taken
 * clamp.observe(now, elapsedMs);
 * if (blockEnds) { registers.closeBlock(); clamp.closeBlock(); }   // every 10 s: registers.importMwh, .exportMwh → flash
 * now = metering.window(adc.raw, adc.read());            // always the same object, written anew
 * now.flags, clamp.suspected                             // FLAG_CLIPPED, FLAG_NO_VOLTAGE; FLAG_REVERSED
 * ```
 *
 *   A  a window with clipped samples is discarded, and flagged
 *   B  code table: codes → volts at the pin (the ADC's dead zone, bend and INL)
 *   C  slow offset, staggered whole cycles, taps for the skew between voltage and current
 *   D  gains, the sensors' ratio and lead against amplitude, the lead undone by the quadrature
 *   E  crosstalk of the multiplexer and noise floor (of what is at the pins, therefore before D)
 *   F  netting and splitting: registers.ts      G  creep: registers.ts, reversed clamp: reversed-clamp.ts
 */
import { NOMINAL_HZ, NOMINAL_V, PAIRS_PER_WINDOW } from '../../hardware/board.ts';
import type { Shown } from '../../protocol/wire/calibration-messages.ts';
import { FLAG_CLIPPED, FLAG_NO_VOLTAGE } from '../../protocol/wire/link-messages.ts';
import type { Calibration } from './calibration.ts';
import { Cut, STAGGERS } from './cut.ts';
import type { Dsp } from './dsp.ts';
import { FrequencyMeter } from './frequency.ts';
import { isClipped, SAMPLE_UV, Samples } from './samples.ts';
import { Sensor } from './sensor.ts';

/** Integers. Import +, export −; lagging (inductive) reactive power of an importing load +. */
export interface Measurement {
  powerMw: number;
  reactiveMvar: number;
  apparentMva: number;
  voltageMv: number;
  currentMa: number;
  /** In 1/10,000, signed as the power is. */
  powerFactorE4: number;
  /** mHz; 0 where there is no voltage. */
  frequencyMhz: number;
  /** FLAG_CLIPPED, FLAG_NO_VOLTAGE of protocol/wire/link-messages.ts */
  flags: number;
}

export interface MeteringConfig {
  pairs: number;
  nominalHz: number;
  nominalV: number;
  /** 4; 1 shows what staggering is good for. */
  staggers: number;
}

export function meteringConfig(): MeteringConfig {
  return { pairs: PAIRS_PER_WINDOW, nominalHz: NOMINAL_HZ, nominalV: NOMINAL_V, staggers: STAGGERS };
}

/** Offsets follow the windows' means with this weight: slowly, since a mean still has some ripple in it. */
const OFFSET_WEIGHT = 1 / 32;
/** The measured frequency follows with this weight, or at once where it is off by more than `FREQUENCY_JUMP`. */
const FREQUENCY_WEIGHT = 1 / 4;
const FREQUENCY_JUMP = 0.01;
/** A cut serves for cycles that are longer or shorter by this much. */
const CUT_TOLERANCE = 0.002;
/** What is no mains: out of these limits the nominal frequency is assumed. */
const LOWEST_HZ = 40;
const HIGHEST_HZ = 70;
/** Below this part of the nominal voltage there is none. */
const NO_VOLTAGE_PART = 0.2;
/** As many clipped windows in a row are bridged with the last good one; a lasting overload is counted as it is read. */
const CLIPPED_BRIDGED = 10;

export class Metering {
  /** Standard deviation of one window's power with no load at the nominal voltage, mW. */
  noiseMw: number;
  /** Result of the last window. */
  readonly measurement: Measurement = {
    powerMw: 0,
    reactiveMvar: 0,
    apparentMva: 0,
    voltageMv: 0,
    currentMa: 0,
    powerFactorE4: 0,
    frequencyMhz: 0,
    flags: 0,
  };
  /** The same before the sensors' tables, for who calibrates them: gains and crosstalk are in it, ratios and leads are not. */
  readonly shown: Shown = { volts: 0, amps: 0, watts: 0, vars: 0, hz: 0 };
  /** The cut that the last window was measured with. */
  cut: Cut;
  private dsp: Dsp;
  private calibration: Calibration;
  private config: MeteringConfig;
  private samples: Samples;
  private frequency: FrequencyMeter;
  private voltageSensor: Sensor;
  private currentSensor: Sensor;
  private skew: number;
  private offsetV = 0;
  private offsetI = 0;
  private started = false;
  private hz: number;
  private clippedInARow = 0;
  // Means over the cut, in samples' units: what `sum` leaves for the stages after it.
  private meanV = 0;
  private meanI = 0;
  private squareV = 0;
  private squareI = 0;
  private product = 0;
  private quadrature = 0;

  /** @param shared another phase's, whose samples' memory is used: its window is over when this one's begins */
  constructor(dsp: Dsp, calibration: Calibration, config: MeteringConfig, shared?: Metering) {
    this.dsp = dsp;
    this.calibration = calibration;
    this.config = config;
    this.samples = shared
      ? shared.samples
      : new Samples(dsp, config.pairs, calibration.codeTableUv, calibration.biasUv.current);
    this.frequency = new FrequencyMeter(dsp, this.samples);
    this.voltageSensor = new Sensor(calibration.voltage.points);
    this.currentSensor = new Sensor(calibration.current.points);
    this.skew = calibration.skewPpm / 1000000;
    this.hz = config.nominalHz;
    // Until the first window tells how long its pairs take, four cycles in it.
    this.cut = new Cut(this.samples, config.pairs / 4, this.skew, config.staggers);
    this.frequency.tune(this.cut.period);
    const wattsPerVolt = calibration.noiseUv.current / calibration.current.pinUvPerA;
    this.noiseMw = (1000 * config.nominalV * wattsPerVolt) / Math.sqrt(this.cut.effectivePairs);
  }

  /**
   * Measures one window.
   * @param raw codes, voltage and current by turns
   * @param windowS how long it took to take them
   * @return `this.measurement`
   */
  window(raw: Uint16Array, windowS: number): Measurement {
    const m = this.measurement;
    const c = this.calibration;
    if (isClipped(raw)) {
      this.clippedInARow++;
      if (this.started && this.clippedInARow <= CLIPPED_BRIDGED) {
        m.flags = m.flags | FLAG_CLIPPED;
        return m;
      }
    } else {
      this.clippedInARow = 0;
    }
    this.samples.take(raw);
    const pairS = windowS / ((1 + c.sampleClockPpm / 1000000) * this.config.pairs);
    this.retune(pairS);
    this.sum();
    if (!this.started) {
      this.offsetV = this.meanV;
      this.offsetI = this.meanI;
      this.started = true;
    }
    let squareV = this.squareV - this.offsetV * (2 * this.meanV - this.offsetV);
    const present = squareV > 0 && Math.sqrt(squareV) * SAMPLE_UV > this.lowestPinUv();
    if (present) {
      this.follow(squareV, pairS);
      squareV = this.squareV - this.offsetV * (2 * this.meanV - this.offsetV);
    }
    const squareI = this.squareI - this.offsetI * (2 * this.meanI - this.offsetI);
    const offsets = this.offsetV * this.meanI + this.offsetI * this.meanV - this.offsetV * this.offsetI;
    const cut = this.cut;
    const product = this.product - offsets * (cut.tapNear + cut.tapFar);
    const quadrature = this.quadrature - offsets * (cut.quarterNear + cut.quarterFar);
    this.offsetV += (this.meanV - this.offsetV) * OFFSET_WEIGHT;
    this.offsetI += (this.meanI - this.offsetI) * OFFSET_WEIGHT;
    this.convert(squareV, squareI, product, -quadrature, present);
    if (this.clippedInARow > 0) m.flags = m.flags | FLAG_CLIPPED;
    return m;
  }

  private lowestPinUv(): number {
    return this.calibration.voltage.pinUvPerV * this.config.nominalV * NO_VOLTAGE_PART;
  }

  /** Cuts anew if the cycle is not the cut's any more. True if it was not. */
  private retune(pairS: number): boolean {
    const period = 1 / (this.hz * pairS);
    if (Math.abs(period - this.cut.period) <= CUT_TOLERANCE * period) return false;
    this.cut = new Cut(this.samples, period, this.skew, this.config.staggers);
    this.frequency.tune(period);
    return true;
  }

  /** Follows the mains' frequency; a window that was cut for another one is summed again. */
  private follow(squareV: number, pairS: number): void {
    let square = squareV;
    for (let attempt = 0; attempt < 4; attempt++) {
      const hz = 1 / (pairS * this.frequency.measure(this.offsetV, square));
      if (hz < LOWEST_HZ || hz > HIGHEST_HZ) {
        this.hz = this.config.nominalHz;
        return;
      }
      if (Math.abs(hz - this.hz) < FREQUENCY_JUMP * this.hz) {
        this.hz += (hz - this.hz) * FREQUENCY_WEIGHT;
        return;
      }
      this.hz = hz;
      if (!this.retune(pairS)) return;
      this.sum();
      square = this.squareV - this.offsetV * (2 * this.meanV - this.offsetV);
    }
  }

  /** Stage C: the weighted sums over the cut. */
  private sum(): void {
    const dsp = this.dsp;
    const cut = this.cut;
    const v = this.samples.voltage;
    const i = this.samples.current;
    let sumV = 0;
    let sumI = 0;
    let vv = 0;
    let ii = 0;
    let near = 0;
    let far = 0;
    let quarterNear = 0;
    let quarterFar = 0;
    for (let n = 0; n < cut.weight.length; n++) {
      const w = cut.weight[n];
      const at = cut.start[n];
      const partV = cut.voltage[n];
      const partI = cut.current[n];
      sumV += w * dsp.sum(partV);
      sumI += w * dsp.sum(partI);
      vv += w * dsp.convolve(partV, v, at);
      ii += w * dsp.convolve(partI, i, at);
      near += w * dsp.convolve(partI, v, at + cut.tap);
      far += w * dsp.convolve(partI, v, at + cut.tap + 1);
      quarterNear += w * dsp.convolve(partI, v, at + cut.quarterTap);
      quarterFar += w * dsp.convolve(partI, v, at + cut.quarterTap + 1);
    }
    this.meanV = sumV / cut.total;
    this.meanI = sumI / cut.total;
    this.squareV = vv / cut.total;
    this.squareI = ii / cut.total;
    this.product = (cut.tapNear * near + cut.tapFar * far) / cut.total;
    this.quadrature = (cut.quarterNear * quarterNear + cut.quarterFar * quarterFar) / cut.total;
  }

  /** Stages E and D, and what is derived. All inputs are mean products of samples around their offsets. */
  private convert(squareV: number, squareI: number, product: number, quadrature: number, present: boolean): void {
    const c = this.calibration;
    const m = this.measurement;
    const noiseV = c.noiseUv.voltage / SAMPLE_UV;
    const noiseI = c.noiseUv.current / SAMPLE_UV;
    const vv = Math.max(0, squareV - noiseV * noiseV);
    const ii = Math.max(0, squareI - noiseI * noiseI);
    const g = c.crosstalk.voltageInCurrentPpm;
    const r = c.crosstalk.currentInVoltagePpm;
    const p = product - (g[0] * vv + r[0] * ii) / 1000000;
    const q = quadrature - (g[1] * vv + r[1] * ii) / 1000000;

    const shownV = (Math.sqrt(vv) * SAMPLE_UV) / c.voltage.pinUvPerV;
    const shownA = (Math.sqrt(ii) * SAMPLE_UV) / c.current.pinUvPerA;
    this.voltageSensor.look(1000 * shownV);
    this.currentSensor.look(1000 * shownA);
    const volts = shownV * this.voltageSensor.factor;
    const amps = shownA * this.currentSensor.factor;
    m.currentMa = Math.round(1000 * amps);
    const plain =
      (((SAMPLE_UV / c.voltage.pinUvPerV) * SAMPLE_UV) / c.current.pinUvPerA) * (c.current.reversed ? -1 : 1);
    const shown = this.shown;
    shown.volts = shownV;
    shown.amps = shownA;
    shown.watts = plain * p;
    shown.vars = plain * q;
    shown.hz = this.hz;
    if (!present) {
      m.voltageMv = 0;
      m.powerMw = 0;
      m.reactiveMvar = 0;
      m.apparentMva = 0;
      m.powerFactorE4 = 0;
      m.frequencyMhz = 0;
      m.flags = FLAG_NO_VOLTAGE;
      return;
    }
    // A clamp's magnetising current grows as the frequency falls. Undone by a rotation, since it is in quadrature.
    const lead = ((this.currentSensor.lead - this.voltageSensor.lead) * this.config.nominalHz) / this.hz;
    const turned = this.voltageSensor.factor * this.currentSensor.factor * plain;
    const cos = Math.cos(lead);
    const sin = Math.sin(lead);
    const watts = turned * (p * cos - q * sin);
    const vars = turned * (q * cos + p * sin);
    const voltAmps = volts * amps;
    m.voltageMv = Math.round(1000 * volts);
    m.powerMw = Math.round(1000 * watts);
    m.reactiveMvar = Math.round(1000 * vars);
    m.apparentMva = Math.round(1000 * voltAmps);
    const factor = voltAmps > 0 ? watts / voltAmps : 0;
    m.powerFactorE4 = Math.round(10000 * Math.max(-1, Math.min(1, factor)));
    m.frequencyMhz = Math.round(1000 * this.hz);
    m.flags = 0;
  }
}
