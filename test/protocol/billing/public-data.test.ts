import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { commitReading, signCommitments } from '../../../protocol/billing/commitments.ts';
import { readPayment, verifyPayment } from '../../../protocol/billing/payment.ts';
import { signPrices, signTariff } from '../../../protocol/billing/prices.ts';
import {
  computePayment,
  type Delegation,
  type Dispute,
  judgeDispute,
  readDelegation,
  readDispute,
  writeDelegation,
  writeDispute,
} from '../../../protocol/billing/public-data.ts';
import { signPolicy } from '../../../protocol/billing/tariff.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { caseOf, DYNAMIC, type Household, household, MONTH, priceOf, provider, signed } from './_household.ts';

const priceKey = generateSigningKey();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function pricing(home: Household) {
  const { firstSlot, endSlot } = home.committed.import;
  const tariff = {
    name: 'home',
    currency: 'EUR',
    number: 1,
    leastImportMilliCentPerKwh: -100_000,
    priceKey: priceKey.publicKey,
  };
  const prices = Array.from({ length: endSlot - firstSlot }, (_, i) => priceOf(firstSlot + i));
  const list = { tariff: 'home', currency: 'EUR', number: 1, firstSlot, prices };
  return {
    providerKey: provider.publicKey,
    policy: signPolicy(DYNAMIC, provider.privateKey),
    tariff: signTariff(tariff, provider.privateKey),
    prices: [signPrices(list, priceKey.privateKey)],
    month: MONTH,
    firstSlot,
    endSlot,
  };
}
function delegationOf(home: Household): Omit<Delegation, 'format' | 'version'> {
  const part = (register: 'import' | 'export') => ({
    revision: 0,
    purpose: 0,
    roots: home.committed[register].roots,
    readings: home.values[register],
  });
  return {
    ...pricing(home),
    meter: home.committed.import.meter,
    monthKey: home.key,
    import: part('import'),
    export: part('export'),
  };
}
async function disputeOf(home: Household, payment: Uint8Array): Promise<Omit<Dispute, 'format' | 'version'>> {
  const { firstSlot } = home.committed.import;
  const batches = (register: 'import' | 'export') => {
    const points = home.values[register].map((value, i) =>
      commitReading(home.key, home.series(register), firstSlot + i, value),
    );
    return signCommitments(home.series(register), firstSlot, points, (message) =>
      signP256(home.meter.privateKey, message),
    );
  };
  return {
    ...pricing(home),
    payment,
    meterKey: home.meter.publicKey,
    meterCertificate: null,
    import: [await batches('import')],
    export: [await batches('export')],
  };
}

test('a delegate computes what the provider takes, from the file alone', async (t) => {
  const home = await household('a', { days: 1 });
  const text = writeDelegation(delegationOf(home));
  const payment = computePayment(readDelegation(text), randomBytes);
  const policy = signed(DYNAMIC);
  t.deepEqual(verifyPayment(caseOf(home, policy, payment), randomBytes), readPayment(payment));
  // nothing in it signs, and nothing of it is another month's
  t.false(text.includes('PRIVATE'));
  t.is(JSON.parse(text).monthKey, Buffer.from(home.key).toString('base64url'));
});

test('a malformed file is refused with the path of the field', async (t) => {
  const home = await household('a', { days: 1 });
  const good = JSON.parse(writeDelegation(delegationOf(home)));
  const wrong: [object, RegExp][] = [
    [{ ...good, version: 2 }, /^delegation\.version: /],
    [{ ...good, monthKey: 'AA' }, /^delegation\.monthKey: /],
    [
      { ...good, import: { ...good.import, readings: good.import.readings.with(3, -1) } },
      /^delegation\.import\.readings\.3: /,
    ],
    [{ ...good, more: 1 }, /^delegation\.more: /],
  ];
  for (const [value, message] of wrong) t.throws(() => readDelegation(JSON.stringify(value)), { message });
  t.throws(() => readDispute('{'), { message: 'dispute: is no JSON' });
  const unsigned = readDelegation(
    JSON.stringify({ ...good, providerKey: Buffer.from(home.meter.publicKey).toString('base64url') }),
  );
  t.throws(() => computePayment(unsigned, randomBytes), { message: /^policy\.signature: / });
});

test('a third party comes to the verdict of the provider', async (t) => {
  const home = await household('a', { days: 1 });
  const payment = computePayment(readDelegation(writeDelegation(delegationOf(home))), randomBytes);
  const dispute = readDispute(writeDispute(await disputeOf(home, payment)));
  const judge = (changed: Dispute) => judgeDispute(changed, home.meter.publicKey, randomBytes);
  t.is(judge(dispute).feeMilliCent, readPayment(payment).feeMilliCent);
  const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
    const altered = Buffer.from(bytes);
    altered[at < 0 ? bytes.length + at : at] ^= 1;
    return altered;
  };
  const wrong: [Partial<Dispute>, RegExp][] = [
    [{ payment: flipped(payment, -2) }, /^payment\.proof: /],
    [{ policy: flipped(dispute.policy, 50) }, /^policy\./],
    [{ prices: [flipped(dispute.prices[0], 60)] }, /^prices\./],
    [{ prices: [] }, /^prices\.\d+: has not come/],
    [{ prices: [dispute.prices[0], dispute.prices[0]] }, /twice/],
    [{ import: [flipped(dispute.import[0], -5)] }, /^commitments\./],
    [{ import: dispute.export }, /^commitments\.|^payment\./],
    [{ import: [] }, /^commitments: are missing/],
    [{ endSlot: dispute.endSlot - 1 }, /^payment\./],
    [{ month: dispute.month - 1 }, /^dispute\.(import|export): /],
  ];
  for (const [change, message] of wrong) t.throws(() => judge({ ...dispute, ...change }), { message });
  // before its first slot the meter measured nothing: the period is the same
  t.is(judge({ ...dispute, firstSlot: dispute.firstSlot - 96 }).feeMilliCent, readPayment(payment).feeMilliCent);
  t.throws(() => judgeDispute(dispute, generateSigningKey().publicKey, randomBytes), {
    message: /^commitments\.meter: /,
  });
});

test('both commands, as processes of their own', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-bill-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const home = await household('a', { days: 1 });
  const run = async (script: string, ...args: string[]) => {
    const path = new URL(`../../../scripts/${script}`, import.meta.url).pathname;
    return promisify(execFile)(path, args).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    );
  };
  const [delegation, out, file] = ['delegation.json', 'payment', 'dispute.json'].map((name) => join(directory, name));
  writeFileSync(delegation, writeDelegation(delegationOf(home)), { mode: 0o600 });
  const computed = await run('compute-bill', delegation, '--out', out, '--json');
  t.is(computed.code, 0, computed.stderr);
  const payment = readFileSync(out);
  const { feeMilliCent } = readPayment(payment);
  t.is(JSON.parse(computed.stdout).feeMilliCent, feeMilliCent);

  writeFileSync(file, writeDispute(await disputeOf(home, payment)));
  const keys = ['--provider-key', hex(provider.publicKey), '--meter-key', hex(home.meter.publicKey)];
  const right = await run('verify-bill', file, '--json', ...keys);
  t.is(right.code, 0, right.stderr + right.stdout);
  t.like(JSON.parse(right.stdout), { right: true, reason: null, warnings: [], payment: { feeMilliCent } });
  const other = await run('verify-bill', file, '--provider-key', hex(home.meter.publicKey));
  t.is(other.code, 1);
  t.regex(other.stdout, /^WRONG: dispute\.providerKey: /);
  t.regex(other.stdout, /warning: the meter's key is the one in the file/);
  payment[payment.length - 2] ^= 1;
  writeFileSync(file, writeDispute(await disputeOf(home, payment)));
  const wrong = await run('verify-bill', file, ...keys);
  t.is(wrong.code, 1);
  t.is(wrong.stdout, 'WRONG: payment.proof: does not show that this is the fee\n');
  writeFileSync(file, '{}');
  const [unusable, none] = [await run('verify-bill', file), await run('compute-bill', join(directory, 'none'))];
  t.is(unusable.code, 2);
  t.regex(unusable.stderr, /^dispute\.format: /);
  t.is(none.code, 2);
});
