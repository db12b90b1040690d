import test from 'ava';
import { makeChip } from '../../bench/board/adc-model.ts';
import { calibrateChip } from '../../bench/board/calibrate-chip.ts';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { runOnEspruino, type Step } from '../../bench/espruino/run.ts';
import { SLOT_MS, slotEndMs, slotOf } from '../../protocol/time/slots.ts';
import {
  FLAG_CLOCK_STEP,
  FLAG_NO_CLOCK,
  FLAG_POWER_CUT,
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_LIVE,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_STATUS,
  LINK_TIME,
  type Live,
  type MeterMessage,
  type MeterRecord,
} from '../../protocol/wire/link-messages.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { frameOf, GatewayPeer } from './gateway-peer.ts';
import { mains } from './mains.ts';

/** The firmware as it is built, all of it together: metering, journal and link. */

const TEN = Date.UTC(2026, 1, 3, 10);
const chip = makeChip(7);
const storage = { calibration: JSON.stringify(calibrateChip(chip)) };
/** Energy of a resistive load, mWh. */
const energyMwh = (ampere: number, ms: number) => (ampere * 230 * ms) / 3600;
const within = (value: number, expected: number, percent: number) =>
  Math.abs(value - expected) <= (Math.abs(expected) * percent) / 100;

interface Run {
  serial: Uint8Array[];
  flash: Uint8Array;
  cut: boolean;
  output: string[];
}
/** The same steps on the virtual board; times are ms since power-on. */
function runOnVirtualBoard(bundle: string, steps: Step[], flash?: Uint8Array): Run {
  const board = new VirtualBoard({ bundle, seed: 3, chip, storage, startMs: 0, flash });
  const serial: Uint8Array[] = [];
  if (steps[0].mains) board.setMains(steps[0].mains);
  board.start();
  let cut = false;
  for (const step of steps) {
    if (cut) break;
    if (step.mains) board.setMains(step.mains);
    if (step.receive) board.receive(step.receive);
    if (step.arm) board.armCut(step.arm);
    if (step.toMs !== undefined) board.advanceTo(step.toMs);
    serial.push(board.take());
    cut = !board.running;
  }
  return { serial, flash: board.flash, cut, output: board.output };
}

const boards: [
  name: string,
  there: boolean,
  run: (bundle: string, steps: Step[], flash?: Uint8Array) => Promise<Run> | Run,
][] = [
  ['the virtual board', true, runOnVirtualBoard],
  [
    espruinoBinary() ? 'real Espruino' : 'real Espruino (skipped: no espruino binary)',
    espruinoBinary() !== null,
    (bundle, steps, flash) => runOnEspruino({ bundle, steps, chip, storage, flash }),
  ],
];

for (const [name, there, run] of boards) {
  (there ? test : test.skip)(
    `the bundle on ${name}: metering, journal and link, a power cut and a start without a clock`,
    async (t) => {
      const { code, digest } = await buildFirmware();
      const time = (unixMs: number) => frameOf({ type: LINK_TIME, unixMs });
      const startMs = TEN - 45_000;

      // First boot: 2.3 kW, TIME over a line with noise, a boundary at 45 s, 1.15 kW back into the grid, a cut inside a write.
      const noise = Buffer.from('\x00\xffgarbage\n\n!!', 'latin1');
      const whole = time(startMs + 5200);
      const first = await run(code, [
        { mains: mains(10), toMs: 5200 },
        { receive: Buffer.concat([noise, whole.subarray(4), whole, whole, whole.subarray(0, 9)]), toMs: 30_000 },
        {
          receive: Buffer.concat([Buffer.from('\n'), frameOf({ type: LINK_CHECK_CLAMP }), Buffer.from('hAAAAAA=\n')]),
          toMs: 54_500,
        },
        { mains: mains(-5), receive: frameOf({ type: LINK_ACK, number: 1 }), toMs: 85_500 },
        { arm: { afterFlashOperations: 0, kind: 'torn', words: 1 }, toMs: 100_000 },
      ]);
      t.deepEqual(first.output, []);
      t.true(first.cut);
      const peer = new GatewayPeer();
      for (const bytes of first.serial) peer.hear(bytes, null);
      t.is(peer.reader.damaged, 0);
      const lives = peer.messages.filter((message): message is Live => message.type === LINK_LIVE);
      t.is(lives.filter(({ flags }) => flags === FLAG_NO_CLOCK).length, 5);
      t.is(lives.length, 94, 'one each second up to the one in which power failed');
      for (const { uptimeMs } of lives) t.true(uptimeMs % 1000 <= 2, `${uptimeMs} is a whole second of TIME`);
      for (const { powerMw, uptimeMs } of lives.slice(5)) {
        t.true(within(powerMw, uptimeMs < 55_000 ? 2_300_000 : -1_150_000, 2), `${powerMw} mW at ${uptimeMs}`);
      }
      t.like(peer.messages[0], {
        type: LINK_HELLO,
        boot: 1,
        oldestRecord: 0,
        newestRecord: 0,
        firmware: digest.slice(0, 16),
      });
      t.is(peer.messages.filter(({ type }) => type === LINK_CLAMP).length, 1);
      t.deepEqual(
        peer.messages.filter(({ type }) => type === LINK_REFUSED),
        [],
      );
      t.like(peer.records, [{ number: 1, boot: 1, slot: slotOf(TEN) - 1, flags: 0 }]);
      t.true(within(peer.records[0].importMwh, energyMwh(10, 45_000), 1));
      const last = lives.at(-1)!;
      t.is(last.importMwh, lives[70].importMwh, 'import stands while the house exports');
      t.true(within(last.exportMwh, energyMwh(5, 30_000), 1), `${last.exportMwh}`);

      // Second boot: registers as the last live value had them; the boot before is closed; no clock for a while.
      const secondStartMs = TEN + SLOT_MS - 60_000;
      const second = await run(
        code,
        [
          { mains: mains(10), toMs: 20_400 },
          { receive: time(secondStartMs + 20_400), toMs: 40_400 },
          { receive: frameOf({ type: LINK_READ, from: 1 }), toMs: 45_000 },
          { receive: frameOf({ type: LINK_ACK, number: 2 }), toMs: 61_500 },
          {
            receive: Buffer.concat([frameOf({ type: LINK_ACK, number: 3 }), frameOf({ type: LINK_STATUS })]),
            toMs: 80_000,
          },
        ],
        first.flash,
      );
      t.deepEqual(second.output, []);
      const heard = second.serial.map((bytes) => peer.reader.push(Buffer.from(bytes).toString('latin1')).length);
      t.true(heard.every((frames) => frames > 4));
      const after = new GatewayPeer();
      for (const bytes of second.serial) after.hear(bytes, null);
      t.like(after.messages[0], { type: LINK_HELLO, boot: 2, oldestRecord: 1, newestRecord: 2 });
      t.like(after.messages[1], {
        type: LINK_LIVE,
        importMwh: last.importMwh,
        exportMwh: last.exportMwh,
        flags: FLAG_NO_CLOCK,
      });
      const { importMwh, exportMwh } = last;
      t.like(after.records, [
        peer.records[0],
        { number: 2, boot: 1, slot: 0, uptimeMs: 85_000, importMwh, exportMwh, flags: FLAG_NO_CLOCK },
        { number: 3, boot: 2, slot: slotOf(TEN), uptimeMs: 60_000, flags: FLAG_POWER_CUT },
      ]);
      t.true(within(after.records[2].importMwh - importMwh, energyMwh(10, 60_000), 1));
      t.is(after.records[2].exportMwh, exportMwh);
      t.is(
        after.messages.filter((m: MeterMessage) => m.type === LINK_RECORD && m.number === 3).length,
        1,
        'acknowledged',
      );
      t.is(
        after.messages.filter(({ type }) => type === LINK_HELLO).length,
        3,
        'at the start, after 10 s without TIME, on STATUS',
      );
    },
  );
}

test('a night on the virtual board: gateway away, clock away, power cuts; nothing is lost and nothing counted twice', async (t) => {
  const { code } = await buildFirmware();
  const startMs = TEN + 120_000;
  const board = new VirtualBoard({ bundle: code, seed: 5, chip, storage, startMs, driftPpm: 40 });
  const peer = new GatewayPeer();
  const STEP_MS = 60_000;
  let nowMs = startMs;
  /** mWh that were there to be measured. */
  let trueImport = 0;
  let trueExport = 0;
  let ampere = 4;
  let atSecond = 0;
  /** Runs `minutes`, the load changing each of them; the gateway hears and answers, or not. */
  const run = (minutes: number, gateway: 'there' | 'without a clock' | 'away') => {
    for (let minute = 0; minute < minutes; minute++) {
      ampere = [4, 20, 0.5, -8, 12][++atSecond % 5];
      board.setMains(mains(ampere));
      nowMs += STEP_MS;
      board.advanceTo(nowMs);
      if (ampere > 0) trueImport += energyMwh(ampere, STEP_MS);
      else trueExport += energyMwh(-ampere, STEP_MS);
      const bytes = board.take();
      if (gateway === 'away') continue;
      const answer = peer.hear(bytes, gateway === 'there' ? nowMs : null);
      board.receive(answer);
      if (gateway === 'there' && atSecond % 15 === 0) board.receive(frameOf({ type: LINK_TIME, unixMs: nowMs }));
    }
  };
  const powerCut = (awayMs: number) => {
    board.cut();
    nowMs += awayMs;
    board.advanceTo(nowMs);
    board.start();
  };
  board.setMains(mains(ampere));
  board.start();
  run(60, 'there');
  run(150, 'away'); // ten records wait
  t.is(peer.records.length, 4);
  run(30, 'there');
  t.is(peer.records.length, 16);
  powerCut(7 * 60_000);
  run(50, 'without a clock'); // three records by uptime
  run(45, 'there');
  powerCut(10_000);
  run(33, 'away');
  powerCut(3_600_000); // a boot that never met a clock
  run(45, 'there');
  t.deepEqual(board.output, []);

  t.is(peer.reader.damaged, 0);
  const lost = energyMwh(20, 10_000) * 3; // at most one checkpoint each cut
  const { importMwh, exportMwh } = peer.live!;
  t.log(
    `import ${importMwh} of ${Math.round(trueImport)} mWh, export ${exportMwh} of ${Math.round(trueExport)}, ${peer.records.length} records`,
  );
  for (const [measured, truth] of [
    [importMwh, trueImport],
    [exportMwh, trueExport],
  ]) {
    t.true(measured <= truth * 1.005 && measured >= truth * 0.995 - lost);
  }
  // Each record in its place: with a slot at its end by the gateway's clock, without one by boot and uptime.
  const offsets = new Map<number, number>();
  for (const { boot, slot, uptimeMs } of peer.records) if (slot > 0) offsets.set(boot, slotEndMs(slot) - uptimeMs);
  t.deepEqual([...offsets.keys()], [1, 2, 4], 'boot 3 never met a clock');
  const inBoot = (boot: number) => peer.records.filter((record) => record.boot === boot);
  t.deepEqual(
    inBoot(1).map(({ slot }) => slot && slot - slotOf(startMs)),
    [...Array(16).keys(), 0],
  );
  t.deepEqual(
    inBoot(2)
      .slice(0, 3)
      .map(({ slot, uptimeMs }) => [slot, Math.round(uptimeMs / 1000)]),
    [
      [0, 900],
      [0, 1800],
      [0, 2700],
    ],
  );
  t.deepEqual(
    inBoot(3).map(({ flags }) => flags & (FLAG_NO_CLOCK | FLAG_POWER_CUT)),
    [FLAG_NO_CLOCK | FLAG_POWER_CUT, FLAG_NO_CLOCK, FLAG_NO_CLOCK],
  );
  for (const boot of [1, 2, 3, 4])
    t.is(inBoot(boot).filter(({ flags }) => flags & FLAG_POWER_CUT).length, boot === 1 ? 0 : 1);
  t.false(
    peer.records.some(({ flags }) => flags & FLAG_CLOCK_STEP),
    'a drift of 40 ppm is no step',
  );
  for (const record of peer.records as MeterRecord[]) {
    const offset = offsets.get(record.boot);
    if (offset !== undefined && record.slot > 0) {
      t.true(Math.abs(record.uptimeMs + offset - slotEndMs(record.slot)) < 1000, 'four hours of drift');
    }
  }
});
