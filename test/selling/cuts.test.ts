// Power fails in **every** flash operation of a household's selling: what was begun is there whole or not at all, and goes on.
import test, { type ExecutionContext } from 'ava';
import { totals } from '../../operator/control-centre/questions.ts';
import { MODE_M_OF_N } from '../../protocol/selling/messages.ts';
import { below, halfErase, words } from '../faults/recorded-day.ts';
import { settings, VALUE } from '../operator/control-centre/rig.ts';
import { exportsOf, type House, registeredHouse, runOut, withTerms } from './house.ts';

const AMOUNT = 20;
const MICROCREDITS = 1_000_000;

/**
 * What comes behind an operation that was done fails first: nothing of it is done, a part, or all of it. How often is drawn, so that
 * nothing fails for ever.
 */
function cutEverything(house: House): { cuts: number; operations: number } {
  const count = { cuts: 0, operations: 0 };
  let done = true;
  house.flash.before = (operation) => {
    if (house.failedAt !== null) house.powerFails();
    count.operations++;
    done = !done && below(2) === 0;
    if (done) return;
    count.cuts++;
    const kind = below(3);
    if (operation.kind === 'erase') {
      if (kind > 0) halfErase(kind - 1, 1)(house.flash, operation);
    } else words(Math.floor((operation.bytes.length / 4) * (kind / 2)))(house.flash, operation);
    house.powerFails();
  };
  return count;
}

async function live(t: ExecutionContext, mode: number) {
  const centreSettings = withTerms(
    { mode, amount: AMOUNT, candidatesEach: mode === MODE_M_OF_N ? 2 : 1 },
    { listDays: 1, windowSlots: 24 },
  );
  let count = { cuts: 0, operations: 0 };
  const house = await registeredHouse(t, centreSettings, {
    prepare: (one) => {
      count = cutEverything(one);
    },
  });
  t.like(house.gateway.view().months[0], { registered: AMOUNT });
  const registered = count.cuts;
  await runOut(house, 160);
  t.log(
    `cuts: ${registered} in registration, ${count.cuts - registered} in sales and settlement; of ${count.operations} operations`,
  );
  t.true(registered >= 4 && count.cuts > registered + 50);
  const [payment] = house.rig.centre.settlement.payments();
  const left = exportsOf(house) * settings.weights[0] - payment.credits * MICROCREDITS;
  // none lost: what was exported for the centre is paid; none twice: nothing was refused
  t.true(left >= 0 && left < VALUE * MICROCREDITS, `${left} microcredits are left`);
  t.is(totals(house.rig.centre).used, payment.count);
  t.is(house.rig.centre.books.counters.read().salesRefused ?? 0, 0);
  t.like(house.gateway.view().months[0], { stage: 'over', payment: { count: payment.count } });
  return { house, payment };
}

test('receipts', async (t) => {
  const { payment } = await live(t, 1);
  t.true(payment.count > 15);
});

test('m of n, c = 2: none lost, none shown twice, none returned that was shown', async (t) => {
  const { house, payment } = await live(t, MODE_M_OF_N);
  const { keyId } = house.rig.key('selling-credential');
  t.like(house.rig.centre.reconciliation.counts(keyId), {
    used: payment.count,
    claimed: payment.count,
    returned: AMOUNT - payment.count,
    lapsed: 0,
  });
});
