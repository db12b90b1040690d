// A message leaves the house, is answered, and nobody between learns whose it is.
import test from 'ava';
import { answerTo, openDoorHouse, START_SLOT } from './door-house.ts';

test("a message goes out with the next bundle and its answer comes with the party's list", async (t) => {
  const house = await openDoorHouse(t);
  const homes = ['a', 'b', 'c'].map((name) => house.gateway(name));
  homes[1].door.post('control-centre', Buffer.from('sale 7'));
  await house.step(START_SLOT, homes);
  t.deepEqual(house.heard, ['sale 7']);
  t.is(homes[1].door.waiting(), 1);
  await house.step(START_SLOT + 1, homes);
  t.is(homes[1].answers.get('sale 7'), Buffer.from(answerTo(Buffer.from('sale 7'))).toString('hex'));
  t.is(homes[1].door.waiting(), 0);
  t.deepEqual(
    homes.map(({ lists }) => lists.map(({ number, entries }) => [number, entries.length])),
    [[[1, 3]], [[1, 3]], [[1, 3]]],
    'everybody has read the same list, with an entry for each cell',
  );
});
