/**
 * Joins on equal bytes over everything that a party has seen: how many stretches of eight bytes, at whatever offset, two items have
 * in common. A run has a million of them, so they are counted in a table of numbers (open addressing), and only those that are in
 * several items are looked at again.
 */

/** A value of so many bytes does not come twice by chance. */
export const JOIN_BYTES = 8;
/** What stands in more items than a household has is common to all. */
const COMMON = 64;
const NOBODY = 0;
const SEVERAL = -1;

export class Overlaps {
  readonly #counts = new Map<number, number>();
  readonly #items: number;

  /** @param items each of them some pieces of bytes; known by their place from here on */
  constructor(items: readonly (readonly Uint8Array[])[]) {
    this.#items = items.length;
    const buffers = items.map((pieces) => pieces.map((b) => Buffer.from(b.buffer, b.byteOffset, b.length)));
    const bytes = buffers.flat().reduce((sum, { length }) => sum + length, 0);
    const table = new Table(2 ** Math.ceil(Math.log2(2 * bytes + 16)));
    for (const [i, pieces] of buffers.entries())
      for (const piece of pieces) eachWindow(piece, (high, low) => table.add(high, low, i + 1));
    const whose = new Map<number, number[]>();
    for (const [i, pieces] of buffers.entries())
      for (const piece of pieces)
        eachWindow(piece, (high, low) => {
          const place = table.severalAt(high, low);
          if (place < 0) return;
          const list = whose.get(place);
          if (!list) whose.set(place, [i]);
          else if (list.at(-1) !== i) list.push(i);
        });
    for (const list of whose.values()) if (list.length <= COMMON) this.#count(list);
  }

  /** How many stretches items i and j have in common. */
  of(i: number, j: number): number {
    return this.#counts.get(Math.min(i, j) * this.#items + Math.max(i, j)) ?? 0;
  }

  #count(list: readonly number[]): void {
    for (const [n, i] of list.entries())
      for (const j of list.slice(n + 1)) {
        const key = i * this.#items + j;
        this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      }
  }
}

function eachWindow(bytes: Buffer, use: (high: number, low: number) => void): void {
  for (let i = 0; i + JOIN_BYTES <= bytes.length; i++) {
    const high = bytes.readUInt32BE(i);
    const low = bytes.readUInt32BE(i + 4);
    if (high !== low || high % 0x01010101 !== 0) use(high, low); // eight times one byte is padding
  }
}

/** (high, low) → the item that it stands in, or several. */
class Table {
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #owner: Int32Array;
  readonly #mask: number;

  constructor(size: number) {
    this.#high = new Uint32Array(size);
    this.#low = new Uint32Array(size);
    this.#owner = new Int32Array(size);
    this.#mask = size - 1;
  }

  add(high: number, low: number, owner: number): void {
    const i = this.#find(high, low);
    if (this.#owner[i] === NOBODY) {
      this.#high[i] = high;
      this.#low[i] = low;
      this.#owner[i] = owner;
    } else if (this.#owner[i] !== owner) this.#owner[i] = SEVERAL;
  }
  /** The place of what stands in several items, else −1. */
  severalAt(high: number, low: number): number {
    const i = this.#find(high, low);
    return this.#owner[i] === SEVERAL ? i : -1;
  }

  #find(high: number, low: number): number {
    let i = (Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b) >>> 7) & this.#mask;
    while (this.#owner[i] !== NOBODY && (this.#high[i] !== high || this.#low[i] !== low)) i = (i + 1) & this.#mask;
    return i;
  }
}
