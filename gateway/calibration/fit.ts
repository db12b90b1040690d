/**
 * From what the meter saw and what was really there to a calibration document. Pure arithmetic.
 *
 *   voltage    one gain, from all points
 *   nothing    what is seen with no load is the voltage's crosstalk into the current's pin, in phase and in quadrature: the bias
 *   each load  how far the current's ratio and lead are from what the table says at that current
 *   between    the deviations are joined by straight lines over the current's logarithm, beyond the first and last load they are theirs; so
 *              one load shifts the whole of the clamp's curve, and several bend it
 *
 * What cannot be is refused in words, before anything is written.
 */
import type { Calibration, SensorPoint } from '../../hardware/calibration.ts';
import { GAIN_TOLERANCE } from '../../hardware/front-end.ts';
import type { Shown } from '../../protocol/wire/calibration-messages.ts';

/** What a person or a reference meter says of a point, and what the meter saw meanwhile. */
export interface CalibrationPoint {
  /** Volts on the mains. */
  volts: number;
  /** Import +; 0: nothing is switched on, or the clamp is open. */
  watts: number;
  /** 0 for what only heats. Inductive +. */
  vars: number;
  seen: Shown;
}
export interface PointErrors {
  watts: number;
  /** (shown − real) / apparent power, in percent; null without a load. */
  beforePercent: number | null;
  afterPercent: number | null;
}
export interface Fit {
  document: Calibration;
  /** The clamp was found the wrong way round, and is swapped in the document. */
  reversed: boolean;
  points: PointErrors[];
  /** Things to know that are no reason to refuse. */
  warnings: string[];
}
/** The numbers cannot be right: nothing is written. */
export class ImplausibleCalibration extends Error {
  override readonly name = 'ImplausibleCalibration';
}

/** Parts may be off by their tolerance, and a maker's table by as much again. */
const GAIN_MOST = 0.1;
const GAIN_USUAL = GAIN_TOLERANCE;
/** Beyond it, it is another phase or another conductor. */
const LEAD_MOST_RAD = (12 * Math.PI) / 180;
const LOAD_LEAST_VA = 40;
/** Without a load: more than crosstalk, creep and noise can be. */
const IDLE_MOST_VA = 30;
const LOWEST_V = 90;
const HIGHEST_V = 280;
const POINTS_MOST = 32;
const CROSSTALK_MOST_PPM = 100_000;

interface Deviation {
  amps: number;
  ratio: number;
  leadRad: number;
}

/** @throws ImplausibleCalibration with a sentence for people */
export function fitCalibration(now: Calibration, points: readonly CalibrationPoint[]): Fit {
  const warnings: string[] = [];
  const loads = points.filter((point) => apparent(point) > 0);
  const idle = points.filter((point) => apparent(point) === 0);
  checkPoints(points, loads, idle);
  const document = structuredClone(now);
  document.number = (now.number ?? 0) + 1;

  const gainV = mean(points.map(({ seen, volts }) => (seen.volts * factorAt(now.voltage.points, seen.volts)) / volts));
  checkGain('voltage', gainV, warnings);
  document.voltage.pinUvPerV = Math.round(now.voltage.pinUvPerV * gainV);

  const reversed = isReversed(loads);
  if (reversed) document.current.reversed = !now.current.reversed;

  const crosstalk = crosstalkOf(now, idle, reversed);
  document.crosstalk.voltageInCurrentPpm = now.crosstalk.voltageInCurrentPpm.map((ppm, n) => {
    const sum = Math.round(ppm + crosstalk[n]);
    if (Math.abs(sum) > CROSSTALK_MOST_PPM)
      throw new ImplausibleCalibration('too much is seen without a load: is the clamp really open?');
    return sum;
  });
  const deviations = loads
    .map((load) => deviationOf(document, now, load, gainV, reversed))
    .sort((a, b) => a.amps - b.amps);
  for (const { ratio, leadRad } of deviations) {
    checkGain('current', 1 + ratio, warnings);
    if (Math.abs(leadRad) > LEAD_MOST_RAD)
      throw new ImplausibleCalibration(
        `the current is ${degrees(leadRad)}° from where it should be: are clamp and voltage sensor on the same phase, and does the load only heat?`,
      );
  }
  document.current.points = bent(now.current.points, deviations);
  return {
    document,
    reversed,
    warnings,
    points: points.map((point) => ({
      watts: point.watts,
      beforePercent: errorPercent(now, now, point),
      afterPercent: errorPercent(document, now, point),
    })),
  };
}

function checkPoints(
  points: readonly CalibrationPoint[],
  loads: readonly unknown[],
  idle: readonly CalibrationPoint[],
): void {
  if (loads.length === 0) throw new ImplausibleCalibration('at least one known load is needed');
  for (const { volts, seen } of points) {
    if (!(volts >= LOWEST_V && volts <= HIGHEST_V))
      throw new ImplausibleCalibration(`${volts} V are no mains voltage: from ${LOWEST_V} to ${HIGHEST_V} V`);
    if (!(seen.volts >= LOWEST_V / 2)) throw new ImplausibleCalibration('the meter sees no voltage: is J1 connected?');
  }
  for (const point of points) {
    const va = apparent(point);
    if (va > 0 && va < LOAD_LEAST_VA)
      throw new ImplausibleCalibration(
        `${va.toFixed(0)} VA are too little to measure a clamp with: from ${LOAD_LEAST_VA} VA on`,
      );
    const seenVa = Math.hypot(point.seen.watts, point.seen.vars);
    if (va > 0 && seenVa < va / 4)
      throw new ImplausibleCalibration(
        `the meter sees ${seenVa.toFixed(0)} VA where ${va.toFixed(0)} VA should be: is the load on, and does its current go through the clamp?`,
      );
  }
  for (const { seen } of idle)
    if (Math.hypot(seen.watts, seen.vars) > IDLE_MOST_VA)
      throw new ImplausibleCalibration(
        `the meter sees ${Math.hypot(seen.watts, seen.vars).toFixed(0)} VA where nothing should be on: open the clamp for this point`,
      );
}

function checkGain(what: 'voltage' | 'current', gain: number, warnings: string[]): void {
  const off = Math.abs(gain - 1);
  const percent = (100 * (gain - 1)).toFixed(1);
  if (!(off <= GAIN_MOST))
    throw new ImplausibleCalibration(
      what === 'voltage'
        ? `the voltage is ${percent} % off, more than parts can be: is the right voltage typed, and R1 the right one?`
        : `the current is ${percent} % off, more than parts can be: is the right clamp in the table, its burden the right one, and the load's power right?`,
    );
  if (off > GAIN_USUAL)
    warnings.push(`The ${what} is ${percent} % off, more than usual parts are: look at the reference again.`);
}

/** All loads the wrong way round, or none. */
function isReversed(loads: readonly CalibrationPoint[]): boolean {
  const against = loads.filter(({ seen, watts, vars }) => seen.watts * watts + seen.vars * vars < 0).length;
  if (against !== 0 && against !== loads.length)
    throw new ImplausibleCalibration(
      'some loads are seen the right way round and some the other: was a point mixed up, or does a generator run?',
    );
  return against > 0;
}

/** What no load shows, as parts of the pins' volts: in phase, in quadrature, ppm; 0 where that was not looked at. */
function crosstalkOf(now: Calibration, idle: readonly CalibrationPoint[], _reversed: boolean): [number, number] {
  if (idle.length === 0) return [0, 0];
  // P = g · V² × (pin volts per volt) / (pin volts per ampere); turned with the clamp that it is read through
  const scale = (now.voltage.pinUvPerV / now.current.pinUvPerA) * (now.current.reversed ? -1 : 1);
  const part = (of: (seen: Shown) => number) =>
    mean(idle.map(({ seen }) => (1e6 * of(seen)) / (seen.volts ** 2 * scale)));
  return [part(({ watts }) => watts), part(({ vars }) => vars)];
}

/** What a document makes of what was seen with another one in force: W, var, and the current that its table is asked with. */
function shownBy(
  document: Calibration,
  seenWith: Calibration,
  seen: Shown,
): { watts: number; vars: number; amps: number; volts: number } {
  const toV = seenWith.voltage.pinUvPerV / document.voltage.pinUvPerV;
  const scale = (document.voltage.pinUvPerV / document.current.pinUvPerA) * (seenWith.current.reversed ? -1 : 1);
  const [inPhase, inQuadrature] = document.crosstalk.voltageInCurrentPpm.map(
    (ppm, n) => (ppm - seenWith.crosstalk.voltageInCurrentPpm[n]) / 1e6,
  );
  const volts = seen.volts * toV;
  const sign = document.current.reversed === seenWith.current.reversed ? 1 : -1;
  return {
    volts,
    amps: seen.amps,
    watts: sign * (seen.watts * toV - inPhase * volts ** 2 * scale),
    vars: sign * (seen.vars * toV - inQuadrature * volts ** 2 * scale),
  };
}

function deviationOf(
  document: Calibration,
  now: Calibration,
  { seen, watts, vars }: CalibrationPoint,
  _gainV: number,
  _reversed: boolean,
): Deviation {
  const shown = shownBy(document, now, seen);
  const factorV = factorAt(document.voltage.points, shown.volts);
  // with the voltage right, what is left is the current's
  const seenVa = Math.hypot(shown.watts, shown.vars) * factorV * factorAt(now.current.points, shown.amps);
  const angle = Math.atan2(vars, watts) - Math.atan2(shown.vars, shown.watts);
  const leadNow = leadAt(now.current.points, shown.amps) - leadAt(document.voltage.points, shown.volts);
  return { amps: shown.amps, ratio: seenVa / Math.hypot(watts, vars) - 1, leadRad: wrapped(angle - leadNow) };
}

/** The table with its deviations in it, and a knot at each load. */
function bent(table: readonly SensorPoint[], deviations: readonly Deviation[]): SensorPoint[] {
  const knots = new Set(deviations.map(({ amps }) => Math.round(1000 * amps)));
  for (const { shownMilli } of table) if (knots.size < POINTS_MOST) knots.add(shownMilli);
  return [...knots]
    .filter((milli) => milli > 0)
    .sort((a, b) => a - b)
    .map((shownMilli) => {
      const amps = shownMilli / 1000;
      const { ratio, leadRad } = deviationAt(deviations, amps);
      return {
        shownMilli,
        ratioPpm: Math.round(1e6 * ((1 / factorAt(table, amps)) * (1 + ratio) - 1)),
        leadUrad: Math.round(1e6 * (leadAt(table, amps) + leadRad)),
      };
    });
}
function deviationAt(deviations: readonly Deviation[], amps: number): { ratio: number; leadRad: number } {
  const above = deviations.find((deviation) => deviation.amps >= amps) ?? deviations.at(-1)!;
  const below = deviations.findLast((deviation) => deviation.amps <= amps) ?? deviations[0];
  if (above.amps <= below.amps) return below;
  const part = Math.log(amps / below.amps) / Math.log(above.amps / below.amps);
  const between = (a: number, b: number) => a + (b - a) * part;
  return { ratio: between(below.ratio, above.ratio), leadRad: between(below.leadRad, above.leadRad) };
}

/** By a document, of a point that was seen with another one in force. */
function errorPercent(document: Calibration, seenWith: Calibration, point: CalibrationPoint): number | null {
  const va = apparent(point);
  if (va === 0) return null;
  const shown = shownBy(document, seenWith, point.seen);
  const lead = leadAt(document.current.points, shown.amps) - leadAt(document.voltage.points, shown.volts);
  const factor = factorAt(document.voltage.points, shown.volts) * factorAt(document.current.points, shown.amps);
  const watts = factor * (shown.watts * Math.cos(lead) - shown.vars * Math.sin(lead));
  return (100 * (watts - point.watts)) / va;
}

/** As firmware/metering/sensor.ts reads a table. @param shown V or A without the table */
function along(points: readonly SensorPoint[], shown: number, of: (point: SensorPoint) => number): number {
  const milli = 1000 * shown;
  const n = points.findIndex(({ shownMilli }) => shownMilli > milli);
  const above = points[n < 0 ? points.length - 1 : n];
  const below = points[n < 0 ? points.length - 1 : Math.max(0, n - 1)];
  const span = above.shownMilli - below.shownMilli;
  return span > 0 ? of(below) + ((of(above) - of(below)) * (milli - below.shownMilli)) / span : of(below);
}
const factorAt = (points: readonly SensorPoint[], shown: number): number =>
  1 / (1 + along(points, shown, ({ ratioPpm }) => ratioPpm) / 1e6);
const leadAt = (points: readonly SensorPoint[], shown: number): number =>
  along(points, shown, ({ leadUrad }) => leadUrad) / 1e6;

const apparent = ({ watts, vars }: CalibrationPoint): number => Math.hypot(watts, vars);
const mean = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
const degrees = (rad: number): string => ((rad * 180) / Math.PI).toFixed(1);
const wrapped = (rad: number): number => rad - 2 * Math.PI * Math.round(rad / (2 * Math.PI));
