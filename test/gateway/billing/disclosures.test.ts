// What a customer agrees to tell: asked by the provider, agreed to on the page, proved, verified; and what the ledger refuses.
import { execFile } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import * as v from 'valibot';
import { BENCH_POLICIES } from '../../../bench/billing.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { BilledHouse, FIRST, MONTH, type Quarter, SLOTS, startProvider } from './billed-house.ts';

const PLAN = { default: { import: [30_000], export: [8_000] } };
/** Three days before the month's end. */
const CAME = FIRST + SLOTS - 3 * 96;
const END = FIRST + SLOTS;
const quarter = (slot: number): Quarter => ({ importMwh: 40_017 + ((slot * 7919) % 400_000), exportMwh: 0 });
const sumOf = (firstSlot: number, endSlot: number): number => {
  let sum = 0;
  for (let slot = firstSlot; slot < endSlot; slot++) sum += quarter(slot).importMwh;
  return sum;
};
const run = promisify(execFile);

test('asked, agreed to, proved and verified; what would tell more than its name is refused with the reason', async (t) => {
  const provider = await startProvider(t, PLAN, undefined, { policies: [BENCH_POLICIES['time-of-use']] });
  const house = await new BilledHouse(provider, await provider.issuer.issue(), undefined, undefined, CAME).start();
  t.teardown(() => house.stop());
  house.measure(CAME + 2 * 96, quarter);
  await house.settle();
  const day = { kind: 'day', register: 'import', firstSlot: CAME, endSlot: CAME + 96 } as const;
  const asked = provider.billing.ask({ ...day, customer: '4711', why: 'your new boiler' });
  const nosy = provider.billing.ask({
    ...{ kind: 'reading', register: 'import', firstSlot: CAME + 5, endSlot: CAME + 6 },
    ...{ customer: '4711', why: 'curiosity' },
  });
  house.billing.bills.tell(house.store);
  await house.settle();
  t.deepEqual(
    house.billing.disclosures.view().questions.map(({ id, kind, why }) => [id, kind, why]),
    [
      [asked, 'day', 'your new boiler'],
      [nosy, 'reading', 'curiosity'],
    ],
  );
  await house.billing.disclose({ ...day, request: asked });
  house.billing.refuseDisclosure({ request: nosy });
  t.throws(() => house.billing.refuseDisclosure({ request: nosy }), { message: /no question that waits/ });
  await house.settle();
  house.billing.bills.tell(house.store);
  await house.settle();
  const [first, second] = provider.billing.questions();
  t.like(first, { state: 'told', value: sumOf(CAME, CAME + 96), unitMwh: 1 });
  t.like(second, { state: 'refused', value: null });
  t.like(house.billing.disclosures.view(), { questions: [], told: [{ kind: 'day', told: true }] });

  // all of the day but one quarter hour, as a total: with the day it would be that quarter hour
  const isolating = { kind: 'total', register: 'import', firstSlot: CAME, endSlot: CAME + 95, request: null } as const;
  const refusal = await t.throwsAsync(house.billing.disclose(isolating));
  t.regex(refusal!.message, /^disclosure: .* together with .* would tell the import of the quarter hour from/);
  await t.throwsAsync(
    house.billing.disclose({ ...day, firstSlot: CAME + 2 * 96, endSlot: CAME + 3 * 96, request: null }),
    {
      message: /^disclosure\.endSlot: is not committed to yet/,
    },
  );
  await t.throwsAsync(house.billing.disclose({ ...day, kind: 'all', request: null }), {
    message: /^disclosure\.kind: /,
  });

  house.measure(END, quarter);
  await house.settle();
  await house.settle();
  const peak = { kind: 'peak', register: 'import', firstSlot: CAME, endSlot: END, request: null } as const;
  await house.billing.disclose(peak);
  await house.settle();
  house.billing.bills.tell(house.store);
  await house.settle();
  const most = Math.max(...Array.from({ length: END - CAME }, (_, i) => quarter(CAME + i).importMwh));
  t.like(provider.billing.questions()[2], { kind: 'peak', state: 'told', value: most });
  // all of it is remembered, the bill among it, through a restart
  await house.restart();
  t.deepEqual(
    house.billing.disclosures.view().told.map(({ kind, told }) => [kind, told]),
    [
      ['peak', true],
      ['bill', true],
      ['day', true],
    ],
  );
});

test('files: a delegate computes the same fee, a third party comes to the same verdict, of a changed one to another', async (t) => {
  const provider = await startProvider(t, PLAN, undefined, { policies: [BENCH_POLICIES.flex] });
  const house = await new BilledHouse(provider, await provider.issuer.issue(), undefined, undefined, END - 96).start();
  t.teardown(() => house.stop());
  house.measure(END - 40, quarter);
  await house.settle();
  await t.throwsAsync(house.billing.billFile('dispute', MONTH), { message: 'month: is not over, or not billed yet' });
  house.measure(END, quarter);
  await house.settle();
  await house.settle();
  const fee = house.bill().totalMilliCent;
  const root = join(import.meta.dirname, '../../..');
  const write = (name: string, text: string): string => {
    const file = join(provider.directory, name);
    writeFileSync(file, text);
    return file;
  };
  const delegation = write('delegation.json', await house.billing.billFile('delegation', MONTH));
  const computed = JSON.parse((await run(join(root, 'scripts/compute-bill'), [delegation, '--json'])).stdout);
  t.is(computed.feeMilliCent, fee);
  const dispute = await house.billing.billFile('dispute', MONTH);
  const { offlineKey } = provider.prepared.gateway;
  const trust = ['--provider-key', offlineKey, '--authority', provider.issuer.issuerFile, '--json'];
  const verify = join(root, 'scripts/verify-bill');
  const verdict = JSON.parse((await run(verify, [write('dispute.json', dispute), ...trust])).stdout);
  t.like(verdict, { right: true, warnings: [], payment: { feeMilliCent: fee } });
  // the provider's own file says the same; its people have it written
  const { url } = provider.prepared.gateway.provider;
  const people = await (await GridCa.open(join(provider.directory, 'ca'))).client('provider');
  const { file: theirs } = await callAs(people, {
    url,
    caFile: provider.prepared.gateway.provider.caFile,
    path: '/billing/dispute',
    body: { customer: '4711', firstSlot: END - 96 },
    answer: v.object({ file: v.string() }),
  });
  t.is(statSync(theirs).mode & 0o777, 0o600);
  t.like(JSON.parse((await run(verify, [theirs, '--json'])).stdout), { right: true });
  const lower = JSON.parse(dispute);
  const payment = Buffer.from(lower.payment, 'base64url');
  payment[payment.length - 34] ^= 1; // the fee's last byte: 16 of it, then 32 that open it, then the parts
  lower.payment = payment.toString('base64url');
  const wrong = (await t.throwsAsync(
    run(verify, [write('lower.json', JSON.stringify(lower)), ...trust]),
  )) as unknown as {
    code: number;
    stdout: string;
  };
  t.is(wrong.code, 1);
  t.false(JSON.parse(wrong.stdout).right);
});
