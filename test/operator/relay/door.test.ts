// A message leaves the house and is answered; nobody on the way learns whose it is; whoever is killed when, nothing is lost.
import { generateKeyPairSync, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { PartyGone } from '../../../bench/party.ts';
import { callService } from '../../../gateway/services/client.ts';
import { encodeBundle } from '../../../protocol/door/bundle.ts';
import { sealCell } from '../../../protocol/door/cell.ts';
import { openPlan } from '../../../protocol/door/plan.ts';
import { BUNDLES_PATH, CELLS_PATH, stored } from '../../../protocol/door/services.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { bytesOf } from '../grid.ts';
import { answerTo, at, CENTRE, type DoorHouse, openDoorHouse, START_SLOT } from './door-house.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const names = (n: number): string[] => Array.from({ length: n }, (_, i) => `house-${i}`);

test.serial("a message goes out with the next bundle, and its answer comes with the party's list", async (t) => {
  const house = await openDoorHouse(t);
  const homes = names(3).map((name) => house.gateway(name));
  const id = homes[1].door.post(CENTRE, Buffer.from('sale 7'));
  t.deepEqual(homes[1].door.post(CENTRE, Buffer.from('sale 7')), id, 'posted twice, queued once');
  await house.step(START_SLOT, homes);
  t.deepEqual(house.heard, ['sale 7']);
  t.is(homes[1].door.waiting(), 1);
  await house.step(START_SLOT + 1, homes);
  t.is(homes[1].answers.get('sale 7'), hex(answerTo(Buffer.from('sale 7'))));
  t.is(homes[1].door.waiting(), 0);
  for (const { lists } of homes)
    t.deepEqual(
      lists.map(({ number, entries }) => [number, entries.length]),
      [[1, 3]],
      'everybody has read the same list, with an entry for each cell',
    );
  await house.step(START_SLOT + 2, homes);
  t.deepEqual(house.heard, ['sale 7'], 'answered: not sent again');
  t.is(house.counters.read().doorDummies, 8);
});

test.serial('fewer than k gateways: everything waits, and goes with the slot in which there are enough', async (t) => {
  const house = await openDoorHouse(t, { k: 3 });
  const homes = names(3).map((name) => house.gateway(name));
  homes[0].door.post(CENTRE, Buffer.from('early'));
  await house.step(START_SLOT, homes.slice(0, 2));
  await house.step(START_SLOT + 1, homes.slice(0, 2));
  t.deepEqual(house.heard, [], 'two gateways in two slots are still two');
  t.like(await house.relay.ask('door'), { bundles: 4, shuffles: 0, heldBack: 2, waiting: 8 });
  await house.step(START_SLOT + 2, homes);
  t.true(house.heard.every((message) => message === 'early') && house.heard.length > 0);
  t.like(await house.relay.ask('door'), { bundles: 7, shuffles: 1, waiting: 0 });
  await house.step(START_SLOT + 3, homes);
  t.is(homes[0].answers.size, 1);
  t.is(homes[2].lists[0].entries.length, 7, 'all that came until then, in one batch');
});

test.serial('more messages than a bundle has cells for leave in their order, one bundle after the other', async (t) => {
  const house = await openDoorHouse(t, { cells: 2, k: 1 });
  const home = house.gateway('busy');
  for (let i = 0; i < 5; i++) home.door.post(CENTRE, Buffer.from(`m${i}`));
  home.door.withdraw(home.door.post(CENTRE, Buffer.from('regretted')));
  for (let i = 0; i < 4; i++) await house.step(START_SLOT + i, [home]);
  t.deepEqual(house.heard.map((message) => message).toSorted(), ['m0', 'm1', 'm2', 'm3', 'm4']);
  t.deepEqual(house.heard.slice(0, 2).toSorted(), ['m0', 'm1']);
  t.is(home.answers.size, 5);
  t.throws(() => home.door.post(CENTRE, Buffer.alloc(201)), { instanceOf: RangeError });
  t.throws(() => home.door.post('nowhere', Buffer.alloc(1)), { instanceOf: RangeError });
});

test.serial(
  'what a party does not answer is sent again, and nothing on the way shows that it is the same',
  async (t) => {
    let refuse = true;
    const heard: string[] = [];
    const house = await openDoorHouse(t, {
      k: 1,
      half: {
        handle: (message) => {
          heard.push(Buffer.from(message).toString());
          if (refuse) throw new Error('no disk');
          return answerTo(message);
        },
      },
    });
    const home = house.gateway('patient');
    const log = console.error;
    console.error = () => {};
    t.teardown(() => {
      console.error = log;
    });
    home.door.post(CENTRE, Buffer.from('again and again'));
    for (let i = 0; i < 4; i++) await house.step(START_SLOT + i, [home]);
    t.deepEqual(heard, ['again and again', 'again and again'], 'every second slot');
    refuse = false;
    for (let i = 4; i < 6; i++) await house.step(START_SLOT + i, [home]);
    t.is(home.answers.size, 1);
    t.is(home.door.waiting(), 0);
    t.is(house.counters.read().doorFailed, 2);
  },
);

test.serial('what the relay has on its disk and in its log: addresses, ciphertext, and no order', async (t) => {
  const house = await openDoorHouse(t, { k: 4 });
  const homes = names(4).map((name) => house.gateway(name));
  const canary = Buffer.from('canary 4711, a sale of the evening');
  const id = homes[2].door.post(CENTRE, canary);
  await house.step(START_SLOT, homes.slice(0, 3));
  const plan = openPlan(
    readFileSync(house.side.gatewayDoor.planFile),
    Buffer.from(house.side.gatewayDoor.planKey, 'hex'),
  );
  const store = join(house.directory, 'relay');
  const before = bytesOf(store);
  t.true(before.includes('127.0.0.1'), 'the search finds what is there');
  const leaks = (bytes: Buffer): boolean =>
    [canary, canary.subarray(0, 8), Buffer.from(id), Buffer.from(hex(id))].some((needle) => bytes.includes(needle));
  t.false(leaks(before));
  await house.step(START_SLOT + 1, homes);
  await house.step(START_SLOT + 2, homes);
  t.is(homes[2].answers.size, 1, 'it was there');
  t.false(leaks(bytesOf(store)));
  t.false(leaks(readFileSync(join(house.directory, 'relay.log'))));
  t.false(bytesOf(store).includes(Buffer.from(answerTo(canary).subarray(0, 16))));
  t.is(plan.destinations.length, 2);
});

test.serial(
  'kills of the relay and the party at any moment: every message is answered, once for its household',
  async (t) => {
    const house = await openDoorHouse(t, { k: 3 });
    const homes = names(4).map((name) => house.gateway(name));
    const slots = 12;
    const kill = async (): Promise<void> => {
      await sleep(randomInt(40));
      await house.relay.kill();
      await house.relay.start();
    };
    const stepOver = (slot: number): Promise<void> =>
      house.step(slot, homes).catch((error) => {
        if (!(error instanceof PartyGone)) throw error;
      });
    for (let i = 0; i < slots; i++) {
      const home = homes[i % homes.length];
      home.door.post(CENTRE, Buffer.from(`message ${i}`));
      if (i % 3 === 0) await Promise.all([stepOver(START_SLOT + i), kill()]);
      else if (i % 3 === 1)
        await Promise.all([stepOver(START_SLOT + i), sleep(randomInt(30)).then(house.restartParty)]);
      else await stepOver(START_SLOT + i);
      if (i % 4 === 0) await home.reopen();
    }
    for (let i = slots; i < slots + 8 && homes.some(({ door }) => door.waiting() > 0); i++) {
      await house.relay.advance(at(START_SLOT + i) - 1000, true);
      await house.step(START_SLOT + i, homes);
    }
    for (const [h, { answers, door }] of homes.entries()) {
      t.is(door.waiting(), 0, `house ${h}`);
      for (const [message, answer] of answers) t.is(answer, hex(answerTo(Buffer.from(message))));
    }
    t.is(
      homes.reduce((sum, { answers }) => sum + answers.size, 0),
      slots,
    );
    const [first, ...others] = homes.map(({ lists }) => lists.map(({ number }) => number));
    t.deepEqual(
      first,
      first.map((_, i) => i + 1),
      'lists are read in order, none twice',
    );
    for (const one of others) t.deepEqual(one, first);
  },
);

/** What somebody sends who is no gateway of ours. */
const send = (house: DoorHouse, bundle: Uint8Array): Promise<string> =>
  callService({
    url: house.side.url,
    ca: readFileSync(house.side.gatewayDoor.caFile, 'utf8'),
    path: BUNDLES_PATH,
    body: { bundle },
    answer: stored,
  }).then(
    () => 'stored',
    (error: ServiceError) => `${error.code}: ${error.path ?? ''}`,
  );

test.serial('hostile bundles change nothing', async (t) => {
  const house = await openDoorHouse(t, { relay: { bundlesPerAddress: 3 } });
  const door = house.side.gatewayDoor;
  const plan = openPlan(readFileSync(door.planFile), Buffer.from(door.planKey, 'hex'));
  const bundle = (slot: number): Uint8Array =>
    encodeBundle(plan, {
      slot,
      cells: plan.destinations.map((to) => Array.from({ length: to.cells }, () => sealCell(to, null).cell)),
    });
  await house.relay.advance(at(START_SLOT), false);
  const good = bundle(START_SLOT);
  const otherPlan = encodeBundle(
    { ...plan, digest: Buffer.alloc(32, 1) },
    { slot: START_SLOT, cells: plan.destinations.map((to) => [sealCell(to, null).cell]) },
  );
  t.is(await send(house, good.subarray(0, -1)), 'malformed: bundle.cells[1][0]');
  t.is(await send(house, Buffer.concat([good, Buffer.of(0)])), 'malformed: bundle');
  t.is(await send(house, otherPlan), 'malformed: bundle.planDigest');
  t.is(await send(house, Buffer.of(9, 9)), 'malformed: bundle.version');
  t.is(await send(house, Buffer.alloc(48_001)), 'malformed: bundle');
  t.is(await send(house, bundle(START_SLOT - 2)), 'wrong slot: bundle.slot');
  t.is(await send(house, bundle(START_SLOT + 2)), 'wrong slot: bundle.slot');
  t.like(await house.relay.ask('door'), { bundles: 0, waiting: 0 });
  t.is(await send(house, good), 'stored');
  t.is(await send(house, good), 'stored', 'the same again');
  t.like(await house.relay.ask('door'), { bundles: 1, waiting: 2 });
  t.is(await send(house, bundle(START_SLOT)), 'stored');
  t.is(await send(house, bundle(START_SLOT)), 'stored');
  t.is(await send(house, bundle(START_SLOT)), 'too many: ', 'so many from one address in a slot');
  const error = await t.throwsAsync(
    callService({
      url: house.side.url,
      ca: readFileSync(door.caFile, 'utf8'),
      path: CELLS_PATH,
      body: {},
      answer: stored,
    }),
    { instanceOf: ServiceError },
  );
  t.is(error.code, 'not found');
});

test.serial('a party whose lists are forged, or do not follow each other, is not heard; the others are', async (t) => {
  const listKey = generateKeyPairSync('ed25519').privateKey;
  const house = await openDoorHouse(t, { k: 1, half: { listKey } });
  const home = house.gateway('listener');
  home.door.post(CENTRE, Buffer.from('who answers?'));
  for (let i = 0; i < 3; i++) await house.step(START_SLOT + i, [home]);
  t.like(await house.relay.ask('door'), { bundles: 3, lists: { bank: 3, 'control-centre': 0 }, unsent: 3 });
  t.deepEqual(home.lists, []);
  t.is(home.door.waiting(), 1);
  t.regex(readFileSync(join(house.directory, 'relay.log'), 'utf8'), /control-centre: list\.signature/);
});

test.serial('a cell that is copied into another bundle changes nothing for whoever sent it first', async (t) => {
  const house = await openDoorHouse(t, { k: 1 });
  const home = house.gateway('victim');
  const door = house.side.gatewayDoor;
  const plan = openPlan(readFileSync(door.planFile), Buffer.from(door.planKey, 'hex'));
  const { cell } = sealCell(plan.destinations[1], Buffer.from('copied'));
  const copies = [0, 1].map(() =>
    encodeBundle(plan, { slot: START_SLOT, cells: [[sealCell(plan.destinations[0], null).cell], [cell]] }),
  );
  for (const copy of copies) t.is(await send(house, copy), 'stored');
  home.door.post(CENTRE, Buffer.from('mine'));
  await house.step(START_SLOT, [home]);
  await house.step(START_SLOT + 1, [home]);
  t.is(house.heard.filter((message) => message === 'copied').length, 1, 'one cell, however often');
  t.is(home.answers.size, 1);
});
