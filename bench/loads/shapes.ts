/**
 * Unit wave shapes of household appliances over one mains cycle: amperes per watt at the nominal mains.
 *
 * Every cycle begins where the fundamental of the voltage crosses zero upwards. A shape is scaled so that it draws a mean
 * of 1 W from a pure sine of 230 V; what it really draws from the bent and wandering voltage of the bench is for the
 * composite wave to say (household-load.ts). Resistive loads have no shape of their own: their current is the voltage's.
 */

/** Points per cycle. Between two of them the virtual board draws a straight line, which costs 3 · 10⁻⁵ of the power. */
export const WAVE_POINTS = 512;
export const NOMINAL_VOLTAGE_V = 230;

/** A harmonic of the mains: order, amplitude relative to the fundamental, phase lead in degrees of its own period. */
type Harmonic = [order: number, amplitude: number, leadDegrees: number];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** sin(order · θ + lead) at every point of the cycle. */
export function sine(order = 1, leadDegrees = 0): Float64Array {
  return wave((theta) => Math.sin(order * theta + radians(leadDegrees)));
}

function wave(at: (theta: number) => number): Float64Array {
  return Float64Array.from({ length: WAVE_POINTS }, (_, n) => at((2 * Math.PI * n) / WAVE_POINTS));
}

const harmonics =
  (...list: Harmonic[]) =>
  (theta: number): number =>
    list.reduce((sum, [order, amplitude, lead]) => sum + amplitude * Math.sin(order * theta + radians(lead)), 0);

/** Charging pulses of a capacitor behind a rectifier: one each half cycle, `widthDegrees` wide, soft at both ends. */
const pulses =
  (centreDegrees: number, widthDegrees: number) =>
  (theta: number): number => {
    const halfCycle = Math.floor(theta / Math.PI);
    const distance = theta - halfCycle * Math.PI - radians(centreDegrees);
    const width = radians(widthDegrees);
    if (Math.abs(distance) > width / 2) return 0;
    return (halfCycle % 2 === 0 ? 1 : -1) * Math.cos((Math.PI * distance) / width) ** 2;
  };

/** A triac or a chopper that conducts while the mains' angle in its half cycle is between the two. */
const chopped =
  (fromDegrees: number, toDegrees: number) =>
  (theta: number): number => {
    const angle = theta % Math.PI;
    return angle >= radians(fromDegrees) && angle < radians(toDegrees) ? Math.sin(theta) : 0;
  };

const plus =
  (...parts: ((theta: number) => number)[]) =>
  (theta: number): number =>
    parts.reduce((sum, part) => sum + part(theta), 0);

const forms = {
  /** Compressor or drum: the fundamental lags by 46°, little distortion; power factor 0.69. */
  motor: harmonics([1, 1, -46], [3, 0.06, -110], [5, 0.03, 40]),
  /** A speed-controlled universal motor: fired late in the half cycle; power factor 0.71. */
  phaseFired: chopped(90, 180),
  /** Rectifier and capacitor without correction: pulses before the crest; power factor 0.62. */
  supply: pulses(80, 55),
  /** A small supply behind a capacitor: early pulses, leading; power factor 0.61. */
  light: plus(pulses(70, 70), harmonics([1, 0.12, 90])),
  /** A supply with power factor correction: nearly a sine; power factor 0.99. */
  corrected: harmonics([1, 1, -3], [3, 0.08, 10], [5, 0.06, 160], [7, 0.03, 30]),
  /** Induction cooker: chopped around the zero crossing, and its filter's capacitor; power factor 0.79. */
  induction: plus(chopped(25, 155), harmonics([1, 0.75, 90], [5, 0.1, 20], [7, 0.06, 0])),
  /** Many small things on stand-by: leading and bent; power factor 0.49. */
  standby: plus(pulses(78, 70), harmonics([1, 0.45, 90])),
  /** An inverter that feeds: nearly a sine in step with the voltage. Its watts are negative. */
  inverter: harmonics([1, 1, 0], [3, 0.015, 0], [5, 0.012, 90], [7, 0.008, 0]),
} satisfies Record<string, (theta: number) => number>;

export type ShapeName = keyof typeof forms | 'resistive';

/** Mean power, W, of a current (A) at a pure sine of the nominal voltage. */
function powerAtNominalW(current: Float64Array): number {
  const voltage = sine();
  let sum = 0;
  for (let n = 0; n < WAVE_POINTS; n++) sum += voltage[n] * current[n];
  return (sum * NOMINAL_VOLTAGE_V * Math.SQRT2) / WAVE_POINTS;
}

function unit(form: (theta: number) => number): Float64Array {
  const current = wave(form);
  const powerW = powerAtNominalW(current);
  return current.map((value) => value / powerW);
}

/** Amperes per watt, by name. */
export const shapes: Readonly<Record<Exclude<ShapeName, 'resistive'>, Float64Array>> = Object.fromEntries(
  Object.entries(forms).map(([name, form]) => [name, unit(form)]),
) as Record<keyof typeof forms, Float64Array>;

export const shapeNames = ['resistive', ...Object.keys(forms)] as ShapeName[];
