// Attacks and faults by name (protocols.md): A11, A13, A14, A16, a coin 64 times at once, forged coins, kill -9 between spend and answer.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { SimulatedMeter } from '../../../bench/power-line/simulated-meter.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { openKeyset } from '../../../protocol/crypto/keyset.ts';
import { sealAsMeter } from '../../../protocol/crypto/meter-seal.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import {
  BATCH_LABEL,
  BEACON_LABEL,
  encodeBatchBody,
  encodeBeaconBody,
  signedPart,
  X_FORGED,
  X_KEY,
  X_TOKEN,
  X_USED,
} from '../../../protocol/trading/batch.ts';
import { sendTimeMs } from '../../../protocol/trading/decisions.ts';
import {
  encodeFind,
  encodeOffer,
  encodeRequest,
  encodeResend,
  REQUEST_SEAL,
  requestHead,
  sealContext,
} from '../../../protocol/trading/messages.ts';
import { coinsRoot } from '../../../protocol/trading/statement.ts';
import { encodeBusFrames } from '../../../protocol/wire/bus-frame.ts';
import { balance, CELL, type Cell, DEPOSITS_MS, EPOCH_MS, MONTH, makeCell, makeOthers } from './rig.ts';

/** A request by hand, for any coin. */
function requestOf(cell: Cell, coin: { id: Uint8Array; signature: Uint8Array }): Uint8Array {
  const [{ key }] = cell.meters;
  const sealing = cell.keyset.keys.find(({ purpose, month }) => purpose === 'trade-sealing' && month === MONTH)!;
  const piece = { ...cell.piece(), keyId: key.keyId };
  const context = sealContext(REQUEST_SEAL, CELL, cell.substation.books.keysetHash, sealing.keyId, requestHead(piece));
  const sealed = sealAsMeter(sealing.publicKey, context, Buffer.concat([coin.id, coin.signature]));
  return encodeRequest({ ...piece, sealed });
}
const lines = (cell: Cell) => cell.batches().flatMap((batch) => batch.lines);
const reasons = (cell: Cell): number[] => lines(cell).flatMap((line) => (line.kind === 'X' ? [line.reason] : []));

test('one coin 64 times at once, in requests, exchange and deposit: one counts', async (t) => {
  const cell = await makeCell(t);
  await cell.load();
  const [meter, other] = cell.meters;
  const [coin] = meter.free;
  const exchange = meter.exchange([coin]);
  const requests = Array.from({ length: 63 }, () => requestOf(cell, coin));
  const messages = [...requests.slice(0, 30), exchange.message, ...requests.slice(30)];
  await Promise.all(messages.map((message) => cell.substation.take(message)));
  await cell.epochs(2);
  t.is(lines(cell).filter(({ kind }) => kind === 'D' || kind === 'E').length, 1);
  t.is(reasons(cell).filter((reason) => reason === X_USED).length, 63);
  cell.nowMs = DEPOSITS_MS;
  await cell.substation.tick(cell.nowMs);
  const shown = { id: coin.id, signature: coin.signature };
  const deposit = { keyId: meter.key.keyId, root: coinsRoot([coin.identity]), count: 1, coins: [shown] };
  await t.throwsAsync(cell.substation.accounts.deposit('customer 0', deposit), {
    message: /1 of the coins were spent/,
  });

  // … and the other way round: deposited by many at once, under names
  const [mine] = other.free;
  const whole = {
    keyId: other.key.keyId,
    root: coinsRoot([mine.identity]),
    count: 1,
    coins: [{ id: mine.id, signature: mine.signature }],
  };
  const outcomes = await Promise.allSettled(
    Array.from({ length: 64 }, (_, i) => cell.substation.accounts.deposit(`customer ${i}`, whole)),
  );
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('a forged coin, somebody else’s seal, a token that was seen: refused, and nothing changes', async (t) => {
  const cell = await makeCell(t);
  await cell.load();
  const [meter, other] = cell.meters;
  const [coin] = meter.free;
  await cell.substation.take(requestOf(cell, { id: randomBytes(32), signature: coin.signature }));
  const stolen = requestOf(cell, coin);
  // the ciphertext in a request of one's own: its head is another
  const copied = encodeRequest({ ...cell.piece(2), keyId: meter.key.keyId, sealed: stolen.subarray(1 + 41) });
  await cell.substation.take(copied);
  const offer = other.offer(cell.piece());
  await cell.run(EPOCH_MS);
  const blinded = other.sent[0].tokens[0].blinded;
  await cell.substation.take(
    encodeOffer({ ...cell.piece(2), keyId: meter.key.keyId, pass: new Uint8Array(), blinded }),
  );
  const one = Buffer.alloc(blinded.length);
  one[one.length - 1] = 1;
  await cell.substation.take(
    encodeOffer({ ...cell.piece(), keyId: meter.key.keyId, pass: new Uint8Array(), blinded: one }),
  );
  await cell.epochs(1);
  t.deepEqual(reasons(cell), [X_FORGED, X_FORGED, X_TOKEN, X_TOKEN]);
  t.is(cell.substation.books.database.prepare('SELECT count(*) AS n FROM coins').get()!.n, 0);
  t.is(offer.state, 'open');
  await cell.substation.take(Uint8Array.of(3, 1, 2));
  await cell.substation.take(Uint8Array.of(99));
  t.is(cell.substation.books.counters.read().malformed, 2);
});

test('A11: times of sending are fresh and uniform over the slot before, whatever was before', (t) => {
  const draws = 20_000;
  const phases = Array.from({ length: draws }, (_, i) => {
    const ms = sendTimeMs(100 + i, randomBytes(4).readUInt32BE(), 60_000);
    t.true(ms >= (99 + i) * 900_000 && ms < (100 + i) * 900_000 - 60_000);
    return (ms % 900_000) / 840_000;
  });
  const mean = phases.reduce((sum, phase) => sum + phase, 0) / draws;
  const product = phases.slice(1).reduce((sum, phase, i) => sum + (phase - 0.5) * (phases[i] - 0.5), 0) / draws;
  t.true(Math.abs(mean - 0.5) < 0.02);
  t.true(Math.abs(product) * 12 < 0.05, 'one time says nothing of the next');
});

test('A13: pairings and beacons by an insider with the group key move nobody', async (t) => {
  const cell = await makeCell(t);
  await cell.load();
  const [seller, buyer] = cell.meters;
  const offer = seller.offer(cell.piece());
  const insider = generateEd25519Key();
  const forge = (label: string, body: Uint8Array): void => {
    const message = Buffer.concat([body, signEd25519(insider.privateKey, signedPart(label, body))]);
    const epoch = Math.floor(cell.nowMs / EPOCH_MS);
    const frames = encodeBusFrames(nodeNatives, cell.groupKey, epoch, randomBytes(12), message);
    for (const meter of cell.meters) for (const frame of frames) meter.hear(frame);
  };
  const beacon = { ...buyer.beacon!, epoch: buyer.beacon!.epoch + 50, nextBatch: 1000 };
  forge(BEACON_LABEL, encodeBeaconBody(beacon));
  const blindSignature = randomBytes(256);
  const line = { kind: 'B' as const, offer: Buffer.from(offer.id, 'hex'), blindSignature };
  forge(BATCH_LABEL, encodeBatchBody({ number: 0, previous: new Uint8Array(32), epoch: 1, lines: [line] }));
  t.deepEqual(
    cell.meters.map(({ forgedFrames, chain }) => [forgedFrames, chain.next, chain.missing()]),
    cell.meters.map(() => [2, 0, -1]),
  );
  t.is(offer.state, 'open');
});

test('A14: a coin that was seen goes back into the wallet by exchange only: never deposited under a name', async (t) => {
  const cell = await makeCell(t, { meters: 1, faults: { loss: 1 } });
  const [meter] = cell.meters;
  await cell.load();
  meter.request(cell.piece());
  await cell.epochs(15);
  cell.line.faults = {};
  await cell.epochs(2);
  const [seen] = meter.coins.filter(({ state }) => state === 'seen');
  t.truthy(seen);
  t.false(meter.deposit().coins.some(({ id }) => Buffer.compare(id, seen.id) === 0));
  meter.exchange([seen]);
  await cell.epochs(2);
  t.is(meter.deposit().count, 1, 'the new one, which nobody has seen');
});

test('A16: a keyset or a group key of one’s own raises an alarm', async (t) => {
  const cell = await makeCell(t, { meters: 1 });
  const [meter] = cell.meters;
  t.deepEqual(meter.alarms, []);
  const others = { ...cell.keyset, number: cell.keyset.number + 1 };
  const marked = new SimulatedMeter({
    ...{ keyset: others, month: MONTH, cell: CELL, groupKey: cell.groupKey, random: randomBytes },
    ...{ send: () => {}, epoch: () => 0 },
  });
  const beacon = cell.substation.pairing.beacon(cell.groupKey);
  const epoch = Math.floor(cell.nowMs / EPOCH_MS);
  for (const frame of encodeBusFrames(nodeNatives, cell.groupKey, epoch, randomBytes(12), beacon)) marked.hear(frame);
  t.deepEqual(marked.alarms, ['another keyset']);

  const own = cell.substation.pairing.beacon(randomBytes(32));
  for (const frame of encodeBusFrames(nodeNatives, cell.groupKey, epoch, randomBytes(12), own)) meter.hear(frame);
  t.deepEqual(meter.alarms, ['another group key']);
});

test('RESEND and FIND bring a batch again, and not more often than is good for the line', async (t) => {
  const cell = await makeCell(t, { more: { resendMs: 5000 } });
  await cell.load();
  const request = cell.meters[0].request(cell.piece())!;
  await cell.run(EPOCH_MS);
  const resent = (): number => cell.substation.books.counters.read().resent ?? 0;
  await cell.substation.take(encodeResend(0));
  await cell.substation.take(encodeFind(Buffer.from(request.id, 'hex')));
  t.is(resent(), 1);
  await cell.run(6000);
  await cell.substation.take(encodeFind(Buffer.from(request.id, 'hex')));
  t.is(resent(), 2);
  await cell.substation.take(encodeFind(randomBytes(16)));
  await cell.substation.take(encodeResend(77));
  t.is(resent(), 2);
  // the same body again: one effect, the same line
  await cell.run(6000);
  await cell.substation.take(request.message);
  t.is(resent(), 3);
  t.is(lines(cell).length, 1);
});

for (const when of ['before', 'after'])
  test(`a substation killed right ${when} the commit of a pairing: at its next start everybody hears of one`, async (t) => {
    const cell = await makeCell(t);
    await cell.load();
    const [seller, buyer] = cell.meters;
    const piece = cell.piece();
    // heard by the substation of the child process only
    const messages = [seller.offer(piece), buyer.request(piece)!].map(({ message }) =>
      Buffer.from(message).toString('hex'),
    );
    cell.line.faults = { loss: 1 };
    const child = join(import.meta.dirname, 'killed-substation.ts');
    const { signal, stderr } = spawnSync(
      process.execPath,
      [child, cell.file, when, String(cell.nowMs), Buffer.from(cell.groupKey).toString('hex'), ...messages],
      { encoding: 'utf8' },
    );
    t.is(signal, 'SIGKILL', stderr);
    t.is(cell.batches().length, when === 'before' ? 0 : 1);
    await cell.run(2000);
    cell.line.faults = {};
    await cell.restart();
    await cell.epochs(3);
    t.deepEqual(
      lines(cell).map(({ kind }) => kind),
      ['P'],
    );
    t.is(seller.sold.length, 1);
    t.is(buyer.bought.length, 1);
    const { loaded, deposited, sold, inWallets } = balance(cell);
    t.is(loaded, deposited + sold + inWallets);
  });

test('coins of a revoked key buy nothing, and are exchanged for those of the key that took its place', async (t) => {
  const cell = await makeCell(t, { meters: 1 });
  await cell.load();
  const [meter] = cell.meters;
  makeOthers();
  await cell.substation.revoke(meter.key.keyId);
  const request = meter.request(cell.piece())!;
  await cell.epochs(1);
  t.is(request.state, 'dead');
  t.deepEqual(reasons(cell), [X_KEY]);

  const { substation, keyset, line, groupKey } = cell;
  const newer = openKeyset(substation.books.keys.bytes!, keyset.party, cell.masterKey);
  const send = (frames: Uint8Array[]): void => line.send(null, frames, 1);
  const epoch = (): number => Math.floor(cell.nowMs / EPOCH_MS);
  const renewed = new SimulatedMeter({
    keyset: newer,
    month: MONTH,
    cell: CELL,
    groupKey,
    random: randomBytes,
    send,
    epoch,
  });
  line.attach((frames) => {
    for (const frame of frames) renewed.hear(frame);
  });
  const old = meter.coins.splice(0);
  renewed.exchange(old, meter.key.keyId);
  await cell.run(EPOCH_MS);
  renewed.tick();
  await cell.run(EPOCH_MS);
  t.is(renewed.free.length, old.length);
  t.deepEqual(renewed.evidence, []);
});
