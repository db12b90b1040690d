// Over a simulated New Year: registers are told and invoiced, a house changes its provider, another one its people.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Neighbourhood } from '../../bench/neighbourhood.ts';
import { Progress } from '../../bench/progress.ts';
import { planRun, runDays } from '../../bench/run.ts';
import type { IdentityState } from '../../gateway/identity/household-identity.ts';
import type { BillView, ControlView, SupplyView } from '../../gateway/web/household-view.ts';
import type { RegisterRow } from '../../gateway/yearly/registers.ts';
import type { FeeLine } from '../../operator/grid-operator/yearly.ts';
import type { ReceivedBill } from '../../operator/provider/bills.ts';
import type { Invoice } from '../../protocol/grid-fees/invoice.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { temporaryFolder, writeScenario } from './run-quietmeter.ts';

const MIDNIGHT_MS = Date.UTC(2027, 0);
const MIDNIGHT = slotOf(MIDNIGHT_MS);
const HOUR_MS = 3_600_000;
const eve = {
  name: "New Year's Eve",
  seed: 11,
  start: '2026-12-31T23:00:00Z',
  days: 0.0625,
  area: 'oak-street',
  k: 1,
  providers: [{ name: 'quiet' }, { name: 'sun' }],
  households: [
    { id: 'stays', preset: 'shop', appliances: [{ kind: 'standby', powerW: 1800 }] },
    { id: 'changes', preset: 'electric' },
    { id: 'moves', preset: 'family' },
  ],
  changes: [{ household: 'changes', at: '2027-01-01T00:00:00Z', to: 'sun' }],
};

test('the year ends: registers, invoices and last bills; another provider, and other people, from its first day on', async (t) => {
  const folder = temporaryFolder(t);
  const plan = await planRun({
    scenario: writeScenario(folder, eve),
    households: null,
    days: null,
    seed: null,
    trace: null,
  } as never);
  const progress = new Progress();
  const neighbourhood = await Neighbourhood.start({ ...plan, stateDir: join(folder, 'state'), port: null, progress });
  t.teardown(() => neighbourhood.stop());
  const { conductor, operators } = neighbourhood;
  const [stays, changes, moves] = conductor.connected.map(({ gateway }) => gateway);
  const { provider: quiet, otherProviders, gridOperator } = conductor.grid;
  const [sun] = otherProviders;

  t.deepEqual(await moves.ask('moveOut', { day: '2026-12-31' }), {
    error: 'moving.day: has begun: tomorrow is the earliest',
  });
  t.is(await moves.ask('moveOut', { day: '2027-01-01' }), null);
  await conductor.runTo(MIDNIGHT_MS + 900_000, Number.POSITIVE_INFINITY, () => {});
  // who moved out: everything is told and paid for, the names are gone
  t.like(await moves.ask('supply'), { provider: null, leaving: null, mayChange: false });
  t.like(await moves.ask('identity'), { state: 'uninitialised' } satisfies Partial<IdentityState>);
  // the next people, with another provider, from tomorrow on
  const letter = await operators.letter('next', 'sun');
  await moves.ask('initialise', { name: 'Next', address: 'oak-street 3', ...letter });
  while (((await moves.ask('identity')) as IdentityState).state !== 'ready') await sleep(50);
  const report = await runDays(neighbourhood, plan, Number.POSITIVE_INFINITY, progress);

  const supply = (await moves.ask('supply')) as SupplyView;
  t.like(supply.next, { provider: 'sun', fromMs: MIDNIGHT_MS + 24 * HOUR_MS }, 'their first whole day');
  const told = async (gateway: typeof stays): Promise<string[]> =>
    ((await gateway.ask('registers')) as RegisterRow[]).map(({ reason, state }) => `${reason}: ${state}`);
  t.deepEqual(await told(stays), ['first: acknowledged', 'year: acknowledged']);
  t.deepEqual(await told(changes), ['first: acknowledged', 'change of provider: acknowledged', 'year: acknowledged']);
  t.deepEqual(await told(moves), [
    ...['first: acknowledged', 'moving out: acknowledged', 'year: acknowledged'],
    'change of provider: waiting', // tomorrow
  ]);

  // nobody lives in the third house after midnight: four quarter hours of it, six of each of the others
  const delivered = report.households.map(({ id, quarterHoursDelivered }) => [id, quarterHoursDelivered]);
  t.deepEqual(delivered, [
    ['stays', 6],
    ['changes', 6],
    ['moves', 4],
  ]);
  t.like(report, { duplicated: 0, sumsAgree: true });
  t.deepEqual(
    report.providers.map(({ name, readings, bills, invoices }) => ({ name, readings, bills, invoices })),
    [
      { name: 'quiet', readings: 4 * 3 + 2, bills: 3, invoices: 1 },
      { name: 'sun', readings: 2, bills: 0, invoices: 0 },
    ],
  );
  const bills = (await quiet.ask('bills')) as ReceivedBill[];
  for (const bill of bills) t.like(bill, { firstSlot: MIDNIGHT - 4, endSlot: MIDNIGHT });
  const december = (await changes.ask('bill', 56 * 12 + 11)) as BillView;
  t.like(december.parts, [{ provider: 'quiet', state: 'acknowledged' }]);
  t.is(bills.reduce((sum, { feeMilliCent }) => sum + feeMilliCent, 0) > 0, true);
  t.like(((await changes.ask('bill', 57 * 12)) as BillView).parts, [{ provider: 'sun', state: 'growing' }]);
  const empty = ((await moves.ask('bill', 57 * 12)) as BillView).parts;
  t.like(
    empty,
    [{ provider: 'sun', totalMilliCent: 0, fromMs: MIDNIGHT_MS + 24 * HOUR_MS }],
    'nobody pays for an empty house',
  );

  // who tells the appliances something is the provider of now
  const nowMs = Math.floor(conductor.nowMs / 1000) * 1000;
  const order = { deviceClass: 'boiler', command: 'off', limitW: null, notBeforeMs: nowMs } as const;
  const until = { ...order, expiresMs: nowMs + HOUR_MS };
  const ids = [await operators.order(until, 'quiet'), await operators.order(until, 'sun')];
  const heard = async (gateway: typeof stays): Promise<number[]> => {
    const { messages, refusals } = (await gateway.ask('controlMessages')) as ControlView;
    t.deepEqual(refusals, []);
    return messages.map(({ id }) => ids.indexOf(id));
  };
  while ((await heard(stays)).length + (await heard(changes)).length < 2) await sleep(50);
  t.deepEqual([await heard(stays), await heard(changes)], [[0], [1]]);

  // one invoice for all three, as many kWh as the registers have grown
  const lines = (await gridOperator.ask('feeLines')) as FeeLine[];
  const [invoice] = (await quiet.ask('invoices')) as Invoice[];
  const importKwh = lines.filter(({ provider }) => provider === 'quiet').reduce((sum, line) => sum + line.importKwh, 0);
  t.like(invoice, { provider: 'quiet', year: 2026, importKwh, totalMilliCent: importKwh * 7_250 });
  t.true(importKwh > 0);
  t.true(lines.every(({ invoice: number, year }) => number !== null && year === 2026));
  t.deepEqual(await sun.ask('invoices'), []);
});
