import { UPDATE_LAYOUT } from '../../hardware/flash.ts';
import { decodeMessage, encodeMessage } from '../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../protocol/wire/link-frame.ts';
import { LINK_SAY, LINK_TELL, SESSION_MOST_PARTS } from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';
import { nonceOfAsk, RANDOM_FRESH_BYTES, randomGive } from '../../protocol/wire/random-messages.ts';
import { partOf, SESSION_CALIBRATION, SESSION_MOST_BYTES, SESSION_RANDOM } from '../../protocol/wire/sessions.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { makeChip } from '../board/adc-model.ts';
import { espruinoBinary } from '../espruino/process.ts';
import { type EspruinoRun, runOnEspruino, type Step } from '../espruino/run.ts';

/** What the ESP32 build has at most: variables, and bytes each. WiFi and BLE, where they are on, reduce it. */
const BOARD_VARIABLES = 16_383;
const BOARD_VARIABLE_BYTES = 14;
/** A variable of the 64-bit Linux build (process.memory().blocksize). What fills one of these takes two of the board's. */
const LINUX_VARIABLE_BYTES = 27;
/** How long the firmware has been running when it is measured: several checkpoints. */
const RUN_MS = 60_000;

/** By then its generator has been tested, and it has asked for the gateway's bytes. */
const ASKED_MS = 20_500;

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
    /** The same while the longest message of a session is being put together: all of it but the last part is there. */
    boardAtFullest: number;
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
  const run = async (
    bundle: string,
    codeIn: 'ram' | 'flash',
    steps: Step[],
    flash?: Uint8Array,
  ): Promise<EspruinoRun> => {
    const done = await runOnEspruino({ bundle, chip: makeChip(1), codeIn, steps, flash, layout: UPDATE_LAYOUT });
    if (done.output.length > 0) throw new Error(`the firmware complains: ${done.output.join(' | ')}`);
    return done;
  };
  // with its wallet open, for which it needs an answer to what it asks; the same run asks the same
  const asking = await run(code, 'flash', [{ mains, toMs: ASKED_MS }]);
  const answer = answerTo(asking.serial[0]);
  const steps = [
    { mains, toMs: ASKED_MS },
    { receive: answer, toMs: RUN_MS },
  ];
  const inFlash = await run(code, 'flash', steps);
  // the prelude keeps in variables what on the board is flash
  const preludeAlone = (await run(';', 'ram', steps, inFlash.flash)).variables;
  const linux = inFlash.variables - preludeAlone;
  const onBoard = (variables: number) => Math.ceil((variables * LINUX_VARIABLE_BYTES) / BOARD_VARIABLE_BYTES);
  const boardAtMost = onBoard(linux);
  const filling = [...steps, { receive: longMessage(), toMs: RUN_MS + 1000 }];
  const filled = await run(code, 'flash', filling);
  const filledPrelude = (await run(';', 'ram', filling, inFlash.flash)).variables;
  return {
    ...size,
    variables: {
      linux,
      linuxCodeInRam: (await run(code, 'ram', steps)).variables - preludeAlone,
      boardAtMost,
      boardPercent: Math.round((1000 * boardAtMost) / BOARD_VARIABLES) / 10,
      boardAtFullest: onBoard(filled.variables - filledPrelude),
    },
  };
}

/** What a gateway says to the meter's question for random bytes. */
function answerTo(serial: Uint8Array): Uint8Array {
  for (const body of new FrameReader(nodeNatives).push(Buffer.from(serial).toString('latin1'))) {
    const message = decodeMessage(body);
    const nonce = message.type === LINK_SAY && message.session === SESSION_RANDOM ? nonceOfAsk(message.bytes) : null;
    if (!nonce) continue;
    const give = partOf(SESSION_RANDOM, 0, randomGive(nonce, new Uint8Array(RANDOM_FRESH_BYTES).fill(1)), 0);
    return Buffer.from(encodeFrame(encodeMessage({ type: LINK_TELL, ...give }), nodeNatives), 'latin1');
  }
  throw new Error('the firmware asks for no random bytes');
}

/** Every part but the last of the longest message that a session can have. */
function longMessage(): Uint8Array {
  const body = new Uint8Array(SESSION_MOST_BYTES);
  const frames = Array.from({ length: SESSION_MOST_PARTS - 1 }, (_, n) =>
    encodeFrame(encodeMessage({ type: LINK_TELL, ...partOf(SESSION_CALIBRATION, 1, body, n) }), nodeNatives),
  );
  return Buffer.from(frames.join(''), 'latin1');
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
