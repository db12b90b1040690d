import { readFileSync } from 'node:fs';
import { ERASE_TYPICAL_MS, type FlashLayout, STOCK_LAYOUT } from '../../hardware/flash.ts';
import { PIN_CURRENT, UART_GATEWAY, UART_MODEM } from '../../hardware/pins.ts';
import { type AdcChip, createAdcModel, type MainsWave } from '../board/adc-model.ts';
import { type PowerCut, partsOf, regionsOf } from '../board/virtual-board.ts';
import { MARK, runEspruino } from './process.ts';

const prelude = readFileSync(new URL('prelude.js', import.meta.url), 'latin1');

/** What happens to the board, in order. Times are ms since power-on. */
export interface Step {
  /** What the sensors see from now on. */
  mains?: MainsWave;
  /** Bytes from the gateway. */
  receive?: Uint8Array;
  /** Power will fail in the flash operation after so many more. */
  arm?: PowerCut & { afterFlashOperations: number };
  /** Then the board runs up to here. */
  toMs?: number;
}

export interface EspruinoOptions {
  /** The firmware, as `buildFirmware` returns it; it is run unchanged. */
  bundle: string;
  steps: Step[];
  /** Of the torn bits, and of the chip's number. */
  seed?: number;
  /** What is connected to the ADC, here without its noise and jitter; without it, codes stand at half of the range. */
  chip?: AdcChip;
  /** Which flash is ours; without it, the stock build's. */
  layout?: FlashLayout;
  /** The layout's regions, one behind the other, as an earlier run left them; erased where there is none. */
  flash?: Uint8Array;
  storage?: Record<string, string>;
  /** Armed from the first operation of the start on. */
  cutAtStart?: PowerCut & { afterFlashOperations: number };
  /** `flash`: the bundle is run from a file in the interpreter's own Storage, as on the board, so its code takes no variables. */
  codeIn?: 'ram' | 'flash';
  timeoutMs?: number;
}

export interface EspruinoRun {
  /** What the firmware wrote to the gateway, for each step (the start's output is in the first one). */
  serial: Uint8Array[];
  flash: Uint8Array;
  flashOperations: number;
  /** Every change of a pin that the firmware drives; all are low at the start. */
  pins: { pin: number; high: boolean; atMs: number }[];
  /** Did power fail? Then the steps after it were not taken. */
  cut: boolean;
  /** Did the firmware start the board anew? The steps after it were not taken either. */
  restarts: boolean;
  /** Console, and exceptions nobody caught. */
  output: string[];
  /** The interpreter's variables in use after the last step, the prelude's own among them. */
  variables: number;
}

const partFile = (part: number): string => `firmware${part}.js`;
/** Points of the wave that the interpreter steps through. */
const POINTS = 1000;
const SAMPLE_MS = 0.08;
const NO_SENSORS = { pointsPerMs: 1, voltage: [2048], current: [2048] };

/** The same bundle behind a prelude on real Espruino for Linux. Throws where there is none: ask `espruinoBinary()` first. */
export async function runOnEspruino(options: EspruinoOptions): Promise<EspruinoRun> {
  const lines = await runEspruino(programOf(options), {
    timeoutMs: options.timeoutMs ?? 120_000,
    files: Object.fromEntries(partsOf(options.bundle).map((part, n) => [partFile(n), part])),
  });
  const run: EspruinoRun = {
    serial: [],
    flash: new Uint8Array(bytesOf(options.layout ?? STOCK_LAYOUT)).fill(0xff),
    flashOperations: 0,
    pins: [],
    cut: false,
    restarts: false,
    output: [],
    variables: 0,
  };
  let written: Uint8Array[] = [];
  let ended = false;
  for (const line of lines) {
    const text = line.slice(1);
    switch (line[0]) {
      case 'S':
        written.push(Buffer.from(text, 'base64'));
        break;
      case 'T':
        run.serial.push(Buffer.concat(written));
        written = [];
        break;
      case 'F': {
        const [offset, page] = text.split(' ');
        run.flash.set(Buffer.from(page, 'base64'), Number(offset));
        break;
      }
      case 'W': {
        const [pin, high, atMs] = text.split(' ').map(Number);
        run.pins.push({ pin, high: high === 1, atMs });
        break;
      }
      case 'M':
        run.variables = Number(text);
        break;
      case 'X': {
        const [what, stack] = text.split(/ (?=\S+$)/);
        run.output.push(`Uncaught ${what} ${stack ? Buffer.from(stack, 'base64').toString('latin1') : ''}`.trim());
        break;
      }
      case 'D':
        run.cut = text.startsWith('1');
        run.restarts = text.startsWith('2');
        run.flashOperations = Number(text.split(' ')[1]);
        ended = true;
        break;
      case 'P':
        run.output.push(text);
        break;
      default:
        run.output.push(line); // an exception of the top level, in the interpreter's words
    }
  }
  if (!ended) throw new Error(`espruino stopped before the last step: ${run.output.join(' | ')}`);
  // an exception that says so, and the interpreter's second line about it
  if (run.cut || run.restarts)
    run.output = run.output.filter((line) => !/^Uncaught (power failed|undefined)/.test(line));
  if (written.length) run.serial.push(Buffer.concat(written));
  return run;
}

/** Prelude, facts, steps; and the bundle from a file of its own, as it is. */
function programOf(options: EspruinoOptions): string {
  const { steps, seed = 1, layout = STOCK_LAYOUT, flash, storage = {}, cutAtStart } = options;
  const flashLength = bytesOf(layout);
  const { pageBytes } = layout.journal;
  const facts = {
    pinCurrent: PIN_CURRENT,
    regions: regionsOf(layout),
    pageLength: pageBytes,
    storageBytes: layout.storageBytes,
    eraseMs: ERASE_TYPICAL_MS,
    sampleMs: SAMPLE_MS,
    files: storage,
    serialNumber: (0xf0000000 + (seed & 0xffffff)).toString(16).replace(/^(.{8}).*/, '$1-0001'),
    seed: seed | 0 || 1,
    armed: cutAtStart ? armOf(cutAtStart) : null,
  };
  const pages = [];
  if (flash) {
    for (let at = 0; at < flashLength; at += pageBytes) {
      const page = flash.subarray(at, at + pageBytes);
      if (page.some((byte) => byte !== 0xff)) pages.push(`$.page(${at},"${Buffer.from(page).toString('base64')}");`);
    }
  }
  const list: { wave?: object }[] = steps.map((step) => ({
    ...(step.mains && { wave: codesOf(step.mains, options.chip) }),
    ...(step.receive && { receive: Buffer.from(step.receive).toString('base64') }),
    ...(step.arm && { arm: armOf(step.arm) }),
    ...(step.toMs !== undefined && { toMs: step.toMs }),
  }));
  return [
    prelude,
    `$.setup(${JSON.stringify(facts)});`,
    `$.attach(${UART_GATEWAY.port},$.gateway);$.attach(${UART_MODEM.port},$.port());`,
    ...pages,
    // whatever the firmware measures while it starts sees the first step's mains already
    `$.wave(${JSON.stringify(list[0]?.wave ?? NO_SENSORS)});`,
    `$.steps=${JSON.stringify(list)};`,
    // the console's own print stays for the marks; the firmware's goes out marked too
    `$.print=print;$.say=function(kind,text){$.print(${JSON.stringify(MARK)}+kind+text)};`,
    `global.print=function(){$.say("P",[].slice.call(arguments).join(" "))};`,
    // As text in a timer a part of the bundle runs in the global scope, and what its top level throws does not end the interpreter.
    ...partsOf(options.bundle).map((_, n) => {
      const text = `require("fs").readFileSync("${partFile(n)}")`;
      if (options.codeIn !== 'flash') return `$.realTimeout(${text},1);`;
      return `$.realStorage.write("fw${n}",${text});$.realTimeout($.realStorage.read("fw${n}"),1);`;
    }),
    // rounds of the idle loop later, in which a boot loader's program runs, and it tells what nobody caught
    '$.realTimeout(function(){$.realTimeout(function(){$.realTimeout(function(){$.go($.steps)},1)},1)},1);',
    '',
  ].join('\n');
}

const bytesOf = (layout: FlashLayout) => regionsOf(layout).reduce((sum, { length }) => sum + length, 0);

const armOf = (cut: PowerCut & { afterFlashOperations: number }) => ({
  after: cut.afterFlashOperations,
  kind: cut.kind,
  words: cut.kind === 'nothing' ? 0 : cut.words,
});

/** Codes along the wave as the chip reads them: its sensors, curve and INL, but neither noise nor jitter. */
function codesOf(mains: MainsWave, chip: AdcChip | undefined) {
  const pointsPerMs = (POINTS * mains.frequencyHz) / mains.cycles / 1000;
  if (!chip) return NO_SENSORS;
  const codes = (channel: number) => {
    const quiet = createAdcModel({ ...chip, noiseLsb: 0, jitterS: 0, lateShare: 0 }, 1);
    quiet.setMains(mains.frequencyHz, mains.cycles, mains.voltageV, mains.currentA);
    return Array.from({ length: POINTS }, (_, n) => {
      const seconds = n / pointsPerMs / 1000;
      quiet.sample(1 - channel, seconds); // what the multiplexer held before
      return quiet.sample(channel, seconds);
    });
  };
  return { pointsPerMs, voltage: codes(0), current: codes(1) };
}
