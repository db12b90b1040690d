// A month of selling from the meter to the payment: what is paid is what was exported, to the credit.
import test, { type ExecutionContext } from 'ava';
import { totals } from '../../operator/control-centre/questions.ts';
import { MODE_M_OF_N } from '../../protocol/selling/messages.ts';
import { openStatement } from '../../protocol/selling/statement.ts';
import { DIRECTION_EXPORT } from '../../protocol/wire/ledger.ts';
import {
  COLLECT_RECEIPTS,
  decodeCollect,
  decodeSaleMessage,
  SELL_COLLECT,
  SELL_SALE,
} from '../../protocol/wire/selling-session.ts';
import { SESSION_SELLING } from '../../protocol/wire/sessions.ts';
import { MONTH, settings, VALUE, WINDOW_SLOTS } from '../operator/control-centre/rig.ts';
import { AMOUNT, exportsOf, type House, registeredHouse, runOut, SUNNY_SLOTS, withTerms } from './house.ts';

const MICROCREDITS = 1_000_000;
const WEIGHT = settings.weights[0];

/** Everything that was exported for the centre is paid but for what makes no whole credential. */
function paidAsExported(t: ExecutionContext, house: House): void {
  const [payment] = house.rig.centre.settlement.payments();
  const sold = exportsOf(house);
  t.like(payment, { customer: house.customer, month: MONTH, compared: true });
  const left = sold * WEIGHT - payment.credits * MICROCREDITS;
  t.true(left >= 0 && left < VALUE * MICROCREDITS, `${left} microcredits are left`);
  t.is(payment.carriedMicrocredits, left);
  t.is(payment.milliCent, payment.credits * settings.terms.creditMilliCent);
  t.like(house.gateway.view().months[0], { stage: 'over', payment: { credits: payment.credits }, soldMwh: sold });
}

test('receipts: registered, sold, deposited, paid; nothing is opened', async (t) => {
  const house = await registeredHouse(t);
  t.like(house.gateway.view().months[0], { registered: AMOUNT, unused: AMOUNT, stage: null });
  const sales: { slot: number; bytes: number }[] = [];
  const collected: number[] = [];
  house.line = (from, session, body) => {
    if (session === SESSION_SELLING && body[0] === SELL_SALE)
      sales.push({ slot: house.slot, bytes: decodeSaleMessage(body).sealed.length });
    if (session === SESSION_SELLING && from === 'gateway' && body[0] === SELL_COLLECT)
      collected.push(decodeCollect(body).what);
    return [body];
  };
  await runOut(house);
  t.deepEqual(house.log, []);
  t.deepEqual(house.meter.complaints, []);
  paidAsExported(t, house);
  const [payment] = house.rig.centre.settlement.payments();
  t.true(payment.count > 12);
  t.is(sales.length, payment.count);
  t.is(new Set(sales.map(({ bytes }) => bytes)).size, 1, 'one size');
  t.true(new Set(sales.map(({ slot }) => slot)).size > 5, 'not all in the slot after the measurement');
  t.true(collected.length > 1 && collected.every((what) => what === COLLECT_RECEIPTS));
  // the next month's registration is open, too
  t.like(totals(house.rig.centre), {
    registered: 2 * AMOUNT,
    used: payment.count,
    returned: 0,
    deposited: payment.count,
  });
  const [{ bytes }] = house.rig.centre.books.database.prepare('SELECT bytes FROM statements').all() as never as {
    bytes: Uint8Array;
  }[];
  t.like(openStatement(bytes, house.rig.key('selling-announcement').publicKey), { count: payment.count });
  t.deepEqual(
    house.meter.credentials.months.map(({ month }) => month),
    [MONTH + 1],
    'the meter has forgotten the month',
  );
  t.is(house.sealed.report().values, AMOUNT, 'and so has the gateway');
});

test('m of n: L4, L5, what opens it, and what was never shown goes back; c = 3, k = 2', async (t) => {
  const house = await registeredHouse(
    t,
    withTerms({ mode: MODE_M_OF_N, candidatesEach: 3, perSale: 2 }, { listDays: 1 }),
  );
  t.like(house.gateway.view().months[0], { registered: AMOUNT, unused: AMOUNT });
  await runOut(house, 120);
  t.deepEqual(house.log, []);
  t.deepEqual(house.meter.complaints, []);
  const [payment] = house.rig.centre.settlement.payments();
  t.true(payment.count >= 10 && payment.count % 2 === 0);
  const left = exportsOf(house) * WEIGHT - payment.credits * MICROCREDITS;
  t.true(left >= 0 && left < 2 * VALUE * MICROCREDITS);
  const { keyId } = house.rig.key('selling-credential');
  t.like(house.rig.centre.reconciliation.counts(keyId), {
    registered: AMOUNT,
    used: payment.count,
    claimed: payment.count,
    returned: AMOUNT - payment.count,
    lapsed: 0,
  });
  t.is(house.rig.centre.books.counters.read().claimsRefused ?? 0, 0);
  t.like(house.gateway.view().months[0], { stage: 'over' });
});

test('credentials that run out: the rest of the export stays with the household, and all that is for the centre is paid', async (t) => {
  const house = await registeredHouse(t, withTerms({ amount: 5 }));
  await runOut(house);
  paidAsExported(t, house);
  t.is(house.rig.centre.settlement.payments()[0].count, 5);
  const rest = house.records.list.reduce((sum, record) => sum + (record ? house.left(record.slot) : 0), 0);
  t.true(rest > SUNNY_SLOTS * 10_000, 'not allocated');
  t.is(house.meter.ledger.left(house.slot - 1, DIRECTION_EXPORT), 0);
});

test('a household that does not want to sell: nothing is registered, nothing leaves', async (t) => {
  const house = await registeredHouse(t, settings, { enabled: false });
  for (let i = 0; i < WINDOW_SLOTS; i++) await house.passSlot(50_000);
  t.is(exportsOf(house), 0);
  t.is(totals(house.rig.centre).registered, 0);
  t.like(house.gateway.view(), { enabled: false, months: [] });
});
