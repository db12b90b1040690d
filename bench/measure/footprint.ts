/**
 * What the firmware takes of a board:
 *
 *   bundleBytes         the program as it is stored
 *   variablesIdle       of the interpreter, a minute after the start, with the wallet open; the program's text in flash
 *   variablesPeak       at the fullest moment that is known: a session's longest message being put together on top of that
 *   flashBytesPerMonth  what journal and ledger write in a month of 30 days, erased pages not counted twice
 *   meteringShare       of a second's processor time on the interpreter for Linux: one window measured, from the raw codes on. Sampling
 *                       itself waits for the converter (82 ms on the board) and is not in it
 *
 * Variables and share are measured on real Espruino; without it they are null.
 */
import { PAIRS_PER_WINDOW } from '../../hardware/board.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { makeChip } from '../board/adc-model.ts';
import { VirtualBoard } from '../board/virtual-board.ts';
import { espruinoBinary, MARK, runEspruino } from '../espruino/process.ts';
import { measureFirmware } from './firmware.ts';

export interface Footprint {
  bundleBytes: number;
  variablesIdle: number | null;
  variablesPeak: number | null;
  flashBytesPerMonth: number;
  meteringShare: number | null;
}

const HOUR_MS = 3_600_000;
const HOURS_A_MONTH = 720;
const WINDOWS_TIMED = 200;

/** Words that are programmed in flash by an hour of metering at a steady load, times the hours of a month. */
async function flashBytesPerMonth(bundle: string): Promise<number> {
  const startMs = Date.UTC(2026, 3, 1);
  const board = new VirtualBoard({ bundle, chip: makeChip(1), seed: 1, startMs });
  const points = Array.from({ length: 256 }, (_, n) => Math.sin((2 * Math.PI * n) / 256));
  board.setMains({
    frequencyHz: 50,
    cycles: 1,
    voltageV: Float64Array.from(points, (x) => 325 * x),
    currentA: Float64Array.from(points, (x) => 5 * x),
  });
  board.start();
  board.advanceTo(startMs + 60_000);
  const before = board.flash;
  board.advanceTo(startMs + 60_000 + HOUR_MS);
  const after = board.flash;
  let bytes = 0;
  for (let at = 0; at < after.length; at += 4) {
    if (after.subarray(at, at + 4).some((byte, n) => byte !== before[at + n])) bytes += 4;
  }
  return bytes * HOURS_A_MONTH;
}

/** Seconds of processor time that one window takes there, from the codes on: the firmware's own metering, built alone. */
async function meteringSeconds(): Promise<number> {
  const { code } = await buildFirmware({ entry: 'bench/espruino/programs/metering.ts' });
  const lines = await runEspruino(
    `global.say=function(text){print(${JSON.stringify(MARK)}+text)};global.pairs=${PAIRS_PER_WINDOW};global.windows=${WINDOWS_TIMED};\n${code}\n`,
    { timeoutMs: 60_000 },
  );
  const seconds = Number(lines.find((line) => line.startsWith('SECONDS '))?.slice('SECONDS '.length));
  if (!(seconds > 0)) throw new Error(`metering was not timed: ${lines.join(' | ')}`);
  return seconds / WINDOWS_TIMED;
}

export async function measureFootprint(): Promise<Footprint> {
  const { code } = await buildFirmware();
  const real = espruinoBinary() !== null;
  const firmware = await measureFirmware();
  return {
    bundleBytes: firmware.bundleBytes,
    variablesIdle: firmware.variables?.boardAtMost ?? null,
    variablesPeak: firmware.variables?.boardAtFullest ?? null,
    flashBytesPerMonth: await flashBytesPerMonth(code),
    meteringShare: real ? Number((await meteringSeconds()).toPrecision(3)) : null,
  };
}

/** `npm run -s measure -- footprint [--json]` */
export async function run({ json }: { json: boolean; args: string[] }): Promise<number> {
  const measured = await measureFootprint();
  if (json) {
    console.log(JSON.stringify(measured));
    return 0;
  }
  const none = 'not measured: no espruino on the PATH';
  console.log(`bundle      ${measured.bundleBytes} bytes`);
  console.log(
    `variables   ${measured.variablesIdle ?? none} after the start, ${measured.variablesPeak ?? none} at most`,
  );
  console.log(`flash       ${measured.flashBytesPerMonth} bytes a month`);
  console.log(
    `metering    ${measured.meteringShare === null ? none : `${(100 * measured.meteringShare).toFixed(2)} % of a second, on the interpreter for Linux`}`,
  );
  return 0;
}
