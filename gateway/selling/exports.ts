/**
 * What the household exported for the control centre, committed to slot by slot and opened as one weighted sum (protocols.md, section 1,
 * "Payment against the measurement"; protocol/billing/commitments.ts). All slots of the month that the meter measured: those in
 * which nothing was sold are committed to as 0, so nothing is said of when.
 */
import { X509Certificate } from 'node:crypto';
import { identifierReference } from '../../protocol/billing/bill.ts';
import {
  commitReading,
  monthKey,
  type OpenedSum,
  openingOf,
  openWeightedSum,
  type Series,
  signCommitments,
} from '../../protocol/billing/commitments.ts';
import { compressPoint } from '../../protocol/crypto/p256.ts';
import { type Weights, weightOf } from '../../protocol/selling/terms.ts';
import { monthFirstSlot } from '../../protocol/time/months.ts';
import { PURPOSE_CENTRE } from '../../protocol/wire/ledger.ts';
import type { RequestIdentity } from '../services/client.ts';

const UNIT_MWH = 1;
/** 16.7 kWh in a quarter hour. */
const BITS = 24;
/** Fit into one request. */
const SLOTS_A_BATCH = 1400;

export interface MonthExports {
  month: number;
  /** The first slot that the meter ever measured. */
  sinceSlot: number;
  /** mWh by slot; a slot that is missing exported nothing for the centre. */
  exportMwh: ReadonlyMap<number, number>;
}
export interface CommittedExports {
  batches: Uint8Array[];
  opened: OpenedSum;
}

/** @param secret 32 B, always the same @throws RangeError where an export is more than a household's; TpmError */
export async function commitExports(
  { month, sinceSlot, exportMwh }: MonthExports,
  { secret, weights, identity }: { secret: Uint8Array; weights: readonly Weights[]; identity: RequestIdentity },
): Promise<CommittedExports> {
  const { x, y } = new X509Certificate(identity.certificate).publicKey.export({ format: 'jwk' });
  const publicKey = compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url'));
  const series: Series = {
    meter: identifierReference(publicKey),
    month,
    purpose: PURPOSE_CENTRE,
    register: 'export',
    revision: 0,
    sinceSlot,
    unitMwh: UNIT_MWH,
    bits: BITS,
  };
  const key = monthKey(secret, month);
  const [first, end] = [Math.max(monthFirstSlot(month), sinceSlot), monthFirstSlot(month + 1)];
  const slots = Array.from({ length: end - first }, (_, i) => first + i);
  const exportOf = (slot: number): number => (exportMwh.get(slot) ?? 0) / UNIT_MWH;
  const batches: Uint8Array[] = [];
  for (let at = 0; at < slots.length; at += SLOTS_A_BATCH) {
    const some = slots.slice(at, at + SLOTS_A_BATCH);
    const commitments = some.map((slot) => commitReading(key, series, slot, exportOf(slot)));
    batches.push(await signCommitments(series, some[0], commitments, (message) => identity.sign(message)));
  }
  const all = slots.map((slot) => BigInt((weightOf(weights, slot)?.weight ?? 0) * UNIT_MWH));
  return {
    batches,
    opened: openWeightedSum(
      all,
      slots.map((slot) => openingOf(key, series, slot, exportOf(slot))),
    ),
  };
}
