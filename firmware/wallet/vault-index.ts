/**
 * Where each entry of the vault lies: what of it is in memory, 7 bytes an entry, found by native code. (Espruino dialect)
 * In buckets, because native code looks at one after the other; they grow with what is in them.
 */
const BUCKETS = 8;
const STEP = 32;
/** Of an entry in flash, counted in units: the largest is below 256 of them. */
export const UNIT = 8;

/** Three columns of one table; rows from `count` on are not in use, and their keys are 0, which is none. */
interface Bucket {
  keys: Uint32Array;
  places: Uint16Array;
  units: Uint8Array;
  count: number;
}

function bucketOf(length: number): Bucket {
  return { keys: new Uint32Array(length), places: new Uint16Array(length), units: new Uint8Array(length), count: 0 };
}

export class VaultIndex {
  buckets: Bucket[] = [];
  count = 0;
  /** Sum of all units. */
  total = 0;

  constructor() {
    for (let i = 0; i < BUCKETS; i++) this.buckets.push(bucketOf(0));
  }

  /** −1 where there is none. */
  placeOf(key: number): number {
    const bucket = this.buckets[key % BUCKETS];
    const row = bucket.keys.indexOf(key);
    return row < 0 ? -1 : bucket.places[row];
  }
  /** 0 where there is none. */
  unitsOf(key: number): number {
    const bucket = this.buckets[key % BUCKETS];
    const row = bucket.keys.indexOf(key);
    return row < 0 ? 0 : bucket.units[row];
  }
  /** All of them, in no order. */
  forEach(visit: (key: number) => void): void {
    for (const bucket of this.buckets) {
      for (let row = 0; row < bucket.count; row++) visit(bucket.keys[row]);
    }
  }

  set(key: number, place: number, units: number): void {
    const at = key % BUCKETS;
    let bucket = this.buckets[at];
    let row = bucket.keys.indexOf(key);
    if (row < 0) {
      row = bucket.count;
      if (row === bucket.keys.length) {
        bucket = this.grown(bucket);
        this.buckets[at] = bucket;
      }
      bucket.keys[row] = key;
      bucket.count++;
      this.count++;
    } else {
      this.total -= bucket.units[row];
    }
    bucket.places[row] = place;
    bucket.units[row] = units;
    this.total += units;
  }

  remove(key: number): void {
    const bucket = this.buckets[key % BUCKETS];
    const row = bucket.keys.indexOf(key);
    if (row < 0) return;
    this.total -= bucket.units[row];
    this.count--;
    bucket.count--;
    const last = bucket.count;
    bucket.keys[row] = bucket.keys[last];
    bucket.places[row] = bucket.places[last];
    bucket.units[row] = bucket.units[last];
    bucket.keys[last] = 0;
  }

  grown(bucket: Bucket): Bucket {
    const larger = bucketOf(bucket.keys.length + STEP);
    larger.keys.set(bucket.keys, 0);
    larger.places.set(bucket.places, 0);
    larger.units.set(bucket.units, 0);
    larger.count = bucket.count;
    return larger;
  }
}
