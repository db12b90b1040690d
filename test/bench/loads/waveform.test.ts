import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { loopOf, parseWaveform, readWaveforms } from '../../../bench/loads/waveform.ts';

/** A file as the recorder writes it: lines broken anywhere. */
function file(pairs: number, at: (n: number) => [currentA: number, voltageV: number], lineLength = 1601): string {
  const bytes = Buffer.alloc(4 * pairs);
  for (let n = 0; n < pairs; n++) {
    const [current, voltage] = at(n);
    bytes.writeInt16LE(Math.round(current * 41.4738), 4 * n);
    bytes.writeInt16LE(Math.round(voltage * 21.3872), 4 * n + 2);
  }
  const digits = bytes.toString('hex').toUpperCase();
  const lines = digits.match(new RegExp(`.{1,${lineLength}}`, 'g')) ?? [];
  return ['FFFFFFFF', ...lines, ''].join('\r\n');
}

const omega = (hz: number, n: number): number => (2 * Math.PI * hz * n) / 6400;
const lagging = (n: number): [number, number] => [5 * Math.sin(omega(49.97, n) - 1), 250 * Math.sin(omega(49.97, n))];

test('a recording is read, whatever its line breaks', (t) => {
  const recording = parseWaveform(file(19_200, lagging), 'lagging.txt');
  t.is(recording.voltageV.length, 19_200);
  t.true(Math.abs(recording.currentA[100] - lagging(100)[0]) < 0.02);
  t.deepEqual(parseWaveform(file(19_200, lagging, 77), 'lagging.txt'), recording);
});

test('it becomes a loop of whole cycles, scaled, with its frequency and power factor', (t) => {
  const wave = loopOf(parseWaveform(file(19_200, lagging), 'lagging.txt'), 230, 12);
  t.is(wave.cycles, 148);
  t.true(Math.abs(wave.frequencyHz - 49.97) < 1e-3);
  const n = wave.voltageV.length;
  const mean = (at: (k: number) => number): number =>
    Array.from({ length: n }, (_, k) => at(k)).reduce((a, b) => a + b) / n;
  t.true(Math.abs(Math.sqrt(mean((k) => wave.voltageV[k] ** 2)) - 230) < 1e-9);
  t.true(Math.abs(Math.sqrt(mean((k) => wave.currentA[k] ** 2)) - 12) < 1e-9);
  t.true(Math.abs(mean((k) => wave.voltageV[k] * wave.currentA[k]) / 2760 - Math.cos(1)) < 2e-3);
});

test('errors name file, line and column', (t) => {
  const text = file(6400, lagging);
  const lines = text.split('\r\n');
  lines[2] = `${lines[2].slice(0, 40)}G${lines[2].slice(41)}`;
  t.throws(() => parseWaveform(lines.join('\r\n'), 'a.txt'), { message: /^a\.txt: line 3, column 41: .*"G"/ });
  t.throws(() => parseWaveform(text.slice(10), 'b.txt'), { message: /^b\.txt: line 1, column 1: the mark FFFFFFFF/ });
  t.throws(() => parseWaveform('FFFFFFFF\r\n0011', 'c.txt'), { message: /^c\.txt: line 2: ends after 0 samples/ });
  t.throws(() => parseWaveform('', 'd.txt'), { message: /^d\.txt: / });
  t.throws(
    () =>
      loopOf(
        parseWaveform(
          file(6400, () => [1, 0]),
          'e.txt',
        ),
        230,
        1,
      ),
    { message: /^e\.txt: no mains voltage/ },
  );
});

const folder = fileURLToPath(new URL('../../../../shared/data/waveforms', import.meta.url));
const recorded = existsSync(folder) ? test : test.skip;
recorded('recorded appliances have their known power factors (skipped where the recordings are absent)', (t) => {
  const factors = new Map(
    readWaveforms(folder).map((recording) => {
      const { voltageV, currentA } = loopOf(recording, 230, 10);
      return [recording.name, voltageV.reduce((sum, v, n) => sum + v * currentA[n], 0) / voltageV.length / 2300];
    }),
  );
  for (const [name, factor] of [
    ['kettle', 1],
    ['refrigerator', 0.68],
    ['induction-cooker', 0.71],
    ['desktop', 0.4],
  ] as const) {
    t.true(Math.abs(factors.get(`${name}_12.txt`)! - factor) < 0.01, `${name}: ${factors.get(`${name}_12.txt`)}`);
  }
});
