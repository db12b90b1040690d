/**
 * What the ESP32 does under Espruino: time, timers, ADC, serial ports, flash, Storage, console.
 *
 * `boardNatives` is never called on this side. Its source text is evaluated inside the board's own realm
 * (bench/board/realm.ts), so it must not close over anything: everything it knows comes in as numbers and strings, and
 * everything that firmware can reach was made in there. Nothing of the host is in reach, and each board's functions are
 * compiled and optimised for that board alone (shared host functions halve the speed from ten boards on).
 *
 * Where real Espruino 2v29 and this file differ, this file is wrong.
 */

/** Facts the host hands in, as JSON. */
export interface NativesConfig {
  /** Raw flash that the firmware may use. */
  flash: { address: number; length: number; pageLength: number };
  /** Files of Storage, by name. */
  storage: Record<string, string>;
  /** 32-bit seed of what is random on this board: jitter, torn flash words. */
  seed: number;
  /** One conversion by `pins.map(analogRead)`, ms, and the standard deviation of its length. */
  sampleSpacingMs: number;
  sampleJitterMs: number;
  /** How long the chip is busy erasing a page, ms. */
  eraseMs: number;
}

/** What the host holds of a board. Only numbers and strings are ever passed in. */
export interface BoardControls {
  /** Runs every timer due at or before `toMs` (ms since power-on), then stands at `toMs`. */
  advance(toMs: number): void;
  /** Ms since power-on. */
  nowMs(): number;
  /** Bytes (latin-1) that arrived at a port. */
  receive(port: string, bytes: string): void;
  /** What was written to a port since the last call (latin-1). */
  take(port: string): string;
  /** Lines on the console since the last call. */
  takeConsole(): string[];
  /** The raw flash, live. */
  flash: Uint8Array;
  flashOperations(): number;
  /**
   * Power will fail in the flash operation after `after` more have been done.
   * `words`: how many words of it still get written (or, of an erase, bytes of the page erased).
   */
  arm(after: number, kind: string, words: number): void;
  /** Power fails now: nothing runs any more. */
  cut(): void;
  alive(): boolean;
  /** `null`, or what an uncaught exception said. */
  takeError(): string | null;
  /** Replaces the ADC: a function of the realm from GPIO number and time in s to a code 0…4095. */
  setAdc(read: unknown): void;
}

export function boardNatives(configJson: string): BoardControls {
  const config = JSON.parse(configJson) as NativesConfig;
  const world = globalThis as unknown as Record<string, unknown>;
  const show = (name: string, value: unknown) => {
    Object.defineProperty(world, name, { value, writable: true, enumerable: false, configurable: true });
  };

  // --- a generator of our own (mulberry32): jitter and torn bits, never what firmware takes for random
  let state = config.seed | 0;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  // --- power
  let powered = true;
  /** Firmware may catch what is thrown here; it gains nothing: whatever it calls next throws again, and RAM is gone. */
  const dead = () => {
    powered = false;
    return new InternalStop('power cut');
  };
  class InternalStop extends Error {}
  const needPower = () => {
    if (!powered) throw dead();
  };

  // --- time
  let nowMs = 0;
  let clockOffsetMs = 0;
  show('getTime', () => Math.floor((nowMs + clockOffsetMs) * 1000) / 1e6); // the port counts µs
  show('setTime', (seconds: number) => {
    clockOffsetMs = seconds * 1000 - nowMs;
  });
  class Timer {
    id: number;
    dueMs: number;
    intervalMs: number;
    callback: (...a: unknown[]) => void;
    args: unknown[] | null;
    constructor(
      id: number,
      dueMs: number,
      intervalMs: number,
      callback: (...a: unknown[]) => void,
      args: unknown[] | null,
    ) {
      this.id = id;
      this.dueMs = dueMs;
      this.intervalMs = intervalMs;
      this.callback = callback;
      this.args = args;
    }
  }
  const timers: Timer[] = [];
  let nextTimer = 1;
  const addTimer = (callback: (...a: unknown[]) => void, ms: number, repeat: boolean, args: unknown[]) => {
    needPower();
    if (typeof callback !== 'function') throw new Error('Function or String not supplied!');
    let delayMs = Number(ms);
    if (!(delayMs >= 1)) delayMs = 1; // TIMER_MIN_INTERVAL
    const timer = new Timer(nextTimer++, nowMs + delayMs, repeat ? delayMs : 0, callback, args.length ? args : null);
    timers.push(timer);
    return timer.id;
  };
  show('setTimeout', (f: () => void, ms: number, ...args: unknown[]) => addTimer(f, ms, false, args));
  show('setInterval', (f: () => void, ms: number, ...args: unknown[]) => addTimer(f, ms, true, args));
  const clear = (id: number) => {
    if (id === undefined) timers.length = 0;
    for (let i = 0; i < timers.length; i++) if (timers[i].id === id) timers.splice(i, 1);
  };
  show('clearTimeout', clear);
  show('clearInterval', clear);
  show('changeInterval', (id: number, ms: number) => {
    for (const timer of timers) {
      if (timer.id === id) {
        timer.intervalMs = ms;
        timer.dueMs = nowMs + ms;
      }
    }
  });

  // --- ADC
  let adc: (pin: number, seconds: number) => number = () => 2048;
  const spacingMs = config.sampleSpacingMs;
  const jitterMs = config.sampleJitterMs;
  const analogRead = (pin: number) => {
    // the sum of two uniform numbers is near enough to a bell for the timing of an interpreter's loop
    nowMs += spacingMs + (jitterMs ? (random() + random() - 1) * jitterMs * 2.45 : 0);
    return adc(pin, nowMs / 1000) / 4096;
  };
  show('analogRead', analogRead);

  // --- pins
  show('digitalWrite', () => undefined);
  show('digitalRead', () => 0);
  show('digitalPulse', () => undefined);
  show('pinMode', () => undefined);

  // --- serial ports
  class Serial {
    written = '';
    waiting: string[] = [];
    listeners: ((data: string) => void)[] = [];
    setup() {}
    unsetup() {}
    on(event: string, listener: (data: string) => void) {
      if (event === 'data') this.listeners.push(listener);
    }
    removeAllListeners() {
      this.listeners = [];
    }
    write(...data: unknown[]) {
      needPower();
      for (const d of data) this.written += typeof d === 'string' ? d : E.toString(d);
    }
    print(text: unknown) {
      needPower();
      this.written += text;
    }
    println(text: unknown) {
      needPower();
      this.written += `${text}\r\n`;
    }
    flush() {}
  }
  const E = world.E as { toString(d: unknown): string };
  const ports: Record<string, Serial> = {};
  for (const name of ['Serial1', 'Serial2', 'Serial3']) {
    ports[name] = new Serial();
    show(name, ports[name]);
  }

  // --- console
  let lines: string[] = [];
  const print = (...values: unknown[]) => {
    needPower();
    lines.push(values.map((v) => (typeof v === 'object' ? JSON.stringify(v) : String(v))).join(' '));
  };
  show('print', print);
  show('console', { log: print, debug: print, info: print, warn: print, error: print });

  // --- flash: pages erase to ones, a write only clears bits, the chip writes whole words
  const image = new Uint8Array(config.flash.length).fill(0xff);
  const base = config.flash.address;
  const pageLength = config.flash.pageLength;
  let operations = 0;
  let armedAfter = -1;
  let armedKind = '';
  let armedWords = 0;
  /** Counts an operation; true where power fails in it. */
  const failsNow = () => {
    needPower();
    operations++;
    if (armedAfter < 0) return false;
    if (armedAfter-- > 0) return false;
    return true;
  };
  const inRegion = (address: number, length: number) => address >= base && address + length <= base + image.length;
  const writeBytes = (bytes: Uint8Array, address: number) => {
    if (!inRegion(address, bytes.length)) throw new Error('Flash write outside of the region that is wired up');
    const fails = failsNow();
    let length = bytes.length;
    if (fails) length = armedKind === 'nothing' ? 0 : Math.min(length, armedWords * 4);
    const at = address - base;
    for (let i = 0; i < length; i++) image[at + i] &= bytes[i];
    if (fails) {
      if (armedKind === 'torn') {
        for (let i = length; i < Math.min(length + 4, bytes.length); i++)
          image[at + i] &= bytes[i] | Math.floor(random() * 256);
      }
      throw dead();
    }
  };
  const toBytes = (data: unknown) =>
    E && typeof data === 'string'
      ? Uint8Array.from(data, (c) => c.charCodeAt(0))
      : typeof data === 'number'
        ? Uint8Array.of(data)
        : data instanceof ArrayBuffer
          ? new Uint8Array(data)
          : ArrayBuffer.isView(data)
            ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
            : Uint8Array.from(data as number[]);
  const Flash = {
    getPage(address: number) {
      if (!inRegion(address, 1)) return undefined;
      return { addr: address - ((address - base) % pageLength), length: pageLength };
    },
    /** As the port answers, which is wrong: one range lies inside Storage, one overlaps nvs. */
    getFree: () => [
      { addr: 0xe000, length: 0x2000 },
      { addr: 0x310000, length: 0x10000 },
      { addr: 0x360000, length: 0xa0000 },
    ],
    erasePage(address: number) {
      if (!inRegion(address, 1)) throw new Error('Flash erase outside of the region that is wired up');
      const page = address - base - ((address - base) % pageLength);
      if (failsNow()) {
        if (armedKind !== 'nothing') {
          const done = armedKind === 'torn' ? pageLength : Math.min(armedWords * 4, pageLength);
          for (let i = 0; i < done; i++) image[page + i] |= armedKind === 'torn' ? Math.floor(random() * 256) : 0xff;
        }
        throw dead();
      }
      image.fill(0xff, page, page + pageLength);
      nowMs += config.eraseMs;
    },
    read(length: number, address: number) {
      needPower();
      if (length <= 0) return undefined;
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) out[i] = inRegion(address + i, 1) ? image[address - base + i] : 0xff;
      return out;
    },
    write(data: unknown, address: number) {
      const bytes = toBytes(data);
      if (!bytes.length) return;
      // unaligned ends are read, merged and written as words of their own: up to three operations
      const head = Math.min((4 - (address & 3)) & 3, bytes.length);
      const word = (part: Uint8Array, at: number) => {
        const start = at & ~3;
        const whole = new Uint8Array(4);
        for (let i = 0; i < 4; i++) whole[i] = image[start - base + i];
        whole.set(part, at - start);
        writeBytes(whole, start);
      };
      if (head) word(bytes.subarray(0, head), address);
      const tail = (bytes.length - head) & 3;
      const middle = bytes.length - head - tail;
      if (middle) writeBytes(bytes.subarray(head, head + middle), address + head);
      if (tail) word(bytes.subarray(head + middle), address + head + middle);
    },
  };

  // --- Storage: files put there by whoever commissions the meter; firmware only reads
  const files = config.storage;
  const Storage = {
    read(name: string, offset?: number, length?: number) {
      const text = Object.hasOwn(files, name) ? files[name] : undefined;
      if (text === undefined) return undefined;
      return text.slice(offset || 0, length ? (offset || 0) + length : undefined);
    },
    readJSON(name: string) {
      return Object.hasOwn(files, name) ? JSON.parse(files[name]) : undefined;
    },
    list: () => Object.keys(files).sort(),
  };

  const modules: Record<string, unknown> = { Flash, Storage };
  show('require', (name: string) => {
    if (!Object.hasOwn(modules, name)) throw new Error(`Module ${name} not found`);
    return modules[name];
  });

  // --- the idle loop
  let error: string | null = null;
  const guarded = (f: (...a: unknown[]) => void, args: unknown[] | null) => {
    try {
      if (args === null) f();
      else f(...args);
    } catch (e) {
      if (powered) error = String((e as Error)?.stack ?? e);
    }
  };
  const deliver = () => {
    for (const name in ports) {
      const port = ports[name];
      while (port.waiting.length && powered) {
        const data = port.waiting.shift();
        for (const listener of port.listeners) guarded(listener as (...a: unknown[]) => void, [data]);
      }
    }
  };
  const runDue = (toMs: number) => {
    for (;;) {
      if (!powered) return;
      let next: Timer | null = null;
      for (let i = 0; i < timers.length; i++) {
        const timer = timers[i];
        if (next === null || timer.dueMs < next.dueMs) next = timer;
      }
      if (next === null || next.dueMs > toMs) return;
      if (nowMs < next.dueMs) nowMs = next.dueMs;
      guarded(next.callback, next.args);
      // an interval that is late catches up, as in the real idle loop
      if (next.intervalMs) next.dueMs += next.intervalMs;
      else {
        const at = timers.indexOf(next);
        if (at >= 0) timers.splice(at, 1);
      }
    }
  };

  return {
    advance(toMs) {
      if (!powered) return;
      deliver();
      runDue(toMs);
      if (nowMs < toMs) nowMs = toMs;
    },
    nowMs: () => nowMs,
    receive(port, bytes) {
      if (powered && bytes.length) ports[port].waiting.push(bytes);
    },
    take(port) {
      const written = ports[port].written;
      ports[port].written = '';
      return written;
    },
    takeConsole() {
      const taken = lines;
      lines = [];
      return taken;
    },
    flash: image,
    flashOperations: () => operations,
    arm(after, kind, words) {
      armedAfter = after;
      armedKind = kind;
      armedWords = words;
    },
    cut() {
      powered = false;
    },
    alive: () => powered,
    takeError() {
      const e = error;
      error = null;
      return e;
    },
    setAdc(read) {
      adc = read as (pin: number, seconds: number) => number;
    },
  };
}
