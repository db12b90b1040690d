import { NETTING_BLOCK_MS } from '../hardware/board.ts';
import { SLOT_MS, slotOf } from '../protocol/time/slots.ts';

/** Energy in whole mWh; import and export both count up. */
export interface TrueEnergy {
  importMwh: number;
  exportMwh: number;
}

export interface TrueQuarterHour extends TrueEnergy {
  slot: number;
  /** How many seconds of the quarter hour were counted: 900 where none is missing. */
  seconds: number;
}

const MWH_PER_WATT_SECOND = 1 / 3.6;

/** Sums in the making: floats, rounded only when they are asked for. */
interface Sum {
  importMwh: number;
  exportMwh: number;
  seconds: number;
}

/**
 * What an ideal meter would have counted: the real power of the very waves that the board was fed, netted over blocks of
 * 10 s that are aligned to the clock, then split to import and export as the meter's specification says. A creep
 * threshold, noise and rounding are the meter's own affair and not in here.
 *
 * Seconds that are never added (the house was without power) count nothing.
 */
export class Truth {
  readonly #slots = new Map<number, Sum>();
  #blockMs = Number.NaN;
  #blockMwh = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /**
   * Counts one second.
   * @param unixMs the whole second's beginning; each later than the one before
   * @param powerW mean real power over that second, import +, export −
   */
  add(unixMs: number, powerW: number): void {
    if (unixMs % 1000 !== 0 || unixMs <= this.#lastMs) {
      throw new RangeError(`unixMs: ${unixMs} is not a whole second later than ${this.#lastMs}`);
    }
    this.#lastMs = unixMs;
    const blockMs = unixMs - (unixMs % NETTING_BLOCK_MS);
    if (blockMs !== this.#blockMs) {
      this.#closeBlock();
      this.#blockMs = blockMs;
    }
    this.#blockMwh += powerW * MWH_PER_WATT_SECOND;
    this.#sumOf(slotOf(unixMs)).seconds++;
  }

  /** A quarter hour as far as it was counted, the block in the making included. */
  quarterHour(slot: number): TrueQuarterHour {
    const sum = this.#slots.get(slot) ?? { importMwh: 0, exportMwh: 0, seconds: 0 };
    const open = this.#openBlock(slot, slot);
    return {
      slot,
      importMwh: Math.round(sum.importMwh + open.importMwh),
      exportMwh: Math.round(sum.exportMwh + open.exportMwh),
      seconds: sum.seconds,
    };
  }

  /** The quarter hours that were counted, at least in part, in the order of time. */
  quarterHours(): TrueQuarterHour[] {
    return [...this.#slots.keys()].map((slot) => this.quarterHour(slot));
  }

  /** The sum over everything, or over the slots from `fromSlot` to `toSlot`, both included. Rounded once, at the end. */
  total(fromSlot = Number.NEGATIVE_INFINITY, toSlot = Number.POSITIVE_INFINITY): TrueEnergy {
    const total = this.#openBlock(fromSlot, toSlot);
    for (const [slot, sum] of this.#slots) {
      if (slot < fromSlot || slot > toSlot) continue;
      total.importMwh += sum.importMwh;
      total.exportMwh += sum.exportMwh;
    }
    return { importMwh: Math.round(total.importMwh), exportMwh: Math.round(total.exportMwh) };
  }

  #sumOf(slot: number): Sum {
    let sum = this.#slots.get(slot);
    if (!sum) {
      sum = { importMwh: 0, exportMwh: 0, seconds: 0 };
      this.#slots.set(slot, sum);
    }
    return sum;
  }

  #closeBlock(): void {
    if (this.#blockMwh > 0) this.#sumOf(slotOf(this.#blockMs)).importMwh += this.#blockMwh;
    else if (this.#blockMwh < 0) this.#sumOf(slotOf(this.#blockMs)).exportMwh -= this.#blockMwh;
    this.#blockMwh = 0;
  }

  #openBlock(fromSlot: number, toSlot: number): TrueEnergy {
    const slot = Math.floor(this.#blockMs / SLOT_MS);
    const within = slot >= fromSlot && slot <= toSlot; // false, too, before the first second (NaN)
    return {
      importMwh: within ? Math.max(0, this.#blockMwh) : 0,
      exportMwh: within ? Math.max(0, -this.#blockMwh) : 0,
    };
  }
}
