import test from 'ava';
import fc from 'fast-check';
import { hostDsp } from '../../../bench/board/metered-chip.ts';
import { Cut } from '../../../firmware/metering/cut.ts';
import { isClipped, SAMPLE_UV, Samples } from '../../../firmware/metering/samples.ts';

const straight = Array.from({ length: 65 }, (_, knot) => 100_000 + knot * 64 * 800);

test('codes become volts at the pin, voltages and currents apart', (t) => {
  const samples = new Samples(hostDsp, 512, straight, 1_300_000);
  const raw = Uint16Array.from({ length: 1024 }, (_, n) => (n * 37) % 4096);
  samples.take(raw);
  const expected = (code: number): number => Math.floor((100_000 + code * 800 - 1_300_000) / SAMPLE_UV + 0.5);
  t.deepEqual([...samples.voltage], [...raw].filter((_, n) => n % 2 === 0).map(expected));
  t.deepEqual([...samples.current], [...raw].filter((_, n) => n % 2 === 1).map(expected));
});

test('a sample at either end of the range is seen, wherever it is', (t) => {
  const raw = new Uint16Array(1024).fill(2000);
  t.false(isClipped(raw));
  for (const [at, code] of [
    [0, 0],
    [1023, 4095],
    [512, 0],
    [511, 4095],
  ]) {
    const clipped = raw.slice();
    clipped[at] = code;
    t.true(isClipped(clipped), `${code} at ${at}`);
  }
});

test('a cut stays within the window and its weights are the four staggered sums', (t) => {
  const samples = new Samples(hostDsp, 512, straight, 1_300_000);
  fc.assert(
    fc.property(
      fc.double({ min: 85, max: 160, noNaN: true }),
      fc.double({ min: 0.3, max: 0.7, noNaN: true }),
      (period, skew) => {
        const cut = new Cut(samples, period, skew, 4);
        const weights = new Array(512).fill(0);
        cut.start.forEach((start, segment) => {
          for (let n = 0; n < cut.current[segment].length; n++) weights[start + n] += cut.weight[segment];
        });
        const last = cut.start[6] + cut.current[6].length - 1;
        const length = cut.start[4];
        const expected = new Array(512).fill(0);
        for (let k = 0; k < 4; k++) {
          const begin = Math.round((k * period) / 8);
          for (let n = 0; n < length; n++) expected[begin + n]++;
        }
        return (
          last + cut.quarterTap + 1 < 512 &&
          Math.abs(length / period - Math.round(length / period)) * period <= 0.51 &&
          cut.total === 4 * length &&
          weights.every((w, n) => w === expected[n])
        );
      },
    ),
  );
  t.pass();
});
