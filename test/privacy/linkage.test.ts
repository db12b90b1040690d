// The linkage game, small: what it counts by, that it finds what is planted, and that in what the parties see nothing joins. The
// whole game, with enough guesses to accept a party, is `npm run -s measure -- linkage`.
import test from 'ava';
import { playControls } from '../../bench/measure/linkage.ts';
import { pickBest, shareRight } from '../../bench/privacy/adversary.ts';
import { differences, FEATURES, View } from '../../bench/privacy/features.ts';
import {
  CONTROL_ADVANTAGE,
  examplesOf,
  type GameParty,
  playGame,
  playRun,
  type Run,
} from '../../bench/privacy/game.ts';
import { mOfN, receipts } from '../../bench/privacy/parties/control-centre.ts';
import { collector, collectorAndProvider, provider } from '../../bench/privacy/parties/readings.ts';
import { relay } from '../../bench/privacy/parties/relay.ts';
import { advantageOf, bootstrapBound, mostRight, upperBound } from '../../bench/privacy/statistics.ts';
import { Overlaps } from '../../bench/privacy/windows.ts';
import { drawWorld } from '../../bench/privacy/world.ts';
import { Random } from '../../bench/random.ts';

test('how many right guesses are accepted: the numbers of the rule', (t) => {
  t.is(mostRight(1600, 0.1), 833);
  t.is(mostRight(6400, 0.05), 3266);
  // exact: of ten guesses none right has probability (1 − p)¹⁰ = 0.01
  t.true(Math.abs(upperBound({ right: 0, trials: 10 }) - (2 * (1 - 0.01 ** 0.1) - 1)) < 1e-9);
  t.is(upperBound({ right: 10, trials: 10 }), 1);
  t.is(advantageOf({ right: 75, trials: 100 }), 0.5);
  const alike = Array.from({ length: 64 }, () => ({ right: 12, trials: 25 }));
  t.is(bootstrapBound(alike, new Random(1)), advantageOf({ right: 12, trials: 25 }));
});

test('a world in which what the party may know tells the two assignments apart is no game', (t) => {
  const rules = { ...provider, pairs: 3 };
  t.notThrows(() => drawWorld(rules, new Random(1)));
  t.throws(() => drawWorld({ ...rules, pair: collector.pair }, new Random(1)), {
    message: /may tell the two worlds apart/,
  });
  const { world, coins } = drawWorld({ ...rules, pairs: 200 }, new Random(2));
  t.is(new Set(world.pairs.flatMap(({ a, b }) => [a, b])).size, 400, 'pairs are disjoint');
  t.true(coins.includes(true) && coins.includes(false));
  for (const [i, { a, b, x, y }] of world.pairs.entries()) {
    t.is(world.traces.get(a), coins[i] ? y : x);
    t.is(world.traces.get(b), coins[i] ? x : y);
  }
});

test('equal stretches are found at any offset, and what everybody has is not counted', (t) => {
  const word = Buffer.from('0123456789abcdef');
  const drawn = new Random(3);
  const random = (n: number) => Buffer.from(Array.from({ length: n }, () => drawn.below(256)));
  const all = Buffer.from('this is the same in all of them');
  const items = [
    [Buffer.concat([random(13), word])],
    [random(50), Buffer.concat([word, random(7)])],
    [random(41)],
    ...Array.from({ length: 80 }, () => [all]),
  ];
  const overlaps = new Overlaps(items);
  t.is(overlaps.of(0, 1), word.length - 7);
  t.is(overlaps.of(1, 0), word.length - 7);
  t.is(overlaps.of(0, 2), 0);
  t.is(overlaps.of(3, 4), 0);
});

test('the classifier learns what no single feature shows, in both directions', (t) => {
  const random = new Random(5);
  const examples = Array.from({ length: 400 }, () => {
    const swapped = random.chance(0.5);
    const sign = swapped ? -1 : 1;
    const noise = random.normal(0, 3);
    // two features, each nearly noise, whose sum says it
    const d = FEATURES.map((_, i) => (i === 2 ? sign * 0.5 + noise : i === 5 ? sign * 0.5 - noise : random.normal()));
    return { differences: d, swapped };
  });
  const best = pickBest(examples.slice(0, 200));
  t.is(best.name, 'trained classifier');
  const share = shareRight(best, examples.slice(200));
  t.true(share > 0.95, String(share));
});

test.serial('every planted leak is found', async (t) => {
  const controls = await playControls(11, 4, 16);
  t.true(controls.length >= 13);
  for (const { leak, advantage } of controls) t.true(advantage >= CONTROL_ADVANTAGE, `${leak}: ${advantage}`);
});

/** Features that find something or nothing: in an honest party's transcript they all find nothing, for every pair. */
const JOINS = [
  'equal bytes',
  'equal tags',
  'keyed tags',
  'factor of blinding (A9)',
  'difference of commitments',
  'dictionary of values',
];
function joined({ challenge: { world }, transcript }: Run): string[] {
  const view = new View(transcript, world.pairs);
  return world.pairs.flatMap((pair) => {
    const d = differences(view, pair);
    return FEATURES.flatMap(({ name }, i) => (JOINS.includes(name) && d[i] !== 0 ? [`${name}: ${d[i]}`] : []));
  });
}

for (const party of [collector, provider, relay, receipts] as GameParty[])
  test.serial(`${party.name} ${party.mode}: nothing that it has seen joins a household with its trace`, async (t) => {
    const run = await playRun(party, 21, 6);
    t.true(
      run.transcript.records.some(({ household }) => household !== null),
      'it knows names',
    );
    t.true(
      run.transcript.records.some(({ source }) => source.startsWith('table ')),
      'its store was looked at',
    );
    t.deepEqual(joined(run), []);
  });

test.serial('what the table names is found: openings in m-of-n mode, collector and provider together', async (t) => {
  const opened = examplesOf(await playRun(mOfN, 31, 8));
  const bytes = FEATURES.findIndex(({ name }) => name === 'equal bytes');
  const judge = { name: 'equal bytes', judge: (d: readonly number[]) => d[bytes] };
  // one of three sales is opened; where both traces have its slot it says nothing
  t.true(opened.some(({ differences: d }) => d[bytes] !== 0));
  for (const { differences: d, swapped } of opened) if (d[bytes] !== 0) t.is(d[bytes] < 0, swapped);
  t.true(shareRight(judge, opened) > 0.5);
  const { row, accepted, reason } = await playGame(collectorAndProvider, { trials: 12, seed: 41, pairs: 6 });
  t.like(row, { party: 'collector + provider', mode: '', trials: 12, advantage: 1, upperBound99: 1, expected: true });
  t.is(accepted, null);
  t.regex(reason!, /pseudonym/);
});
