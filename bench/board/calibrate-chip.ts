/**
 * Commissioning of a simulated board, as a workshop does it with a real one: a source of known volts at the pins, then a
 * phantom load (voltage and current from separate sources, in any phase) with a reference meter. It sees ADC readings and
 * the reference, never what the chip hides.
 *
 *   1  direct voltages at both pins, step by step            → code table
 *   2  one sine at both pins                                 → skew between the two samples, sampling clock
 *   3  sensors connected, nothing on the mains               → biases, noise
 *   4  mains voltage, clamp open, at three voltages          → voltage's gain and table
 *   5  currents from none to full range, both directions     → current's gain, ratio and lead; crosstalk both ways
 *   6  one current at three voltages                         → the voltage sensor's lead
 */
import {
  type Calibration,
  CODE_TABLE_KNOTS,
  CODE_TABLE_STEP,
  checkCalibration,
  nominalCalibration,
} from '../../firmware/metering/calibration.ts';
import type { AdcChip } from './adc-model.ts';
import { MeteredChip } from './metered-chip.ts';

const POINTS = 512;
const HZ = 50;
const REFERENCE_V = 230;
const VOLTAGES_V = [207, 230, 253];
/** Amps and windows in each direction: the noise is the same at every current, the smallest needs the longest look. */
const LOADS: [ampere: number, windows: number][] = [
  [0, 600],
  [0.3, 1600],
  [0.6, 1600],
  [1.2, 800],
  [2.5, 400],
  [5, 300],
  [7, 200],
  [10, 200],
  [16, 200],
  [25, 200],
  [40, 200],
  [60, 200],
];
const LEAD_A = 30;
const SETTLE_WINDOWS = 4;

const sine = (rms: number): Float64Array =>
  Float64Array.from({ length: POINTS }, (_, n) => rms * Math.SQRT2 * Math.sin((2 * Math.PI * n) / POINTS));
const unit = sine(1);
const scaled = (rms: number): Float64Array => unit.map((x) => x * rms);

/** Mean of what a meter shows over some windows: W, var, V, Hz. */
function show(meter: MeteredChip, windows: number): { p: number; q: number; v: number; hz: number } {
  for (let n = 0; n < SETTLE_WINDOWS; n++) meter.window();
  const mean = { p: 0, q: 0, v: 0, hz: 0 };
  const count = Math.ceil(windows);
  for (let n = 0; n < count; n++) {
    const m = meter.window();
    mean.p += m.powerMw / 1000 / count;
    mean.q += m.reactiveMvar / 1000 / count;
    mean.v += m.voltageMv / 1000 / count;
    mean.hz += m.frequencyMhz / 1000 / count;
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

interface Leak {
  ampere: number;
  windows: number;
  leakedW: number;
  leakedVar: number;
}

/**
 * Least squares for g · V² + r · I² over all loads, in phase and in quadrature.
 * @param gains pin volts per volt / pin volts per ampere: both are wanted as parts of the other pin's volts
 */
function crosstalkOf(loads: Leak[], gains: number): { voltage: number[]; current: number[] } {
  const leastSquares = (of: (load: Leak) => number): [number, number] => {
    let [aa, ab, bb, ay, by] = [0, 0, 0, 0, 0];
    for (const load of loads) {
      const a = REFERENCE_V ** 2 * gains;
      const b = load.ampere ** 2 / gains;
      aa += load.windows * a * a;
      ab += load.windows * a * b;
      bb += load.windows * b * b;
      ay += load.windows * a * of(load);
      by += load.windows * b * of(load);
    }
    const determinant = aa * bb - ab * ab;
    return [
      Math.round((1e6 * (ay * bb - by * ab)) / determinant),
      Math.round((1e6 * (by * aa - ay * ab)) / determinant),
    ];
  };
  const inPhase = leastSquares((load) => load.leakedW);
  const inQuadrature = leastSquares((load) => load.leakedVar);
  return { voltage: [inPhase[0], inQuadrature[0]], current: [inPhase[1], inQuadrature[1]] };
}

/**
 * Calibrates a chip. The same chip, seed and effort give the same document.
 * @param effort part of the usual averaging, which takes about 0.7 s
 */
export function calibrateChip(chip: AdcChip, seed = 1, effort = 1): Calibration {
  const c = nominalCalibration();
  c.codeTableUv = codeTableOf(chip, seed);
  c.noiseUv = { voltage: 0, current: 0 };
  c.voltage.points = [{ shownMilli: 1, ratioPpm: 0, leadUrad: 0 }];
  c.current.points = [{ shownMilli: 1, ratioPpm: 0, leadUrad: 0 }];
  /** A meter with what is known so far. */
  const meter = (): MeteredChip => new MeteredChip(chip, seed, structuredClone(c));

  // 2
  const pinSine = scaled(0.6).map((x) => x + c.biasUv.current / 1e6);
  let m = meter();
  m.model.setPins(HZ, 1, pinSine, pinSine);
  const joined = show(m, 400 * effort);
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
    return show(m, 40 * effort).v;
  });
  const nominalGain = shownV[VOLTAGES_V.indexOf(REFERENCE_V)] / REFERENCE_V;
  c.voltage.pinUvPerV = Math.round(c.voltage.pinUvPerV * nominalGain);
  c.voltage.points = VOLTAGES_V.map((v, n) => {
    const shown = shownV[n] / nominalGain;
    return { shownMilli: Math.round(1000 * shown), ratioPpm: Math.round((shown / v - 1) * 1e6), leadUrad: 0 };
  });

  // 5: half the difference of the two directions is free of crosstalk, half the sum is nothing else.
  m = meter();
  const loads = LOADS.map(([ampere, windows]) => {
    m.model.setMains(HZ, 1, scaled(REFERENCE_V), scaled(ampere));
    const there = show(m, windows * effort);
    m.model.setMains(HZ, 1, scaled(REFERENCE_V), scaled(-ampere));
    const back = show(m, windows * effort);
    const p = (there.p - back.p) / 2;
    const q = (there.q - back.q) / 2;
    return {
      ampere,
      windows,
      shownA: Math.hypot(p, q) / REFERENCE_V,
      leadRad: -Math.atan2(q, p),
      leakedW: (there.p + back.p) / 2,
      leakedVar: (there.q + back.q) / 2,
    };
  });
  const ppm = crosstalkOf(loads, c.voltage.pinUvPerV / c.current.pinUvPerA);
  c.crosstalk = {
    voltageInCurrentPpm: [ppm.voltage[0], ppm.voltage[1]],
    currentInVoltagePpm: [ppm.current[0], ppm.current[1]],
  };
  c.current.points = loads.slice(1).map((load) => ({
    shownMilli: Math.round(1000 * load.shownA),
    ratioPpm: Math.round((load.shownA / load.ampere - 1) * 1e6),
    leadUrad: Math.round(load.leadRad * 1e6),
  }));

  // 6
  m = meter();
  const leads = VOLTAGES_V.map((v) => {
    m.model.setMains(HZ, 1, scaled(v), scaled(LEAD_A));
    const shown = show(m, 1000 * effort);
    return Math.atan2(shown.q, shown.p);
  });
  const reference = leads[VOLTAGES_V.indexOf(REFERENCE_V)];
  c.voltage.points.forEach((point, n) => {
    point.leadUrad = Math.round((leads[n] - reference) * 1e6);
  });
  return checkCalibration(c);
}
