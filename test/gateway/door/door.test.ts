// The gateway's half against a relay that does what a test wants: what leaves is the same whatever happens, and a list is believed
// only as its party made it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as v from 'valibot';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { Door, type HeardList, type RelayCall } from '../../../gateway/door/door.ts';
import { callService } from '../../../gateway/services/client.ts';
import { publicRoute, Refusal, startService } from '../../../operator/shared/service.ts';
import { listDigest, NO_LIST_BEFORE, signList } from '../../../protocol/door/answer-list.ts';
import { bundleBytes, decodeBundle } from '../../../protocol/door/bundle.ts';
import { openCell, sealEntry } from '../../../protocol/door/cell.ts';
import {
  BUNDLES_PATH,
  bundleCall,
  HEADS_PATH,
  LISTS_PATH,
  listsCall,
  partOf,
} from '../../../protocol/door/services.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import { testPlan } from '../../protocol/door/plan.ts';

const SLOT = 1_900_000;
const CENTRE = 'control-centre';

/** A relay that takes everything, and serves what it is told to. */
async function scriptedRelay(t: ExecutionContext, sendAfterMs = 0) {
  const made = await testPlan({ sendAfterMs });
  const { plan, openers, listKeys } = made;
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-door-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const [port] = await freePorts(1);
  const bundles: Uint8Array[] = [];
  const calls: string[] = [];
  const lists = new Map<string, Uint8Array[]>([
    ['bank', []],
    [CENTRE, []],
  ]);
  const script = { refuse: null as Refusal | null, heads: null as object[] | null };
  const service = await startService({
    name: 'relay',
    access: {
      host: '127.0.0.1',
      port,
      ...(await ca.server('relay', ['127.0.0.1'])),
      caFile: ca.caFile,
      requestsPerMinute: 10_000,
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: BUNDLES_PATH,
        body: bundleCall,
        handle: ({ bundle }) => {
          calls.push('bundle');
          bundles.push(bundle);
          if (script.refuse) throw script.refuse;
          return {};
        },
      }),
      publicRoute({
        method: 'POST',
        path: HEADS_PATH,
        body: v.strictObject({}),
        handle: () => {
          calls.push('heads');
          const all = [...lists].map(([name, own]) => ({ name, first: Math.min(1, own.length), last: own.length }));
          return { destinations: script.heads ?? all };
        },
      }),
      publicRoute({
        method: 'POST',
        path: LISTS_PATH,
        body: listsCall,
        handle: ({ destination, number, part }) => {
          calls.push(`${destination} ${number}`);
          const piece = partOf(lists.get(destination)?.[number - 1] ?? new Uint8Array(), part);
          if (!piece) throw new Refusal('no such list', 'none', 'correct', { status: 404 });
          return piece;
        },
      }),
    ],
  });
  const clock = new DrivenClock(SLOT * SLOT_MS);
  const heard: HeardList[] = [];
  const log: string[] = [];
  const open = (): Door => {
    const relay = { url: service.url, ca: readFileSync(ca.caFile, 'utf8') };
    const call: RelayCall = (path, body, answer) => callService({ ...relay, path, body, answer });
    const door = new Door({ dataDir: directory, plan, call, clock, log: (line) => log.push(line) });
    door.onAnswers(CENTRE, (list) => void heard.push(list));
    return door;
  };
  const home = { door: open() };
  t.teardown(async () => {
    await home.door.close();
    await service.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const cellsOf = (bundle: Uint8Array) =>
    decodeBundle(plan, bundle).cells[1].map((cell) => openCell(plan.destinations[1], openers[1], cell));
  return {
    plan,
    bundles,
    calls,
    lists,
    script,
    clock,
    heard,
    log,
    home,
    cellsOf,
    /** The centre's next list, with answers to everything in a bundle. */
    answer(bundle: Uint8Array, change: { number?: number; previous?: Uint8Array } = {}, key = listKeys[1]): Uint8Array {
      const before = lists.get(CENTRE)!.at(-1);
      const number = change.number ?? lists.get(CENTRE)!.length + 1;
      const entries = cellsOf(bundle).map(({ message, answer }) =>
        sealEntry(plan.destinations[1], number, answer, message && Buffer.concat([Buffer.from('re: '), message])),
      );
      const previous = change.previous ?? (before ? listDigest(before) : NO_LIST_BEFORE);
      return signList(
        plan.destinations[1],
        { number, slot: SLOT, previous, entries, notice: new Uint8Array() },
        key.privateKey,
      );
    },
    otherKeys: listKeys,
    async step(slot: number, afterMs = 500): Promise<void> {
      clock.advanceTo(slot * SLOT_MS + afterMs);
      home.door.tick();
      await home.door.idle();
    },
    reopen: async () => {
      await home.door.close();
      home.door = open();
    },
  };
}

test.serial(
  'in every slot one bundle of one size, at the time of the plan, whatever happened in the house',
  async (t) => {
    const house = await scriptedRelay(t, 300_000);
    const { home, bundles, calls } = house;
    await house.step(SLOT, 299_999);
    await house.step(SLOT, 300_000);
    await house.step(SLOT, 300_001);
    await house.step(SLOT, 899_999);
    t.deepEqual(
      bundles.map((bundle) => decodeBundle(house.plan, bundle).slot),
      [SLOT - 1, SLOT],
      'one as soon as it is there, then at its time',
    );
    bundles.length = 0;
    calls.length = 0;
    for (let i = 1; i <= 4; i++) {
      // as the house lives: nothing, one message, more than fit, nothing
      for (let n = 0; n < [0, 1, 5, 0][i - 1]; n++) home.door.post(CENTRE, Buffer.from(`message ${i}.${n}`));
      await house.step(SLOT + i, 300_000 + 1000 * i);
      await house.step(SLOT + i, 600_000);
    }
    t.deepEqual(
      bundles.map(({ length }) => length),
      Array(4).fill(bundleBytes(house.plan)),
    );
    t.deepEqual(
      bundles.map((bundle) => decodeBundle(house.plan, bundle).slot),
      [1, 2, 3, 4].map((i) => SLOT + i),
    );
    t.deepEqual(calls, Array(4).fill(['heads', 'bundle']).flat(), 'and the same calls');
    t.deepEqual(
      bundles.map((bundle) => house.cellsOf(bundle).map(({ message }) => message && Buffer.from(message).toString())),
      [
        [null, null],
        ['message 2.0', null],
        ['message 3.0', 'message 3.1'],
        ['message 3.2', 'message 3.3'],
      ],
    );
    await house.step(SLOT + 9, 300_000);
    t.is(bundles.length, 5, 'what was missed is not made up for');
  },
);

test.serial(
  'a bundle whose arrival is not known goes again byte for byte, a message in a cell of its own',
  async (t) => {
    const house = await scriptedRelay(t);
    const { home, bundles, script } = house;
    home.door.post(CENTRE, Buffer.from('once'));
    script.refuse = new Refusal('failed', 'the disk is full', 'again', { status: 500 });
    await house.step(SLOT);
    t.is(home.door.trouble, 'the disk is full');
    await house.reopen();
    script.refuse = null;
    await house.step(SLOT);
    t.is(bundles.length, 2);
    t.deepEqual(bundles[0], bundles[1]);
    await house.step(SLOT + 1);
    await house.step(SLOT + 2);
    t.is(bundles.length, 4);
    t.deepEqual(
      house.cellsOf(bundles[2]).map(({ message }) => message),
      [null, null],
      'its answer is waited for',
    );
    const [before, after] = [bundles[1], bundles[3]].map((bundle) => decodeBundle(house.plan, bundle).cells.flat());
    t.deepEqual(Buffer.from(house.cellsOf(bundles[3])[0].message!).toString(), 'once');
    t.false(
      before.some((cell) => after.some((other) => Buffer.compare(cell, other) === 0)),
      'the relay cannot see it',
    );
  },
);

test.serial('a bundle that the relay refuses is given up; its message leaves with the next', async (t) => {
  const house = await scriptedRelay(t);
  house.home.door.post(CENTRE, Buffer.from('once'));
  house.script.refuse = new Refusal('wrong slot', 'the bundle is not of this slot', 'start over');
  await house.step(SLOT);
  house.script.refuse = null;
  await house.reopen();
  await house.step(SLOT);
  t.is(house.bundles.length, 1, 'not in this slot any more');
  await house.step(SLOT + 1);
  t.is(Buffer.from(house.cellsOf(house.bundles[1])[0].message!).toString(), 'once');
});

test.serial('lists that are not what they should be are not heard, and change nothing in what leaves', async (t) => {
  const house = await scriptedRelay(t);
  const { home, lists, bundles, script } = house;
  const own = lists.get(CENTRE)!;
  await house.step(SLOT - 1 + 1);
  home.door.post(CENTRE, Buffer.from('sale'));
  await house.step(SLOT + 1);
  const sale = bundles.at(-1)!;
  const good = house.answer(sale);
  const altered = Buffer.from(good);
  altered[60] ^= 1;
  let slot = SLOT + 1;
  for (const [bad, problem] of [
    [house.answer(sale, {}, house.otherKeys[0]), /list\.signature/],
    [altered, /list\./],
    [good.subarray(0, 100), /list\.entries/],
    [Buffer.from('x'), /list\.version/],
    [house.answer(sale, { number: 2 }), /list\.number: is 2, not 1/],
    [house.answer(sale, { previous: Buffer.alloc(32, 7) }), /list\.previous/],
  ] as const) {
    own[0] = bad;
    await house.step(++slot);
    t.regex(home.door.trouble ?? '', problem);
    t.is(decodeBundle(house.plan, bundles.at(-1)!).slot, slot, 'a bundle leaves all the same');
  }
  t.deepEqual(house.heard, []);
  own[0] = good;
  await house.step(++slot);
  t.is(home.door.trouble, null);
  t.deepEqual(
    house.heard.map(({ number, answers }) => [number, answers.map(({ answer }) => Buffer.from(answer).toString())]),
    [[1, ['re: sale']]],
  );
  script.heads = [
    { name: 'bank', first: 0, last: 0 },
    { name: CENTRE, first: 0, last: 0 },
  ];
  await house.step(++slot);
  t.regex(home.door.trouble ?? '', /heads: end at list 0 of control-centre, which had list 1/);
  t.is(decodeBundle(house.plan, bundles.at(-1)!).slot, slot);
});

test.serial('another list under the same number is seen by the next in the chain', async (t) => {
  const house = await scriptedRelay(t);
  const own = house.lists.get(CENTRE)!;
  await house.step(SLOT);
  own.push(house.answer(house.bundles[0]));
  await house.step(SLOT + 1);
  const shown = own[0];
  own[0] = house.answer(house.bundles[1], { number: 1, previous: NO_LIST_BEFORE });
  t.notDeepEqual(own[0], shown);
  own.push(house.answer(house.bundles[1]));
  await house.step(SLOT + 2);
  t.regex(house.home.door.trouble ?? '', /list\.previous/);
  t.is(house.heard.length, 1);
});

test.serial('every list of every party is fetched whole, whether or not anything in it is ours', async (t) => {
  const house = await scriptedRelay(t);
  await house.step(SLOT);
  for (let i = 0; i < 3; i++) house.lists.get(CENTRE)!.push(house.answer(house.bundles[0]));
  house.calls.length = 0;
  await house.step(SLOT + 1);
  t.deepEqual(house.calls, ['heads', `${CENTRE} 1`, `${CENTRE} 2`, `${CENTRE} 3`, 'bundle']);
  t.is(house.heard.length, 3);
  house.calls.length = 0;
  await house.reopen();
  await house.step(SLOT + 2);
  t.deepEqual(house.calls, ['heads', 'bundle'], 'once');
});

test.serial('a handler that fails hears the list again, and the message stays until then', async (t) => {
  const house = await scriptedRelay(t);
  const { home } = house;
  await house.step(SLOT);
  home.door.post(CENTRE, Buffer.from('sale'));
  await house.step(SLOT + 1);
  house.lists.get(CENTRE)!.push(house.answer(house.bundles[1]));
  let fails = true;
  const heard: number[] = [];
  home.door.onAnswers(CENTRE, ({ answers }) => {
    if (fails) throw new Error('disk full');
    heard.push(answers.length);
  });
  await house.step(SLOT + 2);
  t.is(home.door.waiting(CENTRE), 1);
  fails = false;
  await house.step(SLOT + 3);
  t.deepEqual(heard, [1]);
  t.is(home.door.waiting(), 0);
});
