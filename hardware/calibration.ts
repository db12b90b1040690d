/**
 * What a meter knows about its own board: a JSON document, made by commissioning, kept in the Storage file `calibration`.
 * (Espruino dialect)
 *
 * ```
 * { "format": 1,
 *   "number": 3,                                           counts what was written to this meter; absent: 0
 *   "codeTableUv": [142000, …],                           65 knots: microvolts at the pin for codes 0, 64, … 4096
 *   "biasUv":  {"voltage": 1300000, "current": 1300000},  at the pins without signal; tracked from there
 *   "noiseUv": {"voltage": 3222, "current": 3222},        standard deviation of one sample
 *   "skewPpm": 500000,                                    from a voltage sample to its current's, in parts of a pair
 *   "sampleClockPpm": 0,                                  a window's measured length is so much too long
 *   "crosstalk": {"voltageInCurrentPpm": [0, 0],          so much of one pin's wave in the other: in phase,
 *                 "currentInVoltagePpm": [0, 0]},         in quadrature
 *   "voltage": {"pinUvPerV": 2525,
 *               "points": [{"shownMilli": 230000, "ratioPpm": 0, "leadUrad": 5236}, …]},
 *   "current": {"pinUvPerA": 11850, "reversed": false,
 *               "points": [{"shownMilli": 5000, "ratioPpm": -6000, "leadUrad": 52360}, …]} }
 * ```
 * All numbers are integers, since Espruino prints and parses twelve digits. A point stands at the RMS (mV or mA on the
 * mains) that the meter would show without the table; between points the table is a straight line, outside it is constant.
 * Leads are those of the fundamental at the nominal frequency.
 */
import { ADC_BEND_CODE, ADC_BEND_STEP_CODES, ADC_BEND_V, ADC_DEAD_ZONE_V, ADC_LSB_V, ADC_NOISE_LSB } from './adc.ts';
import { NOMINAL_HZ } from './board.ts';
import { BIAS_V, CURRENT_TRANSFORMER, PIN_V_PER_A, PIN_V_PER_V, VOLTAGE_TRANSFORMER } from './front-end.ts';
import { FILTER_CURRENT_US, FILTER_VOLTAGE_US } from './front-end-response.ts';

export const CALIBRATION_FORMAT = 1;
export const CODE_TABLE_KNOTS = 65;
export const CODE_TABLE_STEP = 64;

export interface SensorPoint {
  /** mV or mA on the mains, RMS, as shown without the table. */
  shownMilli: number;
  ratioPpm: number;
  leadUrad: number;
}
export interface Calibration {
  format: number;
  number?: number;
  codeTableUv: number[];
  biasUv: { voltage: number; current: number };
  noiseUv: { voltage: number; current: number };
  skewPpm: number;
  sampleClockPpm: number;
  crosstalk: { voltageInCurrentPpm: number[]; currentInVoltagePpm: number[] };
  voltage: { pinUvPerV: number; points: SensorPoint[] };
  current: { pinUvPerA: number; reversed: boolean; points: SensorPoint[] };
}

/** @param filterUs the pin lags behind the sensor by the filter */
function sensorPoints(
  atMilli: number[],
  leadDeg: number[],
  ratioErrorPercent: number[],
  filterUs: number,
): SensorPoint[] {
  const lagUrad = Math.round(2 * Math.PI * NOMINAL_HZ * filterUs);
  return atMilli.map((at, n) => ({
    shownMilli: Math.round(at * 1000),
    ratioPpm: Math.round(ratioErrorPercent[n] * 10000),
    leadUrad: Math.round((leadDeg[n] * Math.PI * 1000000) / 180) - lagUrad,
  }));
}

function nominalKnotUv(code: number): number {
  if (code <= ADC_BEND_CODE) return (ADC_DEAD_ZONE_V + code * ADC_LSB_V) * 1000000;
  return ADC_BEND_V[(code - ADC_BEND_CODE) / ADC_BEND_STEP_CODES] * 1000000;
}

/** The board as drawn: what a meter works with before it is calibrated. Several percent off. */
export function nominalCalibration(): Calibration {
  const codeTableUv: number[] = [];
  for (let knot = 0; knot < CODE_TABLE_KNOTS; knot++)
    codeTableUv.push(Math.round(nominalKnotUv(knot * CODE_TABLE_STEP)));
  const noise = Math.round(ADC_NOISE_LSB * ADC_LSB_V * 1000000);
  const bias = Math.round(BIAS_V * 1000000);
  const ct = CURRENT_TRANSFORMER;
  const vt = VOLTAGE_TRANSFORMER;
  return {
    format: CALIBRATION_FORMAT,
    codeTableUv: codeTableUv,
    biasUv: { voltage: bias, current: bias },
    noiseUv: { voltage: noise, current: noise },
    skewPpm: 500000,
    sampleClockPpm: 0,
    crosstalk: { voltageInCurrentPpm: [0, 0], currentInVoltagePpm: [0, 0] },
    voltage: {
      pinUvPerV: Math.round(PIN_V_PER_V * 1000000),
      points: sensorPoints(vt.voltagesV, vt.leadDeg, vt.ratioErrorPercent, FILTER_VOLTAGE_US),
    },
    current: {
      pinUvPerA: Math.round(PIN_V_PER_A * 1000000),
      reversed: false,
      points: sensorPoints(ct.currentsA, ct.leadDeg, ct.ratioErrorPercent, FILTER_CURRENT_US),
    },
  };
}

function check(path: string, value: unknown, low: number, high: number): number {
  const n = value as number;
  if (typeof value !== 'number' || n !== Math.floor(n) || n < low || n > high) {
    throw new Error(`calibration.${path}: an integer from ${low} to ${high} is wanted`);
  }
  return n;
}

function checkObject(path: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`calibration${path}: an object is wanted`);
  }
  return value as Record<string, unknown>;
}

function checkList(path: string, value: unknown, least: number, most: number): unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    const count = least === most ? `${least}` : `${least} to ${most}`;
    throw new Error(`calibration.${path}: a list of ${count} is wanted`);
  }
  return value;
}

function checkPair(path: string, value: unknown, low: number, high: number): void {
  const list = checkList(path, value, 2, 2);
  check(`${path}[0]`, list[0], low, high);
  check(`${path}[1]`, list[1], low, high);
}

function checkPoints(path: string, value: unknown, most: number): void {
  const list = checkList(path, value, 1, 32);
  let before = 0;
  for (let n = 0; n < list.length; n++) {
    const here = `${path}[${n}]`;
    const point = checkObject(`.${here}`, list[n]);
    before = check(`${here}.shownMilli`, point.shownMilli, before + 1, most);
    check(`${here}.ratioPpm`, point.ratioPpm, -200000, 200000);
    check(`${here}.leadUrad`, point.leadUrad, -300000, 300000);
  }
}

/**
 * Checks a document that came from outside.
 * @param document as JSON.parse gave it
 * @throws Error that names the field
 */
export function checkCalibration(document: unknown): Calibration {
  const c = checkObject('', document);
  check('format', c.format, CALIBRATION_FORMAT, CALIBRATION_FORMAT);
  if (c.number !== undefined) check('number', c.number, 0, 2147483647);
  const table = checkList('codeTableUv', c.codeTableUv, CODE_TABLE_KNOTS, CODE_TABLE_KNOTS);
  let before = -1000000;
  for (let n = 0; n < CODE_TABLE_KNOTS; n++) before = check(`codeTableUv[${n}]`, table[n], before + 1, 3600000);
  const pins = ['biasUv', 'noiseUv'];
  for (let n = 0; n < 2; n++) {
    const pair = checkObject(`.${pins[n]}`, c[pins[n]]);
    check(`${pins[n]}.voltage`, pair.voltage, 0, 3300000);
    check(`${pins[n]}.current`, pair.current, 0, 3300000);
  }
  check('skewPpm', c.skewPpm, 0, 1000000);
  check('sampleClockPpm', c.sampleClockPpm, -50000, 50000);
  const crosstalk = checkObject('.crosstalk', c.crosstalk);
  checkPair('crosstalk.voltageInCurrentPpm', crosstalk.voltageInCurrentPpm, -100000, 100000);
  checkPair('crosstalk.currentInVoltagePpm', crosstalk.currentInVoltagePpm, -100000, 100000);
  const voltage = checkObject('.voltage', c.voltage);
  check('voltage.pinUvPerV', voltage.pinUvPerV, 1, 1000000);
  checkPoints('voltage.points', voltage.points, 1000000);
  const current = checkObject('.current', c.current);
  check('current.pinUvPerA', current.pinUvPerA, 1, 10000000);
  if (current.reversed !== true && current.reversed !== false) {
    throw new Error('calibration.current.reversed: true or false is wanted');
  }
  checkPoints('current.points', current.points, 10000000);
  return document as Calibration;
}
