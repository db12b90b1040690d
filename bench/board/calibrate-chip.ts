/**
 * Commissioning of a simulated board, as a workshop does it with a real one: a source of known volts at the pins, then a
 * phantom load (voltage and current from separate sources, in any phase) with a reference meter. It sees ADC readings and
 * the reference, never what the chip hides.
 *
 *   1  direct voltages at both pins, step by step            → code table
 *   2  one sine at both pins                                 → skew between the two samples, sampling clock
 *   3  sensors connected, nothing on the mains               → biases, noise
 *   4  mains voltage, clamp open, at three voltages          → voltage's gain and table, crosstalk into the current
 *   5  currents from low to full range, both directions      → current's gain, ratio and lead; crosstalk into the voltage
 *   6  one current at three voltages                         → the voltage sensor's lead
 */
import {
  type Calibration,
  CODE_TABLE_KNOTS,
  CODE_TABLE_STEP,
  checkCalibration,
  nominalCalibration,
} from '../../firmware/metering/calibration.ts';
import { MeteredChip } from './metered-chip.ts';
import type { AdcChip } from './adc-model.ts';

const POINTS = 512;
const HZ = 50;
const REFERENCE_V = 230;
const VOLTAGES_V = [207, 230, 253];
/** Amps and windows in each direction: the noise is the same at every current, the smallest needs the longest look. */
const CURRENTS: [ampere: number, windows: number][] = [
  [0.3, 1600],
  [0.6, 1200],
  [1.2, 400],
  [2.5, 150],
  [5, 60],
  [10, 40],
  [16, 40],
  [25, 40],
  [40, 40],
  [60, 40],
];
const OPEN_WINDOWS = 600;
const SETTLE_WINDOWS = 4;

const sine = (rms: number): Float64Array =>
  Float64Array.from({ length: POINTS }, (_, n) => rms * Math.SQRT2 * Math.sin((2 * Math.PI * n) / POINTS));
const unit = sine(1);
const scaled = (rms: number): Float64Array => unit.map((x) => x * rms);

/** Mean of what a meter shows over some windows: W, var, V, Hz. */
function show(meter: MeteredChip, windows: number): { p: number; q: number; v: number; hz: number } {
  for (let n = 0; n < SETTLE_WINDOWS; n++) meter.window();
  const mean = { p: 0, q: 0, v: 0, hz: 0 };
  for (let n = 0; n < windows; n++) {
    const m = meter.window();
    mean.p += m.powerMw / 1000 / windows;
    mean.q += m.reactiveMvar / 1000 / windows;
    mean.v += m.voltageMv / 1000 / windows;
    mean.hz += m.frequencyMhz / 1000 / windows;
  }
  return mean;
}

/** 1: mean code against volts, turned round at the knots. */
function codeTableOf(chip: AdcChip, seed: number): number[] {
  const meter = new MeteredChip(chip, seed, nominalCalibration());
  const STEPS = 257;
  const TOP_V = 3.25;
  const level = new Float64Array(1);
  const volts: number[] = [];
  const codes: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    level[0] = (TOP_V * step) / (STEPS - 1);
    meter.model.setPins(HZ, 1, level, level);
    let sum = 0;
    for (let n = 0; n < 4; n++) {
      meter.sample();
      for (const code of meter.raw) sum += code;
    }
    const code = sum / (4 * meter.raw.length);
    // Near the ends the noise is cut off on one side and the mean is not the code's.
    if (code < 20 || code > 4075 || (codes.length > 0 && code <= codes[codes.length - 1])) continue;
    volts.push(level[0]);
    codes.push(code);
  }
  const table: number[] = [];
  for (let knot = 0; knot < CODE_TABLE_KNOTS; knot++) {
    const code = knot * CODE_TABLE_STEP;
    let n = 1;
    while (n < codes.length - 1 && codes[n] < code) n++;
    const slope = (volts[n] - volts[n - 1]) / (codes[n] - codes[n - 1]);
    table.push(Math.round((volts[n - 1] + slope * (code - codes[n - 1])) * 1e6));
  }
  return table;
}

/** Calibrates a chip. The same chip and seed give the same document. About 0.3 s. */
export function calibrateChip(chip: AdcChip, seed = 1): Calibration {
  const c = nominalCalibration();
  c.codeTableUv = codeTableOf(chip, seed);
  c.noiseUv = { voltage: 0, current: 0 };
  c.voltage.points = [{ at: 1, ratioPpm: 0, leadUrad: 0 }];
  c.current.points = [{ at: 1, ratioPpm: 0, leadUrad: 0 }];
  /** A meter with what is known so far. */
  const meter = (): MeteredChip => new MeteredChip(chip, seed, structuredClone(c));

  // 2
  const pinSine = scaled(0.6).map((x) => x + c.biasUv.current / 1e6);
  let m = meter();
  m.model.setPins(HZ, 1, pinSine, pinSine);
  const joined = show(m, 100);
  // What leads was sampled later than assumed.
  const leadRad = -Math.atan2(joined.q, joined.p);
  const cyclePairs = (1 / HZ / m.windowS) * (m.raw.length / 2);
  c.skewPpm += Math.round((leadRad / (2 * Math.PI)) * cyclePairs * 1e6);
  c.sampleClockPpm = Math.round((HZ / joined.hz - 1) * 1e6);

  // 3
  m.model.setMains(HZ, 1, scaled(0), scaled(0));
  const levels = [0, 0];
  const squares = [0, 0];
  const WINDOWS = 20;
  const volts = (code: number): number => {
    const knot = Math.min(Math.floor(code / CODE_TABLE_STEP), CODE_TABLE_KNOTS - 2);
    const part = code / CODE_TABLE_STEP - knot;
    return c.codeTableUv[knot] + (c.codeTableUv[knot + 1] - c.codeTableUv[knot]) * part;
  };
  for (let n = 0; n < WINDOWS; n++) {
    m.sample();
    m.raw.forEach((code, k) => {
      levels[k & 1] += volts(code);
      squares[k & 1] += volts(code) ** 2;
    });
  }
  const count = (WINDOWS * m.raw.length) / 2;
  const [biasV, biasI] = levels.map((sum) => sum / count);
  c.biasUv = { voltage: Math.round(biasV), current: Math.round(biasI) };
  c.noiseUv = {
    voltage: Math.round(Math.sqrt(squares[0] / count - biasV ** 2)),
    current: Math.round(Math.sqrt(squares[1] / count - biasI ** 2)),
  };

  // 4
  m = meter();
  const shownV = VOLTAGES_V.map((v) => {
    m.model.setMains(HZ, 1, scaled(v), scaled(0));
    return show(m, 40).v;
  });
  m.model.setMains(HZ, 1, scaled(REFERENCE_V), scaled(0));
  const open = show(m, OPEN_WINDOWS);
  const into = c.current.pinUvPerA / (open.v ** 2 * c.voltage.pinUvPerV);
  c.crosstalk.voltageInCurrentPpm = [Math.round(open.p * into * 1e6), Math.round(open.q * into * 1e6)];
  const nominalGain = shownV[VOLTAGES_V.indexOf(REFERENCE_V)] / REFERENCE_V;
  c.voltage.pinUvPerV = Math.round(c.voltage.pinUvPerV * nominalGain);
  c.voltage.points = VOLTAGES_V.map((v, n) => {
    const shown = shownV[n] / nominalGain;
    return { at: Math.round(1000 * shown), ratioPpm: Math.round((shown / v - 1) * 1e6), leadUrad: 0 };
  });

  // 5: half the difference of the two directions is free of crosstalk, half the sum is nothing else.
  m = meter();
  const loads = CURRENTS.map(([ampere, windows]) => {
    m.model.setMains(HZ, 1, scaled(REFERENCE_V), scaled(ampere));
    const there = show(m, windows);
    m.model.setMains(HZ, 1, scaled(REFERENCE_V), scaled(-ampere));
    const back = show(m, windows);
    const p = (there.p - back.p) / 2;
    const q = (there.q - back.q) / 2;
    return {
      ampere,
      shownA: Math.hypot(p, q) / REFERENCE_V,
      leadRad: -Math.atan2(q, p),
      p: there.p + back.p,
      q: there.q + back.q,
    };
  });
  const most = loads[loads.length - 1];
  const onto = c.voltage.pinUvPerV / (2 * most.shownA ** 2 * c.current.pinUvPerA);
  c.crosstalk.currentInVoltagePpm = [Math.round(most.p * onto * 1e6), Math.round(most.q * onto * 1e6)];
  c.current.points = loads.map((load) => ({
    at: Math.round(1000 * load.shownA),
    ratioPpm: Math.round((load.shownA / load.ampere - 1) * 1e6),
    leadUrad: Math.round(load.leadRad * 1e6),
  }));

  // 6
  m = meter();
  const leads = VOLTAGES_V.map((v) => {
    m.model.setMains(HZ, 1, scaled(v), scaled(most.ampere / 2));
    const shown = show(m, 60);
    return Math.atan2(shown.q, shown.p);
  });
  const reference = leads[VOLTAGES_V.indexOf(REFERENCE_V)];
  c.voltage.points.forEach((point, n) => {
    point.leadUrad = Math.round((leads[n] - reference) * 1e6);
  });
  return checkCalibration(c);
}
