// The simulated power line: order, air time, what is lost, doubled, late, and collides.
import test from 'ava';
import { EventQueue } from '../../../bench/power-line/events.ts';
import { bitRateChannel, type LineFaults, PAPER_CHANNEL, PowerLine } from '../../../bench/power-line/line.ts';

test('events run by time, those of one instant as they were entered', (t) => {
  const events = new EventQueue();
  const ran: string[] = [];
  events.at(20, () => ran.push('c'));
  events.at(10, () => {
    ran.push('a');
    events.after(10, () => ran.push('d'));
  });
  events.at(10, () => ran.push('b'));
  events.run(15);
  t.is(ran.join(''), 'ab');
  t.is(events.nowMs, 15);
  events.run();
  t.is(ran.join(''), 'abcd');
  t.throws(() => events.at(1, () => {}), { message: /atMs: 1 is before 20/ });
});

test('air time: a message every 30 ms, or frames and bits', (t) => {
  t.is(PAPER_CHANNEL.airMs(1), 30);
  t.is(PAPER_CHANNEL.airMs(5000), 30);
  t.is(bitRateChannel(20).airMs(235), 15 + (235 * 8) / 20);
  t.is(bitRateChannel(5.6).airMs(236), 30 + (236 * 8) / 5.6);
});

/** Three nodes; the first sends a hundred numbers, as fast as the line takes them. */
function hundred(faults: LineFaults, seed = 1) {
  const events = new EventQueue();
  const line = new PowerLine<number>(events, PAPER_CHANNEL, { seed, faults });
  const heard: number[][] = [[], [], []];
  const nodes = heard.map((list) => (n: number) => void list.push(n));
  for (const node of nodes) line.attach(node);
  for (let n = 0; n < 100; n++) line.send(nodes[0], n, 10);
  events.run();
  return { heard, line, events };
}
const numbers = Array.from({ length: 100 }, (_, n) => n);

test('a line without faults: everybody else hears everything, in order', (t) => {
  const { heard, line, events } = hundred({});
  t.deepEqual(heard, [[], numbers, numbers]);
  t.is(events.nowMs, 3000);
  t.like(line.counters, { transmissions: 100, bytes: 1000, busyMs: 3000, lost: 0 });
});

test('loss, duplication, reordering, collisions: counted, and the same for the same seed', (t) => {
  const lossy = hundred({ loss: 0.3 });
  t.is(lossy.heard[1].length + lossy.heard[2].length + lossy.line.counters.lost, 200);
  t.true(lossy.line.counters.lost > 30 && lossy.line.counters.lost < 90);
  t.notDeepEqual(lossy.heard[1], lossy.heard[2], 'each receiver misses its own');
  t.deepEqual(hundred({ loss: 0.3 }).heard, lossy.heard);
  t.notDeepEqual(hundred({ loss: 0.3 }, 2).heard, lossy.heard);

  const doubled = hundred({ duplication: 0.3 });
  t.is(doubled.heard[1].length + doubled.heard[2].length, 200 + doubled.line.counters.doubled);
  t.deepEqual([...new Set(doubled.heard[1])], numbers);

  const late = hundred({ reordering: 0.3 });
  t.notDeepEqual(late.heard[1], numbers);
  t.deepEqual(
    [...late.heard[1]].sort((a, b) => a - b),
    numbers,
  );

  const colliding = hundred({ collision: 0.01 });
  t.true(colliding.line.counters.collisions > 0);
  t.is(colliding.line.counters.transmissions, 100 + colliding.line.counters.collisions - colliding.line.counters.lost);
});

test('what has priority is sent first; what is made when the line is free knows all', (t) => {
  const events = new EventQueue();
  const line = new PowerLine<string>(events, PAPER_CHANNEL);
  const heard: string[] = [];
  line.attach((text) => heard.push(text));
  let known = 'early';
  line.send(null, 'first', 1);
  line.send(null, 'second', 1);
  line.transmit(null, { payload: () => ({ payload: known, bytes: 1 }), priority: true });
  line.transmit(null, { payload: () => null, priority: true });
  events.at(10, () => {
    known = 'late';
  });
  events.run();
  t.deepEqual(heard, ['first', 'late', 'second']);
});
