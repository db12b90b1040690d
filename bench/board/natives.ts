/**
 * What the ESP32 does under Espruino: time, timers, ADC, serial ports, Storage, console.
 *
 * `boardNatives` is never called on this side. Its source text is evaluated inside the board's own realm (realm.ts), so it
 * must not close over anything: everything it knows comes in as numbers and strings, and everything that firmware can reach
 * was made in there. Nothing of the host is in reach, and each board's functions are compiled and optimised for that board
 * alone (shared host functions halve the speed from ten boards on).
 *
 * Where real Espruino 2v29 and this file differ, this file is wrong.
 */
import type { AdcChip, AdcModel } from './adc-model.ts';
import type { FlashConfig, FlashControls } from './natives-flash.ts';
import type { LanguageControls } from './natives-language.ts';

/** Facts the host hands in, as JSON. */
export interface NativesConfig {
  flash: FlashConfig;
  /** Files of Storage, by name, and how large Storage is. */
  storage: Record<string, string>;
  storageBytes: number;
  /** 32 bits: the ADC's noise, torn flash words, the hardware's random word, how serial bytes are chopped. */
  seed: number;
  /** Hex digits with dashes, as getSerial() gives them. */
  serialNumber: string;
  /** null: no sensors, the ADC reads half of its range. */
  chip: AdcChip | null;
  /** Voltage and current of each phase. */
  phasePins: [voltage: number, current: number][];
}

/** What the host holds of a board. Only numbers and strings are ever passed in. */
export interface BoardControls {
  /** Runs every timer due at or before `toMs` (since power-on), then stands at `toMs`. */
  advance(toMs: number): void;
  nowMs(): number;
  /** Bytes (latin-1) that arrived at a port. */
  receive(port: string, bytes: string): void;
  /** What was written to a port since the last call (latin-1). */
  take(port: string): string;
  /** Lines on the console since the last call, joined by newlines; undefined where there are none. */
  takeConsole(): string | undefined;
  /** Storage's files as JSON, where one was written since the start. */
  storage(): string | undefined;
  /** What the firmware drives a pin to: 0 or 1. */
  level(pin: number): number;
  /** False once power has failed, or the chip restarts. */
  alive(): boolean;
  /** Whether the chip restarts: E.reboot() was called, or nobody has kicked the watchdog. */
  restarts(): boolean;
  /** A program in flash that is to run now, in the global scope; undefined where none is. `advance` stops for it. */
  takeProgram(): string | undefined;
  /** Power fails now. */
  cut(): void;
  flash: FlashControls;
  /** Two arrays of the realm for the host to write the mains' wave into, volts and amps. */
  wave(points: number): { voltageV: Float64Array; currentA: Float64Array };
  /** What is in them is what a phase's sensors see from now on. */
  connect(frequencyHz: number, cycles: number, phase: number): void;
}

export function boardNatives(
  configJson: string,
  parts: {
    createAdcModel(chip: AdcChip, seed: number): AdcModel;
    flashNatives(
      config: FlashConfig,
      power: { need(): void; fail(): Error; wait(ms: number): void },
      random: () => number,
    ): FlashControls;
    languageNatives(onUnhandled: (reason: unknown) => void): LanguageControls;
    cryptoNatives(complain: (line: string) => void): object;
  },
): BoardControls {
  const config = JSON.parse(configJson) as NativesConfig;
  const world = globalThis as unknown as Record<string, unknown>;
  const show = (name: string, value: unknown) => {
    Object.defineProperty(world, name, { value, writable: true, enumerable: false, configurable: true });
  };
  const { floor, imul } = Math;
  const hasOwn = Object.hasOwn;

  // --- a generator of the board's own (mulberry32), for what is random in its hardware
  let state = config.seed | 0;
  const randomWord = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), 1 | state);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const random = () => randomWord() / 4294967296;

  // --- power
  let powered = true;
  class PowerFailure extends Error {}
  /** Firmware may catch it and gains nothing: whatever it calls next throws again, no timer runs, and RAM is gone. */
  const fail = () => {
    powered = false;
    return new PowerFailure('power failed');
  };
  const need = () => {
    if (!powered) throw fail();
  };

  // --- restarts: the power stays on, RAM is gone all the same
  let restarting = false;
  const restart = () => {
    restarting = true;
    return fail();
  };
  let watchdogMs = 0;
  let kickedAtMs = 0;

  // --- time
  let nowMs = 0;
  let clockOffsetMs = 0;
  show('getTime', () => floor((nowMs + clockOffsetMs) * 1000) / 1e6); // the port counts µs
  show('setTime', (seconds: number) => {
    clockOffsetMs = seconds * 1000 - nowMs;
  });

  type Callback = (...args: unknown[]) => void;
  interface Timer {
    id: number;
    dueMs: number;
    /** 0: once. */
    intervalMs: number;
    /** A text is a program, run in the global scope. */
    callback: Callback | string;
    args: unknown[];
  }
  const timers: Timer[] = [];
  let nextTimer = 1;
  /** Texts that lie in flash: only those may be run. What firmware makes up never becomes code. */
  const programs: string[] = [];
  const fromFlash = (text: string) => {
    if (programs.push(text) > 100) programs.shift();
    return text;
  };
  const addTimer = (callback: Callback | string, ms: number, repeat: boolean, args: unknown[]) => {
    need();
    if (typeof callback !== 'function' && programs.indexOf(callback) < 0)
      throw new Error('Function or String not supplied!');
    const delayMs = ms >= 1 ? +ms : 1; // the shortest there is
    timers.push({ id: nextTimer, dueMs: nowMs + delayMs, intervalMs: repeat ? delayMs : 0, callback, args });
    return nextTimer++;
  };
  show('setTimeout', (f: Callback, ms: number, ...args: unknown[]) => addTimer(f, ms, false, args));
  show('setInterval', (f: Callback, ms: number, ...args: unknown[]) => addTimer(f, ms, true, args));
  const clear = (id: number) => {
    for (let i = 0; i < timers.length; i++) if (timers[i].id === id) timers.splice(i, 1);
  };
  show('clearTimeout', clear);
  show('clearInterval', clear);
  show('changeInterval', (id: number, ms: number) => {
    for (const timer of timers) {
      if (timer.id !== id) continue;
      timer.intervalMs = ms >= 1 ? +ms : 1;
      timer.dueMs = nowMs + timer.intervalMs;
    }
  });

  // --- ADC: a conversion takes its time, and the board's clock sees it
  const { chip, phasePins } = config;
  const adcs = chip ? phasePins.map((_, phase) => parts.createAdcModel(chip, config.seed + phase)) : null;
  const phaseOf = new Int8Array(40).fill(-1);
  const channelOf = new Uint8Array(40);
  phasePins.forEach((pins, phase) => {
    pins.forEach((pin, channel) => {
      phaseOf[pin] = phase;
      channelOf[pin] = channel;
    });
  });
  show('analogRead', (pin: number) => {
    if (adcs === null) {
      nowMs += 0.08;
      return 0.5;
    }
    const phase = phaseOf[pin];
    if (!(phase >= 0)) return 0;
    const adc = adcs[phase];
    const code = adc.sample(channelOf[pin], nowMs / 1000);
    nowMs += adc.lastStepS() * 1000;
    return code / 4096;
  });
  let voltageV = new Float64Array(0);
  let currentA = new Float64Array(0);

  // --- pins and registers
  const levels = new Uint8Array(40); // all low at reset
  show('digitalWrite', (pin: number, value: number | boolean) => {
    need();
    levels[pin] = +value & 1;
  });
  show('digitalRead', (pin: number) => levels[pin]);
  show('digitalPulse', () => undefined);
  show('pinMode', () => undefined);
  show('peek32', (address: number) => (address === 0x3ff75144 ? randomWord() : 0)); // the hardware's random word
  show('getSerial', () => config.serialNumber);

  // --- the port's randomness: one generator (George Marsaglia's multiply-with-carry) with a fixed seed, as it is
  let z = 0xcafebabe;
  let w = 0xdeadbeef;
  const weakRandom = () => {
    z = (imul(36969, z & 65535) + (z >>> 16)) >>> 0;
    w = (imul(18000, w & 65535) + (w >>> 16)) >>> 0;
    return ((z << 16) + w) & 0x7fffffff;
  };
  Math.random = () => weakRandom() / 2147483648;
  const E = world.E as {
    toString(d: unknown): string;
    hwRand(): number;
    memoryArea(address: number, length: number): string;
    reboot(): void;
    enableWatchdog(seconds: number): void;
    kickWatchdog(): void;
  };
  E.hwRand = weakRandom;
  E.memoryArea = (address, length) => fromFlash(flash.text(address, length));
  E.reboot = () => {
    need();
    throw restart();
  };
  E.enableWatchdog = (seconds) => {
    watchdogMs = seconds * 1000;
    kickedAtMs = nowMs;
  };
  E.kickWatchdog = () => {
    kickedAtMs = nowMs;
  };

  // --- serial ports
  class Serial {
    written = '';
    arrived = '';
    listeners: Callback[] = [];
    setup() {}
    unsetup() {}
    on(event: string, listener: Callback) {
      if (event === 'data') this.listeners.push(listener);
    }
    removeAllListeners() {
      this.listeners = [];
    }
    write(...data: unknown[]) {
      need();
      for (let i = 0; i < data.length; i++) {
        const d = data[i];
        this.written += typeof d === 'string' ? d : E.toString(d);
      }
    }
    print(text: unknown) {
      this.write(String(text));
    }
    println(text: unknown) {
      this.write(`${text}\r\n`);
    }
    flush() {}
  }
  const ports: Record<string, Serial> = { Serial1: new Serial(), Serial2: new Serial(), Serial3: new Serial() };
  const portList = [ports.Serial1, ports.Serial2, ports.Serial3];
  for (const name in ports) show(name, ports[name]);

  // --- console
  let lines: string[] = [];
  const print = (...values: unknown[]) => {
    need();
    lines.push(values.map((v) => (typeof v === 'object' && v !== null ? JSON.stringify(v) : String(v))).join(' '));
  };
  show('print', print);
  show('console', { log: print });
  const uncaught = (e: unknown) => {
    if (powered) lines.push(`Uncaught ${(e as Error)?.stack ?? e}`);
  };

  // --- modules. Storage holds what was put there when the meter was commissioned; firmware writes whole files only.
  const files = config.storage;
  let written = false;
  const Storage = {
    read(name: string, offset?: number, length?: number) {
      if (!hasOwn(files, name)) return undefined;
      return fromFlash(files[name].slice(offset || 0, length ? (offset || 0) + length : undefined));
    },
    readJSON(name: string, noExceptions?: boolean) {
      if (!hasOwn(files, name)) return undefined;
      try {
        return JSON.parse(files[name]);
      } catch (e) {
        if (noExceptions) return undefined;
        throw e;
      }
    },
    write(name: string, data: Uint8Array | string) {
      need();
      let text = '';
      for (let i = 0; i < data.length; i++) text += typeof data === 'string' ? data[i] : String.fromCharCode(data[i]);
      files[name] = text;
      written = true;
      return true;
    },
    list: () => Object.keys(files).sort(),
    getStats: () => ({ totalBytes: config.storageBytes }),
  };
  const wait = (ms: number) => {
    nowMs += ms;
  };
  const flash = parts.flashNatives(config.flash, { need, fail, wait }, random);
  const modules: Record<string, unknown> = { Flash: flash.module, Storage, crypto: parts.cryptoNatives(print) };
  show('require', (name: string) => {
    if (!hasOwn(modules, name)) throw new Error(`Module ${name} not found`);
    return modules[name];
  });
  show('Modules', {
    addCached(name: string, module: unknown) {
      const exports = {};
      if (typeof module === 'function') module.call(exports, exports);
      modules[name] = typeof module === 'function' ? exports : module;
    },
  });
  show('process', { version: '2v29', memory: () => ({ free: 8000, usage: 8383, total: 16383 }) });

  // --- the idle loop
  let program: string | undefined;
  const { runJobs } = parts.languageNatives((reason) => uncaught(`Unhandled promise rejection: ${reason}`));
  const deliver = () => {
    for (let p = 0; p < portList.length; p++) {
      const port = portList[p];
      while (port.arrived !== '' && powered) {
        // the interrupt hands over what it has, which is rarely a whole frame
        const length = 1 + (randomWord() & 63);
        const data = port.arrived.slice(0, length);
        port.arrived = port.arrived.slice(length);
        for (const listener of port.listeners) {
          try {
            listener(data);
          } catch (e) {
            uncaught(e);
          }
        }
        runJobs();
      }
    }
  };
  const runTimers = (toMs: number) => {
    while (powered) {
      let next: Timer | null = null;
      for (let i = 0; i < timers.length; i++) {
        if (next === null || timers[i].dueMs < next.dueMs) next = timers[i];
      }
      const untilMs = next === null || next.dueMs > toMs ? toMs : next.dueMs;
      if (watchdogMs > 0 && untilMs > kickedAtMs + watchdogMs) {
        if (nowMs < kickedAtMs + watchdogMs) nowMs = kickedAtMs + watchdogMs;
        restart();
        return;
      }
      if (next === null || next.dueMs > toMs) return;
      if (nowMs < next.dueMs) nowMs = next.dueMs;
      const { callback, args } = next;
      if (typeof callback === 'string') {
        program = callback;
        clear(next.id);
        return;
      }
      try {
        if (args.length === 0) callback();
        else callback(...args);
      } catch (e) {
        uncaught(e);
      }
      // an interval that is late catches up: its dues stay where they were
      if (next.intervalMs > 0) next.dueMs += next.intervalMs;
      else clear(next.id);
      runJobs();
    }
  };

  return {
    advance(toMs) {
      runJobs();
      deliver();
      runTimers(toMs);
      if (nowMs < toMs && powered && program === undefined) nowMs = toMs;
    },
    nowMs: () => nowMs,
    restarts: () => restarting,
    takeProgram() {
      const taken = program;
      program = undefined;
      return taken;
    },
    receive(port, bytes) {
      if (powered) ports[port].arrived += bytes;
    },
    take(port) {
      const { written } = ports[port];
      ports[port].written = '';
      return written;
    },
    takeConsole() {
      if (lines.length === 0) return undefined;
      const taken = lines.join('\n');
      lines = [];
      return taken;
    },
    storage: () => (written ? JSON.stringify(files) : undefined),
    level: (pin) => levels[pin],
    alive: () => powered,
    cut() {
      powered = false;
    },
    flash,
    wave(points) {
      if (voltageV.length !== points) {
        voltageV = new Float64Array(points);
        currentA = new Float64Array(points);
      }
      return { voltageV, currentA };
    },
    connect(frequencyHz, cycles, phase) {
      adcs?.[phase].setMains(frequencyHz, cycles, voltageV, currentA);
    },
  };
}
