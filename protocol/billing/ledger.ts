/**
 * What the household has told of its readings, over all products, and whether one more disclosure would tell too much (protocols.md,
 * section 5 and attack A10). It runs in the house; whoever wants to know something must ask here first.
 *
 * A disclosure is a linear function Σ w_t·c_t of readings whose value somebody learns: a bill, a day's total, what was sold, one reading.
 * Parties may be one company, so all disclosures count against all.
 *
 * **What is refused.** Take a reading. If it were different by one, the others would have to differ, too, for all that was disclosed to
 * stay as it is. The reading is *hidden among n* if the others can do so by no more than 1/n each: then nobody who knows the disclosures
 * can tell it from what its n neighbours used. n is how the dual of a linear programme reads:
 *
 *   n_t = min { Σ_j |h_j| : h in the span of the disclosed functions, h_t = 1 } = 1 + max { ν : |y_j| ≤ 1, Σ_{j≠t} y_j·w_j = ν·w_t }
 *
 * (the total of a month of 2,976 slots hides each among 2,976; the same total and that of all days but one, each of that day among 96).
 * Would any sum over fewer than 96 slots be confined to less than a quarter of its range, then some combination h of the disclosed
 * functions lies nearer to that sum than a quarter of its slots; one of them has h_t ≥ ¾ there, and Σ|h_j| ≤ 1¼ · 95. So it is enough
 * that every reading is hidden among HIDDEN_AMONG = 1¼·95 / ¾. The programme is solved by affine scaling from the middle (Dikin 1967):
 * each step stays feasible, so what it finds is never more than n_t, and when unsure the answer is no.
 *
 * A small sum confines its parts by being small: where what was disclosed is given, a single function with weights of one sign is
 * checked for that, exactly.
 *
 * **Consent.** What the customer agrees to open by name (a day, one reading), and the bill, whose prices tariff.ts has checked, are exempt
 * by themselves: a reading of that day is then to be hidden among the day's. They are remembered, and with the others they must not tell
 * more than their names say: LEFT_HIDDEN of what they hide among is to be left.
 */

/** One slot of one register and purpose, which one function may weigh differently from the next. */
export type ReadingKey = string;
export const readingKey = (purpose: number, register: 'import' | 'export', slot: number): ReadingKey =>
  `${purpose}/${register}/${slot}`;

export interface Disclosure {
  /** For the customer: `Bill of February 2026`. */
  name: string;
  /** Who learns it. */
  party: string;
  /** Whether the customer has agreed to tell exactly this, by name; so it is for a bill. */
  consented: boolean;
  /** The readings that are in it, with their weights. */
  weights: ReadonlyMap<ReadingKey, number>;
  /** What it came to, in units of the readings, where that is known; and the most that a reading can be. */
  value?: number;
  mostReading?: number;
}
export type LedgerAnswer = { allowed: true } | { allowed: false; reason: string; reading: ReadingKey };

/** A sum over fewer slots is a person's day. */
const FEWEST_SLOTS = 96;
const QUARTER = 1 / 4;
export const HIDDEN_AMONG = ((1 + QUARTER) * (FEWEST_SLOTS - 1)) / (1 - QUARTER);
const LEFT_HIDDEN = 3 / 4;

export class DisclosureLedger {
  readonly #entries: Disclosure[];

  /** @param entries what was recorded before */
  constructor(entries: readonly Disclosure[] = []) {
    this.#entries = [...entries];
  }
  get entries(): readonly Disclosure[] {
    return this.#entries;
  }

  /** Whether `asked` may be disclosed after all that was. Changes nothing. */
  check(asked: Disclosure): LedgerAnswer {
    const small = tooSmall(asked);
    if (small !== null)
      return { allowed: false, reason: `${asked.name} is so small that it tells ${inWords(small)}`, reading: small };
    const known = this.#entries.find((entry) => isMultiple(entry.weights, asked.weights));
    if (known) return { allowed: true }; // the same number again
    const related = relatedTo(asked, this.#entries);
    const classes = classesOf([...related, asked]);
    const needed = neededAmong([...related, asked]);
    const programme = new Programme(classes);
    for (const [at, { members, column }] of classes.entries()) {
      const enough = needed(column);
      const found = programme.hiddenAmong(at, enough);
      if (found >= enough) continue;
      const [reading] = members;
      const others = related.filter(({ weights }) => weights.has(reading)).map(({ name }) => name);
      const together = others.length > 0 ? ` together with ${others.join(', ')}` : '';
      const among = Math.max(1, Math.round(found));
      return {
        allowed: false,
        reason: `${asked.name}${together} would tell ${inWords(reading)} to ${asked.party}: it would be hidden among ${among} quarter hours only`,
        reading,
      };
    }
    return { allowed: true };
  }

  /** Remembers what was disclosed. @throws RangeError with the reason where it must not be */
  record(disclosed: Disclosure): void {
    const answer = this.check(disclosed);
    if (!answer.allowed) throw new RangeError(answer.reason);
    this.#entries.push(disclosed);
  }
}

function inWords(key: ReadingKey): string {
  const [, register, slot] = key.split('/');
  const time = new Date(Number(slot) * 900_000).toISOString();
  return `the ${register} of the quarter hour from ${time.slice(0, 10)} ${time.slice(11, 16)} UTC on`;
}

/** Those that share readings with it, or with one that does, and so on: no other can matter. */
function relatedTo(asked: Disclosure, entries: readonly Disclosure[]): Disclosure[] {
  const reached = new Set(asked.weights.keys());
  let left = [...entries];
  const related: Disclosure[] = [];
  for (let size = -1; size !== related.length; ) {
    size = related.length;
    left = left.filter((entry) => {
      if (![...entry.weights.keys()].some((key) => reached.has(key))) return true;
      for (const key of entry.weights.keys()) reached.add(key);
      related.push(entry);
      return false;
    });
  }
  return related;
}

function isMultiple(a: ReadonlyMap<ReadingKey, number>, b: ReadonlyMap<ReadingKey, number>): boolean {
  if (a.size !== b.size) return false;
  const [first] = b;
  const ratio = (a.get(first[0]) ?? 0) / first[1];
  return ratio !== 0 && [...b].every(([key, weight]) => a.get(key) === ratio * weight);
}

/** The reading that one function confines to less than a quarter of its range because it is near its least or its most; or null. */
function tooSmall({ weights, value, mostReading, consented }: Disclosure): ReadingKey | null {
  if (consented || value === undefined || mostReading === undefined) return null;
  const all = [...weights];
  if (!all.every(([, weight]) => weight >= 0) && !all.every(([, weight]) => weight <= 0)) return null;
  const total = all.reduce((sum, [, weight]) => sum + Math.abs(weight), 0) * mostReading;
  for (const [key, weight] of all) {
    const size = Math.abs(weight);
    if (size === 0) continue;
    const most = Math.min(mostReading, Math.abs(value) / size);
    const least = Math.max(0, mostReading - (total - Math.abs(value)) / size);
    if (most - least < QUARTER * mostReading) return key;
  }
  return null;
}

/** Among how many a reading with this column is to be hidden: fewer where a smaller sum that it is in was named by consent. */
function neededAmong(disclosures: readonly Disclosure[]): (column: readonly number[]) => number {
  const sums = disclosures.map(({ weights }) => {
    let sum = 0;
    for (const weight of weights.values()) sum += Math.abs(weight);
    return sum / largestOf(weights);
  });
  return (column) => {
    let needed = HIDDEN_AMONG;
    for (const [i, weight] of column.entries())
      if (weight !== 0 && disclosures[i].consented)
        needed = Math.min(needed, (LEFT_HIDDEN * sums[i]) / Math.abs(weight));
    return needed;
  };
}
function largestOf(weights: ReadonlyMap<ReadingKey, number>): number {
  let largest = 0;
  for (const weight of weights.values()) largest = Math.max(largest, Math.abs(weight));
  return largest;
}

// ── the programme ──

/** Readings that all disclosures weigh alike are interchangeable. */
interface ReadingClass {
  members: ReadingKey[];
  /** By disclosure. */
  column: number[];
}
function classesOf(disclosures: readonly Disclosure[]): ReadingClass[] {
  // scaled to 1, or a bill in thousandths of a cent would drown a sum of readings
  const scales = disclosures.map(({ weights }) => largestOf(weights));
  const columns = new Map<ReadingKey, number[]>();
  for (const [i, { weights }] of disclosures.entries())
    for (const [key, weight] of weights) {
      if (weight === 0) continue;
      let column = columns.get(key);
      if (!column) {
        column = new Array<number>(disclosures.length).fill(0);
        columns.set(key, column);
      }
      column[i] = weight / scales[i];
    }
  const classes = new Map<string, ReadingClass>();
  for (const [key, column] of columns) {
    const id = column.join();
    const same = classes.get(id);
    if (same) same.members.push(key);
    else classes.set(id, { members: [key], column });
  }
  return [...classes.values()];
}

const MOST_STEPS = 40;
/** How much of the way to the border a step goes. */
const STEP = 0.95;

class Programme {
  readonly #classes: readonly ReadingClass[];
  /** A D² Aᵀ in the middle, the same for all readings but for their own class. */
  readonly #middle: Float64Array[];

  constructor(classes: readonly ReadingClass[]) {
    this.#classes = classes;
    this.#middle = this.#normal(classes.map(({ members }) => members.length ** 2));
  }

  #normal(squares: readonly number[]): Float64Array[] {
    const k = this.#classes[0].column.length;
    const matrix = Array.from({ length: k }, () => new Float64Array(k));
    for (const [g, { column }] of this.#classes.entries()) addSquare(matrix, column, squares[g]);
    return matrix;
  }

  /**
   * At most n_t of a reading of class `at`; `enough` ends the search early. Y_g, the sum of y over class g, lies between −size and size;
   * each step goes along D²Aᵀ(AD²Aᵀ)⁻¹·w_t, D the distances from the borders.
   */
  hiddenAmong(at: number, enough: number): number {
    const classes = this.#classes;
    const target = classes[at].column;
    const own = classes[at].members.length;
    const y = new Float64Array(classes.length);
    const direction = new Float64Array(classes.length);
    const sizeOf = (g: number): number => classes[g].members.length - Number(g === at);
    let nu = 0;
    for (let step = 0; step < MOST_STEPS && 1 + nu < enough; step++) {
      const room = (g: number): number => sizeOf(g) - Math.abs(y[g]);
      let matrix: Float64Array[];
      if (step === 0) {
        matrix = this.#middle.map((row) => row.slice());
        addSquare(matrix, target, (own - 1) ** 2 - own ** 2);
      } else matrix = this.#normal(classes.map((_, g) => room(g) ** 2));
      const lambda = solve(matrix, target);
      if (lambda === null) break; // nothing that moves could make up for it
      let length = Number.POSITIVE_INFINITY;
      for (let g = 0; g < classes.length; g++) {
        const { column } = classes[g];
        let sum = 0;
        for (let i = 0; i < lambda.length; i++) sum += column[i] * lambda[i];
        const move = room(g) ** 2 * sum;
        direction[g] = move;
        if (move !== 0) length = Math.min(length, (sizeOf(g) - Math.sign(move) * y[g]) / Math.abs(move));
      }
      if (!Number.isFinite(length)) break;
      const taken = STEP * length;
      for (let g = 0; g < classes.length; g++) y[g] += taken * direction[g];
      nu += taken;
      if (taken < 1e-3 * (1 + nu)) break;
    }
    return 1 + nu;
  }
}
function addSquare(matrix: Float64Array[], column: readonly number[], times: number): void {
  for (const [i, a] of column.entries())
    if (a !== 0) for (const [j, b] of column.entries()) matrix[i][j] += times * a * b;
}

/** λ with matrix·λ = target, or null where there is none; rows that depend on others are left out. Gauss, largest pivot first. */
function solve(matrix: readonly Float64Array[], target: readonly number[]): number[] | null {
  const k = target.length;
  const rows = matrix.map((row, i) => Float64Array.from([...row, target[i]]));
  const largest = Math.max(...matrix.map((row, i) => Math.abs(row[i])), Number.MIN_VALUE);
  const free = new Set(Array.from({ length: k }, (_, i) => i));
  const pivots: [row: number, column: number][] = [];
  for (let column = 0; column < k; column++) {
    let row = -1;
    for (const i of free) if (row < 0 || Math.abs(rows[i][column]) > Math.abs(rows[row][column])) row = i;
    if (row < 0 || Math.abs(rows[row][column]) < 1e-11 * largest) continue;
    free.delete(row);
    pivots.push([row, column]);
    for (let i = 0; i < k; i++) {
      if (i === row) continue;
      const factor = rows[i][column] / rows[row][column];
      if (factor !== 0) for (let j = column; j <= k; j++) rows[i][j] -= factor * rows[row][j];
    }
  }
  const scale = Math.max(...target.map(Math.abs));
  for (const i of free) if (Math.abs(rows[i][k]) > 1e-7 * scale) return null;
  const lambda = new Array<number>(k).fill(0);
  for (const [row, column] of pivots) lambda[column] = rows[row][k] / rows[row][column];
  return lambda;
}
