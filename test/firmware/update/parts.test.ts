// A program in parts: cut between statements, run one after the other in one scope, from flash, through updates and cuts.
import test from 'ava';
import { partsOf, VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { runOnEspruino } from '../../../bench/espruino/run.ts';
import { inParts } from '../../../firmware/dialect/parts.mjs';
import { PART_MOST_BYTES, partStarts } from '../../../firmware/update/parts.ts';
import { IMAGE_MOST_BYTES, UPDATE_LAYOUT } from '../../../hardware/flash.ts';
import { measurementOfImage } from '../../../protocol/updates/measurement.ts';
import { LINK_HELLO, LINK_LIVE, LINK_MEASURE } from '../../../protocol/wire/link-messages.ts';
import { buildFirmware, buildLoader } from '../../../scripts/build.mjs';
import { GatewayPeer } from '../gateway-peer.ts';
import { mains } from '../mains.ts';
import { programOf, UpdateBench } from './update-bench.ts';

/** A firmware of three parts, as long as an image can be. Functions of its first part call those of its last, and the other way. */
async function longFirmware(): Promise<string> {
  const { code } = await buildFirmware();
  const filler = (n: number) => `function filler${n}(){return "${'0123456789'.repeat(90)}".length+${n}}`;
  const start = 'let lastSays="";function firstAsks(){return lastTells(20)}function firstTells(x){return x+1}';
  const end =
    'function lastTells(x){return firstTells(x)*2}lastSays="of the last";setTimeout(()=>{if(firstAsks()!==42||filler3()!==903)print("parts do not meet: "+lastSays)},5);';
  let text = '';
  for (let n = 0; text.length + code.length + start.length + end.length < IMAGE_MOST_BYTES - 1100; n++)
    text += filler(n);
  const whole = inParts(start + text + code + end, 45_000);
  return whole + ' '.repeat(IMAGE_MOST_BYTES - whole.length);
}

test('a program is cut between statements, and its first line says where', (t) => {
  t.is(inParts('a();b();'), 'a();b();', 'short ones are left alone');
  const statement = `f("${'x'.repeat(96)}");`; // 102 B
  const program = inParts(statement.repeat(30), 1000);
  const starts = partStarts(program);
  t.is(program.split('\n')[0], `//parts ${starts.slice(1).join(' ')}`);
  const parts = partsOf(program);
  t.is(parts.join(''), program);
  t.true(parts.every((part) => part.length <= 1000));
  t.true(parts.slice(1).every((part) => part.startsWith('f(')) && parts.every((part) => part.endsWith(';')));
  t.throws(() => inParts(statement.repeat(30), 100), { message: /longer than a part/ });
  t.throws(() => inParts('print("ü")'), { message: /not ASCII/ });
  t.deepEqual(partStarts('//parts'), [0]);
  t.deepEqual(partStarts('//parts 17\nx'), [0, 17]);
  t.true(PART_MOST_BYTES < 65_536 && 2 * PART_MOST_BYTES > IMAGE_MOST_BYTES);
});

test('a firmware of three parts boots from flash, meters, and is replaced by another over the line', async (t) => {
  const firmware = await longFirmware();
  t.is(partsOf(firmware).length, 3);
  t.is(firmware.length, IMAGE_MOST_BYTES);
  const bench = new UpdateBench((await buildLoader()).code, firmware);
  bench.board.start();
  bench.seconds(5);
  t.like(bench.peer.messages[0], { type: LINK_HELLO, boot: 1 });
  const nonce = new Uint8Array(32).fill(1);
  bench.say({ type: LINK_MEASURE, nonce });
  bench.seconds(12);
  t.like(bench.measurements.at(-1), { version: 0, length: firmware.length });

  const next = programOf(2, `${firmware.trimEnd()} // release 2`.padEnd(IMAGE_MOST_BYTES));
  bench.send(next);
  t.is(bench.sender!.state, 'complete', bench.sender!.reason);
  bench.seconds(15);
  t.is(bench.hellos.at(-1)!.boot, 2);
  bench.say({ type: LINK_MEASURE, nonce });
  bench.seconds(90);
  t.like(bench.measurements.at(-1), { version: 2, length: IMAGE_MOST_BYTES });
  t.deepEqual(Buffer.from(bench.measurements.at(-1)!.digest), Buffer.from(measurementOfImage(nonce, next.bytes)));
  t.deepEqual(bench.board.output, []);

  // the same flash on real Espruino, where there is one: the new image runs there too
  bench.board.cut();
  if (espruinoBinary()) {
    const run = await runOnEspruino({
      bundle: (await buildLoader()).code,
      layout: UPDATE_LAYOUT,
      flash: bench.board.flash,
      storage: { firmware },
      steps: [{ mains: mains(10), toMs: 12_000 }],
    });
    t.deepEqual(run.output, []);
    const peer = new GatewayPeer();
    for (const bytes of run.serial) peer.hear(bytes, null);
    t.like(peer.hello, { boot: 3 });
    t.true(peer.messages.filter(({ type }) => type === LINK_LIVE).length >= 10);
  } else t.log('on the virtual board only: no espruino on the PATH');

  // a program that is too long by a byte is not taken
  bench.board.start();
  bench.seconds(2);
  bench.send(programOf(3, `${firmware} `));
  t.is(bench.sender!.state, 'failed');
  t.regex(bench.sender!.reason, /no room/);
});

test('a cut anywhere in the transfer of a program in parts: what boots is the old one or the new one', async (t) => {
  const firmware = await longFirmware();
  const loader = (await buildLoader()).code;
  const next = programOf(2, `${firmware.trimEnd()} // release 2`.padEnd(IMAGE_MOST_BYTES));
  const whole = new UpdateBench(loader, firmware);
  whole.board.start();
  whole.step(1000);
  const before = whole.board.flashOperations;
  whole.send(next);
  const operations = whole.board.flashOperations - before;
  t.true(operations > IMAGE_MOST_BYTES / 256);
  const booted: number[] = [];
  for (let n = 0; n < 6; n++) {
    const bench = new UpdateBench(loader, firmware);
    bench.board.start();
    bench.step(1000);
    const afterFlashOperations = n === 5 ? operations - 1 : Math.floor((n * operations) / 5);
    bench.board.armCut({ afterFlashOperations, kind: 'torn', words: n });
    bench.send(next, 120);
    t.false(bench.board.running, `cut in operation ${afterFlashOperations}`);
    bench.board.start();
    bench.seconds(3);
    bench.say({ type: LINK_MEASURE, nonce: new Uint8Array(32) });
    bench.seconds(10);
    booted.push(bench.measurements.at(-1)!.version);
    bench.send(next);
    t.is(bench.sender!.state, booted[n] === 2 ? 'running' : 'complete', bench.sender!.reason);
    t.deepEqual(bench.board.output, []);
  }
  t.deepEqual(booted.slice(0, 5), [0, 0, 0, 0, 0]);
});

test('a part that throws does not stop the next one, and parts run without a boot loader too', async (t) => {
  const program = inParts(`const a=5;${'print(1);'.repeat(3)}undefined.x;${';'.repeat(60)}print(a+1);`, 60);
  t.is(partsOf(program).length, 3);
  const board = new VirtualBoard({
    bundle: (await buildLoader()).code,
    storage: { firmware: program },
    seed: 1,
    startMs: 0,
  });
  board.start();
  board.advanceTo(10);
  t.deepEqual(
    board.output.filter((line) => !line.startsWith(' ')).map((line) => line.slice(0, 8)),
    ['1', '1', '1', 'Uncaught', '6'],
  );
  const alone = new VirtualBoard({ bundle: inParts('const b=7;print(b);print(b+1);', 24), seed: 1, startMs: 0 });
  alone.start();
  t.deepEqual(alone.output, ['7', '8']);
});
