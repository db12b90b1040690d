import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { parseTrace, readTrace, TraceError, traceLoad } from '../../bench/trace.ts';
import { Truth } from '../../bench/truth.ts';

const HEADER =
  'Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;Sub_metering_2;Sub_metering_3';
const row = (time: string, values = '4.216;0.418;234.840;18.400;0.000;1.000;17.000', date = '16/12/2006') =>
  `${date};${time};${values}`;
const START = Date.UTC(2006, 11, 16, 17, 24);

const parse = (lines: string[], end = '\r\n') => parseTrace([lines.map((line) => line + end).join('')], 'house.txt');

const refused = async (t: { throwsAsync: unknown; is: unknown }, lines: string[], message: string) => {
  const error = await parse(lines).then(
    () => null,
    (error) => error,
  );
  (t.is as (a: unknown, b: unknown) => void)(error instanceof TraceError, true);
  (t.is as (a: unknown, b: unknown) => void)(error?.message, message);
};

test('a row gives its power, reactive power and voltage back', async (t) => {
  const trace = await parse([HEADER, row('17:24:00'), row('17:25:00', '-1.5;-0.2;229;6.6;0;0;0')]);
  t.is(trace.startMs, START);
  t.is(trace.endMs, START + 120_000);
  t.deepEqual(trace.gaps, []);
  const load = traceLoad(trace);
  for (const [atMs, activeW, reactiveVar, rmsV] of [
    [START, 4216, 418, 234.84],
    [START + 60_000, -1500, -200, 229],
  ]) {
    const { wave, powerW, changed } = load.at(atMs);
    const count = wave.voltageV.length;
    const mean = (of: (n: number) => number) =>
      Array.from({ length: count }, (_, n) => of(n)).reduce((a, b) => a + b) / count;
    const near = (actual: number, expected: number) =>
      t.true(Math.abs(actual / expected - 1) < 1e-9, `${actual}, ${expected}`);
    t.true(changed);
    near(powerW, activeW);
    near(
      mean((n) => wave.voltageV[n] * wave.currentA[n]),
      activeW,
    );
    // Reactive power: the voltage a quarter cycle before, times the current; + where the current lags.
    near(
      mean((n) => wave.voltageV[(n + (3 * count) / 4) % count] * wave.currentA[n]),
      reactiveVar,
    );
    near(Math.sqrt(mean((n) => wave.voltageV[n] ** 2)), rmsV);
    t.false(load.at(atMs + 1000).changed);
    t.is(load.at(atMs + 59_000).powerW, powerW);
  }
  t.is(load.at(START + 120_000).powerW, 0); // over
});

test('LF, CRLF, no end of the last line and a byte order mark make no difference', async (t) => {
  const text = [HEADER, row('17:24:00'), row('17:25:00')].join('\n');
  const expected = await parseTrace([text], 'house.txt');
  t.deepEqual(await parseTrace([text.replaceAll('\n', '\r\n')], 'house.txt'), expected);
  t.deepEqual(await parseTrace([`\uFEFF${text}\n`], 'house.txt'), expected);
});

test('pieces of any length read as one', async (t) => {
  const text = [HEADER, row('17:24:00'), row('17:25:00', '?;?;?;?;?;?;'), row('17:26:00')].join('\r\n');
  const expected = await parseTrace([text], 'house.txt');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 20 }), async (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length];
      const pieces = at.slice(1).map((to, n) => text.slice(at[n], to));
      t.deepEqual(await parseTrace(pieces, 'house.txt'), expected);
    }),
    { numRuns: 100 },
  );
});

test('a minute with ? and minutes without a row are gaps: listed, and nothing is drawn', async (t) => {
  const trace = await parse([
    HEADER,
    row('17:24:00'),
    row('17:25:00', '?;?;?;?;?;?;'),
    row('17:26:00', '4.216;0.418;?;18.4;0;0;0'),
    row('17:27:00'),
    row('17:30:00', '1.000;0.000;230.000;?;?;?;?'), // what we do not use may be missing
    row('17:31:00', ';;;;;;'),
  ]);
  const minute = (n: number) => START + n * 60_000;
  t.deepEqual(trace.gaps, [
    { fromMs: minute(1), toMs: minute(3) },
    { fromMs: minute(4), toMs: minute(6) },
    { fromMs: minute(7), toMs: minute(8) },
  ]);
  const load = traceLoad(trace);
  const drawnW = Array.from({ length: 8 * 60 }, (_, n) => load.at(START + n * 1000)).map(({ powerW }) =>
    Math.round(powerW),
  );
  const expected = [4216, 0, 0, 4216, 0, 0, 1000, 0].flatMap((powerW) => new Array<number>(60).fill(powerW));
  t.deepEqual(drawnW, expected);
});

test('a recording that begins with ? begins with a gap', async (t) => {
  const trace = await parse([HEADER, row('17:24:00', '?;?;?;?;?;?;'), row('17:25:00')]);
  t.is(trace.startMs, START);
  t.deepEqual(trace.gaps, [{ fromMs: START, toMs: START + 60_000 }]);
  t.is(traceLoad(trace).at(START).powerW, 0);
  t.deepEqual((await parse([HEADER, row('17:24:00', '?;?;?;?;?;?;')])).gaps, [{ fromMs: START, toMs: START + 60_000 }]);
});

test('a clock that jumps ahead leaves a gap, here over a year’s end', async (t) => {
  const jumped = await parse([HEADER, row('17:24:00'), row('08:00:00', '1;0;230;4;0;0;0', '2/1/2007')]);
  t.deepEqual(jumped.gaps, [{ fromMs: START + 60_000, toMs: Date.UTC(2007, 0, 2, 8) }]);
});

const mistakes: [title: string, lines: string[], message: string][] = [
  [
    'letters',
    [HEADER, row('17:24:00', '4.216;O.418;234.840;18.4;0;1;17')],
    'house.txt:2:27: "O.418", expected a number or ?',
  ],
  [
    'letters in a column that is not used',
    [HEADER, row('17:24:00', '1;0;230;4;0;0;x')],
    'house.txt:2:35: "x", expected a number or ?',
  ],
  [
    'numbers that only JavaScript knows',
    [HEADER, row('17:24:00', '0x10;0;230;4;0;0;0')],
    'house.txt:2:21: "0x10", expected a number or ?',
  ],
  ['an exponent', [HEADER, row('17:24:00', '1e3;0;230;4;0;0;0')], 'house.txt:2:21: "1e3", expected a number or ?'],
  ['a comma', [HEADER, row('17:24:00', '4,216;0;230;4;0;0;0')], 'house.txt:2:21: "4,216", expected a number or ?'],
  [
    'too few columns',
    [HEADER, row('17:24:00'), row('17:25:00', '1;0;230')],
    'house.txt:3:28: the row has 5 columns, expected 9',
  ],
  [
    'too many columns',
    [HEADER, row('17:24:00', '1;0;230;4;0;0;0;9')],
    'house.txt:2:37: the row has 10 columns, expected 9',
  ],
  ['an empty line', [HEADER, row('17:24:00'), '', row('17:25:00')], 'house.txt:3:1: the row has 1 columns, expected 9'],
  [
    'another date format',
    [HEADER, row('17:24:00', '1;0;230;4;0;0;0', '2006-12-16')],
    'house.txt:2:1: "2006-12-16", expected a date as 31/12/2006',
  ],
  [
    'a date that does not exist',
    [HEADER, row('17:24:00', '1;0;230;4;0;0;0', '29/2/2007')],
    'house.txt:2:1: "29/2/2007", expected a date as 31/12/2006',
  ],
  [
    'a month that does not exist',
    [HEADER, row('17:24:00', '1;0;230;4;0;0;0', '1/13/2007')],
    'house.txt:2:1: "1/13/2007", expected a date as 31/12/2006',
  ],
  ['a time that does not exist', [HEADER, row('24:00:00')], 'house.txt:2:12: "24:00:00", expected a time as 23:59:00'],
  [
    'a clock that goes back',
    [HEADER, row('17:24:00'), row('17:25:00'), row('17:24:30')],
    'house.txt:4:1: the clock goes back to 16/12/2006 17:24:30, expected a time after 2006-12-16 17:25:00',
  ],
  [
    'a clock that goes back behind a ?',
    [HEADER, row('17:25:00', '?;?;?;?;?;?;'), row('17:24:00')],
    'house.txt:3:1: the clock goes back to 16/12/2006 17:24:00, expected a time after 2006-12-16 17:25:00',
  ],
  [
    'a row that is there twice',
    [HEADER, row('17:24:00'), row('17:24:00')],
    'house.txt:3:1: 16/12/2006 17:24:00 is there twice, expected a later time',
  ],
  [
    'a power that no house has',
    [HEADER, row('17:24:00', '4216;0;230;4;0;0;0')],
    'house.txt:2:21: 4216 kW, expected -14.718 to 14.718 kW',
  ],
  ['a voltage of nothing', [HEADER, row('17:24:00', '0;0;0.0;0;0;0;0')], 'house.txt:2:25: 0.0 V, expected 50 to 280 V'],
  ['no header', [row('17:24:00')], 'house.txt:1:1: "16/12/2006", expected the column Date'],
  [
    'another header',
    [HEADER.replace('Voltage', 'Spannung')],
    'house.txt:1:53: "Spannung", expected the column Voltage',
  ],
  ['half a header', ['Date;Time'], 'house.txt:1:11: nothing, expected the column Global_active_power'],
  ['a header only', [HEADER], 'house.txt:2:1: there is no row, expected one after the header'],
  ['an empty file', [], 'house.txt:1:1: the file is empty, expected a header line'],
  [
    'a huge line',
    [HEADER, row('17:24:00'), 'x'.repeat(2000)],
    'house.txt:3:1001: the line goes on after 1000 characters, expected a row',
  ],
  [
    'what a terminal would act upon',
    [HEADER, row('\u001b[2J\u009b')],
    'house.txt:2:12: "\\u001b[2J�", expected a time as 23:59:00',
  ],
];
for (const [title, lines, message] of mistakes) {
  test(`refused: ${title}`, (t) => refused(t, lines, message));
}

test('a file without line ends is refused long before its end', async (t) => {
  let pieces = 0;
  function* endless() {
    yield `${HEADER}\n`;
    for (;;) {
      pieces++;
      yield 'x'.repeat(400);
    }
  }
  const error = await t.throwsAsync(parseTrace(endless(), 'house.txt'), { instanceOf: TraceError });
  t.is(error.message, 'house.txt:2:1001: the line goes on after 1000 characters, expected a row');
  t.is(pieces, 3);
});

test('arbitrary text is refused with a position, never anything else', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'binary' }), { maxLength: 8 }), fc.boolean(), async (lines, header) => {
      const text = [...(header ? [HEADER] : []), ...lines].join('\n');
      const error = await parseTrace([text], 'f').then(
        () => null,
        (error) => error,
      );
      t.true(error instanceof TraceError && /^f:\d+:\d+: ./s.test(error.message), String(error));
    }),
    { numRuns: 200 },
  );
});

test('a file that is not there is the file system’s error', async (t) => {
  await t.throwsAsync(readTrace('/nowhere/at/all.txt'), { code: 'ENOENT' });
});

test('reads from a file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trace-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'house.txt');
  await writeFile(file, `${HEADER}\n${row('17:24:00')}\n${row('17:25:00', '1;0;letters;4;0;0;0')}\n`);
  const error = await t.throwsAsync(readTrace(file), { instanceOf: TraceError });
  t.is(error.message, `${file}:3:25: "letters", expected a number or ?`);
  t.deepEqual([error.line, error.column], [3, 25]);
});

const recording = resolve(import.meta.dirname, '../../../shared/data/uci-household-power-1min.txt');
if (existsSync(recording)) {
  test('the real recording: 48,424 rows, its gaps, its energy', async (t) => {
    const beganMs = performance.now();
    const trace = await readTrace(recording);
    t.log(`read in ${Math.round(performance.now() - beganMs)} ms`);
    t.is(trace.startMs, START);
    t.is(new Date(trace.endMs).toISOString(), '2007-01-19T08:28:00.000Z');
    const missingMs = trace.gaps.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
    t.is(trace.timesMs.length + missingMs / 60_000, (trace.endMs - trace.startMs) / 60_000);
    t.deepEqual(
      trace.gaps.map(({ fromMs, toMs }) => [new Date(fromMs).toISOString().slice(0, 16), (toMs - fromMs) / 60_000]),
      [
        ['2006-12-21T11:23', 2],
        ['2006-12-30T10:08', 2],
        ['2007-01-14T18:36', 1],
      ],
    );
    t.is(trace.timesMs.length, 48_424 - 5);

    const load = traceLoad(trace);
    const truth = new Truth();
    for (let atMs = trace.startMs; atMs < trace.endMs; atMs += 1000) truth.add(atMs, load.at(atMs).powerW);
    const drawnMwh = trace.activeW.reduce((sum, powerW) => sum + powerW, 0) * (1000 / 60);
    t.true(Math.abs(truth.total().importMwh / drawnMwh - 1) < 1e-9);
    t.is(truth.total().exportMwh, 0);
  });
} else {
  test.skip('the real recording is not on this machine (../shared/data)', () => {});
}
