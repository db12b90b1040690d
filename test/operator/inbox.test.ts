// How the collector reads what arrives: in groups, with back-pressure, deaf to poison, and silent where the disk fails.
import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { Inbox, type Letter } from '../../operator/collector/inbox.ts';
import type { Arrival, Collector, CollectorCount } from '../../operator/collector/steps.ts';
import { Counters } from '../../operator/shared/counters.ts';
import type { Acknowledgement, Verdict } from '../../protocol/readings/acknowledgement.ts';

const letter = (address: string): Letter => ({ address, area: 'north-1', bytes: new Uint8Array(1) });

function setUp(verdict: Verdict) {
  const groups: number[] = [];
  const answers: string[] = [];
  const counters = new Counters<CollectorCount>();
  const disk = { works: true };
  const collector: Pick<Collector, 'accept' | 'counters'> = {
    counters,
    accept: (arrivals: readonly Arrival[]): Acknowledgement[] => {
      if (!disk.works) throw new Error('database or disk is full');
      groups.push(arrivals.length);
      return arrivals.map(() => ({ verdict, digest: new Uint8Array(32) }));
    },
  };
  return { inbox: new Inbox(collector, (address) => answers.push(address)), groups, answers, counters, disk };
}

test('what arrives in one turn shares a transaction, up to a limit', async (t) => {
  const { inbox, groups, answers } = setUp('stored');
  for (let i = 0; i < 300; i++) inbox.push(letter(`a${i}`));
  t.deepEqual(groups, []);
  await turn();
  await turn();
  t.deepEqual(groups, [256, 44]);
  t.deepEqual(
    answers,
    Array.from({ length: 300 }, (_, i) => `a${i}`),
  );
});

test('a full queue holds the broker back until it is read', async (t) => {
  const { inbox, groups } = setUp('stored');
  const waits = Array.from({ length: 1025 }, (_, i) => inbox.push(letter(`a${i}`)));
  t.is(waits.filter((wait) => wait instanceof Promise).length, 2);
  await Promise.all(waits);
  t.true(groups.reduce((sum, n) => sum + n, 0) >= 1025 - 256);
});

test('a source of poison is heard a hundred times, others go on', async (t) => {
  const { inbox, answers, counters } = setUp('badSignature');
  for (let i = 0; i < 150; i++) {
    inbox.push(letter('mallory'));
    await turn();
  }
  inbox.push(letter('alice'));
  await turn();
  t.deepEqual([answers.filter((a) => a === 'mallory').length, answers.at(-1)], [100, 'alice']);
  t.deepEqual(counters.read(), { muted: 50 });
});

test('refusals that an honest gateway can meet mute nobody', async (t) => {
  for (const verdict of ['tooLate', 'conflict', 'passKeyMissing', 'tooEarly'] as const) {
    const { inbox, answers } = setUp(verdict);
    for (let i = 0; i < 500; i++) inbox.push(letter('alice'));
    await turn();
    await turn();
    t.is(answers.length, 500, verdict);
    t.is(inbox.toldTooEarly(), verdict === 'tooEarly');
    t.false(inbox.toldTooEarly());
  }
});

test('where the disk fails nobody is answered, and later everybody is', async (t) => {
  const { inbox, answers, counters, disk } = setUp('stored');
  disk.works = false;
  const error = console.error;
  console.error = () => {};
  inbox.push(letter('alice'));
  await turn();
  console.error = error;
  t.deepEqual(answers, []);
  t.deepEqual(counters.read(), { storeFailed: 1 });
  disk.works = true;
  inbox.push(letter('alice'));
  await turn();
  t.deepEqual(answers, ['alice']);
});
