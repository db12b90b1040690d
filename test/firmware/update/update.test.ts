// A meter with a boot loader on the virtual board: takes a program, runs it, proves it, goes back.
import test from 'ava';
import { measurementOfImage } from '../../../protocol/updates/measurement.ts';
import { IMAGE_COMPLETE, LINK_IMAGE_DATA, LINK_IMAGE_END, LINK_MEASURE } from '../../../protocol/wire/link-messages.ts';
import { buildFirmware, buildLoader } from '../../../scripts/build.mjs';
import { firmwareProgram, programOf, START_MS, UpdateBench } from './update-bench.ts';

const nonce = (value: number) => new Uint8Array(32).fill(value);

test('a new program: taken while metering goes on, started, measured, confirmed, and replaced by the next one', async (t) => {
  const bench = await UpdateBench.withFirmware();
  const { code } = await buildFirmware();
  bench.say({ type: LINK_MEASURE, nonce: nonce(1) });
  bench.seconds(60);
  t.like(bench.measurements, [{ version: 0, length: code.length }]);
  t.deepEqual(
    Buffer.from(bench.measurements[0].digest),
    Buffer.from(measurementOfImage(nonce(1), Buffer.from(code, 'latin1'))),
  );

  const second = await firmwareProgram(2);
  const livesBefore = bench.peer.lives;
  const seconds = bench.send(second);
  t.is(bench.sender!.state, 'complete', bench.sender!.reason);
  t.true(Math.abs(bench.peer.lives - livesBefore - seconds) <= 1, 'a live value each second of the transfer');
  t.log(`${second.bytes.length} bytes in ${seconds} s`);
  bench.seconds(15);
  t.is(bench.hellos.at(-1)!.boot, 2, 'it has started anew by itself');
  bench.say({ type: LINK_MEASURE, nonce: nonce(2) });
  bench.seconds(90);
  t.like(bench.measurements[1], { version: 2, length: second.bytes.length });
  t.deepEqual(Buffer.from(bench.measurements[1].digest), Buffer.from(measurementOfImage(nonce(2), second.bytes)));

  // confirmed: any number of starts does not bring the old one back
  for (let start = 0; start < 5; start++) {
    bench.board.cut();
    bench.board.start();
    bench.seconds(2);
  }
  const third = await firmwareProgram(3);
  bench.send(third);
  t.is(bench.sender!.state, 'complete', bench.sender!.reason);
  bench.seconds(15);
  bench.say({ type: LINK_MEASURE, nonce: nonce(3) });
  bench.seconds(10);
  t.like(bench.measurements.at(-1), { version: 3 });
  // the meter says: it runs newer
  bench.send(second);
  t.is(bench.sender!.state, 'failed');
  t.is(bench.sender!.reason, 'the meter runs version 3, which is newer');
  bench.send(third);
  t.is(bench.sender!.state, 'running');
  t.deepEqual(bench.board.output, []);
  // what was metered is what flowed, but for the seconds of six starts and one checkpoint each
  const { importMwh } = bench.peer.live!;
  const trueMwh = (10 * 230 * (bench.nowMs - START_MS)) / 3600;
  const lost = (10 * 230 * 7 * 12_000) / 3600;
  t.true(importMwh <= trueMwh * 1.01 && importMwh >= trueMwh * 0.99 - lost, `${importMwh} of ${trueMwh}`);
});

test('a program that throws, one that hangs, one that never talks: after three starts the one before runs', async (t) => {
  const silent = (await buildFirmware()).code.replace('Serial2.write(', 'E.clip(');
  for (const [name, code] of [
    ['throws', 'undefined.x;'],
    ['hangs', 'E.enableWatchdog(30,false);'],
    ['never talks', silent],
  ]) {
    const bench = await UpdateBench.withFirmware();
    bench.send(programOf(9, code));
    t.is(bench.sender!.state, 'complete', name);
    for (let minute = 0; minute < 80; minute++) bench.step(60_000);
    bench.say({ type: LINK_MEASURE, nonce: nonce(4) });
    bench.seconds(60);
    t.like(bench.measurements.at(-1), { version: 0 }, name);
    t.true(bench.hellos.at(-1)!.boot >= 2, name);
    bench.send(programOf(9, code));
    t.regex(bench.sender!.reason, /started version 9 and it did not prove itself; version 0 runs/, name);
    bench.send(await firmwareProgram(10));
    t.is(bench.sender!.state, 'complete', name);
  }
});

test('what is not what was announced is not started', async (t) => {
  const bench = await UpdateBench.withFirmware();
  const program = await firmwareProgram(2);
  const other = { ...program, digest: programOf(2, 'x').digest };
  bench.send(other);
  t.is(bench.sender!.state, 'failed');
  t.is(bench.sender!.reason, 'what arrives at the meter has another digest each time');
  bench.seconds(30);
  t.is(bench.hellos.at(-1)!.boot, 1, 'nothing was started');
  // one wrong byte on the way that no CRC saw
  let once = true;
  bench.onTheLine = (command) => {
    if (command.type !== LINK_IMAGE_DATA || command.offset !== 5120 || !once) return command;
    once = false;
    const bytes = Uint8Array.from(command.bytes);
    bytes[7] ^= 1;
    return { ...command, bytes };
  };
  bench.send(program);
  t.is(bench.sender!.state, 'complete', 'sent again, whole');
  t.false(once);
});

test('offsets that do not continue, a chunk too long or too short, an end too early: answered, and nothing changes', async (t) => {
  const bench = await UpdateBench.withFirmware();
  const program = await firmwareProgram(2);
  let count = 0;
  bench.onTheLine = (command) => {
    if (command.type !== LINK_IMAGE_DATA) return command;
    count++;
    const { bytes } = command;
    if (count % 19 === 1) return { ...command, offset: command.offset + 256 };
    if (count % 19 === 2) return { ...command, offset: 0 };
    if (count % 23 === 3) return { ...command, bytes: bytes.subarray(1) };
    if (count % 29 === 4) return { ...command, offset: command.offset + 1 };
    if (count % 31 === 5) return { type: LINK_IMAGE_END };
    if (count % 17 === 6) return null;
    return command;
  };
  bench.send(program, 1200);
  t.is(bench.sender!.state, 'complete', bench.sender!.reason);
  bench.seconds(12);
  bench.say({ type: LINK_MEASURE, nonce: nonce(5) });
  bench.seconds(8);
  t.deepEqual(Buffer.from(bench.measurements.at(-1)!.digest), Buffer.from(measurementOfImage(nonce(5), program.bytes)));
});

test('a transfer that was broken off goes on from the last whole page', async (t) => {
  const bench = await UpdateBench.withFirmware();
  const program = await firmwareProgram(2);
  bench.send(program, 12);
  const arrived = bench.sender!.arrived;
  t.true(arrived > 8192 && arrived < program.bytes.length, `${arrived}`);
  bench.board.cut();
  bench.board.start();
  bench.step(1000);
  bench.states.length = 0;
  const seconds = bench.send(program);
  t.is(bench.sender!.state, 'complete');
  t.like(bench.states[0], { offset: Math.floor(arrived / 4096) * 4096 });
  t.log(`${arrived} bytes before the cut, the rest in ${seconds} s`);
  t.like(bench.states.at(-1), { state: IMAGE_COMPLETE });
});

test('a board without areas, and a firmware without a boot loader, say so', async (t) => {
  const { VirtualBoard } = await import('../../../bench/board/virtual-board.ts');
  const { ImageSender } = await import('../../../gateway/update/image-sender.ts');
  const { frameOf } = await import('../gateway-peer.ts');
  const { decodeMessage } = await import('../../../protocol/wire/link-codec.ts');
  const { FrameReader } = await import('../../../protocol/wire/link-frame.ts');
  const { nodeNatives } = await import('../../../protocol/wire/node-natives.ts');
  const { code } = await buildFirmware();
  for (const [bundle, reason] of [
    [code, 'the meter has no boot loader: its program is replaced over the console'],
    [(await buildLoader()).code, 'the meter has no room for a second program of this length'],
  ]) {
    const board = new VirtualBoard({ bundle, storage: { firmware: code }, seed: 1, startMs: 0 });
    board.start();
    const sender = new ImageSender(await firmwareProgram(2));
    const reader = new FrameReader(nodeNatives);
    for (let now = 1000; now < 5000; now += 500) {
      board.advanceTo(now);
      for (const body of reader.push(Buffer.from(board.take()).toString('latin1'))) {
        const message = decodeMessage(body);
        if (message.type === 0x06) sender.receiveState(message, now);
        if (message.type === 0x05) sender.receiveRefusal(message, now);
      }
      for (const command of sender.take(now)) board.receive(frameOf(command));
    }
    t.is(sender.reason, reason);
  }
});
