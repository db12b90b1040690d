/** Windows of one wave through the firmware's metering, timed. (Espruino dialect; bench/measure/footprint.ts runs it) */
import { nominalCalibration } from '../../../firmware/metering/calibration.ts';
import { Metering, meteringConfig } from '../../../firmware/metering/meter.ts';

declare var global: { say(text: string): void; pairs: number; windows: number };

const raw = new Uint16Array(2 * global.pairs);
const WINDOW_S = 0.08192;
for (let n = 0; n < raw.length; n++) {
  const angle = (2 * Math.PI * 50 * WINDOW_S * n) / raw.length;
  raw[n] = 1436 + Math.round((n % 2 ? 200 : 900) * Math.sin(angle));
}
const metering = new Metering(E, nominalCalibration(), meteringConfig());
for (let n = 0; n < 5; n++) metering.window(raw, WINDOW_S);
const begin = getTime();
for (let n = 0; n < global.windows; n++) metering.window(raw, WINDOW_S);
global.say('SECONDS ' + (getTime() - begin));
global.say('END');
