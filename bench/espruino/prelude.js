// Put in front of the unchanged bundle on real Espruino for Linux, this makes the interpreter believe it is on the
// ESP32: clock, timers, ADC, serial port to the gateway, raw flash and Storage are replaced; the language and everything
// else (E, typed arrays, btoa …) are the real ones. What leaves the board is printed as marked lines (run.ts reads them).
// Espruino's dialect, and assignments on `global`: a plain `getTime = …` is an error.
var $ = {
  nowMs: 0,
  offsetMs: 0,
  timers: [],
  nextTimer: 1,
  dead: false,
  listeners: [],
  written: '',
  operations: 0,
  armed: null,
  realTimeout: setTimeout,
  realMemory: process.memory,
  realStorage: require('Storage'),
  restarts: false,
  pages: [],
  say: (kind, text) => {
    print(`\x02${kind}${text}`);
  },
};

// --- power
$.need = () => {
  if ($.dead) throw 'power failed';
};
$.fail = () => {
  $.dead = true;
  throw 'power failed';
};
$.noise = () => {
  // xorshift, the same torn bits for the same seed
  $.seed ^= $.seed << 13;
  $.seed ^= $.seed >>> 17;
  $.seed ^= $.seed << 5;
  return $.seed & 255;
};

// --- time
global.getTime = () => Math.floor(($.nowMs + $.offsetMs) * 1000) / 1000000;
global.setTime = (s) => {
  $.offsetMs = s * 1000 - $.nowMs;
};
$.addTimer = (f, ms, repeat) => {
  $.need();
  if (!(ms >= 1)) ms = 1;
  $.timers.push({ id: $.nextTimer, due: $.nowMs + ms, every: repeat ? ms : 0, f: f });
  return $.nextTimer++;
};
// The boot loader has a program's text run in the global scope: that only the real one can do, before `go`.
global.setTimeout = (f, ms) => (typeof f === 'string' ? $.realTimeout(f, 1) : $.addTimer(f, ms, false));
global.setInterval = (f, ms) => $.addTimer(f, ms, true);
global.clearTimeout = global.clearInterval = (id) => {
  $.timers = $.timers.filter((t) => t.id !== id);
};
global.changeInterval = (id, ms) => {
  $.timers.forEach((t) => {
    if (t.id === id) {
      t.every = ms;
      t.due = $.nowMs + ms;
    }
  });
};
$.guarded = (f, a) => {
  try {
    f(a);
  } catch (e) {
    if (!$.dead) $.say('X', e + (e.stack ? ` ${btoa(e.stack)}` : ''));
  }
};
$.advance = (toMs) => {
  while (!$.dead) {
    let next;
    $.timers.forEach((t) => {
      if (!next || t.due < next.due) next = t;
    });
    if (!next || next.due > toMs) break;
    if ($.nowMs < next.due) $.nowMs = next.due;
    $.guarded(next.f);
    if (next.every) next.due += next.every;
    else clearTimeout(next.id);
    $.flush(false);
  }
  if ($.nowMs < toMs) $.nowMs = toMs;
};

// --- ADC: codes of one or more whole cycles, voltage and current; no noise
global.analogRead = (pin) => {
  const wave = pin === $.pinCurrent ? $.current : $.voltage;
  const code = wave[(($.nowMs * $.pointsPerMs + 0.5) | 0) % wave.length];
  $.nowMs += $.sampleMs;
  return code / 4096;
};
$.levels = new Uint8Array(40);
global.digitalWrite = (pin, value) => {
  $.need();
  if ($.levels[pin] !== +value) $.say('W', `${pin} ${+value} ${$.nowMs}`);
  $.levels[pin] = value;
};
global.digitalPulse = global.pinMode = () => {};
global.digitalRead = (pin) => $.levels[pin];
global.peek32 = () => $.noise() | ($.noise() << 8) | ($.noise() << 16);
global.getSerial = () => $.serialNumber;

// --- serial ports
$.port = () => ({ setup: () => {}, on: () => {}, write: () => {}, flush: () => {}, removeAllListeners: () => {} });
$.gateway = $.port();
$.gateway.on = (event, f) => {
  if (event === 'data') $.listeners.push(f);
};
$.gateway.write = (data) => {
  $.need();
  $.written += E.toString(data);
};
$.gateway.print = $.gateway.write;
/** A port of the chip cannot be replaced, but its methods can. */
$.attach = (port, methods) => {
  Object.keys(methods).forEach((name) => {
    port[name] = methods[name];
  });
};
$.flush = (all) => {
  if ($.written.length && (all || $.written.length > 900)) {
    $.say('S', btoa($.written));
    $.written = '';
  }
};
$.receive = (base64) => {
  const text = atob(base64);
  for (let i = 0; i < text.length && !$.dead; i += 48) {
    $.listeners.forEach((f) => {
      $.guarded(f, text.substr(i, 48));
    });
  }
};

// --- flash: pages of 4 kB in RAM (a view reaches only 65,535 bytes into a buffer), whole words, bits only clear
/** Number of a page, counted over all regions, one behind the other; −1 outside of them. */
$.pageNumber = (address) => {
  let before = 0;
  for (let i = 0; i < $.regions.length; i++) {
    const r = $.regions[i];
    if (address >= r.address && address < r.address + r.length)
      return before + Math.floor((address - r.address) / $.pageLength);
    before += r.length / $.pageLength;
  }
  return -1;
};
/** The page that an address lies in; undefined where nothing was ever written to it. */
$.pageSoFar = (address) => {
  const n = $.pageNumber(address);
  if (n < 0) throw new Error(`no flash for this board at ${address}`);
  return $.pages[n];
};
/** The same, made when it is first asked for. */
$.pageAt = (address) => {
  $.pageSoFar(address);
  const n = $.pageNumber(address);
  if (!$.pages[n]) {
    $.pages[n] = new Uint8Array($.pageLength);
    $.pages[n].fill(255);
  }
  return $.pages[n];
};
/** Calls f(page, offset in it, how many bytes, how many before) for each page that the range touches, which `at` finds. */
$.across = (address, length, at, f) => {
  let done = 0;
  while (done < length) {
    const offset = (address + done) % $.pageLength;
    const n = Math.min(length - done, $.pageLength - offset);
    f(at(address + done), offset, n, done);
    done += n;
  }
};
E.memoryArea = (address, length) => {
  const parts = [];
  $.across(address, length, $.pageAt, (page, offset, n) => parts.push(new Uint8Array(page.buffer, offset, n)));
  return E.toString(parts);
};
E.reboot = () => {
  $.restarts = true;
  $.fail();
};
$.fails = () => {
  $.need();
  $.operations++;
  return $.armed && $.armed.after-- === 0;
};
$.writeWords = (bytes, address) => {
  $.pageAt(address + bytes.length - 1);
  let whole = bytes.length;
  let torn = 0;
  const fails = $.fails();
  if (fails) {
    whole = $.armed.kind === 'nothing' ? 0 : Math.min(bytes.length, $.armed.words * 4);
    if ($.armed.kind === 'torn') torn = Math.min(4, bytes.length - whole);
  }
  $.across(address, whole + torn, $.pageAt, (page, offset, n, done) => {
    for (let i = 0; i < n; i++) page[offset + i] &= done + i < whole ? bytes[done + i] : bytes[done + i] | $.noise();
  });
  if (fails) $.fail();
};
Modules.addCached('Flash', () => {
  exports.getPage = (address) => ({ addr: address - (address % $.pageLength), length: $.pageLength });
  exports.getFree = () => [];
  exports.erasePage = (address) => {
    const page = $.pageAt(address);
    if (!$.fails()) {
      page.fill(255);
      $.nowMs += $.eraseMs;
      return;
    }
    const done = $.armed.kind === 'nothing' ? 0 : Math.min($.pageLength, $.armed.words * 4);
    if (done) page.fill(255, 0, done);
    if ($.armed.kind === 'torn') for (let i = done; i < $.pageLength; i++) page[i] = $.noise();
    $.fail();
  };
  exports.read = (length, address) => {
    $.need();
    if (length <= 0) return undefined;
    const out = new Uint8Array(length);
    $.across(address, length, $.pageSoFar, (page, offset, n, done) => {
      if (page) out.set(new Uint8Array(page.buffer, offset, n), done);
      else out.fill(255, done, done + n);
    });
    return out;
  };
  exports.write = (data, address) => {
    const bytes = E.toUint8Array(data);
    const n = bytes.length;
    const head = Math.min((4 - (address & 3)) & 3, n);
    const tail = (n - head) & 3;
    const merge = (from, to) => {
      const start = (address + from) & ~3;
      const page = $.pageAt(start);
      const word = new Uint8Array(new Uint8Array(page.buffer, start % $.pageLength, 4));
      for (let i = from; i < to; i++) word[address + i - start] = bytes[i];
      $.writeWords(word, start);
    };
    if (head) merge(0, head);
    if (n - head - tail) $.writeWords(bytes.subarray(head, n - tail), address + head);
    if (tail) merge(n - tail, n);
  };
});
$.dumpFlash = () => {
  $.pages.forEach((page, n) => {
    // each page, unless erased
    if (page && E.sum(page) !== 255 * $.pageLength) $.say('F', `${n * $.pageLength} ${btoa(E.toString(page))}`);
  });
};

// --- Storage: files handed in
Modules.addCached('Storage', () => {
  exports.read = (name, offset, length) => {
    const text = $.files[name];
    if (text === undefined) return undefined;
    return length ? text.substr(offset, length) : text.substr(offset || 0);
  };
  exports.readJSON = (name, noExceptions) => {
    if ($.files[name] === undefined) return undefined;
    try {
      return JSON.parse($.files[name]);
    } catch (e) {
      if (noExceptions) return undefined;
      throw e;
    }
  };
  exports.write = (name, data) => {
    $.need();
    $.files[name] = E.toString(data);
    return true;
  };
  exports.list = () => Object.keys($.files);
  exports.getStats = () => ({ totalBytes: $.storageBytes });
});

// --- the run: `setup` before the bundle, `go` after it (from a real timer, in case the bundle's top level throws)
$.setup = (o) => {
  Object.keys(o).forEach((name) => {
    $[name] = o[name];
  });
  // the journal's at once, so that a bundle that uses them takes no more variables than one that does not
  for (let at = 0; at < $.regions[0].length; at += $.pageLength) $.pageAt($.regions[0].address + at);
};
/** A page that an earlier run left. */
$.page = (offset, base64) => {
  $.pages[offset / $.pageLength] = E.toUint8Array(atob(base64));
};
$.wave = (o) => {
  $.pointsPerMs = o.pointsPerMs;
  $.voltage = new Uint16Array(o.voltage);
  $.current = new Uint16Array(o.current);
};
$.go = (steps) => {
  for (let i = 0; i < steps.length && !$.dead; i++) {
    if (steps[i].wave) $.wave(steps[i].wave);
    if (steps[i].receive) $.receive(steps[i].receive);
    if (steps[i].arm) $.armed = steps[i].arm;
    if (steps[i].toMs !== undefined) $.advance(steps[i].toMs);
    $.flush(true);
    $.say('T', i);
  }
  $.flush(true);
  $.say('M', $.realMemory().usage);
  $.dumpFlash();
  $.say('D', `${$.restarts ? 2 : $.dead ? 1 : 0} ${$.operations}`);
  $.say('END', '');
};
