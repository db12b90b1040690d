/** What test/vectors/billing.json says, computed: everything follows from a seed. `node test/protocol/billing/_vectors.ts` writes it anew. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { commitReading, openingOf, type Series } from '../../../protocol/billing/commitments.ts';
import { type Charge, pay } from '../../../protocol/billing/payment.ts';
import type { Policy, SignedPolicy } from '../../../protocol/billing/tariff.ts';
import { merkleRoot } from '../../../protocol/crypto/merkle.ts';
import { monthFirstSlot } from '../../../protocol/time/months.ts';
import { BLOCKS, FLAT, MONTH, signed, TIERS } from './_household.ts';

export interface Vector {
  name: string;
  policy: Policy;
  policyDigest: string;
  monthKey: string;
  meter: string;
  month: number;
  firstSlot: number;
  readings: number[];
  commitments: string[];
  root: string;
  /** Base64url. */
  payment: string;
}
export const VECTORS = new URL('../../vectors/billing.json', import.meta.url);
export const readVectors = (): Vector[] => JSON.parse(readFileSync(VECTORS, 'utf8')) as Vector[];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** SHAKE256 of seed and a counter, where a payment draws random bytes. */
const seeded = (seed: string) => {
  let counter = 0;
  return (bytes: number): Uint8Array =>
    createHash('shake256', { outputLength: bytes }).update(`${seed} ${counter++}`).digest();
};

export function computeVector(name: string, policy: SignedPolicy, readings: readonly number[]): Vector {
  const [key, meter] = [`${name} key`, `${name} meter`].map((text) => createHash('sha256').update(text).digest());
  const { unitMwh, readingBits: bits } = policy.policy;
  const endSlot = monthFirstSlot(MONTH + 1);
  const firstSlot = endSlot - readings.length;
  const series: Series = {
    meter,
    month: MONTH,
    purpose: 0,
    register: 'import',
    revision: 0,
    sinceSlot: firstSlot,
    unitMwh,
    bits,
  };
  const commitments = readings.map((value, i) => commitReading(key, series, firstSlot + i, value));
  const leaves = commitments.map((commitment, i) => {
    const slot = Buffer.alloc(4);
    slot.writeUInt32BE(firstSlot + i);
    return Buffer.concat([slot, commitment]);
  });
  const root = merkleRoot(leaves);
  const charge: Charge = { policy, priceOf: () => undefined, meter, month: MONTH, firstSlot, endSlot, roots: [root] };
  const openings = readings.map((value, i) => openingOf(key, series, firstSlot + i, value));
  const payment = pay(charge, { import: openings, export: [] }, seeded(name));
  return {
    name,
    policy: policy.policy,
    policyDigest: hex(policy.digest),
    monthKey: hex(key),
    meter: hex(meter),
    month: MONTH,
    firstSlot,
    readings: [...readings],
    commitments: commitments.map(hex),
    root: hex(root),
    payment: Buffer.from(payment).toString('base64url'),
  };
}

if (import.meta.main) {
  const small = Array.from({ length: 8 }, (_, i) => (i * 37) % 200);
  const large = small.map((value) => value * 60_000);
  const vectors = [
    computeVector('linear', signed(FLAT), large),
    computeVector('tiers', signed({ ...TIERS, export: [] }), small),
    computeVector('blocks', signed(BLOCKS), large),
  ];
  writeFileSync(VECTORS, `${JSON.stringify(vectors, null, 1)}\n`);
}
