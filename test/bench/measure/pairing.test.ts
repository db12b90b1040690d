// A small version of `measure -- pairing`: the paper's channel, the synthesized pattern.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { errorsOf, meanAbsolute, measurePairing, shortfalls } from '../../../bench/measure/pairing.ts';
import { simulateDay } from '../../../bench/power-line/day.ts';
import { drawFigures } from '../../../bench/power-line/figures.ts';
import { PAPER_CHANNEL } from '../../../bench/power-line/line.ts';
import { synthesizedConsumption } from '../../../bench/power-line/load.ts';

const consumption = synthesizedConsumption(1);

const measured = measurePairing({ consumption, seed: 1, days: 2, channels: [PAPER_CHANNEL] });

test('the paper flow takes what the paper found; the merged one is as fast as it must be', (t) => {
  t.is(measured.rows.length, 20);
  t.deepEqual(shortfalls(measured), []);
  t.log(`mean error of the paper flow ${(meanAbsolute(errorsOf(measured)) * 100).toFixed(1)} %`);
  for (const row of measured.rows.filter(({ flow, load }) => flow === 'merged' && load === 'spread'))
    t.true(row.dsoSeconds < 0.075 && row.smSeconds < 0.075, `${row.meters} meters, spread`);
  for (const row of measured.rows)
    t.true(row.flow === 'merged' ? row.messagesPerTrade < 3 : row.messagesPerTrade > 6, 'messages for a trade');
  const { paper, merged } = measured.largestCell;
  t.true(paper >= 18 && paper <= 30 && merged > 4 * paper, `largest cells: ${paper}, ${merged}`);
});

test('a shortfall is seen', (t) => {
  const slower = measured.rows.map((row) => ({ ...row, smSeconds: row.smSeconds * 1.6 }));
  t.true(shortfalls({ ...measured, rows: slower }).length > 2);
});

test('a day: meters offer while their production is high, the DSO when it is not; more meters take longer', (t) => {
  const day = (a: number, b: number) =>
    simulateDay({ a, b, channel: PAPER_CHANNEL, flow: 'paper', consumption, seed: 1 });
  const { meterOffers, dsoOffers } = day(6, 4);
  const sum = (values: number[], fromHour: number, toHour: number): number =>
    values.slice(fromHour * 6, toHour * 6).reduce((all, one) => all + one, 0);
  t.is(sum(meterOffers, 0, 2), 0);
  t.true(sum(meterOffers, 9, 18) > sum(dsoOffers, 9, 18));
  t.true(sum(dsoOffers, 21, 24) > 0);
  const mean = (values: (number | null)[]): number => {
    const there = values.filter((value) => value !== null);
    return there.reduce((all, one) => all + one, 0) / there.length;
  };
  t.true(mean(day(8, 16).seconds) > 1.5 * mean(day(4, 8).seconds));
});

test('figures are drawn', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-figures-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const files = drawFigures(directory, consumption, 1);
  t.is(files.length, 6);
  for (const file of files) {
    const svg = readFileSync(join(directory, file), 'utf8');
    t.regex(svg, /^<svg [^>]+>[\s\S]*<path d="M[\s\S]*<\/svg>\n$/);
    t.false(svg.includes('NaN'));
  }
});
