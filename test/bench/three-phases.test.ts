import test from 'ava';
import { makeChip } from '../../bench/board/adc-model.ts';
import { calibrateChip } from '../../bench/board/calibrate-chip.ts';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { HOUSE_AFTER_METER_MS, Household } from '../../bench/household.ts';
import { loadsOf, parseScenario, readScenario, ScenarioError } from '../../bench/scenario.ts';
import { Truth } from '../../bench/truth.ts';
import { LINK_LIVE, LINK_TIME, type Live } from '../../protocol/wire/link-messages.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { frameOf, GatewayPeer } from '../firmware/gateway-peer.ts';

const NOON_MS = Date.UTC(2024, 5, 18, 11);
const QUARTER_HOUR_MS = 900_000;

test('a house of three phases: half an hour of its registers against the truth, netted across phases', async (t) => {
  const file = new URL('../../bench/scenarios/three-phases.json', import.meta.url).pathname;
  const { households, seed } = await readScenario(file);
  t.is(households[0].phases, 3);
  t.is(households[1].phases, 1);
  const chip = makeChip(7);
  const calibration = JSON.stringify(calibrateChip(chip));
  const { code } = await buildFirmware();
  const startMs = NOON_MS - HOUSE_AFTER_METER_MS;
  const storage = {
    calibration,
    calibration2: calibration,
    calibration3: calibration,
    household: JSON.stringify({ generator: true, phases: 3 }),
  };
  const board = new VirtualBoard({ bundle: code, seed: 5, chip, storage, startMs });
  const truth = new Truth();
  const loads = await loadsOf(households[0], seed);
  const house = new Household({
    id: 'three',
    name: 'three',
    board,
    loads,
    truth,
    startMs: NOON_MS,
    endMs: NOON_MS + 2 * QUARTER_HOUR_MS,
  });
  house.start();
  house.advanceTo(startMs + 1500);
  board.receive(frameOf({ type: LINK_TIME, unixMs: startMs + 1500 }));
  house.advanceTo(NOON_MS + 2 * QUARTER_HOUR_MS + 500);
  const peer = new GatewayPeer();
  peer.hear(board.take(), null);
  t.deepEqual(board.output, []);
  const last = peer.messages.findLast((message): message is Live => message.type === LINK_LIVE)!;
  const exact = truth.total();
  // all that flowed, whichever way and on whichever phase, is what a share of is allowed to be wrong
  t.log(`import ${last.importMwh} of ${exact.importMwh} mWh, export ${last.exportMwh} of ${exact.exportMwh} mWh`);
  const flowed = exact.importMwh + exact.exportMwh;
  t.true(flowed > 100_000);
  t.true(Math.abs(last.importMwh - exact.importMwh) < 0.01 * flowed + 500, `${last.importMwh}`);
  t.true(Math.abs(last.exportMwh - exact.exportMwh) < 0.01 * flowed + 500, `${last.exportMwh}`);
});

test('a recording is of one phase; another count of phases is refused by its path', (t) => {
  const scenario = (household: object) =>
    JSON.stringify({
      seed: 1,
      start: '2024-06-18T00:00:00Z',
      days: 1,
      area: 'a',
      households: [{ id: 'a', ...household }],
    });
  const problem = (household: object) =>
    t.throws(() => parseScenario(scenario(household), 'x.json'), { instanceOf: ScenarioError })!.message;
  t.regex(problem({ trace: 'a.txt', phases: 3 }), /households\[0\]\.phases/);
  t.regex(problem({ preset: 'flat', phases: 2 }), /households\[0\]\.phases/);
});
