/**
 * From a bare ESP32 to a meter that starts: the interpreter, the boot loader, the program, and what was measured of this board.
 *
 *   esptool ──► Espruino          checked by digest; --skip-espruino where it is there
 *   console ──► .bootcde          the boot loader
 *           ──► firmware(.b)      the program, read back and measured; the one before stays until then
 *           ──► calibration, household
 *           ──► load()            and the program is asked which one it is
 *
 * A cable may be pulled at any time: the same command again goes on where it was.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Progress } from '../bench/progress.ts';
import { checkCalibration } from '../firmware/metering/calibration.ts';
import { IMAGE_MOST_BYTES } from '../hardware/flash.ts';
import { buildFirmware, buildLoader } from './build.mjs';
import { BoardConsole, BoardError, LineBroken } from './flashing/console.ts';
import { findTool, NO_TOOL, readInterpreter, writeInterpreter } from './flashing/interpreter.ts';
import { BoardStorage, type Upload, WornFlash } from './flashing/storage.ts';

const USAGE = `usage: scripts/flash --port PORT (--espruino FOLDER [--sums FILE] | --skip-espruino)
                     [--program FILE] [--calibration FILE] [--household FILE]

  --port PORT         the board's USB serial port, such as /dev/ttyUSB0, or tcp://HOST:PORT of a serial server
  --espruino FOLDER   bootloader.bin, partitions_espruino.bin and espruino_esp32.bin: Espruino 2v29 for the ESP32, built or downloaded by
                      you. hardware/flash.ts says which build leaves room for updates and a wallet
  --sums FILE         their SHA-256 digests, as sha256sum prints them; SHA256SUMS in the folder unless told
  --skip-espruino     it is on the board already
  --program FILE      a program that was built or released already; else the firmware is built from this source
  --calibration FILE  what was measured of this board (docs/flash-and-calibrate.md)
  --household FILE    {"generator": true} where there is a photovoltaic system`;

/** The console's answer comes through the interpreter that has just started. */
const RESET_MS = 500;
const STARTED_MS = 1500;
const TESTED_VERSION = '2v29';

/** What the person at the keyboard did wrong: one sentence, no stack. */
class Complaint extends Error {}

function readOptions() {
  try {
    return parseArgs({
      options: {
        port: { type: 'string' },
        espruino: { type: 'string' },
        sums: { type: 'string' },
        'skip-espruino': { type: 'boolean', default: false },
        program: { type: 'string' },
        calibration: { type: 'string' },
        household: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Complaint((error as Error).message);
  }
}
type Options = ReturnType<typeof readOptions>;

function readFile(options: Options, name: 'program' | 'calibration' | 'household'): Uint8Array | null {
  const file = options[name];
  if (file === undefined) return null;
  if (!existsSync(file)) throw new Complaint(`--${name}: there is no file ${file}`);
  return readFileSync(file);
}
/** As the meter will read it. */
function readDocument(options: Options, name: 'calibration' | 'household', check: (value: unknown) => void) {
  const bytes = readFile(options, name);
  if (bytes === null) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    check(value);
    return Buffer.from(JSON.stringify(value), 'latin1');
  } catch (error) {
    throw new Complaint(`--${name}: ${(error as Error).message}`);
  }
}
function checkHousehold(value: unknown): void {
  if (typeof (value as { generator?: unknown } | null)?.generator !== 'boolean')
    throw new Error('household.generator: true or false is wanted');
}
async function readProgram(options: Options): Promise<Uint8Array> {
  const bytes = readFile(options, 'program') ?? Buffer.from((await buildFirmware()).code, 'latin1');
  if (bytes.length === 0 || bytes.length > IMAGE_MOST_BYTES)
    throw new Complaint(`the program has ${bytes.length} bytes; up to ${IMAGE_MOST_BYTES} can be stored`);
  if (bytes.some((byte) => byte > 126)) throw new Complaint('the program is not ASCII: it is none that was built here');
  return bytes;
}

async function putInterpreter(options: Options, port: string, progress: Progress): Promise<void> {
  const { espruino: folder, 'skip-espruino': skip } = options;
  if (skip === (folder !== undefined)) throw new Complaint('one of --espruino FOLDER and --skip-espruino is needed');
  if (folder === undefined) return;
  const interpreter = readInterpreter(folder, options.sums ?? `${folder}/SHA256SUMS`);
  if (port.startsWith('tcp://'))
    throw new Complaint('Espruino cannot be written through tcp://: connect the board itself');
  const tool = findTool();
  if (tool === null) throw new Complaint(NO_TOOL);
  progress.task('Espruino');
  for (const { path, digest } of interpreter.files) progress.note(`${path.split('/').at(-1)} ${digest.slice(0, 16)}…`);
  await writeInterpreter(tool, port, interpreter, (line) => progress.note(line));
}

async function flash(options: Options, port: string, progress: Progress): Promise<void> {
  const program = await readProgram(options);
  const calibration = readDocument(options, 'calibration', checkCalibration);
  const household = readDocument(options, 'household', checkHousehold);
  await putInterpreter(options, port, progress);

  progress.task(`console at ${port}`);
  const board = await BoardConsole.open(port);
  try {
    const [kind, version] = await board.evaluate<string[]>('[process.env.BOARD,process.env.VERSION]');
    progress.note(`${kind}, Espruino ${version}`);
    if (!version.startsWith(TESTED_VERSION))
      progress.note(`this firmware was tried with Espruino ${TESTED_VERSION} only`);
    await board.evaluate('(reset(),1)'); // whatever ran is stopped: its registers are in flash
    await sleep(RESET_MS);

    const storage = new BoardStorage(board);
    const events = {
      progress: (bytes: number, of: number) =>
        progress.at(bytes / of, `${bytes.toLocaleString('en')} of ${of.toLocaleString('en')} B`),
      note: (text: string) => progress.note(text),
    };
    const told = ({ pieces, found }: Upload) => {
      if (found === pieces) progress.note('is there already');
    };
    progress.task('boot loader');
    told(await storage.place('.bootcde', Buffer.from((await buildLoader()).code, 'latin1'), events));
    progress.task(`program, ${program.length.toLocaleString('en')} B, SHA-256 ${digestOf(program)}`);
    const { measurement, ...upload } = await storage.placeProgram(program, events);
    told(upload);
    progress.note(`measured on the board: ${Buffer.from(measurement).toString('hex').slice(0, 16)}…, as it has to be`);
    for (const [name, bytes] of Object.entries({ calibration, household })) {
      if (!bytes) continue;
      progress.task(name);
      told(await storage.place(name, bytes, events));
    }

    progress.task('start');
    await board.evaluate('(load(),1)');
    await sleep(STARTED_MS);
    const length = await board.evaluate<number>('global.bootedImage?global.bootedImage.length:0');
    if (length !== program.length)
      throw new Error(`the boot loader has started ${length || 'no'} bytes of ${program.length}`);
    progress.done();
  } finally {
    board.close();
  }
}

const digestOf = (bytes: Uint8Array): string => `${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}…`;

/** What to do next, by what went wrong. */
function adviceFor(error: unknown): string {
  if (error instanceof LineBroken)
    return 'Connect the board again and repeat the command: what is there is not sent again. Until the new program is whole the old one starts.';
  if (error instanceof WornFlash) return 'Repeat the command; where this comes again the flash chip is worn.';
  if (error instanceof BoardError) return 'The board answered with this exception: is it an ESP32 with Espruino 2v29?';
  return '';
}

const progress = new Progress();
try {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  if (options.port === undefined) throw new Complaint('--port is missing');
  if (/^tcp:/.test(options.port) && !/^tcp:\/\/.+:\d+$/.test(options.port))
    throw new Complaint('--port: a serial server is tcp://HOST:PORT');
  await flash(options, options.port, progress);
  process.stdout.write('The program runs. Next: docs/flash-and-calibrate.md\n');
  process.exit(0);
} catch (error) {
  process.stderr.write(`\nflash: ${(error as Error).message}\n${adviceFor(error)}\n`);
  if (error instanceof Complaint) process.stderr.write(`${USAGE}\n`);
  process.exit(1);
}
