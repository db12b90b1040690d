import test, { type ExecutionContext } from 'ava';
import { AREA, expectedReadings, House } from '../support/house.ts';

async function nothingLostNothingTwice(t: ExecutionContext, house: House): Promise<void> {
  t.deepEqual(await house.grid.readings(AREA), expectedReadings(house));
  const bySlot = new Map<number, string>();
  for (const { slot, bytes } of house.grid.arrived) {
    const hex = Buffer.from(bytes).toString('hex');
    t.is(bySlot.get(slot) ?? hex, hex, `slot ${slot} was claimed twice`);
    bySlot.set(slot, hex);
  }
  const totals = await house.totals();
  t.is(totals.quarterHoursMeasured, house.steps);
  t.is(totals.quarterHoursDelivered, house.steps);
  t.is(totals.records, house.meter.records.length);
  t.is(house.meter.acked, house.meter.records.length);
}

test('killed before each single thing it does to its store or says to the broker', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  await house.step();
  await house.gateway.stop(); // which keeps what was compiled
  let deaths = 0;
  for (let survived = false; !survived; deaths++) {
    await house.step(); // nobody hears it
    await house.gateway.start(deaths + 1).catch(() => {});
    for (let k = 0; k < 3 && house.gateway.running; k++) await house.advanceTo(house.nowMs + 6_000);
    survived = house.gateway.running;
    await house.gateway.kill();
    await house.gateway.start();
    await house.settle();
    await house.gateway.kill();
  }
  t.log(`died ${deaths - 1} times`);
  t.true(deaths > 20);
  await house.gateway.start();
  await house.step();
  await house.settle();
  await nothingLostNothingTwice(t, house);
});

test('killed at random moments', async (t) => {
  const house = await House.build(t);
  await house.gateway.start();
  await house.greet();
  for (let life = 1; life <= 12; life++) {
    await house.step();
    const dies = new Promise((later) => setTimeout(later, Math.random() * 40)).then(() => house.gateway.kill());
    await house.step();
    await dies;
    if (life % 3 === 0) await house.step(); // nobody hears it
    await house.gateway.start();
  }
  await house.step();
  await house.settle();
  await nothingLostNothingTwice(t, house);
});
