// Everything is killed at random moments, meters lose their power: nothing is lost, nothing is counted twice.
import test from 'ava';
import { Random } from '../../bench/random.ts';
import { runQuietmeter, temporaryFolder, writeScenario } from '../bench/run-quietmeter.ts';

const households = [
  { id: 'roof', preset: 'family', pv: { peakW: 4000 } },
  { id: 'flat', preset: 'flat' },
  { id: 'shop', preset: 'shop' },
];
const HOURS = 8;
const parties = ['broker', 'collector', 'provider', 'gateway:roof', 'gateway:flat', 'gateway:shop'];

function badMorning(seed: number): object {
  const random = new Random(seed, 'kills');
  const pick = <T>(from: T[]): T => from[Math.floor(random.between(0, from.length))];
  const moment = (): string => new Date(Date.UTC(2024, 5, 18, 6, 2 + random.between(0, HOURS * 60 - 5))).toISOString();
  const at = (): string => `${moment().slice(0, 16)}:00Z`;
  const kills = Array.from({ length: 16 }, () => ({
    at: at(),
    kill: pick(parties),
    forMinutes: pick([0, 0, 1, 7, 25]),
  }));
  const cuts = Array.from({ length: 3 }, () => ({
    at: at(),
    powerCut: pick(households).id,
    forMinutes: pick([0.5, 3, 40]),
  }));
  return {
    name: `bad morning ${seed}`,
    seed,
    start: '2024-06-18T06:00:00Z',
    days: HOURS / 24,
    area: 'oak-street',
    households,
    faults: [...kills, ...cuts],
  };
}

for (const seed of [1]) {
  test.serial(`sixteen kills and three power cuts in a morning, seed ${seed}`, async (t) => {
    const folder = temporaryFolder(t);
    const outcome = await runQuietmeter(folder, '--scenario', writeScenario(folder, badMorning(seed)));
    const said = `${outcome.stdout}\n${outcome.stderr}`;
    t.truthy(outcome.report, said);
    const { lost, duplicated, provider, collector, withinClass } = outcome.report!;
    t.deepEqual(
      { lost, duplicated, rejected: provider.rejected, withinClass },
      { lost: 0, duplicated: 0, rejected: 0, withinClass: true },
      said,
    );
    t.is(provider.readings + collector.held, 3 * 4 * HOURS);
  });
}
