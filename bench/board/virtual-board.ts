import { createHash } from 'node:crypto';
import vm from 'node:vm';
import { partStarts } from '../../firmware/update/parts.ts';
import { ERASE_TYPICAL_MS, type FlashLayout, STOCK_LAYOUT } from '../../hardware/flash.ts';
import { PHASE_PINS, UART_GATEWAY } from '../../hardware/pins.ts';
import type { AdcChip, MainsWave } from './adc-model.ts';
import { Realm } from './realm.ts';

/**
 * How far a flash operation has got when power fails in it (design: the five kinds of power cut).
 *
 *   nothing   it has not touched anything yet
 *   words     of a write, so many whole words are there; of an erase, so many words of the page are erased
 *   torn      the same, and the next word has only some of its bits; of an erase, the rest of the page is anything
 *
 * The fifth kind, a cut during recovery, is a cut that is armed again before `start()`.
 */
export type PowerCut = { kind: 'nothing' } | { kind: 'words' | 'torn'; words: number };

export interface BoardOptions {
  /** The firmware, as `buildFirmware` returns it. */
  bundle: string;
  /** Of everything that is random in this board. */
  seed: number;
  /** What is connected to the ADC; without it, it reads half of its range. */
  chip?: AdcChip;
  /** Which flash is ours; without it, the stock build's. */
  layout?: FlashLayout;
  /** The layout's regions, one behind the other, as an earlier board left them; erased where there is none. */
  flash?: Uint8Array;
  /** Files in Storage, such as `calibration`. */
  storage?: Record<string, string>;
  /** Host time, Unix ms, of the first `start()`. */
  startMs: number;
  /** How much faster than the host's clock the board's crystal runs, in millionths. */
  driftPpm?: number;
}

/** The regions of a layout, in the order in which `flash` holds them: journal, areas for programs, wallet. */
export const regionsOf = ({ journal, images, wallet }: FlashLayout): { address: number; length: number }[] =>
  [journal, ...images, ...(wallet ? [wallet] : [])].map(({ address, pageBytes, pageCount }) => ({
    address,
    length: pageBytes * pageCount,
  }));
/** From reset to the first line of the boot code. */
const BOOT_MS = 300;
const setBytes = Uint8Array.prototype.set;
const setFloats = Float64Array.prototype.set;

/**
 * One ESP32 under Espruino, in a realm of its own, on a clock that the host drives. The firmware's uptime and clock start
 * at 0 with every `start()`; only the flash and Storage survive.
 */
export class VirtualBoard {
  /** Lines on the console, uncaught exceptions among them, over all starts. */
  readonly output: string[] = [];
  readonly #options: BoardOptions;
  /** The bundle's parts, as the boot loader would run them. */
  readonly #scripts: vm.Script[];
  readonly #regions: { address: number; length: number }[];
  #realm: Realm | null = null;
  #flash: Uint8Array;
  #storage: Record<string, string>;
  #starts = 0;
  #hostMs: number;
  #startedAtMs: number;
  #operationsBefore = 0;
  #mains: MainsWave[] = [];
  #armed: (PowerCut & { afterFlashOperations: number }) | null = null;
  #left = ''; // what went over the serial line before power failed

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#scripts = partsOf(options.bundle).map(scriptOf);
    this.#storage = options.storage ?? {};
    this.#hostMs = options.startMs;
    this.#startedAtMs = options.startMs;
    this.#regions = regionsOf(options.layout ?? STOCK_LAYOUT);
    const bytes = this.#regions.reduce((sum, { length }) => sum + length, 0);
    this.#flash = new Uint8Array(bytes).fill(0xff);
    if (options.flash) {
      if (options.flash.length !== bytes)
        throw new RangeError(`flash: ${options.flash.length} bytes instead of ${bytes}`);
      this.#flash.set(options.flash);
    }
  }

  /** Power on (off and on, where it runs): RAM is empty, the bundle runs from its start. Throws what its top level throws. */
  start(): void {
    this.#powerOff();
    this.#starts++;
    this.#startedAtMs = this.#hostMs;
    const seed = createHash('sha256').update(`board ${this.#options.seed} ${this.#starts}`).digest().readInt32LE();
    const number = createHash('sha256').update(`number ${this.#options.seed}`).digest('hex');
    const layout = this.#options.layout ?? STOCK_LAYOUT;
    const realm = new Realm({
      flash: {
        regions: this.#regions,
        pageLength: layout.journal.pageBytes,
        eraseMs: ERASE_TYPICAL_MS,
      },
      storage: this.#storage,
      storageBytes: layout.storageBytes,
      seed,
      serialNumber: `${number.slice(0, 8)}-${number.slice(8, 12)}`,
      chip: this.#options.chip ?? null,
      phasePins: PHASE_PINS,
    });
    this.#realm = realm;
    setBytes.call(realm.controls.flash.image, this.#flash);
    this.#mains.forEach((mains, phase) => void this.setMains(mains, phase));
    if (this.#armed) this.armCut(this.#armed);
    try {
      for (const script of this.#scripts) realm.run(script);
    } catch (e) {
      if (realm.controls.alive()) {
        const place = /firmware\.js:\d+:\d+/.exec(String((e as Error)?.stack))?.[0] ?? 'firmware.js';
        throw new Error(`firmware: ${e} (${place})`);
      }
    }
    this.#afterRunning();
  }

  /** Moves to the host's instant `unixMs`, running on the way whatever is due, in order. */
  advanceTo(unixMs: number): void {
    if (unixMs < this.#hostMs) throw new RangeError(`the host's time went back from ${this.#hostMs} to ${unixMs}`);
    this.#hostMs = unixMs;
    const rate = 1 + (this.#options.driftPpm ?? 0) * 1e-6;
    while (this.#realm) {
      const realm = this.#realm;
      const { controls } = realm;
      controls.advance((unixMs - this.#startedAtMs) * rate);
      const program = controls.takeProgram();
      if (program !== undefined) this.#runProgram(realm, program);
      const restartsAtMs = controls.restarts() ? this.#startedAtMs + controls.nowMs() / rate + BOOT_MS : null;
      this.#afterRunning();
      if (restartsAtMs !== null) {
        // what happens within BOOT_MS of the instant happens at it
        this.#hostMs = Math.min(unixMs, restartsAtMs);
        this.start();
        this.#hostMs = unixMs;
      } else if (program === undefined) return;
    }
  }

  /** From flash, in the global scope; what its top level throws nobody catches. */
  #runProgram(realm: Realm, program: string): void {
    try {
      realm.run(scriptOf(program));
    } catch (e) {
      if (realm.controls.alive()) this.output.push(`Uncaught ${(e as Error)?.stack ?? e}`);
    }
  }

  /** What a phase's sensors see from now on; the arrays are copied. */
  setMains(mains: MainsWave, phase = 0): void {
    this.#mains[phase] = mains;
    const controls = this.#realm?.controls;
    if (!controls) return;
    // copied into arrays of the realm by functions of the host: neither side sees the other's objects
    const wave = controls.wave(mains.voltageV.length);
    setFloats.call(wave.voltageV, mains.voltageV);
    setFloats.call(wave.currentA, mains.currentA);
    controls.connect(mains.frequencyHz, mains.cycles, phase);
  }

  /** Bytes from the gateway; the firmware gets them, in pieces, at the next `advanceTo`. */
  receive(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    this.#realm?.controls.receive(UART_GATEWAY.port, text);
  }

  /** Bytes for the gateway since the last call. */
  take(): Uint8Array {
    const text = this.#left + (this.#realm?.controls.take(UART_GATEWAY.port) ?? '');
    this.#left = '';
    return Buffer.from(text, 'latin1');
  }

  /** Power fails now, between two flash operations. */
  cut(): void {
    this.#realm?.controls.cut();
    this.#powerOff();
  }

  /** Power will fail in the flash operation after so many more. Before `start()`: counted from the start. */
  armCut(cut: PowerCut & { afterFlashOperations: number }): void {
    this.#armed = this.#realm ? null : cut;
    this.#realm?.controls.flash.arm(cut.afterFlashOperations, cut.kind, cut.kind === 'nothing' ? 0 : cut.words);
  }

  /** The layout's regions as they are now (a copy). */
  get flash(): Uint8Array {
    return Uint8Array.from(this.#realm ? this.#realm.controls.flash.image : this.#flash);
  }
  /** Storage's files as they are now. */
  get storage(): Record<string, string> {
    if (this.#realm) this.#keepStorage(this.#realm.controls);
    return { ...this.#storage };
  }
  /** A file as somebody with the console writes it, while the firmware does not run. */
  putFile(name: string, text: string): void {
    if (this.#realm) throw new Error('the board runs');
    this.#storage = { ...this.#storage, [name]: text };
  }
  /** False before `start()` and after power has failed. */
  get running(): boolean {
    return this.#realm !== null;
  }
  /** Whether the firmware drives this pin high now; low without power. */
  isHigh(pin: number): boolean {
    return this.#realm?.controls.level(pin) === 1;
  }
  /** Words are not counted: a write is one operation (three where it is not aligned), an erase is one. */
  get flashOperations(): number {
    return this.#operationsBefore + (this.#realm?.controls.flash.operations() ?? 0);
  }

  #afterRunning(): void {
    const { controls } = this.#realm!;
    const lines = controls.takeConsole();
    if (lines !== undefined) this.output.push(...lines.split('\n'));
    if (!controls.alive()) this.#powerOff();
  }

  #keepStorage(controls: { storage(): string | undefined }): void {
    const files = controls.storage();
    if (files !== undefined) this.#storage = JSON.parse(files);
  }

  #powerOff(): void {
    const controls = this.#realm?.controls;
    if (!controls) return;
    this.#left += controls.take(UART_GATEWAY.port);
    setBytes.call(this.#flash, controls.flash.image);
    this.#keepStorage(controls);
    this.#operationsBefore += controls.flash.operations();
    this.#realm = null;
  }
}

const scripts = new Map<string, vm.Script>();

/** The texts that a program is run as, one after the other (firmware/update/parts.ts). */
export function partsOf(program: string): string[] {
  const starts = partStarts(program);
  return starts.map((start, n) => program.slice(start, starts[n + 1]));
}

/** Compiled once for all boards that run the same bundle. */
function scriptOf(bundle: string): vm.Script {
  let script = scripts.get(bundle);
  if (!script) {
    // its rejection would be an object of the host
    if (/\bimport\s*[(.]/.test(bundle)) throw new SyntaxError('firmware: import() is not for the meter');
    script = new vm.Script(bundle, { filename: 'firmware.js' });
    scripts.set(bundle, script);
  }
  return script;
}
