import { buildFirmware } from '../../scripts/build.mjs';
import { makeChip } from '../board/adc-model.ts';
import { espruinoBinary } from '../espruino/process.ts';
import { type EspruinoRun, runOnEspruino } from '../espruino/run.ts';

/** What the ESP32 build has at most: variables, and bytes each. WiFi and BLE, where they are on, reduce it. */
const BOARD_VARIABLES = 16_383;
const BOARD_VARIABLE_BYTES = 14;
/** A variable of the 64-bit Linux build (process.memory().blocksize). What fills one of these takes two of the board's. */
const LINUX_VARIABLE_BYTES = 27;
/** How long the firmware has been running when it is measured: several checkpoints. */
const RUN_MS = 60_000;

export interface FirmwareMeasurement {
  bundleBytes: number;
  digest: string;
  /** null where there is no real Espruino on the PATH. */
  variables: {
    /** In use by the running firmware on Linux, its code in flash as on the board. */
    linux: number;
    /** The same with its code in RAM, as after an upload to the console. */
    linuxCodeInRam: number;
    /** At most so many on the board, and that part of what it has. */
    boardAtMost: number;
    boardPercent: number;
  } | null;
}

/** Size of the bundle, and what the running firmware takes of the board's variables, measured on real Espruino. */
export async function measureFirmware(): Promise<FirmwareMeasurement> {
  const { code, digest } = await buildFirmware();
  const size = { bundleBytes: Buffer.byteLength(code), digest };
  if (!espruinoBinary()) return { ...size, variables: null };
  const points = Array.from({ length: 256 }, (_, n) => Math.sin((2 * Math.PI * n) / 256));
  const mains = {
    frequencyHz: 50,
    cycles: 1,
    voltageV: Float64Array.from(points, (x) => 325 * x),
    currentA: Float64Array.from(points, (x) => 5 * x),
  };
  const inUse = async (bundle: string, codeIn: 'ram' | 'flash') => {
    const steps = [{ mains, toMs: RUN_MS }];
    const run: EspruinoRun = await runOnEspruino({ bundle, chip: makeChip(1), codeIn, steps });
    if (run.output.length > 0) throw new Error(`the firmware complains: ${run.output.join(' | ')}`);
    return run.variables;
  };
  const preludeAlone = await inUse(';', 'ram');
  const linux = (await inUse(code, 'flash')) - preludeAlone;
  const boardAtMost = Math.ceil((linux * LINUX_VARIABLE_BYTES) / BOARD_VARIABLE_BYTES);
  return {
    ...size,
    variables: {
      linux,
      linuxCodeInRam: (await inUse(code, 'ram')) - preludeAlone,
      boardAtMost,
      boardPercent: Math.round((1000 * boardAtMost) / BOARD_VARIABLES) / 10,
    },
  };
}

/** `npm run -s measure -- firmware [--json]` */
export async function run({ json }: { json: boolean; args: string[] }): Promise<number> {
  const measured = await measureFirmware();
  if (json) {
    console.log(JSON.stringify(measured));
    return 0;
  }
  console.log(`bundle     ${measured.bundleBytes} bytes, ${measured.digest.slice(0, 16)}`);
  const { variables } = measured;
  if (!variables) {
    console.log('variables  not measured: no espruino on the PATH');
    return 0;
  }
  console.log(
    `variables  ${variables.linux} on Linux, code in flash (${variables.linuxCodeInRam} with its code in RAM)`,
  );
  console.log(
    `           at most ${variables.boardAtMost} of the ESP32's ${BOARD_VARIABLES} × ${BOARD_VARIABLE_BYTES} B, ${variables.boardPercent} %`,
  );
  return 0;
}
