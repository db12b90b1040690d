/**
 * What a household draws from the mains, second by second, as the wave that its meter's sensors see.
 *
 * All switching of a day is one list of events in the order of time; per wave shape there is one amplitude. A second in
 * which nothing switched, no cloud moved and the mains stood still costs three comparisons. The power that is reported
 * is the mean of u · i over the very points that the virtual board is fed, so the truth is exact by construction.
 */
import { DAY_MS } from '../../protocol/time/slots.ts';
import type { MainsWave } from '../board/adc-model.ts';
import { Random } from '../random.ts';
import type { Day, Stroke } from './appliance.ts';
import { type ApplianceSpec, appliances, type Preset, parametersOf, presets } from './catalogue.ts';
import { Mains, type MainsSpec, nominalMains } from './grid.ts';
import { Photovoltaic, type PvSpec } from './photovoltaic.ts';
import { NOMINAL_VOLTAGE_V, type ShapeName, shapeNames, shapes, WAVE_POINTS } from './shapes.ts';
import { daylight, type Place, solarOffsetMs } from './sun.ts';

export interface LoadState {
  /** One cycle. Its arrays are written anew in place when something changes: copy what has to stay. */
  wave: MainsWave;
  /** False where the wave is what it was at the call before. True at the first call. */
  changed: boolean;
  /** Exact mean real power of the wave, W, import +, export −. */
  powerW: number;
}

export interface HouseholdLoad {
  /**
   * The load of the whole second that begins at `unixMs`, constant within it.
   * @param unixMs a whole second, later than at the call before. Seconds may be left out.
   */
  at(unixMs: number): LoadState;
}

export interface HouseholdSpec {
  id: string;
  /** A ready-made set of appliances … */
  preset?: Preset;
  /** … and further ones, or all of them. */
  appliances?: ApplianceSpec[];
  pv?: PvSpec;
  mains?: MainsSpec;
  place?: Place;
}

/** Heidelberg: in the middle of Europe's grid. */
export const defaultPlace: Place = { latitudeDeg: 49.4, longitudeDeg: 8.7 };

/** A change of one shape's amplitude. */
interface Switching {
  atMs: number;
  shape: ShapeName;
  deltaW: number;
}

const shaped = shapeNames.filter((name) => name !== 'resistive');

class SynthesizedLoad implements HouseholdLoad {
  readonly #appliances: ApplianceSpec[];
  readonly #id: string;
  readonly #seed: number;
  readonly #place: Place;
  readonly #offsetMs: number;
  readonly #mains: Mains;
  readonly #pv: Photovoltaic | null;

  #day = Number.NaN;
  #nextDayMs = Number.NEGATIVE_INFINITY;
  #switchings: Switching[] = [];
  #position = 0;
  /** Switchings that reach into the next day. */
  #later: Switching[] = [];

  /** W at nominal voltage, in whole watts. */
  readonly #amplitudeW = Object.fromEntries(shapeNames.map((name) => [name, 0])) as Record<ShapeName, number>;
  #pvW = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  readonly #wave: MainsWave;
  #powerW = 0;

  constructor(spec: HouseholdSpec, seed: number) {
    this.#id = spec.id;
    this.#seed = seed;
    this.#appliances = [...(spec.preset ? presets[spec.preset] : []), ...(spec.appliances ?? [])];
    this.#place = spec.place ?? defaultPlace;
    this.#offsetMs = solarOffsetMs(this.#place);
    this.#mains = new Mains(spec.mains ?? nominalMains, seed, spec.id);
    this.#pv = spec.pv ? new Photovoltaic(spec.pv, this.#place, seed, spec.id) : null;
    this.#wave = {
      frequencyHz: this.#mains.frequencyHz,
      voltageV: this.#mains.voltageV,
      currentA: new Float64Array(WAVE_POINTS),
      cycles: 1,
    };
  }

  at(unixMs: number): LoadState {
    if (unixMs % 1000 !== 0 || unixMs <= this.#lastMs) {
      throw new RangeError(`unixMs: ${unixMs} is not a whole second later than ${this.#lastMs}`);
    }
    this.#lastMs = unixMs;
    if (unixMs >= this.#nextDayMs) this.#beginDay(unixMs);
    // No short cuts here: every one of the three has to be moved on.
    const switched = this.#switchUntil(unixMs);
    const mainsMoved = this.#mains.moveTo(unixMs);
    const sunMoved = this.#followSun(unixMs);
    const changed = switched || mainsMoved || sunMoved;
    if (changed) this.#compose();
    return { wave: this.#wave, changed, powerW: this.#powerW };
  }

  #beginDay(unixMs: number): void {
    const day = Math.floor((unixMs + this.#offsetMs) / DAY_MS);
    if (day !== this.#day + 1) {
      // The first day, or one was left out: only what yesterday left switched on matters.
      for (const name of shapeNames) this.#amplitudeW[name] = 0;
      this.#switchings = [];
      this.#position = 0;
      this.#later = [];
      this.#plan(day - 1);
      this.#switchUntil(day * DAY_MS - this.#offsetMs);
    }
    this.#switchUntil(day * DAY_MS - this.#offsetMs - 1);
    this.#plan(day);
    this.#nextDayMs = (day + 1) * DAY_MS - this.#offsetMs;
  }

  /** Lays out the day's switchings, after those of the day before have been carried out. */
  #plan(dayNumber: number): void {
    this.#day = dayNumber;
    const beginMs = dayNumber * DAY_MS - this.#offsetMs;
    const endMs = beginMs + DAY_MS;
    const switchings = this.#later;
    this.#appliances.forEach((spec, index) => {
      const day = dayOf(this.#place, dayNumber, new Random(this.#seed, this.#id, spec.kind, index, dayNumber));
      for (const stroke of appliances[spec.kind].plan(parametersOf(spec), day)) {
        checkStroke(stroke, spec.kind);
        switchings.push({ atMs: beginMs + stroke.fromS * 1000, shape: stroke.shape, deltaW: stroke.powerW });
        switchings.push({ atMs: beginMs + stroke.toS * 1000, shape: stroke.shape, deltaW: -stroke.powerW });
      }
    });
    this.#later = switchings.filter(({ atMs }) => atMs >= endMs);
    this.#switchings = switchings.filter(({ atMs }) => atMs < endMs).sort((a, b) => a.atMs - b.atMs);
    this.#position = 0;
  }

  #switchUntil(unixMs: number): boolean {
    const from = this.#position;
    while (this.#position < this.#switchings.length && this.#switchings[this.#position].atMs <= unixMs) {
      const { shape, deltaW } = this.#switchings[this.#position++];
      this.#amplitudeW[shape] += deltaW;
    }
    return this.#position > from;
  }

  #followSun(unixMs: number): boolean {
    if (!this.#pv) return false;
    const powerW = this.#pv.powerW(unixMs);
    if (powerW === this.#pvW) return false;
    this.#pvW = powerW;
    return true;
  }

  #compose(): void {
    const wave = this.#wave;
    const { voltageV, currentA } = wave;
    // A resistance draws what the voltage gives; electronics, motors and inverters hold their power.
    const conductance = this.#amplitudeW.resistive / NOMINAL_VOLTAGE_V ** 2;
    for (let n = 0; n < WAVE_POINTS; n++) currentA[n] = conductance * voltageV[n];
    const perVolt = NOMINAL_VOLTAGE_V / this.#mains.fundamentalV;
    for (const name of shaped) {
      const powerW = name === 'inverter' ? -this.#pvW : this.#amplitudeW[name];
      if (powerW === 0) continue;
      const shape = shapes[name];
      const scale = powerW * perVolt;
      for (let n = 0; n < WAVE_POINTS; n++) currentA[n] += scale * shape[n];
    }
    wave.frequencyHz = this.#mains.frequencyHz;
    this.#powerW = meanPowerW(wave);
  }
}

/** Mean of u · i over the points of a wave, W. */
export function meanPowerW({ voltageV, currentA }: MainsWave): number {
  let sum = 0;
  for (let n = 0; n < voltageV.length; n++) sum += voltageV[n] * currentA[n];
  return sum / voltageV.length;
}

function dayOf(place: Place, number: number, random: Random): Day {
  const weekday = new Date(number * DAY_MS).getUTCDay();
  const dayOfYear = (number % 365.2425) / 365.2425;
  const north = place.latitudeDeg >= 0 ? 1 : -1;
  return {
    number,
    weekend: weekday === 0 || weekday === 6,
    ...daylight(place, number),
    winter: 0.5 + 0.5 * north * Math.cos(2 * Math.PI * (dayOfYear - 0.05)), // coldest in the third week of January
    random,
  };
}

function checkStroke({ fromS, toS, powerW }: Stroke, kind: string): void {
  if (
    !(Number.isInteger(fromS) && Number.isInteger(toS) && Number.isInteger(powerW) && toS > fromS && toS <= 2 * 86_400)
  ) {
    throw new RangeError(`${kind}: plans ${powerW} W from second ${fromS} to ${toS}`);
  }
}

/**
 * A synthesized household: the same spec and seed give the same days. Sky, frequency and slow voltage belong to the seed
 * alone, so households of one seed share them; everything else belongs to the seed and the household's id.
 */
export function createHouseholdLoad(spec: HouseholdSpec, seed: number): HouseholdLoad {
  return new SynthesizedLoad(spec, seed);
}
