import { fileURLToPath } from 'node:url';
import test from 'ava';
import { makeChip } from '../../../bench/board/adc-model.ts';
import { calibrateChip } from '../../../bench/board/calibrate-chip.ts';
import { MeteredChip } from '../../../bench/board/metered-chip.ts';
import { espruinoBinary, runEspruino } from '../../../bench/espruino/process.ts';
import { fifthHarmonic, sine } from '../../../bench/measure/accuracy/signals.ts';
import { EnergyRegisters } from '../../../firmware/metering/registers.ts';
import { buildFirmware } from '../../../scripts/build.mjs';

const onEspruino = espruinoBinary() ? test : test.skip;

onEspruino('real Espruino measures what Node measures, to the last digit (skipped where there is none)', async (t) => {
  const chip = makeChip(6);
  const calibration = calibrateChip(chip, 1, 0.05);
  const meter = new MeteredChip(chip, 3, calibration);
  const registers = new EnergyRegisters(0, 0, meter.metering.noiseMw);
  const loads = [
    sine({ currentA: 10, lagDeg: 60 }),
    sine({ currentA: 4, lagDeg: 180, frequencyHz: 46.3 }),
    fifthHarmonic(-20),
    sine({ currentA: 0, voltageV: 0 }),
    sine({ currentA: 90 }), // clipped
    sine({ currentA: 0.01 }),
  ];
  const windows: number[][] = [];
  const windowS: number[] = [];
  const expected: unknown[] = [];
  for (const load of [...loads, ...loads]) {
    meter.setMains(load);
    meter.sample();
    // Twelve digits are what Espruino reads of a number.
    const seconds = Number(meter.windowS.toPrecision(12));
    const m = meter.metering.window(meter.raw, seconds);
    registers.integrate(m.powerMw, 10_007);
    registers.closeBlock();
    windows.push([...meter.raw]);
    windowS.push(seconds);
    expected.push(JSON.parse(JSON.stringify([m, registers.importMwh, registers.exportMwh])));
  }
  const { code } = await buildFirmware({ entry: fileURLToPath(new URL('_on-espruino.ts', import.meta.url)) });
  const given = `var CALIBRATION=${JSON.stringify(JSON.stringify(calibration))},WINDOWS=${JSON.stringify(windows)},WINDOW_S=${JSON.stringify(windowS)};`;
  const lines = await runEspruino(`${given}\n${code}\nprint('\\x02END');`);
  t.deepEqual(
    lines.map((line) => JSON.parse(line)),
    expected,
  );
});
