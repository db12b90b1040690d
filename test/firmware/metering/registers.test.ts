import test from 'ava';
import fc from 'fast-check';
import { Random } from '../../../bench/random.ts';
import { EnergyRegisters } from '../../../firmware/metering/registers.ts';

const NOISE_MW = 3000;
const MW_MS_PER_MWH = 3_600_000;

/** Blocks of ten windows. */
function run(registers: EnergyRegisters, blocks: number, powerMw: (window: number) => number): void {
  for (let block = 0; block < blocks; block++) {
    for (let n = 0; n < 10; n++) registers.integrate(Math.round(powerMw(block * 10 + n)), 1000);
    registers.closeBlock();
  }
}

test('one kilowatt for one hour is one kilowatt hour', (t) => {
  const registers = new EnergyRegisters(7, 9, NOISE_MW);
  run(registers, 360, () => 1_000_000);
  t.is(registers.importMwh, 7 + 1_000_000);
  t.is(registers.exportMwh, 9);
});

test('export goes to its own register', (t) => {
  const registers = new EnergyRegisters(0, 0, NOISE_MW);
  run(registers, 360, () => -1_000_000);
  t.deepEqual([registers.importMwh, registers.exportMwh], [0, 1_000_000]);
});

test('within a block the directions cancel, from block to block they do not', (t) => {
  const within = new EnergyRegisters(0, 0, NOISE_MW);
  run(within, 360, (n) => (n % 2 === 0 ? 1_500_000 : -500_000));
  t.deepEqual([within.importMwh, within.exportMwh], [500_000, 0]);
  const between = new EnergyRegisters(0, 0, NOISE_MW);
  run(between, 360, (n) => (Math.floor(n / 10) % 2 === 0 ? 1_500_000 : -500_000));
  t.deepEqual([between.importMwh, between.exportMwh], [750_000, 250_000]);
});

test('what is not a whole milliwatt hour is carried', (t) => {
  const registers = new EnergyRegisters(0, 0, NOISE_MW);
  run(registers, 3600, () => 10_000.4); // 10 W: 27.8 mWh a block
  t.is(registers.importMwh, 100_000);
});

test('registers never fall, and nothing but what is still held is missing', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: -15_000_000, max: 15_000_000 }), fc.integer({ min: 1, max: 5000 })), {
        maxLength: 300,
      }),
      (windows) => {
        const registers = new EnergyRegisters(1000, 2000, NOISE_MW);
        let [before, exportBefore, total, block, held] = [1000, 2000, 0, 0, 0];
        for (const [n, [powerMw, elapsedMs]] of windows.entries()) {
          registers.integrate(powerMw, elapsedMs);
          total += powerMw * elapsedMs;
          block += powerMw * elapsedMs;
          if (n % 10 !== 9) continue;
          registers.closeBlock();
          const { importMwh, exportMwh } = registers;
          if (importMwh < before || exportMwh < exportBefore) return false;
          if (importMwh > before && exportMwh > exportBefore) return false; // one block, one direction
          const moved = importMwh !== before || exportMwh !== exportBefore;
          held = moved ? 0 : held + Math.abs(block);
          [before, exportBefore, block] = [importMwh, exportMwh, 0];
        }
        const counted = (before - 1000 - (exportBefore - 2000)) * MW_MS_PER_MWH;
        return Math.abs(counted + block - total) <= held + 2 * MW_MS_PER_MWH;
      },
    ),
  );
  t.pass();
});

test('noise alone counts nothing in 24 hours', (t) => {
  const random = new Random(5);
  const registers = new EnergyRegisters(0, 0, NOISE_MW);
  run(registers, 8640, () => random.normal(0, NOISE_MW));
  t.deepEqual([registers.importMwh, registers.exportMwh], [0, 0]);
});

test('0.2 % of 5 A is counted under the noise, in its direction only', (t) => {
  for (const direction of [1, -1]) {
    const random = new Random(6);
    const registers = new EnergyRegisters(0, 0, NOISE_MW);
    run(registers, 360, () => random.normal(direction * 2300, NOISE_MW));
    const [counted, other] =
      direction > 0 ? [registers.importMwh, registers.exportMwh] : [registers.exportMwh, registers.importMwh];
    t.true(counted > 2000 && counted < 2600, `${counted} of 2300 mWh`);
    t.is(other, 0);
  }
});

test('a clock that stands still or a block without windows changes nothing', (t) => {
  const registers = new EnergyRegisters(5, 6, NOISE_MW);
  registers.closeBlock();
  registers.integrate(1_000_000, 0);
  registers.closeBlock();
  t.deepEqual([registers.importMwh, registers.exportMwh], [5, 6]);
});
