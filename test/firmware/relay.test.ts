import test from 'ava';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { runOnEspruino } from '../../bench/espruino/run.ts';
import { Relay } from '../../firmware/relay.ts';
import { PIN_RELAY } from '../../hardware/pins.ts';
import { decodeMessage } from '../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../protocol/wire/link-frame.ts';
import {
  LINK_REFUSED,
  LINK_RELAY,
  LINK_RELAY_STATE,
  LINK_TIME,
  type MeterMessage,
  RELAY_LEASE_MS,
  RELAY_OFF,
  RELAY_ON,
} from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { frameOf } from './gateway-peer.ts';

const NOW = Date.UTC(2026, 1, 3, 10);
const off = (untilMs: number) => frameOf({ type: LINK_RELAY, state: RELAY_OFF, untilMs });
const on = frameOf({ type: LINK_RELAY, state: RELAY_ON, untilMs: 0 });
const time = frameOf({ type: LINK_TIME, unixMs: NOW });

/** What the meter said about its relay. */
function said(serial: readonly Uint8Array[]): MeterMessage[] {
  const reader = new FrameReader(nodeNatives);
  return serial
    .flatMap((bytes) => reader.push(Buffer.from(bytes).toString('latin1')))
    .map((body) => decodeMessage(body) as MeterMessage)
    .filter(({ type }) => type === LINK_RELAY_STATE || type === LINK_REFUSED);
}

test('known answers: on at the start, off for as long as was said, never longer than the lease', (t) => {
  const pin: boolean[] = [];
  const relay = new Relay((level) => pin.push(level));
  relay.start();
  t.deepEqual(pin, [true]);
  relay.command(false, NOW + 60_000, NOW, 5000);
  t.false(relay.tick(64_999));
  t.false(relay.on);
  t.true(relay.tick(65_000));
  t.false(relay.tick(66_000), 'told once');
  t.deepEqual(pin, [true, false, true]);

  relay.command(false, NOW + 24 * 3_600_000, NOW, 0);
  t.false(relay.tick(RELAY_LEASE_MS - 1));
  t.true(relay.tick(RELAY_LEASE_MS), 'the gateway is silent');

  relay.command(false, NOW + 24 * 3_600_000, NOW, 0);
  relay.command(false, NOW + 24 * 3_600_000, NOW + RELAY_LEASE_MS - 1000, RELAY_LEASE_MS - 1000);
  t.false(relay.tick(2 * RELAY_LEASE_MS - 1001), 'said again in time: it stays off');

  relay.command(false, NOW, NOW, 0);
  t.true(relay.on, 'a time that has passed switches nothing off');
});

const steps = [
  { toMs: 1500 },
  { receive: off(NOW + 60_000), toMs: 3500 }, // before TIME: refused
  { receive: time, toMs: 5500 },
  { receive: off(NOW + 12_000), toMs: 10_500 }, // falls back by itself
  { toMs: 20_500 },
  { receive: off(NOW + 60_000), toMs: 25_500 },
  { receive: on, toMs: 30_500 },
];

const virtual = async (code: string): Promise<{ levels: boolean[]; serial: Uint8Array[]; output: string[] }> => {
  const board = new VirtualBoard({ bundle: code, seed: 3, startMs: 0 });
  board.start();
  const levels: boolean[] = [];
  const serial: Uint8Array[] = [];
  for (const { receive, toMs } of steps) {
    if (receive) board.receive(receive);
    board.advanceTo(toMs);
    serial.push(board.take());
    levels.push(board.isHigh(PIN_RELAY));
  }
  return { levels, serial, output: board.output };
};
const real = async (code: string): ReturnType<typeof virtual> => {
  const { pins, serial, output } = await runOnEspruino({ bundle: code, steps });
  const levels = steps.map(({ toMs }) => pins.filter(({ pin, atMs }) => pin === PIN_RELAY && atMs < toMs).at(-1)!.high);
  return { levels, serial, output };
};
const there = espruinoBinary() !== null;

for (const [name, run, is] of [
  ['the virtual board', virtual, true],
  [there ? 'real Espruino' : 'real Espruino (skipped: no espruino binary)', real, there],
] as const) {
  (is ? test : test.skip)(`the bundle on ${name}: the pin follows, and falls back by itself`, async (t) => {
    const { code } = await buildFirmware();
    const { levels, serial, output } = await run(code);
    t.deepEqual(output, []);
    t.deepEqual(levels, [true, true, true, false, true, false, true]);
    const states = said(serial);
    t.like(states, [
      { type: LINK_REFUSED, command: LINK_RELAY, reason: 4 },
      { state: RELAY_OFF, untilMs: NOW + 12_000 },
      { state: RELAY_ON, untilMs: 0 },
      { state: RELAY_OFF, untilMs: NOW + 60_000 },
      { state: RELAY_ON, untilMs: 0 },
    ]);
    t.is(states.length, 5);
  });
}

test('power fails while it is off: after the start it is on', async (t) => {
  const { code } = await buildFirmware();
  const board = new VirtualBoard({ bundle: code, seed: 4, startMs: 0 });
  board.start();
  board.receive(time);
  board.advanceTo(2000);
  board.receive(off(NOW + 600_000));
  board.advanceTo(4000);
  t.false(board.isHigh(PIN_RELAY));
  board.cut();
  board.start();
  board.advanceTo(6000);
  t.true(board.isHigh(PIN_RELAY));
});
