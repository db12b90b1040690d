// A gateway dies in mid-month and another one takes its place: real keys, third party, register and provider's service.
import test from 'ava';
import { identifierOf } from '../../../gateway/billing/open.ts';
import { DAY_MS, slotOf } from '../../../protocol/time/slots.ts';
import { form, gatewayOf, initialise, START_MS, startSide, type TestGateway } from '../../operator/identity-side.ts';
import { freshDir } from '../support/bench-link.ts';
import { BilledHouse, startProvider } from './billed-house.ts';
import { MemoryAnchors } from './memory-anchors.ts';

/** March 2026, of which the third party's tests begin on the 10th. */
const MARCH = 56 * 12 + 2;
const FIRST = slotOf(Date.UTC(2026, 2, 11));
const REPLACED = FIRST + 5 * 96 + 30;
const APRIL = slotOf(Date.UTC(2026, 3, 1));
const QUARTER = () => ({ importMwh: 250_000, exportMwh: 0 });

test('a gateway is replaced in mid-month: a new letter, new names, and each part of the month is billed once', async (t) => {
  const side = await startSide(t);
  const provider = await startProvider(t, { default: { import: [30_000], export: [0] } }, undefined, {
    issuerFile: side.side.authorityFile,
    providerName: 'provider',
  });
  const house = async (gateway: TestGateway, fromSlot: number): Promise<BilledHouse> => {
    const identity = gateway.identity.requestIdentity('identifier', 'provider', 'provider')!;
    const made = new BilledHouse(provider, identifierOf(identity), new MemoryAnchors(), freshDir(), fromSlot);
    await made.start();
    t.teardown(() => made.stop());
    return made;
  };
  const former = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1']);
  t.is((await initialise(former.identity, form(letter))).state, 'ready');
  const dead = await house(former, FIRST);
  dead.measure(REPLACED, QUARTER);
  await dead.settle();

  // the grid operator revokes it, the provider writes again, a technician hangs up another one
  await side.side.setState(former.serial, 'revoked');
  await side.advance(START_MS + 6 * DAY_MS);
  const next = await gatewayOf(t, side, undefined, { fresh: true });
  t.like(await initialise(next.identity, form(letter)), { state: 'refused' }, 'that PIN was for the other gateway');
  const [again] = await side.side.sendLetters(['C-1']);
  t.is((await initialise(next.identity, form(again))).state, 'ready');
  t.like(await side.thirdParty.ask('identities'), { identities: 1, ended: 1 });
  const present = await house(next, REPLACED);
  present.measure(APRIL, QUARTER);
  for (let i = 0; i < 3; i++) await present.settle();
  t.like(present.bill(MARCH), { state: 'acknowledged', waitsFor: null });

  // its disk was saved: what it had measured is owed all the same, and no slot twice
  dead.clock.advanceTo(present.clock.nowMs());
  dead.billing.contracts.end(REPLACED);
  for (let i = 0; i < 3; i++) await dead.settle();
  t.like(dead.bill(MARCH), { state: 'acknowledged', waitsFor: null });
  t.deepEqual(
    provider.billing
      .bills()
      .map(({ customer, firstSlot, endSlot, feeMilliCent }) => [customer, firstSlot, endSlot, feeMilliCent]),
    [
      ['C-1', FIRST, REPLACED, (REPLACED - FIRST) * 7_500],
      ['C-1', REPLACED, APRIL, (APRIL - REPLACED) * 7_500],
    ],
  );
});
