/**
 * Where each entry of the vault lies: what of it is in memory, 7 bytes an entry, found by native code. (Espruino dialect)
 * Grows with what is in it, up to a bound.
 */
const STEP = 256;
/** Of an entry in flash, counted in units: the largest is below 256 of them. */
export const UNIT = 8;

export class VaultIndex {
  /** Three columns of one table; rows from `count` on are not in use. */
  keys: Uint32Array;
  places: Uint16Array;
  units: Uint8Array;
  count = 0;
  /** Sum of `units`. */
  total = 0;
  most: number;

  constructor(most: number) {
    this.most = most;
    this.keys = new Uint32Array(STEP);
    this.places = new Uint16Array(STEP);
    this.units = new Uint8Array(STEP);
  }

  /** The row of a key, −1 where there is none. */
  find(key: number): number {
    const row = this.keys.indexOf(key);
    return row < this.count ? row : -1;
  }

  set(key: number, place: number, units: number): void {
    let row = this.find(key);
    if (row < 0) {
      row = this.count;
      if (row === this.keys.length) this.grow();
      this.keys[row] = key;
      this.count++;
    } else {
      this.total -= this.units[row];
    }
    this.places[row] = place;
    this.units[row] = units;
    this.total += units;
  }

  remove(key: number): void {
    const row = this.find(key);
    if (row < 0) return;
    this.total -= this.units[row];
    this.count--;
    const last = this.count;
    this.keys[row] = this.keys[last];
    this.places[row] = this.places[last];
    this.units[row] = this.units[last];
    this.keys[last] = 0; // no key: a search must not stop here
  }

  grow(): void {
    const length = Math.min(this.keys.length + STEP, this.most);
    if (length === this.keys.length) throw new Error('the index is full');
    const keys = new Uint32Array(length);
    const places = new Uint16Array(length);
    const units = new Uint8Array(length);
    keys.set(this.keys, 0);
    places.set(this.places, 0);
    units.set(this.units, 0);
    this.keys = keys;
    this.places = places;
    this.units = units;
  }
}
