// Power fails in every flash operation of an update, in every way in which it can; then the meter starts: the old program runs,
// or the new one, and the update goes on to its end. First the boot loader's and the receiver's own code on flash in memory, cut
// everywhere; then the whole board; then real Espruino, where there is one.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import test from 'ava';
import { regionsOf } from '../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { type EspruinoRun, runOnEspruino, type Step } from '../../bench/espruino/run.ts';
import { type Choice, chooseImage } from '../../firmware/update/choose-image.ts';
import { ImageArea, type ImageNatives } from '../../firmware/update/image-area.ts';
import { ImageReceiver } from '../../firmware/update/image-receiver.ts';
import { UPDATE_LAYOUT } from '../../hardware/flash.ts';
import { digestOfImage, measurementOfImage } from '../../protocol/updates/measurement.ts';
import { decodeMessage } from '../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../protocol/wire/link-frame.ts';
import {
  IMAGE_CHUNK_BYTES,
  IMAGE_COMPLETE,
  IMAGE_RECEIVING,
  IMAGE_REJECTED,
  type ImageState,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_DATA,
  LINK_IMAGE_END,
  LINK_IMAGE_STATE,
  LINK_MEASURE,
  LINK_MEASUREMENT,
  LINK_TIME,
  type Measurement,
  type MeterMessage,
} from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';
import { buildFirmware, buildLoader } from '../../scripts/build.mjs';
import { frameOf } from '../firmware/gateway-peer.ts';
import { mains } from '../firmware/mains.ts';
import { firmwareProgram, UpdateBench } from '../firmware/update/update-bench.ts';
import { type FlashOperation, MemoryFlash, PowerFailed, seeded } from '../firmware/wallet/memory-flash.ts';

const random = seeded(42);
const below = (n: number) => Math.floor(random() * n);
const AREA_PAGES = 4;
const natives: ImageNatives = {
  crc32: (bytes) => crc32(bytes),
  sha256: (bytes, text) => new Uint8Array(createHash('sha256').update(bytes).update(text, 'latin1').digest()),
};

interface Program {
  version: number;
  bytes: Uint8Array;
  digest: Uint8Array;
}
function program(version: number, length: number): Program {
  const bytes = Uint8Array.from({ length }, () => below(256));
  return { version, bytes, digest: new Uint8Array(digestOfImage(bytes)) };
}

/** Two areas in memory, and the meter's half of an update on them. */
class Chip {
  readonly flashes = [new MemoryFlash(AREA_PAGES), new MemoryFlash(AREA_PAGES)];
  readonly areas = this.flashes.map(
    (flash) =>
      new ImageArea(
        {
          pageBytes: flash.pageBytes,
          pageCount: flash.pageCount,
          read: (page, offset, length) => flash.read(page, offset, length),
          write: (page, offset, bytes) => flash.write(page, offset, bytes),
          erase: (page) => flash.erase(page),
          text: (offset, length) => Buffer.from(flash.image.subarray(offset, offset + length)).toString('latin1'),
        },
        natives,
      ),
  );
  images(): Uint8Array[] {
    return this.flashes.map(({ image }) => Uint8Array.from(image));
  }
  restore(images: Uint8Array[]): void {
    this.flashes.forEach(({ image }, i) => {
      image.set(images[i]);
    });
  }
  watch(before: ((area: number, operation: FlashOperation) => void) | null): void {
    this.flashes.forEach((flash, area) => {
      flash.before = before && ((operation) => before(area, operation));
    });
  }
  /** What the boot loader starts. */
  boot(): { choice: Choice | null; receiver: ImageReceiver } {
    const choice = chooseImage(this.areas);
    const running = choice
      ? {
          area: choice.area,
          version: choice.head.version,
          length: choice.head.length,
          trial: choice.trial,
          text: (offset: number, length: number) => this.areas[choice.area].text(offset, length),
        }
      : { area: -1, version: 0, length: 4, trial: false, text: () => 'boot' };
    return { choice, receiver: new ImageReceiver(this.areas, natives, running) };
  }
  /** The whole transfer; the state that it ends with. */
  transfer(receiver: ImageReceiver, { version, bytes, digest }: Program): ImageState {
    let state = receiver.begin({ type: LINK_IMAGE_BEGIN, version, length: bytes.length, digest });
    for (let step = 0; step < 1000 && state.state === IMAGE_RECEIVING; step++) {
      if (state.offset === bytes.length) state = receiver.end();
      else if (state.offset < state.room) {
        const { offset } = state;
        state = receiver.data({
          type: LINK_IMAGE_DATA,
          offset,
          bytes: bytes.subarray(offset, offset + IMAGE_CHUNK_BYTES),
        });
      } else {
        receiver.tick(1000, false, true);
        state = receiver.begin({ type: LINK_IMAGE_BEGIN, version, length: bytes.length, digest });
      }
    }
    return state;
  }
  /** It runs for a while and confirms itself. */
  prove(receiver: ImageReceiver): void {
    receiver.tick(61_000, true, false);
  }
  textOf({ area, head }: Choice): string {
    return this.areas[area].text(0, head.length);
  }
}
const textOf = ({ bytes }: Program) => Buffer.from(bytes).toString('latin1');

/** What a cut leaves of an operation. */
type Damage = (image: Uint8Array, operation: FlashOperation) => void;
const words =
  (count: number, torn: boolean): Damage =>
  (image, operation) => {
    if (operation.kind !== 'write') return;
    const at = operation.page * 4096 + operation.offset;
    const { bytes } = operation;
    for (let i = 0; i < count * 4 && i < bytes.length; i++) image[at + i] &= bytes[i];
    if (torn)
      for (let i = count * 4; i < count * 4 + 4 && i < bytes.length; i++) image[at + i] &= bytes[i] | below(256);
  };
const erased =
  (from: number, to: number): Damage =>
  (image, { page }) => {
    image.fill(0xff, page * 4096 + from, page * 4096 + to);
  };
const randomly =
  (share: number): Damage =>
  (image, { page }) => {
    for (let i = page * 4096; i < page * 4096 + 4096; i++) if (random() < share) image[i] |= below(256);
  };
const noise: Damage = (image, { page }) => {
  for (let i = page * 4096; i < page * 4096 + 4096; i++) image[i] = below(256);
};
const nothing: Damage = () => {};
const ERASES = [
  nothing,
  erased(0, 2048),
  erased(2048, 4096),
  erased(4, 4096),
  erased(52, 4096),
  erased(0, 60),
  erased(0, 4096),
  randomly(0.5),
  randomly(0.02),
  noise,
];
const damagesOf = (operation: FlashOperation): Damage[] => {
  if (operation.kind === 'erase') return ERASES;
  const count = operation.bytes.length / 4;
  const list = [nothing];
  for (let n = 0; n < count; n++) list.push(words(n, true), words(n + 1, false));
  return list;
};

/** Two updates, one into each area, from a meter that runs its first program; and what was promised at each operation. */
function recordUpdates() {
  const chip = new Chip();
  const programs = [program(1, 9001), program(2, 10_240), program(3, 12_288)];
  const operations: { area: number; operation: FlashOperation; before: Program | null; next: Program }[] = [];
  let before: Program | null = null;
  let next = programs[0];
  const start = chip.images();
  chip.watch((area, operation) => {
    const copy = operation.kind === 'write' ? { ...operation, bytes: Uint8Array.from(operation.bytes) } : operation;
    operations.push({ area, operation: copy, before, next });
  });
  for (const one of programs) {
    next = one;
    const { receiver } = chip.boot();
    if (chip.transfer(receiver, one).state !== IMAGE_COMPLETE) throw new Error('the update itself');
    const { choice, receiver: started } = chip.boot();
    if (choice?.head.version !== one.version) throw new Error('it was not started');
    chip.prove(started);
    before = one;
  }
  chip.watch(null);
  return { chip, start, operations };
}

test('every cut of every flash operation of three updates: the old program runs, or the new one, and the update ends', (t) => {
  const { chip, start, operations } = recordUpdates();
  chip.restore(start);
  let cuts = 0;
  let second = 0;
  const running: Record<string, number> = {};
  for (const [index, { area, operation, before, next }] of operations.entries()) {
    const whole = chip.images();
    for (const [kind, damage] of damagesOf(operation).entries()) {
      damage(chip.flashes[area].image, operation);
      const where = `operation ${index} (${operation.kind} of page ${operation.page}), damage ${kind}`;
      cuts++;
      let booted = chip.boot();
      check(chip, booted.choice, before, next, where);
      const name = booted.choice ? `${booted.choice.head.version === next.version ? 'new' : 'old'}` : 'first';
      running[name] = (running[name] ?? 0) + 1;
      // a second cut somewhere in what follows
      if (cuts % 7 === 0) {
        let left = 1 + below(20);
        chip.watch((at, again) => {
          if (--left > 0) return;
          const damages = damagesOf(again);
          damages[below(damages.length)](chip.flashes[at].image, again);
          throw new PowerFailed();
        });
        try {
          chip.transfer(booted.receiver, next);
          chip.boot();
        } catch (error) {
          if (!(error instanceof PowerFailed)) throw error;
          second++;
        }
        chip.watch(null);
        booted = chip.boot();
        check(chip, booted.choice, before, next, `${where}, and a second cut`);
      }
      finish(chip, booted, next, where);
      chip.restore(whole);
    }
    // done, as it was meant
    if (operation.kind === 'erase') erased(0, 4096)(chip.flashes[area].image, operation);
    else words(operation.bytes.length / 4, false)(chip.flashes[area].image, operation);
  }
  t.log(
    `${operations.length} operations, ${cuts} cuts, ${second} with a second one; then ran ${JSON.stringify(running)}`,
  );
  t.true(cuts > 10_000 && second > 500);
  t.true(running.old > 100 && running.new > 5 && running.first > 100);
});

function check(chip: Chip, choice: Choice | null, before: Program | null, next: Program, where: string): void {
  const expected = [before, next].find((one) => one && one.version === choice?.head.version);
  if (choice === null && before === null) return; // the program in Storage
  if (!choice || !expected) throw new Error(`started ${choice?.head.version ?? 'nothing'}, ${where}`);
  if (chip.textOf(choice) !== textOf(expected)) throw new Error(`version ${expected.version} is damaged, ${where}`);
}
/** The gateway comes again; the update ends, and the new program is there to stay. */
function finish(
  chip: Chip,
  booted: { choice: Choice | null; receiver: ImageReceiver },
  next: Program,
  where: string,
): void {
  if (booted.choice?.head.version !== next.version) {
    const state = chip.transfer(booted.receiver, next);
    // its trials were used up by the cuts: told as such, and the one before goes on
    if (state.state === IMAGE_REJECTED) return;
    if (state.state !== IMAGE_COMPLETE) throw new Error(`the update ends in ${state.state}, ${where}`);
    booted = chip.boot();
  }
  if (booted.choice?.head.version !== next.version) throw new Error(`the new program is not started, ${where}`);
  chip.prove(booted.receiver);
  for (let start = 0; start < 4; start++) {
    const { choice } = chip.boot();
    if (choice?.head.version !== next.version || choice.trial) throw new Error(`it is not there to stay, ${where}`);
    if (chip.textOf(choice) !== textOf(next)) throw new Error(`it is damaged, ${where}`);
  }
}

test('the whole board: cut after cut during an update; registers never fall, records stay, the new program arrives', async (t) => {
  const bench = await UpdateBench.withFirmware();
  const second = await firmwareProgram(2);
  let cuts = 0;
  let arrived = 0;
  bench.send(second, 1);
  for (let round = 0; round < 60 && bench.sender!.state === 'sending'; round++) {
    // after so many operations that pages go by between two cuts, and never the same ones
    const kind = (['nothing', 'words', 'torn'] as const)[round % 3];
    bench.board.armCut({
      afterFlashOperations: 17 + below(20),
      ...(kind === 'nothing' ? { kind } : { kind, words: below(70) }),
    });
    for (let second = 0; second < 40 && bench.board.running && bench.sender!.state === 'sending'; second++)
      bench.step(500);
    if (bench.board.running) break;
    cuts++;
    arrived = Math.max(arrived, bench.sender!.arrived);
    bench.board.start();
    bench.step(300);
  }
  t.is(bench.sender!.state, 'complete', bench.sender!.reason);
  t.true(cuts > 8, `${cuts} cuts`);
  bench.seconds(15);
  bench.say({ type: LINK_MEASURE, nonce: new Uint8Array(32).fill(7) });
  bench.seconds(80);
  const [measurement] = bench.measurements;
  t.like(measurement, { version: 2 });
  t.deepEqual(
    Buffer.from(measurement.digest),
    Buffer.from(measurementOfImage(new Uint8Array(32).fill(7), second.bytes)),
  );
  t.is(bench.peer.reader.damaged, 0);
  t.deepEqual(bench.board.output, []);
  t.log(`${cuts} cuts; the peer would have thrown where a register fell`);
});

const onEspruino = espruinoBinary() ? test : test.skip;
onEspruino(
  'real Espruino: an update in two cuts and a restart, and the answer to a nonce (skipped without an espruino binary)',
  async (t) => {
    t.timeout(120_000);
    const [loader, first] = [(await buildLoader()).code, (await buildFirmware()).code];
    const next = await firmwareProgram(2);
    const { version, bytes, digest } = next;
    const begin = frameOf({ type: LINK_IMAGE_BEGIN, version, length: bytes.length, digest });
    const run = (steps: Step[], flash?: Uint8Array): Promise<EspruinoRun> =>
      runOnEspruino({ bundle: loader, storage: { firmware: first }, layout: UPDATE_LAYOUT, steps, flash });
    const messagesOf = ({ serial }: EspruinoRun): MeterMessage[] => {
      const reader = new FrameReader(nodeNatives);
      return serial.flatMap((part) =>
        reader.push(Buffer.from(part).toString('latin1')).map((body) => decodeMessage(body) as MeterMessage),
      );
    };
    const statesOf = (done: EspruinoRun) =>
      messagesOf(done).filter((message): message is ImageState => message.type === LINK_IMAGE_STATE);
    /** Eight chunks a second from an offset on. */
    const transfer = (from: number): Step[] => {
      const steps: Step[] = [
        { mains: mains(5), toMs: 500 },
        { receive: begin, toMs: 4500 },
      ];
      let second = 5;
      for (let offset = from; offset < bytes.length; second++) {
        const chunks: Buffer[] = [];
        for (let n = 0; n < 8 && offset < bytes.length; n++, offset += IMAGE_CHUNK_BYTES)
          chunks.push(
            frameOf({ type: LINK_IMAGE_DATA, offset, bytes: bytes.subarray(offset, offset + IMAGE_CHUNK_BYTES) }),
          );
        steps.push({ receive: Buffer.concat(chunks), toMs: second * 1000 + 500 });
      }
      steps.push({ receive: frameOf({ type: LINK_IMAGE_END }), toMs: (second + 12) * 1000 });
      return steps;
    };

    let flash: Uint8Array | undefined;
    let from = 0;
    for (const words of [40, 2]) {
      const steps = transfer(from);
      steps.splice(2 + Math.floor((steps.length - 2) / 3), 0, {
        arm: { afterFlashOperations: 13, kind: 'torn', words },
      });
      const done = await run(steps, flash);
      t.true(done.cut);
      t.deepEqual(done.output, []);
      flash = done.flash;
      // where it wants to go on
      const asked = await run([{ toMs: 500 }, { receive: begin, toMs: 900 }], flash);
      from = statesOf(asked)[0].offset;
      t.true(from > 0 && from % 4096 === 0, `${from}`);
      flash = asked.flash;
    }
    const rest = await run(transfer(from), flash);
    t.deepEqual(rest.output, []);
    t.is(statesOf(rest).at(-1)!.state, IMAGE_COMPLETE);
    t.true(rest.restarts, 'it starts anew by itself');

    const nonce = new Uint8Array(32).fill(3);
    const started = await run(
      [
        { mains: mains(5), toMs: 500 },
        {
          receive: Buffer.concat([
            frameOf({ type: LINK_TIME, unixMs: Date.UTC(2026, 1, 3) }),
            frameOf({ type: LINK_MEASURE, nonce }),
          ]),
          toMs: 65_000,
        },
      ],
      rest.flash,
    );
    t.deepEqual(started.output, []);
    const measurement = messagesOf(started).find(
      (message): message is Measurement => message.type === LINK_MEASUREMENT,
    )!;
    t.like(measurement, { version: 2, length: bytes.length });
    t.deepEqual(Buffer.from(measurement.digest), Buffer.from(measurementOfImage(nonce, bytes)));
    // confirmed: the boot loader counts no trial any more
    const [journal, area] = regionsOf(UPDATE_LAYOUT).map(({ length }) => length);
    const head = started.flash.subarray(journal, journal + area);
    t.is(Buffer.from(head).readUInt32LE(52), 0xc0f12ed5);
  },
);
if (!espruinoBinary()) test('updates ran on the virtual board only: no espruino on the PATH', (t) => t.pass());
