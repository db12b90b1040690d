/**
 * Who calls whom at the door, over HTTPS (protocol/services/call.ts).
 *
 *   Gateway                            Relay                                       Party
 *   POST /door/heads {} ─────────────► which lists there are
 *   {destinations: [{first, last}]} ◄─
 *   POST /door/lists {destination, number, part} ─►
 *   {parts, bytes} ◄─────────────────                                     of each list each part, whoever asks
 *   POST /door/bundles {bundle} ─────► one for each gateway and slot
 *   {} ◄─────────────────────────────  on disk
 *                                      POST /door/cells {batch, part, parts, cells} ─► dummies dropped, messages answered
 *                                      {list} ◄─────────────────────────────────────── the batch's list, once all parts are there
 *                                      POST /door/list {number, part} ───────────────►
 *                                      {parts, bytes} ◄───────────────────────────────
 *
 * Gateways speak with the relay only, without a name; parties with the relay only, which shows its certificate (role `relay`).
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { BUNDLE_MOST_BYTES } from './bundle.ts';
import { DESTINATION_PATTERN, DESTINATIONS_MOST } from './plan.ts';

export const RELAY_ROLE = 'relay';
export const HEADS_PATH = '/door/heads';
export const LISTS_PATH = '/door/lists';
export const BUNDLES_PATH = '/door/bundles';
export const CELLS_PATH = '/door/cells';
export const LIST_PATH = '/door/list';

/** Of a list, and of a batch's cells, in one call. */
export const PART_BYTES = 40_000;
export const BATCH_ID_BYTES = 32;
const CELLS_MOST = 1024;
const PARTS_MOST = 4096;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const ordinal = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff_ffff));
const part = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(PARTS_MOST - 1));
const parts = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(PARTS_MOST));
const name = v.pipe(v.string(), v.regex(DESTINATION_PATTERN, 'is no destination'));

export const headsAnswer = v.strictObject({
  /** Numbers of the oldest and the newest list that the relay has; 0 and 0: none. */
  destinations: v.pipe(
    v.array(v.strictObject({ name, first: whole, last: whole })),
    v.maxLength(DESTINATIONS_MOST, 'are too many'),
  ),
});
export const listsCall = v.strictObject({ destination: name, number: ordinal, part });
export const listCall = v.strictObject({ number: ordinal, part });
export const partAnswer = v.strictObject({ parts, bytes: bytes(1, PART_BYTES) });
export const bundleCall = v.strictObject({ bundle: bytes(1, BUNDLE_MOST_BYTES) });
export const stored = v.strictObject({});
export const cellsCall = v.strictObject({
  /** Random; names the batch when it is sent again. */
  batch: bytes(BATCH_ID_BYTES),
  part,
  parts,
  cells: v.pipe(v.array(bytes(1, PART_BYTES)), v.minLength(1, 'are none'), v.maxLength(CELLS_MOST, 'are too many')),
});
export type CellsCall = v.InferOutput<typeof cellsCall>;
/** The number of the list that answers the batch; null while parts of it are missing. */
export const cellsAnswer = v.strictObject({ list: v.nullable(ordinal) });

/** The part of a list that was asked for, or undefined where it has none with this number. */
export function partOf(list: Uint8Array, index: number): { parts: number; bytes: Uint8Array } | undefined {
  const count = Math.ceil(list.length / PART_BYTES);
  if (index >= count) return undefined;
  return { parts: count, bytes: list.subarray(index * PART_BYTES, (index + 1) * PART_BYTES) };
}

/**
 * A whole list from its parts. @param ask for one part, from 0
 * @throws RangeError where it is longer than `mostBytes`, or its parts say different things
 */
export async function wholeList(
  ask: (part: number) => Promise<v.InferOutput<typeof partAnswer>>,
  mostBytes: number,
): Promise<Uint8Array> {
  const first = await ask(0);
  if ((first.parts - 1) * PART_BYTES > mostBytes) throw new RangeError(`list: is longer than ${mostBytes} bytes`);
  const pieces = [first.bytes];
  for (let i = 1; i < first.parts; i++) pieces.push((await ask(i)).bytes);
  return Buffer.concat(pieces);
}
