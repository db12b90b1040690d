/**
 * What a report server gives on (tasking-and-trading.txt, Algorithm 1, lines 5 to 7): values without anything beside them, and sums of
 * at least k households.
 *
 *   strip         the values of a slot and area in an order that says nothing; identity, slip and time of arrival stay
 *   plainSum      of those
 *   serverOfSlot  the disjoint subsets of section 2.2.2: which of several servers gets the plain report of a slot. All households of an
 *                 area have the same plan, by whole hours, so that each server sees every household in some hours, the whole area in each
 *                 of them, and no server a day
 *   area sum      what is published, once for each slot, area and product; whoever has the dealings and the shares checks it
 *
 *   area sum  1   version = 1
 *             1+n product          `import`, `export`, or a task's id in hex
 *             4   first slot
 *             2   number of slots
 *             1+n area
 *             4   households       in it
 *             4   sum              Wh, or the task's unit
 *             32  roster           its digest; zero where the values were plain
 *             64  signature        Ed25519 by the report server that publishes it, over label ‖ 00 ‖ all before
 */
import { createHash } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { ReportError } from './errors.ts';
import type { Report } from './report.ts';

const VERSION = 1;
const PRODUCT = /^[a-z0-9-]{1,40}$/;
const SLOTS_PER_HOUR = 4;
export const NO_ROSTER: Uint8Array = new Uint8Array(32);

/**
 * The plain values of reports, ascending: their order of arrival is gone.
 * @param least k, the minimum group
 * @throws ReportError where there are fewer than k, or one identity stands there twice, or one is not plain
 */
export function strip(reports: readonly Pick<Report, 'identity' | 'content'>[], least: number): number[] {
  const identities = new Set(reports.map(({ identity }) => Buffer.from(identity).toString('hex')));
  if (identities.size !== reports.length) throw new ReportError('reports', 'hold two of one household', 'repeated');
  if (reports.length < least)
    throw new ReportError('reports', `are ${reports.length}, fewer than ${least}: nothing is given on`, 'bad value');
  const values = reports.map(({ content }, i) => {
    if (!('value' in content)) throw new ReportError(`reports.${i}.content`, 'is in shares', 'bad value');
    return content.value;
  });
  return values.sort((a, b) => a - b);
}

export const plainSum = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Which server gets the plain reports of a slot, from 1; the plan of a day begins at another server for each area and day. */
export function serverOfSlot(area: string, slot: number, servers: number): number {
  const day = Math.floor(slot / SLOTS_PER_DAY);
  const start = createHash('sha256').update(`${area}/${day}`).digest().readUInt32BE();
  const hour = Math.floor((slot % SLOTS_PER_DAY) / SLOTS_PER_HOUR);
  return ((start + hour) % servers) + 1;
}

export interface AreaSum {
  product: string;
  firstSlot: number;
  slots: number;
  area: string;
  households: number;
  sum: number;
  /** 32 B. */
  roster: Uint8Array;
}

/** The server's step. @throws MalformedError, RangeError for a sum of fewer than `least` */
export function publishAreaSum(areaSum: AreaSum, least: number, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  if (areaSum.households < least)
    throw new RangeError(`areaSum.households: are ${areaSum.households}, fewer than ${least}`);
  const body = new ByteWriter('areaSum')
    .u8('version', VERSION)
    .text('product', areaSum.product, PRODUCT)
    .u32('firstSlot', areaSum.firstSlot)
    .u16('slots', areaSum.slots)
    .text('area', areaSum.area, AREA_PATTERN)
    .u32('households', areaSum.households)
    .u32('sum', areaSum.sum)
    .bytes('roster', areaSum.roster, NO_ROSTER.length)
    .finish();
  return Buffer.concat([body, sign(labelled(LABELS.areaSum, body))]);
}

/** The provider's step. @throws MalformedError, ReportError */
export function openAreaSum(bytes: Uint8Array, serverKey: Uint8Array, least: number): AreaSum {
  const reader = new ByteReader('areaSum', bytes);
  reader.constant('version', VERSION);
  const areaSum = {
    product: reader.text('product', PRODUCT),
    firstSlot: reader.u32('firstSlot'),
    slots: reader.u16('slots'),
    area: reader.text('area', AREA_PATTERN),
    households: reader.u32('households'),
    sum: reader.u32('sum'),
    roster: reader.bytes('roster', NO_ROSTER.length),
  };
  const message = labelled(LABELS.areaSum, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (!verifyEd25519(serverKey, message, signature))
    throw new ReportError('areaSum.signature', 'was not made by that report server', 'forged');
  if (areaSum.households < least)
    throw new ReportError('areaSum.households', `are ${areaSum.households}, fewer than ${least}`, 'bad value');
  return areaSum;
}
