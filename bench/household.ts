/**
 * One household of the bench: its simulated load, the virtual board that measures it, and the truth to compare with.
 * The load is constant within each whole second. The board sees a second's load a quarter of a second early, so that a
 * meter whose clock is some milliseconds off still measures the second it means to.
 */

import type { MainsWave } from './board/adc-model.ts';
import type { VirtualBoard } from './board/virtual-board.ts';
import type { HouseholdLoad } from './loads/household-load.ts';
import type { Truth } from './truth.ts';

const EARLY_MS = 250;
/**
 * The meter has power so long before the house: it knows the time when the first load comes, and the first quarter hour
 * is a whole one where the run begins with it.
 */
export const HOUSE_AFTER_METER_MS = 20_000;
/** Voltage, no current: what the meter sees while the main switch is open. */
const SWITCHED_OFF: MainsWave = {
  frequencyHz: 50,
  cycles: 1,
  voltageV: Float64Array.from({ length: 512 }, (_, n) => 230 * Math.SQRT2 * Math.sin((2 * Math.PI * n) / 512)),
  currentA: new Float64Array(512),
};
/** 11 s at the 25 A main fuse of 6 kW: what one power cut may cost the register. */
const FLOOR_PER_CUT_WH = 18;

export interface HouseholdOptions {
  id: string;
  name: string;
  board: VirtualBoard;
  /** Of each phase: one, or three. */
  loads: readonly HouseholdLoad[];
  truth: Truth;
  /** The house is switched on. */
  startMs: number;
  /** The house is switched off again, and the truth is complete. The clock may go on: see `switchOnAgain`. */
  endMs: number;
}

export class Household {
  readonly id: string;
  readonly name: string;
  readonly board: VirtualBoard;
  readonly truth: Truth;
  /** Wh that known outages may have cost: the meter was without power. */
  floorWh = 0;
  readonly #loads: readonly HouseholdLoad[];
  #endMs: number;
  /** The next whole second whose load the board has not seen. */
  #nextSecondMs: number;
  #lastLoadMs = 0;

  constructor(options: HouseholdOptions) {
    this.id = options.id;
    this.name = options.name;
    this.board = options.board;
    this.truth = options.truth;
    this.#loads = options.loads;
    this.#endMs = options.endMs;
    this.#nextSecondMs = Math.ceil(options.startMs / 1000) * 1000;
  }

  /** Power on for the first time. */
  start(): void {
    this.board.start();
    this.#switchOff();
  }

  /** The meter loses its power between two flash operations; `board.armCut` cuts inside of one. */
  powerOff(): void {
    this.board.cut();
    // What was in RAM, at most one checkpoint, at the power of an ordinary house; and the second that was cut short.
    this.floorWh += FLOOR_PER_CUT_WH;
  }

  powerOn(): void {
    this.board.start();
  }

  /** Advances load, board and truth to `toMs`. */
  advanceTo(toMs: number): void {
    while (this.#nextSecondMs - EARLY_MS <= toMs) {
      this.board.advanceTo(this.#nextSecondMs - EARLY_MS);
      this.#nextSecond();
    }
    this.board.advanceTo(toMs);
  }

  /** The days are over and reported; the house goes on living, without a truth to be held against. */
  switchOnAgain(): void {
    this.#endMs = Number.POSITIVE_INFINITY;
  }

  #switchOff(): void {
    for (let phase = 0; phase < this.#loads.length; phase++) this.board.setMains(SWITCHED_OFF, phase);
  }

  #nextSecond(): void {
    const secondMs = this.#nextSecondMs;
    this.#nextSecondMs += 1000;
    if (secondMs >= this.#endMs) {
      this.#switchOff();
      return;
    }
    let powerW = 0; // of all phases together, as the grid's meter counts
    this.#loads.forEach((load, phase) => {
      const state = load.at(secondMs);
      if (state.changed || secondMs > this.#lastLoadMs + 1000) this.board.setMains(state.wave, phase);
      powerW += state.powerW;
    });
    this.#lastLoadMs = secondMs;
    // A house whose meter has no power draws none through it.
    if (this.board.running) this.truth.add(secondMs, powerW);
  }
}
