/**
 * The simulated front end and ADC of one board: from the mains' wave to 12-bit codes, with everything that metering has to
 * correct (hardware/ says where the figures come from).
 *
 *   mains → clamp and voltage sensor (ratio and lead against amplitude) → gain → filter → bias → multiplexer (crosstalk)
 *         → dead zone, line and bend → INL → noise → code;   sampled at uneven times
 */
import * as adc from '../../hardware/adc.ts';
import * as frontEnd from '../../hardware/front-end.ts';
import * as response from '../../hardware/front-end-response.ts';
import { Random } from '../random.ts';

/** What the sensors see: a periodic wave, drawn with straight lines between equally spaced points. */
export interface MainsWave {
  frequencyHz: number;
  /** So many cycles of the mains are in the arrays, which are repeated. */
  cycles: number;
  voltageV: Float64Array;
  /** Import +: in step with the voltage where the house draws. */
  currentA: Float64Array;
}

/** A sensor's table: straight lines between points, constant outside. */
export interface SensorTable {
  /** RMS on the mains, rising: amps or volts. */
  at: number[];
  ratio: number[];
  /** Of the fundamental at 50 Hz. It falls with frequency and order, as a magnetising current does. */
  leadRad: number[];
}

/** What one physical board is like. Plain data (it crosses into the board's realm as JSON). Hidden from the firmware. */
export interface AdcChip {
  pinVPerV: number;
  pinVPerA: number;
  voltageSensor: SensorTable;
  clamp: SensorTable;
  /** Time constants of the voltage's and of the current's filter, s. */
  filterS: [number, number];
  /** Of the voltage's and of the current's pin. */
  biasV: [number, number];
  /** So much of the other pin's last voltage stays in the sample: current in voltage, voltage in current. */
  crosstalk: [number, number];
  deadZoneV: number;
  lsbV: number;
  bendCode: number;
  bendStepCodes: number;
  bendV: number[];
  /** INL in codes: slow waves [cycles over the range, amplitude, phase], and steps [code, height] of major transitions. */
  inlWaves: [number, number, number][];
  inlSteps: [number, number][];
  noiseLsb: number;
  /** From a voltage sample to the current's, and from that to the next voltage's. */
  stepS: [number, number];
  jitterS: number;
  lateShare: number;
  lateS: number;
}

export interface AdcModel {
  /** What the sensors see from now on. The arrays are copied; time goes on, so the phase is that of the absolute time. */
  setMains(frequencyHz: number, cycles: number, voltageV: Float64Array, currentA: Float64Array): void;
  /** Commissioning without sensors: these volts directly at the pins. */
  setPins(frequencyHz: number, cycles: number, voltagePinV: Float64Array, currentPinV: Float64Array): void;
  /** One conversion at an instant: the code, 0 … 4095. Channel 0 is the voltage, 1 the current. */
  sample(channel: number, timeS: number): number;
  /** How long the last conversion took: the next one begins so much later. */
  lastStepS(): number;
}

/**
 * The model itself. **Self-contained**: its source text is evaluated inside each board's realm, so it closes over nothing
 * and imports nothing.
 * @param seed of the noise and the jitter
 */
export function createAdcModel(chip: AdcChip, seed: number): AdcModel {
  // In a realm of its own, looking up a global costs more than a whole sample.
  const { floor, imul, min } = Math;

  // Noise and step lengths as quantiles, picked by a cheap generator: exact mean and variance.
  const PICKS = 4096;
  const quantile = (p: number): number => {
    // of the normal distribution (Giles 2012, single precision is plenty)
    const x = 2 * p - 1;
    let w = -Math.log((1 - x) * (1 + x));
    let y: number;
    if (w < 5) {
      w -= 2.5;
      const c = [
        2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3,
        0.246640727, 1.50140941,
      ];
      y = 0;
      for (let k = 0; k < c.length; k++) y = y * w + c[k];
    } else {
      w = Math.sqrt(w) - 3;
      const c = [
        -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3,
        1.00167406, 2.83297682,
      ];
      y = 0;
      for (let k = 0; k < c.length; k++) y = y * w + c[k];
    }
    return Math.SQRT2 * y * x;
  };
  const noise = new Float64Array(PICKS);
  const delay = new Float64Array(PICKS);
  const late = Math.round(chip.lateShare * PICKS);
  for (let k = 0; k < PICKS; k++) {
    const normal = quantile((k + 0.5) / PICKS);
    noise[k] = chip.noiseLsb * normal + 0.5; // the half rounds
    delay[k] = chip.jitterS * normal;
  }
  for (let k = 0; k < late; k++) delay[Math.floor(((k + 0.5) * PICKS) / late)] += chip.lateS;

  // Code (not rounded) against volts at the pin.
  const CURVE_STEPS = 4096;
  const CURVE_TOP_V = 3.3;
  const perV = CURVE_STEPS / CURVE_TOP_V;
  const curve = new Float64Array(CURVE_STEPS + 1);
  for (let k = 0; k <= CURVE_STEPS; k++) {
    const v = k / perV;
    let code = (v - chip.deadZoneV) / chip.lsbV;
    const bend = chip.bendV;
    if (v > bend[0] && code > chip.bendCode) {
      let n = 0;
      while (n < bend.length - 2 && v > bend[n + 1]) n++;
      code = chip.bendCode + chip.bendStepCodes * (n + (v - bend[n]) / (bend[n + 1] - bend[n]));
    }
    for (let n = 0; n < chip.inlWaves.length; n++) {
      const wave = chip.inlWaves[n];
      code += wave[1] * Math.sin((2 * Math.PI * wave[0] * code) / 4096 + wave[2]);
    }
    for (let n = 0; n < chip.inlSteps.length; n++) if (code > chip.inlSteps[n][0]) code += chip.inlSteps[n][1];
    curve[k] = code;
  }

  const interpolate = (at: number[], values: number[], x: number): number => {
    if (x <= at[0]) return values[0];
    for (let k = 1; k < at.length; k++) {
      if (x < at[k]) return values[k - 1] + ((values[k] - values[k - 1]) * (x - at[k - 1])) / (at[k] - at[k - 1]);
    }
    return values[values.length - 1];
  };

  // Volts at the two pins over the repeated wave, with the first point again at the end.
  let points = 1;
  let pointsPerS = 0;
  const pins = [new Float64Array(2).fill(chip.biasV[0]), new Float64Array(2).fill(chip.biasV[1])];

  /**
   * Writes ratio · (cos lead · wave − sin lead · ω∫wave) · gain + bias: the core's magnetising current is an integral, so
   * the angle of a harmonic comes out divided by its order. Then the filter's single pole, exact for straight lines
   * between the points.
   */
  const throughSensor = (
    to: Float64Array,
    wave: Float64Array,
    hz: number,
    cycles: number,
    table: SensorTable | null,
    gain: number,
    bias: number,
    filterS: number,
  ) => {
    const n = wave.length;
    let mean = 0;
    let square = 0;
    for (let k = 0; k < n; k++) {
      mean += wave[k];
      square += wave[k] * wave[k];
    }
    mean = table ? mean / n : 0; // no transformer carries direct current
    const rms = Math.sqrt(square / n - mean * mean);
    const lead = table ? (interpolate(table.at, table.leadRad, rms) * 50) / hz : 0;
    const ratio = table ? gain * interpolate(table.at, table.ratio, rms) : gain;
    const a = ratio * Math.cos(lead);
    const b = (ratio * Math.sin(lead) * 2 * Math.PI * cycles) / n;
    let integral = 0;
    let integralMean = 0;
    let before = wave[n - 1];
    for (let k = 0; k < n; k++) {
      integral += 0.5 * (before + wave[k]) - mean;
      before = wave[k];
      integralMean += integral;
      to[k] = bias + a * (wave[k] - mean) - b * integral;
    }
    integralMean /= n;
    for (let k = 0; k < n; k++) to[k] += b * integralMean;
    if (filterS > 0) {
      const steps = cycles / (hz * n * filterS); // from point to point, in time constants
      const keep = Math.exp(-steps);
      const newer = 1 - (1 - keep) / steps;
      const older = 1 - keep - newer;
      let last = to[n - 1];
      let y = bias;
      // what stood before the wave began has died away after so many points
      for (let k = Math.max(0, n - Math.ceil(30 / steps)); k < n; k++) {
        y = keep * y + older * to[k === 0 ? n - 1 : k - 1] + newer * to[k];
      }
      for (let k = 0; k < n; k++) {
        const x = to[k];
        y = keep * y + older * last + newer * x;
        last = x;
        to[k] = y;
      }
    }
    to[n] = to[0];
  };
  const connect = (hz: number, cycles: number, v: Float64Array, i: Float64Array, sensors: boolean): void => {
    if (v.length !== i.length || v.length === 0) throw new RangeError('adc model: waves of different length');
    if (v.length !== points || pins[0].length !== points + 1) {
      points = v.length;
      pins[0] = new Float64Array(points + 1);
      pins[1] = new Float64Array(points + 1);
    }
    pointsPerS = (points * hz) / cycles;
    throughSensor(
      pins[0],
      v,
      hz,
      cycles,
      sensors ? chip.voltageSensor : null,
      sensors ? chip.pinVPerV : 1,
      sensors ? chip.biasV[0] : 0,
      sensors ? chip.filterS[0] : 0,
    );
    throughSensor(
      pins[1],
      i,
      hz,
      cycles,
      sensors ? chip.clamp : null,
      sensors ? chip.pinVPerA : 1,
      sensors ? chip.biasV[1] : 0,
      sensors ? chip.filterS[1] : 0,
    );
  };

  let random = seed | 0 || 1;
  let held = chip.biasV[0]; // what the sample capacitor remembers
  let lastStep = 0;
  const keepV = chip.crosstalk[0];
  const keepI = chip.crosstalk[1];
  const stepV = chip.stepS[0];
  const stepI = chip.stepS[1];

  return {
    setMains(frequencyHz, cycles, voltageV, currentA) {
      connect(frequencyHz, cycles, voltageV, currentA, true);
    },
    setPins(frequencyHz, cycles, voltagePinV, currentPinV) {
      connect(frequencyHz, cycles, voltagePinV, currentPinV, false);
    },
    sample(channel, timeS) {
      // xorshift32, its weak low bits mixed by a multiplication
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      const pick = imul(random, 0x9e3779b1);

      const x = timeS * pointsPerS;
      const at = x - floor(x / points) * points;
      const k = at | 0;
      const pin = channel === 0 ? pins[0] : pins[1];
      const own = pin[k] + (pin[k + 1] - pin[k]) * (at - k);
      const volts = own + (channel === 0 ? keepV : keepI) * (held - own);
      held = own;
      lastStep = (channel === 0 ? stepV : stepI) + delay[(pick >>> 8) & 4095];

      const c = volts * perV;
      if (c <= 0) return 0;
      if (c >= CURVE_STEPS) return 4095;
      const m = c | 0;
      const code = (curve[m] + (curve[m + 1] - curve[m]) * (c - m) + noise[pick >>> 20]) | 0;
      return code < 0 ? 0 : min(code, 4095);
    },
    lastStepS() {
      return lastStep;
    },
  };
}

export interface ChipSpec {
  inlLsb?: number;
  /** Crosstalk either way; its sign and the other way's size are the seed's. */
  crosstalk?: number;
  noiseLsb?: number;
}

/** A board as it comes from the soldering iron: everything within its tolerance, another one for every seed. */
export function makeChip(seed: number, spec: ChipSpec = {}): AdcChip {
  const random = new Random(seed, 'chip');
  const about = (value: number, tolerance: number): number => value * (1 + random.between(-tolerance, tolerance));
  const crosstalk = spec.crosstalk ?? frontEnd.CROSSTALK;
  const inl = inlOf(random, spec.inlLsb ?? adc.ADC_INL_LSB);
  const skew = random.between(-0.04, 0.04); // voltage and current do not take equally long
  const sampleS = about(adc.ADC_SAMPLE_S, 0.01);
  const reference = random.between(-0.02, 0.02); // of 1.1 V: dead zone, slope and bend go with it
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const clamp = frontEnd.CURRENT_TRANSFORMER;
  const sensor = frontEnd.VOLTAGE_TRANSFORMER;
  const clampLead = random.between(0.9, 1.1);
  const sensorLead = random.between(0.7, 1.1);
  return {
    pinVPerV: about(frontEnd.PIN_V_PER_V, frontEnd.GAIN_TOLERANCE),
    pinVPerA: about(frontEnd.PIN_V_PER_A, frontEnd.GAIN_TOLERANCE),
    voltageSensor: smooth({
      at: sensor.voltagesV,
      ratio: sensor.ratioErrorPercent.map((e) => 1 + e / 100),
      leadRad: sensor.leadDeg.map((d) => radians(d) * sensorLead),
    }),
    clamp: smooth({
      at: clamp.currentsA,
      ratio: clamp.ratioErrorPercent.map((e) => 1 + e / 100),
      leadRad: clamp.leadDeg.map((d) => radians(d) * clampLead),
    }),
    biasV: [about(frontEnd.BIAS_V, response.BIAS_TOLERANCE), about(frontEnd.BIAS_V, response.BIAS_TOLERANCE)],
    crosstalk: [crosstalk * random.between(0.3, 1), crosstalk],
    deadZoneV: adc.ADC_DEAD_ZONE_V * (1 + reference),
    lsbV: adc.ADC_LSB_V * (1 + reference),
    bendCode: adc.ADC_BEND_CODE,
    bendStepCodes: adc.ADC_BEND_STEP_CODES,
    bendV: adc.ADC_BEND_V.map((v) => v * (1 + reference)),
    inlWaves: inl.waves,
    inlSteps: inl.steps,
    noiseLsb: spec.noiseLsb ?? adc.ADC_NOISE_LSB,
    stepS: [sampleS * (1 + skew), sampleS * (1 - skew)],
    jitterS: adc.ADC_JITTER_S,
    lateShare: adc.ADC_LATE_SHARE,
    lateS: adc.ADC_LATE_S,
    filterS: [
      about(response.FILTER_VOLTAGE_US * 1e-6, response.FILTER_TOLERANCE),
      about(response.FILTER_CURRENT_US * 1e-6, response.FILTER_TOLERANCE),
    ],
  };
}

/** A core has no corners: the same table, eight times as many points on a curve (Catmull–Rom over the logarithm). */
function smooth(table: SensorTable): SensorTable {
  const PARTS = 8;
  const last = table.at.length - 1;
  const curve = (values: number[]): number[] => {
    const points: number[] = [];
    for (let n = 0; n < last; n++) {
      const [a, b, c, d] = [values[Math.max(n - 1, 0)], values[n], values[n + 1], values[Math.min(n + 2, last)]];
      for (let k = 0; k < PARTS; k++) {
        const t = k / PARTS;
        points.push(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
      }
    }
    points.push(values[last]);
    return points;
  };
  const at: number[] = [];
  for (let n = 0; n < last; n++) {
    for (let k = 0; k < PARTS; k++) at.push(table.at[n] * (table.at[n + 1] / table.at[n]) ** (k / PARTS));
  }
  at.push(table.at[last]);
  return { at, ratio: curve(table.ratio), leadRad: curve(table.leadRad) };
}

/** A bow and waves that get smaller as they get shorter, and small steps where the upper bits change; `peakLsb` at most. */
function inlOf(random: Random, peakLsb: number): { waves: [number, number, number][]; steps: [number, number][] } {
  const waves: [number, number, number][] = [];
  for (const [cycles, amplitude] of [
    [0.5, 1],
    [1, 0.7],
    [2, 0.5],
    [3, 0.35],
    [5, 0.2],
    [9, 0.1],
    [17, 0.05],
  ]) {
    waves.push([cycles, amplitude * random.between(0.5, 1), random.between(0, 2 * Math.PI)]);
  }
  const steps: [number, number][] = [512, 1024, 1536, 2048, 2560].map((code) => [code, random.between(-0.12, 0.12)]);
  const inl = (code: number): number =>
    waves.reduce((sum, [n, a, phase]) => sum + a * Math.sin((2 * Math.PI * n * code) / 4096 + phase), 0) +
    steps.reduce((sum, [at, height]) => sum + (code > at ? height : 0), 0);
  // INL is what is left after the straight line through both ends of the used range.
  const [low, high] = [200, 2700];
  let worst = 0;
  for (let code = low; code <= high; code += 4) {
    const line = inl(low) + ((inl(high) - inl(low)) * (code - low)) / (high - low);
    worst = Math.max(worst, Math.abs(inl(code) - line));
  }
  const scale = peakLsb / worst;
  return {
    waves: waves.map(([n, a, phase]) => [n, a * scale, phase]),
    steps: steps.map(([at, height]) => [at, height * scale]),
  };
}
