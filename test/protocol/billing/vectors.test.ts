import { randomBytes } from 'node:crypto';
import test from 'ava';
import type { CommittedPeriod } from '../../../protocol/billing/commitments.ts';
import { verifyPayment } from '../../../protocol/billing/payment.ts';
import { clearFee } from '../../../protocol/billing/tariff.ts';
import { Element } from '../../../protocol/crypto/group.ts';
import { signed } from './_household.ts';
import { computeVector, readVectors } from './_vectors.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const none = () => undefined;

for (const vector of readVectors()) {
  test(`${vector.name}: the payment that was written down once is right`, (t) => {
    const { policy, month, firstSlot, readings } = vector;
    const bill = { policy, digest: bytes(vector.policyDigest) };
    const period: CommittedPeriod = {
      meter: bytes(vector.meter),
      month,
      purpose: 0,
      register: 'import',
      revision: 0,
      sinceSlot: firstSlot,
      unitMwh: policy.unitMwh,
      bits: policy.readingBits,
      firstSlot,
      endSlot: firstSlot + readings.length,
      elements: vector.commitments.map((commitment) => Element.decode(bytes(commitment))),
      roots: [bytes(vector.root)],
    };
    const payment = Buffer.from(vector.payment, 'base64url');
    const verified = verifyPayment({ payment, policy: bill, priceOf: none, import: period, export: null }, randomBytes);
    t.is(verified.exactFee, clearFee(policy, period, { import: readings, export: [] }, none));
  });
  test(`${vector.name}: and is what the same seed gives today`, (t) => {
    t.deepEqual(JSON.parse(JSON.stringify(computeVector(vector.name, signed(vector.policy), vector.readings))), vector);
  });
}
