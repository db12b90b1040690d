/** Solar panels on a roof: the clear sky of the season, clouds over it, an inverter that feeds into the house. */
import { SmoothNoise, seedOf } from '../random.ts';
import { clearSkyWm2, type Panel, type Place } from './sun.ts';

export type Sky = 'changing' | 'clear' | 'overcast';

export interface PvSpec extends Panel {
  /** Power of the panels at 1000 W/m². The inverter is as large. */
  peakW: number;
  sky: Sky;
}

/** What is left of a panel's power after heat, cables and inverter. */
const PERFORMANCE = 0.86;
const SECOND_MS = 1000;

/**
 * Share of the clear sky's light that comes through. Clouds are a field of smooth noise from hours down to seconds, cut
 * off at a coverage that wanders over the days. All households of a seed live under the same sky; a cloud reaches one a
 * little later than the other.
 */
export class Clouds {
  readonly #coverage: SmoothNoise;
  readonly #octaves: { noise: SmoothNoise; periodMs: number; weight: number }[];
  readonly #delayMs: number;

  constructor(seed: number, household: string) {
    this.#delayMs = (seedOf(seed, 'wind', household) % 120) * SECOND_MS;
    this.#coverage = new SmoothNoise(seed, 'clouds', 'coverage');
    this.#octaves = [
      { periodMs: 5_400 * SECOND_MS, weight: 0.4 },
      { periodMs: 900 * SECOND_MS, weight: 0.35 },
      { periodMs: 140 * SECOND_MS, weight: 0.2 },
      { periodMs: 11 * SECOND_MS, weight: 0.05 },
    ].map((octave) => ({ ...octave, noise: new SmoothNoise(seed, 'clouds', octave.periodMs) }));
  }

  at(unixMs: number): number {
    const timeMs = unixMs - this.#delayMs;
    let field = 1.1 * this.#coverage.at(timeMs / (19 * 3_600_000));
    for (const { noise, periodMs, weight } of this.#octaves) field += weight * noise.at(timeMs / periodMs);
    const cloud = Math.min(1, Math.max(0, (field + 0.2) / 0.3)); // soft edges: some seconds from sun to shade
    return 1 - 0.78 * cloud * cloud * (3 - 2 * cloud);
  }
}

export class Photovoltaic {
  readonly #spec: PvSpec;
  readonly #place: Place;
  readonly #clouds: Clouds;
  #minute = Number.NaN;
  #fromWm2 = 0;
  #toWm2 = 0;

  constructor(spec: PvSpec, place: Place, seed: number, household: string) {
    this.#spec = spec;
    this.#place = place;
    this.#clouds = new Clouds(seed, household);
  }

  /** What the inverter feeds in, W, 0 or more; whole thousandths of its peak, so that a clear sky changes rarely. */
  powerW(unixMs: number): number {
    const { peakW, sky } = this.#spec;
    const clear = this.#clearWm2(unixMs);
    if (clear <= 0 || peakW === 0) return 0;
    const through = sky === 'clear' ? 1 : sky === 'overcast' ? 0.22 : this.#clouds.at(unixMs);
    const share = Math.min(1, (clear / 1000) * PERFORMANCE * through);
    return (Math.round(share * 1000) * peakW) / 1000;
  }

  /** The clear sky by the minute, a straight line between. */
  #clearWm2(unixMs: number): number {
    const minute = Math.floor(unixMs / 60_000);
    if (minute !== this.#minute) {
      this.#fromWm2 = minute === this.#minute + 1 ? this.#toWm2 : clearSkyWm2(this.#place, this.#spec, minute * 60_000);
      this.#toWm2 = clearSkyWm2(this.#place, this.#spec, (minute + 1) * 60_000);
      this.#minute = minute;
    }
    return this.#fromWm2 + (this.#toWm2 - this.#fromWm2) * (unixMs / 60_000 - minute);
  }
}
