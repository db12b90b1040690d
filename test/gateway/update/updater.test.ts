// A release from its folder into meter and TPM: the whole way, what is refused, and deaths at every step.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { UpdatePhase } from '../../../gateway/update/updater.ts';
import { LINK_MEASUREMENT } from '../../../protocol/wire/link-messages.ts';
import { firmwareOf, keys, UpdatingHome } from './updating-home.ts';

test('a release reaches the meter: measured before it is flashed, proved after, counted, attested', async (t) => {
  const home = await UpdatingHome.build();
  await home.releases.put(1);
  const phases: UpdatePhase[] = [];
  const note = () => {
    const { state } = home.updater.view;
    if (phases.at(-1) !== state) phases.push(state);
    if (state === 'flashing') t.is(home.measured.length, 1, 'measured before');
    if (state !== 'idle' && state !== 'committing') t.is(home.counter, 0, 'counted when all is proved');
  };
  t.true(await home.until(() => home.updater.view.version === 1, 400, note), home.log.join('\n'));
  t.like(home.updater.view, { version: 1, state: 'idle', next: null, reason: null });
  t.true(phases.includes('flashing') && phases.includes('proving'), phases.join());
  t.is(home.counter, 1);
  t.is(home.attested, 1);
  t.deepEqual(Buffer.from(home.updater.meterImage!).toString('hex'), home.measured[0]);
  t.true(home.authorizations > 0);

  // the next one finds its way within an hour of its publication; the same one again changes nothing
  await home.releases.put(2);
  home.updater.look();
  t.true(await home.until(() => home.updater.view.version === 2), home.log.join('\n'));
  t.is(home.counter, 2);
  t.is(home.measured.length, 2);
  home.updater.look();
  await home.until(() => false, 5);
  t.like(home.updater.view, { version: 2, state: 'idle', reason: null });
  t.deepEqual(home.board.output, []);
});

const refusals: [name: string, reason: RegExp, prepare: (home: UpdatingHome) => Promise<void>][] = [
  [
    'a manifest of the wrong key',
    /signed by another key than the release key/,
    async (home) => {
      const release = generateKeyPairSync('ed25519').privateKey;
      await home.releases.put(5, { signer: { ...keys, release } });
    },
  ],
  [
    'an altered manifest',
    /changed after it was signed/,
    async (home) => {
      await home.releases.put(5);
      const file = join(home.releases.folder, '5', 'manifest.bin');
      const bytes = readFileSync(file);
      bytes[90] ^= 1;
      writeFileSync(file, bytes);
    },
  ],
  [
    'a version that the counter has left behind',
    /release 5 is older than release 6, which has run here: no way back/,
    async (home) => {
      home.counter = 6;
      await home.releases.put(5);
    },
  ],
  [
    'a release whose time has not come',
    /release 5 is not to be installed before/,
    async (home) => home.releases.put(5, { notBeforeMs: home.nowMs + 86_400_000 }),
  ],
];
for (const [name, reason, prepare] of refusals) {
  test(`refused: ${name}; nothing is measured and nothing is flashed`, async (t) => {
    const home = await UpdatingHome.build();
    await prepare(home);
    await home.until(() => home.updater.view.reason !== null, 200);
    t.like(home.updater.view, { version: 0, state: 'idle', next: null });
    t.regex(home.updater.view.reason!, reason);
    t.deepEqual(home.measured, []);
    t.is(home.images.sender, null);
  });
}

test('refused: an image with one other byte, an archive with another file, a part that goes on too long', async (t) => {
  for (const [part, change, reason] of [
    ['firmware.js', (bytes: Buffer) => (bytes[3000] ^= 1), "the meter's image is not the one that the manifest names"],
    [
      'gateway.bin',
      (bytes: Buffer) => (bytes[20] ^= 1),
      "the gateway's software is not the one that the manifest of release 3 names",
    ],
  ] as const) {
    const home = await UpdatingHome.build();
    await home.releases.put(3);
    const file = join(home.releases.folder, '3', part);
    const bytes = readFileSync(file);
    change(bytes);
    writeFileSync(file, bytes);
    t.true(await home.until(() => home.updater.view.state === 'failed', 200));
    t.is(home.updater.view.reason, reason);
    t.deepEqual(home.measured, []);
  }
  const home = await UpdatingHome.build();
  await home.releases.put(3);
  const file = join(home.releases.folder, '3', 'firmware.js');
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('more')]));
  t.true(await home.until(() => home.updater.view.state === 'failed', 200));
  t.is(home.updater.view.reason, 'the firmware of release 3 is longer than the manifest says');
});

test('a meter that lies: about its length, about what it runs', async (t) => {
  for (const [change, reason] of [
    [{ length: 1234 }, /the meter says its program is 1234 bytes long; it was given \d+/],
    [{ digest: new Uint8Array(32) }, /the meter runs something else than the image that it was given/],
  ] as const) {
    const home = await UpdatingHome.build();
    await home.releases.put(1);
    home.onTheLine = (message) => (message.type === LINK_MEASUREMENT ? { ...message, ...change } : message);
    t.true(await home.until(() => home.updater.view.state === 'failed'), home.log.join('\n'));
    t.regex(home.updater.view.reason!, reason);
    t.is(home.counter, 0);
  }
});

test('a program that does not start: given up, the one before runs, the next release is taken', async (t) => {
  const home = await UpdatingHome.build();
  await home.releases.put(1, { firmware: Buffer.from('undefined.x;') });
  await home.until(() => home.updater.view.state === 'proving');
  for (let minute = 0; minute < 40 && home.updater.view.state !== 'failed'; minute++) await home.step(60_000);
  await home.until(() => home.updater.view.state === 'failed');
  t.is(
    home.updater.view.reason,
    'the meter has started version 1 and it did not prove itself; version 0 runs',
    home.log.join('\n'),
  );
  t.is(home.updater.meterImage, null, 'what the meter runs was never flashed by this gateway');
  await home.releases.put(2);
  home.updater.look();
  t.true(await home.until(() => home.updater.view.version === 2), home.log.join('\n'));
});

test('deaths: the gateway ends and the meter loses its power, at every step, again and again (kill.test.ts: by kill -9)', async (t) => {
  let kills = 0;
  let cuts = 0;
  let cutsOnTrial = 0;
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const home = await UpdatingHome.build();
  const seen = new Set<string>();
  let seconds = 0;
  for (const version of [1, 2, 3]) {
    await home.releases.put(version);
    home.updater.look();
    cutsOnTrial = 0;
    while (home.updater.view.version !== version && seconds++ < 3000) {
      seen.add(home.updater.view.state);
      if (random() < 0.06) {
        kills++;
        await home.killGateway();
      }
      // a third cut within a trial would count as its end; one may still be armed
      const { progress } = home.updater.view;
      const onTrial = !progress || progress.arrived === 0 || progress.arrived === progress.of;
      if (home.board.running && random() < 0.04 && (!onTrial || cutsOnTrial++ < 1)) {
        cuts++;
        const kind = random();
        if (kind < 0.3) home.board.cut();
        else
          home.board.armCut({
            afterFlashOperations: Math.floor(random() * 6),
            kind: 'torn',
            words: Math.floor(random() * 64),
          });
      }
      await home.step();
      if (!home.board.running) home.board.start();
      if (!onTrial && random() < 0.01) await home.step(3_600_000);
    }
    t.is(home.updater.view.version, version, home.log.join('\n'));
  }
  t.is(home.counter, 3);
  t.is(home.measured.length, 3, 'each image once');
  t.is(home.measured.at(-1), Buffer.from(home.updater.meterImage!).toString('hex'));
  for (const phase of ['flashing', 'proving']) t.true(seen.has(phase), phase);
  t.true(kills > 5 && cuts > 2, `${kills} kills, ${cuts} cuts`);
  t.log(`${kills} kills, ${cuts} cuts in ${seconds} steps`);
  t.deepEqual(home.board.output, []);
});

test('what is fetched is kept: a server that goes away in the middle costs the rest only', async (t) => {
  const home = await UpdatingHome.build();
  await home.releases.put(1);
  const { source } = home;
  let asked = 0;
  home.source = {
    newest: source.newest,
    part: async (request) => {
      if (++asked === 2) throw new Error('nobody answers');
      return source.part(request);
    },
  };
  home.startGateway();
  await home.until(() => home.updater.view.reason !== null, 200);
  t.like(home.updater.view, { state: 'fetching', reason: 'nobody answers' });
  home.startGateway();
  t.true(await home.until(() => home.updater.view.state === 'flashing', 90));
  const { length } = await firmwareOf(1);
  t.is(asked, 2 + Math.ceil(length / 32_768), 'each part once, and the one that failed twice');
});
