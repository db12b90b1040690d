import vm from 'node:vm';
import { Realm } from './realm.ts';

/** TEMPORARY twin of H2's types until bench/board/adc-model.ts exists. */
interface MainsWave {
  frequencyHz: number;
  voltageV: Float64Array;
  currentA: Float64Array;
  cycles: number;
}

/** The five ways in which power fails; `restart()` after any of them finds whatever the flash then holds. */
export type PowerCut =
  | { kind: 'nothing' } // before the operation has touched anything
  | { kind: 'words'; words: number } // after so many whole words of a write
  | { kind: 'torn'; words: number } // after so many words, and the next one has only some of its bits
  | { kind: 'erase'; words: number } // so many words of the page are erased
  | { kind: 'noise' }; // an erase broken off: every bit of the page is anything

export interface BoardOptions {
  /** The firmware, as `buildFirmware` returns it. */
  bundle: string;
  seed: number;
  chip?: unknown;
  flash?: Uint8Array;
  storage?: Record<string, string>;
  /** Host time (Unix ms) at which the board is first powered. */
  startMs: number;
  /** How much faster than the host's clock the board's crystal runs, in millionths. */
  driftPpm?: number;
}

const scripts = new Map<string, vm.Script>();
const scriptOf = (bundle: string) => {
  let script = scripts.get(bundle);
  if (!script) {
    script = new vm.Script(bundle, { filename: 'firmware.js' });
    scripts.set(bundle, script);
  }
  return script;
};

const FLASH = { address: 0x310000, length: 0x10000, pageLength: 0x1000 };

export class VirtualBoard {
  readonly output: string[] = [];
  readonly #options: BoardOptions;
  #realm: Realm | null = null;
  #flash: Uint8Array;
  #startedAtMs: number;
  #hostMs: number;
  #starts = 0;
  #operationsBefore = 0;
  #mains: MainsWave | null = null;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#hostMs = options.startMs;
    this.#startedAtMs = options.startMs;
    this.#flash = options.flash ? Uint8Array.from(options.flash) : new Uint8Array(FLASH.length).fill(0xff);
  }

  /** Power on: RAM is empty, the flash is as the last run left it, uptime and clock start at 0. */
  start(): void {
    if (this.#realm) this.#powerOff();
    this.#starts++;
    this.#startedAtMs = this.#hostMs;
    const realm = new Realm({
      flash: FLASH,
      storage: this.#options.storage ?? {},
      seed: (this.#options.seed * 7919 + this.#starts * 104729) | 0,
      sampleSpacingMs: 0.055,
      sampleJitterMs: 0.002,
      eraseMs: 45,
    });
    this.#realm = realm;
    Uint8Array.prototype.set.call(realm.controls.flash, this.#flash);
    this.#connectMains();
    try {
      realm.run(scriptOf(this.#options.bundle));
    } catch (e) {
      if (realm.controls.alive()) throw e;
    }
    this.#collect();
  }

  /** Moves the board to the host's instant `unixMs`, running whatever is due on the way. */
  advanceTo(unixMs: number): void {
    this.#hostMs = unixMs;
    if (!this.#realm) return;
    const elapsedMs = unixMs - this.#startedAtMs;
    this.#realm.controls.advance(elapsedMs * (1 + (this.#options.driftPpm ?? 0) * 1e-6));
    this.#collect();
  }

  setMains(mains: MainsWave): void {
    this.#mains = mains;
    this.#connectMains();
  }

  receive(bytes: Uint8Array): void {
    this.#realm?.controls.receive(
      'Serial2',
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'),
    );
  }

  take(): Uint8Array {
    return this.#realm ? Buffer.from(this.#realm.controls.take('Serial2'), 'latin1') : new Uint8Array(0);
  }

  cut(): void {
    this.#realm?.controls.cut();
    this.#powerOff();
  }

  armCut(cut: PowerCut & { afterFlashOperations: number }): void {
    this.#realm?.controls.arm(cut.afterFlashOperations, cut.kind, 'words' in cut ? cut.words : 0);
  }

  get flash(): Uint8Array {
    return this.#realm ? Uint8Array.from(this.#realm.controls.flash) : this.#flash;
  }
  get running(): boolean {
    return this.#realm?.controls.alive() ?? false;
  }
  get flashOperations(): number {
    return this.#operationsBefore + (this.#realm?.controls.flashOperations() ?? 0);
  }

  #collect(): void {
    const { controls } = this.#realm!;
    const lines = controls.takeConsole();
    for (let i = 0; i < lines.length; i++) this.output.push(String(lines[i]));
    const error = controls.takeError();
    if (error !== null) this.output.push(`Uncaught ${error}`);
    if (!controls.alive()) this.#powerOff();
  }

  #powerOff(): void {
    if (!this.#realm) return;
    this.#flash = Uint8Array.from(this.#realm.controls.flash);
    this.#operationsBefore += this.#realm.controls.flashOperations();
    this.#realm = null;
  }

  #connectMains(): void {
    void this.#mains;
  }
}
