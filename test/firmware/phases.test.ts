import test from 'ava';
import { makeChip } from '../../bench/board/adc-model.ts';
import { calibrateChip } from '../../bench/board/calibrate-chip.ts';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { phasesOf } from '../../gateway/meter/phases.ts';
import { LINK_LIVE, LINK_PHASES, LINK_TIME, type Live, type Phases } from '../../protocol/wire/link-messages.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { frameOf, GatewayPeer } from './gateway-peer.ts';
import { mains } from './mains.ts';

test('the bundle with three phases: each is told, their sum is counted; with one it says nothing of phases', async (t) => {
  const chip = makeChip(7);
  const calibration = JSON.stringify(calibrateChip(chip));
  const { code } = await buildFirmware();
  const startMs = Date.UTC(2026, 1, 3, 10);
  const run = (household: string) => {
    const storage = { calibration, calibration2: calibration, calibration3: calibration, household };
    const board = new VirtualBoard({ bundle: code, seed: 3, chip, storage, startMs: 0 });
    [mains(10), mains(-15), mains(2)].forEach((wave, phase) => void board.setMains(wave, phase));
    board.start();
    board.advanceTo(1200);
    board.receive(frameOf({ type: LINK_TIME, unixMs: startMs + 1200 }));
    board.advanceTo(61_500);
    const peer = new GatewayPeer();
    peer.hear(board.take(), null);
    t.deepEqual(board.output, []);
    const lives = peer.messages.filter((message): message is Live => message.type === LINK_LIVE);
    return { lives, phases: peer.messages.filter((message): message is Phases => message.type === LINK_PHASES) };
  };
  const three = run('{"generator": true, "phases": 3}');
  t.is(three.phases.length, three.lives.length);
  const last = three.lives.at(-1)!;
  t.true(Math.abs(last.powerMw - -690_000) < 0.01 * 6_210_000, `${last.powerMw} mW`);
  const each = phasesOf(three.phases.at(-1)!);
  [2300, -3450, 460].forEach((watts, n) => {
    t.true(Math.abs(each[n].powerW - watts) < 25, `L${n + 1}: ${each[n].powerW} W`);
    t.true(Math.abs(each[n].voltageV - 230) < 1.5 && each[n].currentA > 1.9, `L${n + 1}`);
  });
  t.is(Math.round(each.reduce((sum, { powerW }) => sum + powerW * 1000, 0)), last.powerMw);
  // 690 W fed in for 50 s or 60 s that are in flash, and nothing drawn, though two phases draw
  t.is(last.importMwh, 0);
  t.true(last.exportMwh > 9000 && last.exportMwh < 11_800, `${last.exportMwh} mWh`);
  for (const live of three.lives) t.true(live.uptimeMs % 1000 < 400, 'three windows fit into a second');

  const one = run('{"generator": true}');
  t.deepEqual(one.phases, []);
  t.true(Math.abs(one.lives.at(-1)!.powerMw - 2_300_000) < 23_000);
});
