/** Runs on real Espruino (on-espruino.test.ts): measures the windows it is given and prints what comes out. */
import { checkCalibration } from '../../../firmware/metering/calibration.ts';
import type { Dsp } from '../../../firmware/metering/dsp.ts';
import { Metering, meteringConfig } from '../../../firmware/metering/meter.ts';
import { EnergyRegisters } from '../../../firmware/metering/registers.ts';

declare const E: Dsp;
declare function print(line: string): void;
declare const global: { CALIBRATION: string; WINDOWS: number[][]; WINDOW_S: number[] };

const metering = new Metering(E, checkCalibration(JSON.parse(global.CALIBRATION)), meteringConfig());
const registers = new EnergyRegisters(0, 0, metering.noiseMw);
for (let n = 0; n < global.WINDOWS.length; n++) {
  const m = metering.window(new Uint16Array(global.WINDOWS[n]), global.WINDOW_S[n]);
  registers.integrate(m.powerMw, 10007);
  registers.closeBlock();
  print(`\x02${JSON.stringify([m, registers.importMwh, registers.exportMwh])}`);
}
