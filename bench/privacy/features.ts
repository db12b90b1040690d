/**
 * The adversaries' eyes: each feature says by one kind of trace in the transcript how well a household and X, or Y, belong together.
 * What counts is only whether it prefers one assignment of a pair to the other:
 *
 *   d = s(a, X) + s(b, Y) − s(a, Y) − s(b, X)
 *
 * so whatever all households have in common cancels. A record is *explained* by X where it says a slot (and value) that X has and Y
 * has not; features compare explained anonymous records with the household's named ones, or the trace with the named ones alone.
 */
import { createHash, createHmac } from 'node:crypto';
import { SLOT_MS } from '../../protocol/time/slots.ts';
import { commitmentDifference, sharedFactor } from './algebra.ts';
import type { SeenRecord, Transcript } from './transcript.ts';
import { JOIN_BYTES, Overlaps } from './windows.ts';
import type { Event, Pair, Trace } from './world.ts';

/** Keys and tags that are cut short. */
const TAG_BYTES = 4;
const KEY_BYTES = 32;
/** Longer fields are made of others. */
const HASHED_BYTES = 512;
/** What a tag is made over in these protocols: nonces, identities. */
const NONCE_MOST_BYTES = 64;

export interface Candidate {
  /** Named records of the household. */
  named: readonly SeenRecord[];
  trace: Trace;
  /** Anonymous records that this trace explains and the other does not. */
  explained: readonly SeenRecord[];
  view: View;
}
export interface Feature {
  name: string;
  score(candidate: Candidate): number;
}

/** A transcript made ready for many questions. */
export class View {
  readonly transcript: Transcript;
  readonly #named: Map<string | null, SeenRecord[]>;
  readonly #anonymous: SeenRecord[];
  /** Places in `#overlaps`. */
  readonly #places = new Map<SeenRecord | Event, number>();
  readonly #overlaps: Overlaps;

  constructor(transcript: Transcript, pairs: readonly Pair[]) {
    this.transcript = transcript;
    this.#named = Map.groupBy(transcript.records, ({ household }) => household);
    this.#anonymous = this.#named.get(null) ?? [];
    const events = pairs.flatMap(({ x, y }) => [...x, ...y]);
    for (const item of [...transcript.records, ...events]) this.#places.set(item, this.#places.size);
    this.#overlaps = new Overlaps([
      ...transcript.records.map((record) => this.#computed(record)),
      ...events.map((event) => waysToWrite(event, transcript.keys)),
    ]);
  }

  named(household: string): SeenRecord[] {
    return this.#named.get(household) ?? [];
  }

  explained(trace: Trace, other: Trace): SeenRecord[] {
    const fits = (record: SeenRecord, one: Trace): boolean =>
      one.some(({ slot, value }) => slot === record.slot && (record.value === null || record.value === value));
    return this.#anonymous.filter((record) => record.slot !== null && fits(record, trace) && !fits(record, other));
  }

  /** How many stretches of bytes two records share, or a record with the ways in which an event could be written down. */
  overlap(one: SeenRecord | Event, other: SeenRecord): number {
    return this.#overlaps.of(this.#places.get(one)!, this.#places.get(other)!);
  }

  /** Every field, and what a hash or a MAC of it is. */
  #computed({ fields }: SeenRecord): Uint8Array[] {
    return Object.values(fields).flatMap((field) => {
      if (typeof field === 'number') return [];
      if (field.length < JOIN_BYTES || field.length > HASHED_BYTES) return [field];
      const macs = this.transcript.keys.map((key) => createHmac('sha256', key).update(field).digest());
      return [field, createHash('sha256').update(field).digest(), ...macs];
    });
  }
}

/** Sum over all pairs of an explained and a named record. */
const pairwise =
  (score: (anonymous: SeenRecord, named: SeenRecord, view: View) => number) =>
  ({ explained, named, view }: Candidate): number =>
    explained.reduce((sum, one) => sum + named.reduce((inner, other) => inner + score(one, other, view), 0), 0);

/** The closest of all pairs; on a logarithmic scale, so that one that is very close outweighs many. */
const nearest =
  (distance: (anonymous: SeenRecord, named: SeenRecord) => number | null) =>
  ({ explained, named }: Candidate): number => {
    let sum = 0;
    for (const one of explained) {
      let least = Number.POSITIVE_INFINITY;
      for (const other of named) {
        const d = distance(one, other);
        if (d !== null && d < least) least = d;
      }
      if (Number.isFinite(least)) sum -= Math.log2(1 + least);
    }
    return sum;
  };

const phase = (record: SeenRecord): number | null => (record.timeMs === null ? null : record.timeMs % SLOT_MS);
const circular = (d: number): number => Math.min(Math.abs(d), SLOT_MS - Math.abs(d));
const bytesIn = ({ fields }: SeenRecord): number =>
  Object.values(fields).reduce<number>((sum, field) => sum + (typeof field === 'number' ? 0 : field.length), 0);
const firstBytes = ({ fields }: SeenRecord): number =>
  Object.values(fields).reduce<number>((sum, field) => sum + (typeof field === 'number' ? 0 : (field.at(-1) ?? 0)), 0);

/** Fields of the same name as whole numbers: counters, sequence numbers, places. */
function counterDistance(one: SeenRecord, other: SeenRecord): number | null {
  let least: number | null = null;
  for (const [name, field] of Object.entries(one.fields)) {
    const [a, b] = [asNumber(field), asNumber(other.fields[name])];
    if (a !== null && b !== null) least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.abs(a - b));
  }
  return least;
}
function asNumber(field: SeenRecord['fields'][string] | undefined): number | null {
  if (typeof field === 'number') return field;
  if (!field || field.length > 8) return null;
  return [...field].reduce((sum, byte) => sum * 256 + byte, 0);
}

function sharedTags(one: SeenRecord, other: SeenRecord): number {
  let shared = 0;
  for (const [name, field] of Object.entries(one.fields)) {
    const same = other.fields[name];
    if (typeof field === 'number' || typeof same === 'number' || !same || field.length < TAG_BYTES) continue;
    if (Buffer.compare(field, same) === 0) shared++;
  }
  return shared;
}

/** One record's tag is the MAC of its own field under a key that stands in the other. */
function keyedTags(one: SeenRecord, other: SeenRecord): number {
  let found = 0;
  for (const [name, key] of Object.entries(other.fields))
    if (typeof key !== 'number' && key.length === KEY_BYTES && KEY_NAME.test(name)) found += tagsUnder(key, one);
  return found;
}
const KEY_NAME = /(Key|key|Value|sk)$/;
const tagged = new WeakMap<SeenRecord, Map<string, number>>();

function tagsUnder(key: Uint8Array, record: SeenRecord): number {
  const known = tagged.get(record) ?? new Map<string, number>();
  tagged.set(record, known);
  const name = Buffer.from(key).toString('latin1');
  let found = known.get(name);
  if (found !== undefined) return found;
  found = 0;
  const fields = Object.values(record.fields).filter(
    (field) => typeof field !== 'number' && field.length >= JOIN_BYTES,
  );
  for (const message of fields as Uint8Array[]) {
    if (message.length > NONCE_MOST_BYTES) continue;
    const mac = createHmac('sha256', key).update(message).digest();
    for (const tag of fields as Uint8Array[]) if (mac.compare(tag, 0, JOIN_BYTES, 0, JOIN_BYTES) === 0) found++;
  }
  known.set(name, found);
  return found;
}

/** How a quantity of the named records moves with the values of the trace. */
const withValues =
  (quantity: (record: SeenRecord) => number | null) =>
  ({ named, trace }: Candidate): number => {
    const mean = trace.reduce((sum, { value }) => sum + value, 0) / Math.max(1, trace.length);
    let sum = 0;
    for (const record of named) {
      const q = record.slot === null ? null : quantity(record);
      if (q === null) continue;
      for (const { slot, value } of trace) if (slot === record.slot) sum += (value - mean) * q;
    }
    return sum;
  };
const atEvents =
  (quantity: (record: SeenRecord) => number | null) =>
  ({ named, trace }: Candidate): number =>
    named.reduce((sum, record) => {
      const q = trace.some(({ slot }) => slot === record.slot) ? quantity(record) : null;
      return sum + (q ?? 0);
    }, 0);

/** In how many ways a value of a slot could be written down. */
function waysToWrite({ slot, value }: Event, keys: readonly Uint8Array[]): Uint8Array[] {
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, word] of values.entries()) bytes.writeUInt32BE(word, 4 * i);
    return bytes;
  };
  return [words(slot, value), words(value, 0), words(value, slot), Buffer.from(String(value))].flatMap((plain) => [
    plain,
    ...['sha256', 'sha384'].map((hash) => createHash(hash).update(plain).digest()),
    ...keys.map((key) => createHmac('sha256', key).update(plain).digest()),
  ]);
}

export const FEATURES: readonly Feature[] = [
  {
    name: 'equal bytes',
    score: pairwise((one, other, view) => Math.min(8, view.overlap(one, other))),
  },
  { name: 'equal tags', score: pairwise(sharedTags) },
  { name: 'keyed tags', score: pairwise(keyedTags) },
  {
    name: 'nearest time',
    score: nearest(({ timeMs: one }, { timeMs: other }) =>
      one === null || other === null ? null : Math.abs(one - other),
    ),
  },
  {
    name: 'nearest phase',
    score: nearest((one, other) => {
      const [p, q] = [phase(one), phase(other)];
      return p === null || q === null ? null : circular(p - q);
    }),
  },
  { name: 'order', score: nearest((one, other) => 1000 * Math.abs(one.order - other.order)) },
  { name: 'nearest counter', score: nearest(counterDistance) },
  { name: 'equal length', score: pairwise((one, other) => Number(bytesIn(one) === bytesIn(other))) },
  { name: 'factor of blinding (A9)', score: pairwise((one, other, view) => sharedFactor(one, other, view.transcript)) },
  { name: 'difference of commitments', score: pairwise(commitmentDifference) },
  {
    name: 'dictionary of values',
    score: ({ named, trace, view }) =>
      trace.reduce(
        (sum, event) => sum + named.reduce((inner, record) => inner + Math.min(2, view.overlap(event, record)), 0),
        0,
      ),
  },
  { name: 'presence', score: atEvents(() => 1) },
  { name: 'length at events', score: atEvents(bytesIn) },
  { name: 'length by value', score: withValues(bytesIn) },
  { name: 'time at events', score: atEvents(phase) },
  { name: 'time by value', score: withValues(phase) },
  { name: 'last byte at events', score: atEvents(firstBytes) },
  { name: 'last byte by value', score: withValues(firstBytes) },
  { name: 'order at events', score: atEvents(({ order }) => order) },
  {
    name: 'numbers by value',
    score: withValues(({ fields }) =>
      Object.values(fields).reduce<number>((sum, field) => sum + (typeof field === 'number' ? field : 0), 0),
    ),
  },
  {
    name: 'repeated at events',
    score: ({ named, trace, view }) => {
      const bySlot = Map.groupBy(named, ({ slot }) => slot);
      return trace.reduce((sum, { slot }) => {
        const own = bySlot.get(slot) ?? [];
        const next = [1, 2, 3].flatMap((later) => bySlot.get(slot + later) ?? []);
        return (
          sum +
          own.reduce((inner, one) => inner + next.reduce((n, other) => n + Number(longRepeat(one, other, view)), 0), 0)
        );
      }, 0);
    },
  },
  {
    name: 'count',
    score: ({ named, trace }) => -Math.abs(named.filter(({ slot }) => slot !== null).length - trace.length),
  },
];

/** More in common than a header has. */
const longRepeat = (one: SeenRecord, other: SeenRecord, view: View): boolean => view.overlap(one, other) > 100;

/** One number for each feature: positive where it speaks for a having X. */
export function differences(view: View, { a, b, x, y }: Pair): number[] {
  const [onlyX, onlyY] = [view.explained(x, y), view.explained(y, x)];
  const [ofA, ofB] = [view.named(a), view.named(b)];
  return FEATURES.map(({ score }) => {
    const s = (named: readonly SeenRecord[], trace: Trace, explained: readonly SeenRecord[]): number =>
      score({ named, trace, explained, view });
    return s(ofA, x, onlyX) + s(ofB, y, onlyY) - s(ofA, y, onlyY) - s(ofB, x, onlyX);
  });
}
