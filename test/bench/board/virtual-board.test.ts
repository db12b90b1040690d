import test from 'ava';
import fc from 'fast-check';
import { type AdcChip, makeChip } from '../../../bench/board/adc-model.ts';
import { type BoardOptions, VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { ERASE_TYPICAL_MS, JOURNAL_REGION } from '../../../hardware/flash.ts';
import { PIN_CURRENT, PIN_VOLTAGE } from '../../../hardware/pins.ts';

const START_MS = 1_700_000_000_000;
const { address: BASE, pageBytes: PAGE } = JOURNAL_REGION;

function board(bundle: string, options: Partial<BoardOptions> = {}): VirtualBoard {
  const made = new VirtualBoard({ bundle, seed: 1, startMs: START_MS, ...options });
  made.start();
  return made;
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const bytes = (s: string) => new Uint8Array(Buffer.from(s, 'latin1'));

// --- time

test('timers run in order of their times, at their times, whatever the steps of the host', (t) => {
  const bundle = `
    setInterval(function () { print('each', Math.round(getTime() * 1000)); }, 400);
    setTimeout(function () { print('once', Math.round(getTime() * 1000)); }, 900);`;
  const expected = ['each 400', 'each 800', 'once 900', 'each 1200'];
  const whole = board(bundle);
  whole.advanceTo(START_MS + 1300);
  t.deepEqual(whole.output, expected);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1300 }), { maxLength: 20 }), (steps) => {
      const stepped = board(bundle);
      for (const ms of [...steps.sort((a, b) => a - b), 1300]) stepped.advanceTo(START_MS + ms);
      t.deepEqual(stepped.output, expected);
    }),
    { numRuns: 20 },
  );
});

test('a timer’s time may be a fraction; less than 1 ms is 1 ms', (t) => {
  const b = board(
    'setTimeout(function () { print(getTime()); }, 2.5); setTimeout(function () { print(getTime()); }, 0);',
  );
  b.advanceTo(START_MS + 10);
  t.deepEqual(b.output, ['0.001', '0.0025']);
});

test('timers are cleared, also by themselves, and changed', (t) => {
  const b = board(`
    var n = 0;
    var i = setInterval(function () { print(++n); if (n === 2) clearInterval(i); }, 10);
    var never = setTimeout(function () { print('never'); }, 15);
    clearTimeout(never);
    var c = setInterval(function () { print('c'); }, 1000);
    changeInterval(c, 45);`);
  b.advanceTo(START_MS + 100);
  t.deepEqual(b.output, ['1', '2', 'c', 'c']);
});

test('an interval whose callback takes too long catches up', (t) => {
  const b = board(`
    var n = 0;
    setInterval(function () { n++; if (n === 1) for (var k = 0; k < 500; k++) analogRead(${PIN_VOLTAGE}); print(Math.round(getTime() * 1000)); }, 10);`);
  b.advanceTo(START_MS + 80);
  t.deepEqual(b.output, ['50', '50', '50', '50', '50', '60', '70', '80']);
});

test('clock and uptime start at 0, setTime moves the clock and no timer', (t) => {
  const b = board(`
    print(getTime());
    setTimeout(function () { print(getTime()); }, 1000);
    setTime(1700000000);`);
  b.advanceTo(START_MS + 2000);
  t.deepEqual(b.output, ['0', '1700000001']);
  b.start();
  t.is(b.output[2], '0');
});

test('a board’s crystal runs fast or slow', (t) => {
  const bundle = 'setInterval(function () { Serial2.write("."); }, 1000);';
  const fast = board(bundle, { driftPpm: 1000 });
  const slow = board(bundle, { driftPpm: -1000 });
  for (const b of [fast, slow]) b.advanceTo(START_MS + 2_000_500);
  t.is(fast.take().length, 2002);
  t.is(slow.take().length, 1998);
});

test('the host’s time does not go back', (t) => {
  const b = board('');
  b.advanceTo(START_MS + 10);
  t.throws(() => b.advanceTo(START_MS + 9), { message: /went back/ });
});

// --- ADC

const WINDOW = `
  var pins = new Uint8Array(1024);
  for (var k = 0; k < 1024; k++) pins[k] = k & 1 ? ${PIN_CURRENT} : ${PIN_VOLTAGE};
  var readings = new Float32Array(1024);
  function window() {
    var begin = getTime();
    E.mapInPlace(pins, readings, analogRead);
    return getTime() - begin;
  }
  function mean(first) { var s = 0; for (var k = first; k < 1024; k += 2) s += readings[k]; return s / 512; }`;
const points = Array.from({ length: 100 }, (_, n) => Math.sin((2 * Math.PI * n) / 100));
const mains = (volts: number, amps: number) => ({
  frequencyHz: 50,
  cycles: 1,
  voltageV: Float64Array.from(points, (x) => volts * x),
  currentA: Float64Array.from(points, (x) => amps * x),
});

test('sampling takes the time the chip’s conversions take, and the firmware’s clock sees it', (t) => {
  const chip = makeChip(3);
  const b = board(`${WINDOW} setTimeout(function () { print(Math.round(window() * 1000000)); }, 10);`, { chip });
  b.advanceTo(START_MS + 200);
  const nominalUs = 512e6 * (chip.stepS[0] + chip.stepS[1]);
  t.true(Math.abs(Number(b.output[0]) - nominalUs) < 1000, b.output[0]);
});

test('codes are 12 bits over 4096, of the pin that was asked, as the mains are set', (t) => {
  const chip: AdcChip = { ...makeChip(3), noiseLsb: 0, crosstalk: [0, 0] };
  const b = board(
    `${WINDOW}
    setInterval(function () {
      window();
      var whole = true;
      var top = [0, 0];
      for (var k = 0; k < 1024; k++) {
        whole = whole && readings[k] * 4096 === Math.floor(readings[k] * 4096) && readings[k] < 1;
        top[k & 1] = Math.max(top[k & 1], readings[k]);
      }
      print(whole, Math.round(4096 * (top[0] - mean(0))), Math.round(4096 * (top[1] - mean(1))));
    }, 1000);`,
    { chip },
  );
  b.setMains(mains(325, 0));
  b.advanceTo(START_MS + 1500);
  b.setMains(mains(325, 10));
  b.advanceTo(START_MS + 2500);
  const [idle, loaded] = b.output.map((line) => line.split(' '));
  t.is(idle[0], 'true');
  t.true(Number(idle[1]) > 500 && Number(idle[2]) < 10, b.output.join(' | '));
  t.true(Number(loaded[1]) > 500 && Number(loaded[2]) > 100, b.output.join(' | '));
});

test('the same seed gives the same samples, another seed others', (t) => {
  const bundle = `${WINDOW} setTimeout(function () { window(); print(E.CRC32(readings.map(function (x) { return x * 100; }))); }, 10);`;
  const crc = (seed: number) => {
    const b = new VirtualBoard({ bundle, seed, startMs: START_MS, chip: makeChip(3) });
    b.setMains(mains(325, 10));
    b.start();
    b.advanceTo(START_MS + 200);
    return b.output[0];
  };
  t.is(crc(1), crc(1));
  t.not(crc(1), crc(2));
});

// --- serial

test('what is written arrives in order, once', (t) => {
  const b = board(`
    Serial2.write('start\\n');
    var n = 0;
    setInterval(function () { Serial2.write([n++, 200], 'x'); }, 10);`);
  t.is(text(b.take()), 'start\n');
  b.advanceTo(START_MS + 20);
  t.deepEqual([...b.take()], [0, 200, 120, 1, 200, 120]);
  t.is(b.take().length, 0);
});

test('received bytes come in pieces, whole and in order, at the next step', (t) => {
  const b = board(
    "var all = ''; var pieces = 0; Serial2.on('data', function (d) { all += d; pieces++; }); setTimeout(function () { print(pieces > 1, all.length, E.CRC32(all)); }, 5);",
  );
  const sent = Uint8Array.from({ length: 700 }, (_, n) => (n * 7) & 255);
  b.receive(sent.subarray(0, 300));
  b.receive(sent.subarray(300));
  b.advanceTo(START_MS + 10);
  const check = board(`print(E.CRC32(new Uint8Array([${[...sent].join()}])));`).output[0];
  t.deepEqual(b.output, [`true 700 ${check}`]);
});

test('an exception in a callback is told on the console, and the rest goes on', (t) => {
  const b = board("setInterval(function () { Serial2.write('.'); throw new Error('broken'); }, 10);");
  b.advanceTo(START_MS + 20);
  t.is(text(b.take()), '..');
  t.regex(b.output.join('\n'), /Uncaught Error: broken/);
});

test('an exception of the top level is thrown by start()', (t) => {
  t.throws(() => board("throw new Error('not today')"), { message: 'firmware: Error: not today (firmware.js:1:7)' });
});

// --- chip, Storage, randomness

test('Storage holds what was put there; each chip has a number of its own', (t) => {
  const bundle = `
    var s = require('Storage');
    print(s.read('a'), s.read('a', 1, 2), s.read('missing') === undefined, s.readJSON('b').x, s.list().join());
    print(getSerial());`;
  const one = board(bundle, { storage: { a: 'hello', b: '{"x":5}' } });
  t.is(one.output[0], 'hello el true 5 a,b');
  t.regex(one.output[1], /^[0-9a-f]{8}-[0-9a-f]{4}$/);
  t.not(board(bundle, { seed: 2, storage: { a: '', b: '{}' } }).output[1], one.output[1]);
});

test('the port’s randomness is as weak as the real one: the same after every start, on every board', (t) => {
  const bundle = 'print(Math.random(), E.hwRand(), E.hwRand());';
  // the first numbers of real Espruino's generator
  t.regex(board(bundle).output[0], /^0\.93255273858\d* 1519824769 548953282$/);
  t.is(board(bundle, { seed: 2 }).output[0], board(bundle).output[0]);
  const hardware = 'print(peek32(0x3FF75144));';
  t.not(board(hardware, { seed: 2 }).output[0], board(hardware).output[0]);
});

// --- flash

const flashProgram = (steps: string) => `
  var f = require('Flash');
  var BASE = ${BASE};
  function show(length, at) { print([].slice.call(f.read(length, BASE + at)).join()); }
  ${steps}`;

test('flash is erased to ones, a write clears bits and sets none, an erase takes a page', (t) => {
  const b = board(
    flashProgram(`
    show(4, 0);
    f.write(new Uint8Array([0xf0, 1, 2, 3]), BASE);
    f.write(new Uint8Array([0x0f, 0xff, 0xff, 0xff]), BASE);
    show(4, 0);
    f.write([9, 9, 9, 9], BASE + ${PAGE});
    var before = getTime();
    f.erasePage(BASE + 100);
    print(Math.round((getTime() - before) * 1000));
    show(4, 0);
    show(4, ${PAGE});
    print(JSON.stringify(f.getPage(BASE + 5000)));`),
  );
  t.deepEqual(b.output, [
    '255,255,255,255',
    '0,1,2,3',
    String(ERASE_TYPICAL_MS),
    '255,255,255,255',
    '9,9,9,9',
    JSON.stringify({ addr: BASE + PAGE, length: PAGE }),
  ]);
});

test('a write that is not aligned becomes up to three operations', (t) => {
  const count = (write: string) => board(flashProgram(write)).flashOperations;
  t.is(count('f.write(new Uint8Array(8), BASE + 8);'), 1);
  t.is(count('f.write(new Uint8Array(8), BASE + 9);'), 3);
  t.is(count('f.write(new Uint8Array(2), BASE + 9);'), 1);
  t.is(count('f.write(new Uint8Array(3), BASE + 10);'), 2);
  t.is(count('f.write(new Uint8Array(7), BASE + 8);'), 2);
  const b = board(flashProgram('f.write(new Uint8Array([1, 2, 3, 4, 5, 6, 7]), BASE + 3); show(12, 0);'));
  t.deepEqual(b.output, ['255,255,255,1,2,3,4,5,6,7,255,255']);
});

test('there is no flash outside of the region', (t) => {
  for (const call of ['f.write([1,2,3,4], BASE - 4)', `f.write([1,2,3,4], BASE + ${16 * PAGE})`, 'f.erasePage(0)'])
    t.throws(() => board(flashProgram(call)), { message: /no flash for this board/ });
});

test('flash and Storage outlive a start, RAM and timers do not', (t) => {
  const b = board(
    flashProgram(`
    var starts = f.read(1, BASE)[0];
    print(starts);
    f.write([starts << 1, 255, 255, 255], BASE);
    setInterval(function () { print('tick', starts); }, 1000);`),
  );
  b.advanceTo(START_MS + 1500);
  b.start();
  b.advanceTo(START_MS + 2600);
  t.deepEqual(b.output, ['255', 'tick 255', '254', 'tick 254']);
  const copy = new VirtualBoard({ bundle: flashProgram('show(1, 0);'), seed: 1, startMs: START_MS, flash: b.flash });
  copy.start();
  t.deepEqual(copy.output, ['252']);
});

// --- power cuts

/** Writes 16 bytes of 0xA0…, in a try, at 10 ms; then whatever it can still do. */
const WRITER = flashProgram(`
  show(16, 0);
  setTimeout(function () {
    try { f.write(new Uint8Array([160,161,162,163,164,165,166,167,168,169,170,171,172,173,174,175]), BASE); }
    catch (e) { try { Serial2.write('caught'); f.write([0, 0, 0, 0], BASE + 64); } catch (e2) {} }
    Serial2.write('done');
  }, 10);
  setTimeout(function () { Serial2.write('later'); }, 20);`);

function cutWhileWriting(cut: Parameters<VirtualBoard['armCut']>[0]): { b: VirtualBoard; flash: number[] } {
  const b = board(WRITER);
  b.armCut(cut);
  b.advanceTo(START_MS + 100);
  return { b, flash: [...b.flash.subarray(0, 68)] };
}

test('after a cut nothing runs any more, whatever the firmware catches', (t) => {
  const { b, flash } = cutWhileWriting({ afterFlashOperations: 0, kind: 'words', words: 2 });
  t.false(b.running);
  t.is(text(b.take()), '');
  t.deepEqual(flash.slice(64), [255, 255, 255, 255]);
  b.advanceTo(START_MS + 1000);
  b.receive(bytes('hello'));
  t.is(text(b.take()), '');
});

test('cut 1: the operation has not touched anything', (t) => {
  const { flash } = cutWhileWriting({ afterFlashOperations: 0, kind: 'nothing' });
  t.deepEqual(new Set(flash), new Set([255]));
});

test('cut 2: so many whole words are there', (t) => {
  for (const words of [0, 1, 2, 3, 4]) {
    const { flash } = cutWhileWriting({ afterFlashOperations: 0, kind: 'words', words });
    t.deepEqual(
      flash.slice(0, 16),
      Array.from({ length: 16 }, (_, n) => (n < 4 * words ? 160 + n : 255)),
    );
  }
});

test('cut 3: the word after those has some of its bits, never one it should not have', (t) => {
  const { flash } = cutWhileWriting({ afterFlashOperations: 0, kind: 'torn', words: 1 });
  t.deepEqual(flash.slice(0, 4), [160, 161, 162, 163]);
  t.deepEqual(flash.slice(8, 16), Array(8).fill(255));
  for (let n = 4; n < 8; n++) t.is(flash[n] & (160 + n), 160 + n);
  t.notDeepEqual(flash.slice(4, 8), [255, 255, 255, 255]);
});

test('cut 4: an erase half done leaves half a page, or anything', (t) => {
  const bundle = flashProgram(`
    for (var n = 0; n < ${PAGE}; n += 4) f.write([n & 127, 0, 0, 0], BASE + n);
    setTimeout(function () { f.erasePage(BASE); }, 10);`);
  const half = board(bundle);
  half.armCut({ afterFlashOperations: 0, kind: 'words', words: PAGE / 8 });
  half.advanceTo(START_MS + 100);
  t.true(half.flash.subarray(0, PAGE / 2).every((x) => x === 255));
  t.true(half.flash.subarray(PAGE / 2, PAGE).every((x) => x < 128));
  const noise = board(bundle);
  noise.armCut({ afterFlashOperations: 0, kind: 'torn', words: 0 });
  noise.advanceTo(START_MS + 100);
  t.true(new Set(noise.flash.subarray(0, PAGE)).size > 200);
});

test('cut 5: a second cut during the recovery after the first one', (t) => {
  const { b } = cutWhileWriting({ afterFlashOperations: 0, kind: 'words', words: 1 });
  b.armCut({ afterFlashOperations: 0, kind: 'words', words: 2 });
  b.start();
  t.deepEqual(b.output, [
    '255,255,255,255,255,255,255,255,255,255,255,255,255,255,255,255',
    '160,161,162,163,255,255,255,255,255,255,255,255,255,255,255,255',
  ]);
  b.advanceTo(START_MS + 200);
  t.false(b.running);
  t.deepEqual([...b.flash.subarray(0, 9)], [160, 161, 162, 163, 164, 165, 166, 167, 255]);
  b.start();
  b.advanceTo(START_MS + 300);
  t.is(text(b.take()), 'donelater');
});

test('a cut at the start itself leaves a board that can be started again', (t) => {
  const b = new VirtualBoard({
    bundle: flashProgram("f.write([1,2,3,4], BASE); Serial2.write('up');"),
    seed: 1,
    startMs: START_MS,
  });
  b.armCut({ afterFlashOperations: 0, kind: 'nothing' });
  b.start();
  t.false(b.running);
  b.start();
  t.true(b.running);
  t.is(text(b.take()), 'up');
});

test('a cut between operations: what was on the line before is still delivered', (t) => {
  const b = board("Serial2.write('before'); setTimeout(function () { Serial2.write('after'); }, 10);");
  b.cut();
  b.advanceTo(START_MS + 20);
  t.is(text(b.take()), 'before');
  t.false(b.running);
});

test('operations are counted over all starts', (t) => {
  const b = board(flashProgram('f.write([1,2,3,4], BASE); f.erasePage(BASE);'));
  t.is(b.flashOperations, 2);
  b.start();
  t.is(b.flashOperations, 4);
});
