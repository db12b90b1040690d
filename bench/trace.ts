/**
 * Recordings of a house in the format of the UCI data set "Individual household electric power consumption":
 *
 *   Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;…
 *   16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000
 *
 * day/month/year, taken as UTC; means over the minute that begins at that time: kW (import +, export −), kvar (inductive
 * +), V. The further columns are checked but not used. Lines end in LF or CRLF.
 *
 * A recording is somebody else's file, so there are two answers to what is wrong with it:
 *  - what can only be a mistake **is refused** with `FILE:LINE:COLUMN: what is wrong, what was expected` (TraceError):
 *    no header, letters where numbers belong, a date or time that does not exist, a wrong number of columns, values that
 *    no house has, a time that is not later than the row before (a clock that jumped back, a row that is there twice), a
 *    line without an end, a file without rows;
 *  - what is **missing stays missing**: a `?` or nothing in place of power, reactive power or voltage, and minutes
 *    without a row (also where the clock jumped ahead). There the house draws nothing, and the gap is in `gaps`. Nothing
 *    is interpolated.
 */
import { createReadStream } from 'node:fs';
import { FULL_RANGE_A, FULL_RANGE_V } from '../hardware/front-end.ts';
import type { MainsWave } from './board/adc-model.ts';
import type { HouseholdLoad, LoadState } from './loads/household-load.ts';
import { meanPowerW } from './loads/household-load.ts';
import { NOMINAL_VOLTAGE_V, sine, WAVE_POINTS } from './loads/shapes.ts';

/** The recording cannot be used. `line` and `column` count from 1; the column is that of the field's first character. */
export class TraceError extends Error {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  constructor(file: string, line: number, column: number, what: string) {
    super(`${file}:${line}:${column}: ${what}`);
    this.name = 'TraceError';
    this.file = file;
    this.line = line;
    this.column = column;
  }
}

/** A stretch without data, Unix ms, `toMs` not included. */
export interface TraceGap {
  fromMs: number;
  toMs: number;
}

/** Rows with all three values, in the order of time. */
export interface Trace {
  file: string;
  /** The time of the first row, and the end of the last row's minute. Unix ms. */
  startMs: number;
  endMs: number;
  timesMs: Float64Array;
  activeW: Float64Array;
  reactiveVar: Float64Array;
  voltageV: Float64Array;
  gaps: TraceGap[];
}

const COLUMNS = ['Date', 'Time', 'Global_active_power', 'Global_reactive_power', 'Voltage', 'Global_intensity'];
const MINUTE_MS = 60_000;
/** The longest row of the data set has 70 characters. */
const MAX_LINE = 1000;
/** What the meter's range carries at the nominal voltage: 14.7 kW. */
const MAX_KILOWATT = Math.round(FULL_RANGE_A * NOMINAL_VOLTAGE_V) / 1000;

/**
 * Takes the rows one by one; knows where it is, so that it can say so.
 */
class TraceReader {
  readonly #file: string;
  #line = 0;
  #columns = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #firstMs = Number.NaN;
  /** End of the last row with data. */
  #coveredToMs = Number.NaN;
  readonly #timesMs: number[] = [];
  readonly #activeW: number[] = [];
  readonly #reactiveVar: number[] = [];
  readonly #voltageV: number[] = [];
  readonly #gaps: TraceGap[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  refuse(column: number, what: string, line = this.#line): never {
    throw new TraceError(this.#file, line, column, what);
  }

  push(line: string): void {
    this.#line++;
    if (line.length > MAX_LINE) this.tooLong();
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (this.#line === 1) this.#header(text.startsWith('\uFEFF') ? text.slice(1) : text);
    else this.#row(text);
  }

  /** A line that has not ended where a row must have. */
  tooLong(line = this.#line): never {
    this.refuse(MAX_LINE + 1, `the line goes on after ${MAX_LINE} characters, expected a row`, line);
  }

  /** The line that is being read, before it is pushed. */
  get nextLine(): number {
    return this.#line + 1;
  }

  #header(text: string): void {
    const names = text.split(';');
    let column = 1;
    COLUMNS.forEach((expected, n) => {
      if (names[n] !== expected) this.refuse(column, `${shown(names[n])}, expected the column ${expected}`);
      column += expected.length + 1;
    });
    this.#columns = names.length;
  }

  #row(text: string): void {
    const fields = text.split(';');
    const columnOf = (n: number): number => fields.slice(0, n).reduce((sum, field) => sum + field.length + 1, 1);
    if (fields.length !== this.#columns) {
      const column = fields.length > this.#columns ? columnOf(this.#columns) : text.length + 1;
      this.refuse(column, `the row has ${fields.length} columns, expected ${this.#columns}`);
    }
    const dayMs = dateMs(fields[0]);
    if (Number.isNaN(dayMs)) this.refuse(1, `${shown(fields[0])}, expected a date as 31/12/2006`);
    const atMs = dayMs + timeMs(fields[1]);
    if (Number.isNaN(atMs)) this.refuse(columnOf(1), `${shown(fields[1])}, expected a time as 23:59:00`);
    if (atMs === this.#lastMs) this.refuse(1, `${fields[0]} ${fields[1]} is there twice, expected a later time`);
    if (atMs < this.#lastMs) {
      const before = new Date(this.#lastMs).toISOString().slice(0, 19).replace('T', ' ');
      this.refuse(1, `the clock goes back to ${fields[0]} ${fields[1]}, expected a time after ${before}`);
    }
    this.#lastMs = atMs;
    if (Number.isNaN(this.#firstMs)) {
      this.#firstMs = atMs;
      this.#coveredToMs = atMs;
    }
    const values = fields.map((field, n) => {
      if (n < 2 || field === '?' || field === '') return null;
      if (!/^-?\d{1,12}(\.\d{1,12})?$/.test(field)) this.refuse(columnOf(n), `${shown(field)}, expected a number or ?`);
      return Number(field);
    });
    const within = (n: number, low: number, high: number, unit: string): void => {
      const value = values[n];
      if (value !== null && (value < low || value > high)) {
        this.refuse(columnOf(n), `${fields[n]} ${unit}, expected ${low} to ${high} ${unit}`);
      }
    };
    within(2, -MAX_KILOWATT, MAX_KILOWATT, 'kW');
    within(3, -MAX_KILOWATT, MAX_KILOWATT, 'kvar');
    within(4, 50, FULL_RANGE_V, 'V');
    const [, , kilowatt, kilovar, volt] = values;
    if (kilowatt === null || kilovar === null || volt === null) return; // its minute stays a gap
    // A row that comes before its predecessor's minute is over ends it.
    if (atMs > this.#coveredToMs) this.#gaps.push({ fromMs: this.#coveredToMs, toMs: atMs });
    this.#coveredToMs = atMs + MINUTE_MS;
    this.#timesMs.push(atMs);
    this.#activeW.push(kilowatt * 1000);
    this.#reactiveVar.push(kilovar * 1000);
    this.#voltageV.push(volt);
  }

  end(): Trace {
    if (this.#line === 0) this.refuse(1, 'the file is empty, expected a header line', 1);
    if (Number.isNaN(this.#firstMs)) this.refuse(1, 'there is no row, expected one after the header', this.#line + 1);
    const endMs = this.#lastMs + MINUTE_MS;
    if (endMs > this.#coveredToMs) this.#gaps.push({ fromMs: this.#coveredToMs, toMs: endMs });
    return {
      file: this.#file,
      startMs: this.#firstMs,
      endMs,
      timesMs: Float64Array.from(this.#timesMs),
      activeW: Float64Array.from(this.#activeW),
      reactiveVar: Float64Array.from(this.#reactiveVar),
      voltageV: Float64Array.from(this.#voltageV),
      gaps: this.#gaps,
    };
  }
}

/** What stands in the file, for an error: short, and without anything that a terminal would act upon. */
function shown(field: string | undefined): string {
  if (field === undefined) return 'nothing';
  const text = JSON.stringify(field.length > 30 ? `${field.slice(0, 30)}…` : field);
  return text.replace(/[\u007f-\u009f]/g, '�');
}

function dateMs(text: string): number {
  const match = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(text);
  if (!match) return Number.NaN;
  const [day, month, year] = match.slice(1).map(Number);
  const ms = Date.UTC(year, month - 1, day);
  return new Date(ms).getUTCMonth() === month - 1 && month >= 1 && day >= 1 ? ms : Number.NaN;
}

function timeMs(text: string): number {
  const match = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d)$/.exec(text);
  if (!match) return Number.NaN;
  return (Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3])) * 1000;
}

/**
 * Reads a recording piece by piece.
 * @throws TraceError; or the file system's error where the file cannot be read
 */
export async function readTrace(file: string): Promise<Trace> {
  return parseTrace(createReadStream(file, { encoding: 'utf8' }), file);
}

/**
 * @param text the recording in pieces of any length
 * @param file its name, for errors
 * @throws TraceError
 */
export async function parseTrace(text: Iterable<string> | AsyncIterable<string>, file: string): Promise<Trace> {
  const reader = new TraceReader(file);
  let rest = '';
  for await (const piece of text) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) reader.push(line);
    if (rest.length > MAX_LINE) reader.tooLong(reader.nextLine);
  }
  if (rest !== '') reader.push(rest); // the last line need not end
  return reader.end();
}

const inPhase = sine();
/** A quarter cycle late, as the current of an inductance is. */
const lagging = sine(1, -90);

class ReplayedLoad implements HouseholdLoad {
  readonly #trace: Trace;
  #row = -1;
  #replayed: number | null = null;
  #lastMs = Number.NEGATIVE_INFINITY;
  #powerW = 0;
  readonly #wave: MainsWave = {
    frequencyHz: 50,
    voltageV: new Float64Array(WAVE_POINTS),
    currentA: new Float64Array(WAVE_POINTS),
    cycles: 1,
  };

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  at(unixMs: number): LoadState {
    if (unixMs % 1000 !== 0 || unixMs <= this.#lastMs) {
      throw new RangeError(`unixMs: ${unixMs} is not a whole second later than ${this.#lastMs}`);
    }
    this.#lastMs = unixMs;
    const { timesMs } = this.#trace;
    while (this.#row + 1 < timesMs.length && timesMs[this.#row + 1] <= unixMs) this.#row++;
    const row = this.#row >= 0 && unixMs < timesMs[this.#row] + MINUTE_MS ? this.#row : -1;
    const changed = row !== this.#replayed;
    if (changed) this.#replay(row);
    this.#replayed = row;
    return { wave: this.#wave, changed, powerW: this.#powerW };
  }

  /** @param row −1 in a gap: the mains is there, the house draws nothing */
  #replay(row: number): void {
    const { activeW, reactiveVar, voltageV } = this.#trace;
    const rmsV = row < 0 ? NOMINAL_VOLTAGE_V : voltageV[row];
    const activeA = row < 0 ? 0 : activeW[row] / rmsV;
    const reactiveA = row < 0 ? 0 : reactiveVar[row] / rmsV;
    const wave = this.#wave;
    for (let n = 0; n < WAVE_POINTS; n++) {
      wave.voltageV[n] = Math.SQRT2 * rmsV * inPhase[n];
      wave.currentA[n] = Math.SQRT2 * (activeA * inPhase[n] + reactiveA * lagging[n]);
    }
    this.#powerW = meanPowerW(wave);
  }
}

/**
 * Replays a recording as sines of 50 Hz with the row's voltage, real and reactive power. In gaps, before its start and
 * after its end the mains stands at 230 V and nothing is drawn.
 */
export function traceLoad(trace: Trace): HouseholdLoad {
  return new ReplayedLoad(trace);
}
