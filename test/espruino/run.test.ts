import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { makeChip } from '../../bench/board/adc-model.ts';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { type EspruinoOptions, runOnEspruino, type Step } from '../../bench/espruino/run.ts';
import { JOURNAL_REGION } from '../../hardware/flash.ts';
import { PIN_CURRENT, PIN_VOLTAGE } from '../../hardware/pins.ts';

const onReal = espruinoBinary() ? test : test.skip;

test('the interpreter is found on the PATH or by $ESPRUINO; the uploader of the same name is passed over', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'path-'));
  try {
    for (const [name, content] of [
      ['script', '#!/usr/bin/env node\n'],
      ['binary', '\x7fELF'],
    ]) {
      const file = join(folder, name, 'espruino');
      mkdirSync(join(folder, name));
      writeFileSync(file, content, 'latin1');
      chmodSync(file, 0o755);
    }
    const path = `${join(folder, 'script')}:${join(folder, 'binary')}`;
    t.is(espruinoBinary({ PATH: path }), join(folder, 'binary', 'espruino'));
    t.is(espruinoBinary({ PATH: join(folder, 'script') }), null);
    t.is(espruinoBinary({ PATH: path, ESPRUINO: '/opt/mine' }), '/opt/mine');
    t.is(espruinoBinary({}), null);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** The same program and the same steps on both: what each wrote at each step, its flash, its console. */
async function onBoth(bundle: string, steps: Step[], options: Partial<EspruinoOptions> = {}) {
  const run = await runOnEspruino({ bundle, steps, ...options });
  const board = new VirtualBoard({ bundle, seed: 1, startMs: 0, flash: options.flash, storage: options.storage });
  if (options.cutAtStart) board.armCut(options.cutAtStart);
  board.start();
  const serial: string[] = [];
  for (const step of steps) {
    if (step.receive) board.receive(step.receive);
    if (step.arm) board.armCut(step.arm);
    if (step.toMs !== undefined) board.advanceTo(step.toMs);
    serial.push(Buffer.from(board.take()).toString('latin1'));
  }
  return {
    real: {
      serial: run.serial.map((s) => Buffer.from(s).toString('latin1')).join(''),
      flash: digest(run.flash),
      operations: run.flashOperations,
      output: run.output,
      running: !run.cut,
    },
    virtual: {
      serial: serial.join(''),
      flash: digest(board.flash),
      operations: board.flashOperations,
      output: board.output,
      running: board.running,
    },
  };
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

onReal('timers, clock, serial port, Storage: both boards do the same', async (t) => {
  const { real, virtual } = await onBoth(
    `
    var n = 0;
    var each = setInterval(function () {
      Serial2.write('each ' + Math.round(getTime() * 1000) + '\\n');
      if (++n === 3) { clearInterval(each); setTime(1700000000); }
    }, 400);
    setTimeout(function () { Serial2.write([111, 107, 10]); print('printed', 1); }, 450);
    var got = '';
    Serial2.on('data', function (d) { got += d; if (got[got.length - 1] === '!') { Serial2.write('got ' + got + '\\n'); got = ''; } });
    var files = require('Storage');
    Serial2.write(files.read('a') + files.readJSON('b').x + (files.read('c') === undefined) + '\\n');
    print(getTime());`,
    [{ toMs: 500 }, { receive: bytes('hello!'), toMs: 2000 }, { receive: bytes(`${'x'.repeat(200)}!`), toMs: 3000 }],
    { storage: { a: 'file', b: '{"x":5}' } },
  );
  t.deepEqual(real, virtual);
  t.regex(real.serial, /^file5true\neach 400\nok\ngot hello!\neach 800\neach 1200\ngot x{200}!\n$/);
});

const flashProgram = `
  var f = require('Flash');
  var BASE = ${JOURNAL_REGION.address};
  function write(n, at) { var d = new Uint8Array(n); for (var k = 0; k < n; k++) d[k] = 17 * k + at; f.write(d, BASE + at); }
  var starts = f.read(4, BASE + 12288)[0];
  f.write([starts << 1, 255, 255, 255], BASE + 12288);
  Serial2.write('start ' + starts + '\\n');
  setTimeout(function () { write(16, 0); write(7, 33); write(3, 4094); write(64, 8192); }, 10);
  setTimeout(function () { f.erasePage(BASE + 8200); write(8, 8196); }, 20);
  setTimeout(function () { Serial2.write([].slice.call(f.read(12, BASE + 8192)).join() + '\\n'); }, 200);`;

onReal('flash: writes, unaligned ones, across pages, erases, and what a second start finds', async (t) => {
  const first = await onBoth(flashProgram, [{ toMs: 300 }]);
  t.deepEqual(first.real, first.virtual);
  t.is(first.real.operations, 9);
  const { flash } = await runOnEspruino({ bundle: flashProgram, steps: [{ toMs: 300 }] });
  const again = await onBoth(flashProgram, [{ toMs: 300 }], { flash });
  t.deepEqual(again.real, again.virtual);
  t.regex(again.real.serial, /^start 254/);
});

onReal('power cuts: in each operation, in each way that is not random, both boards leave the same flash', async (t) => {
  t.timeout(60_000);
  const cuts = Array.from({ length: 9 }, (_, afterFlashOperations) => [
    { afterFlashOperations, kind: 'nothing' as const },
    { afterFlashOperations, kind: 'words' as const, words: 1 },
    { afterFlashOperations, kind: 'words' as const, words: 9 },
  ]).flat();
  await Promise.all(
    cuts.map(async (cutAtStart) => {
      const { real, virtual } = await onBoth(flashProgram, [{ toMs: 300 }], { cutAtStart });
      t.deepEqual(real, virtual, JSON.stringify(cutAtStart));
      t.false(real.running);
    }),
  );
});

onReal('torn words have only bits they should have, and the next words nothing', async (t) => {
  const { flash, cut } = await runOnEspruino({
    bundle: flashProgram,
    steps: [{ toMs: 5 }, { arm: { afterFlashOperations: 0, kind: 'torn', words: 2 }, toMs: 300 }],
  });
  t.true(cut);
  const whole = Array.from({ length: 16 }, (_, k) => (17 * k) & 255);
  t.deepEqual([...flash.subarray(0, 8)], whole.slice(0, 8));
  for (let k = 8; k < 12; k++) t.is(flash[k] & whole[k], whole[k]);
  t.true(flash.subarray(12, 16).every((x) => x === 255));
});

onReal('the ADC follows the mains, by the chip’s curve', async (t) => {
  const points = Array.from({ length: 100 }, (_, n) => Math.sin((2 * Math.PI * n) / 100));
  const chip = makeChip(4);
  const bundle = `
    setInterval(function () {
      var low = [1, 1], high = [0, 0];
      var begin = getTime();
      for (var k = 0; k < 500; k++) {
        var x = analogRead(k & 1 ? ${PIN_CURRENT} : ${PIN_VOLTAGE});
        low[k & 1] = Math.min(low[k & 1], x);
        high[k & 1] = Math.max(high[k & 1], x);
      }
      print(Math.round(4096 * (high[0] - low[0])), Math.round(4096 * (high[1] - low[1])), Math.round((getTime() - begin) * 1000));
    }, 1000);`;
  const mains = (amps: number) => ({
    frequencyHz: 50,
    cycles: 1,
    voltageV: Float64Array.from(points, (x) => 325 * x),
    currentA: Float64Array.from(points, (x) => amps * x),
  });
  const steps = [
    { mains: mains(0), toMs: 1500 },
    { mains: mains(10), toMs: 2500 },
  ];
  const { output } = await runOnEspruino({ bundle, chip, steps });
  const board = new VirtualBoard({ bundle, chip: { ...chip, noiseLsb: 0 }, seed: 1, startMs: 0 });
  for (const [i, step] of steps.entries()) {
    board.setMains(step.mains);
    if (i === 0) board.start();
    board.advanceTo(step.toMs);
  }
  t.is(output.length, 2);
  for (const [i, line] of output.entries()) {
    const [real, virtual] = [line, board.output[i]].map((text) => text.split(' ').map(Number));
    for (const k of [0, 1, 2]) t.true(Math.abs(real[k] - virtual[k]) <= 8, `${line} and ${board.output[i]}`);
  }
});

onReal('a bundle whose top level throws says so', async (t) => {
  const run = await runOnEspruino({
    bundle: "Serial2.write('a'); throw new Error('not today'); Serial2.write('b');",
    steps: [{ toMs: 10 }],
  });
  t.is(Buffer.concat(run.serial).toString(), 'a');
  t.regex(run.output.join(' '), /not today/);
});
