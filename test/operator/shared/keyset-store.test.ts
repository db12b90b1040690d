// A party's keys: made ahead, published in one list, revoked, forgotten; and what nobody takes for such a list.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { generateKey, type KeyPlan, KeysetStore, type NewKey } from '../../../operator/shared/keyset-store.ts';
import { openStore } from '../../../operator/shared/store.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import {
  blindKeyOf,
  joinKeysets,
  type Keyset,
  keyById,
  keyFor,
  keyIdOf,
  keysetDigest,
  openKeyset,
  publishKeyset,
} from '../../../protocol/crypto/keyset.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';

const master = generateEd25519Key();
const sign = (message: Uint8Array): Uint8Array => signEd25519(master.privateKey, message);
const DAY = (day: number): number => day * DAY_MS;
/** A key of ten days for each ten days: they open five days before, and what they made is good for five more. */
function plan(nowMs: number): KeyPlan[] {
  const month = Math.floor(nowMs / DAY(10));
  return [month, month + 1].flatMap((one): KeyPlan[] => {
    const times = { opensMs: DAY(10 * one), closesMs: DAY(10 * one + 10), deadlineMs: DAY(10 * one + 15) };
    return [
      { kind: 'blind', purpose: 'coin', value: 5, month: one, ...times },
      { kind: 'sealing', purpose: 'seal', value: 0, month: one, ...times },
      { kind: 'signing', purpose: 'announce', value: 0, month: one, ...times },
    ];
  });
}
const kept: Promise<NewKey>[] = [];
/** RSA keys are made once for all tests of this file. */
function fromStock(): (one: KeyPlan) => Promise<NewKey> {
  let next = 0;
  return (one) => {
    if (one.kind !== 'blind') return generateKey(one);
    kept[next] ??= generateKey(one);
    return kept[next++];
  };
}

function open(t: ExecutionContext, directory = mkdtempSync(join(tmpdir(), 'quietmeter-keys-'))) {
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const database = openStore(join(directory, 'keys.sqlite'), '');
  const store = new KeysetStore({ database, party: 'bank', sign, plan, generate: fromStock() });
  const published = (): Keyset => openKeyset(store.bytes!, 'bank', master.publicKey);
  return { directory, database, store, published };
}

test('keys are made ahead, in one list of one form; a new process has the same', async (t) => {
  const { store, published, directory } = open(t);
  await Promise.all([store.advance(DAY(0)), store.advance(DAY(0))]);
  const first = published();
  t.deepEqual([first.number, first.keys.length], [1, 6]);
  t.deepEqual(Buffer.from(keysetDigest(first)), Buffer.from(store.digest));
  const coin = keyFor(first, 'coin', 1, 5)!;
  t.is(blindKeyOf(coin).modulus.length, 256);
  t.truthy(keyById(first, coin.keyId));
  t.is(keyFor(first, 'coin', 1, 6), undefined);
  await store.advance(DAY(9));
  t.is(published().number, 1, 'nothing to say');
  const back = open(t, directory);
  await back.store.advance(DAY(9));
  t.deepEqual(back.store.bytes, store.bytes);
  t.truthy(back.store.byId(coin.keyId)!.privateKey);
});

test('rotation: a new month joins the old ones; private halves go when a key closes, entries at the deadline', async (t) => {
  const { store, published, database } = open(t);
  await store.advance(DAY(0));
  const first = published();
  await store.advance(DAY(10));
  const second = joinKeysets(first, published());
  t.deepEqual([second.number, second.keys.length], [2, 9]);
  const old = keyFor(second, 'coin', 0)!;
  t.is(store.byId(old.keyId)!.privateKey, null);
  t.is(database.prepare('SELECT private FROM keysetKeys WHERE keyId = ?').get(old.keyId)!.private, null);
  t.truthy(store.find('seal', 0)!.privateKey, 'what was sealed in time may still come');
  await store.advance(DAY(15));
  const third = joinKeysets(second, published());
  t.is(keyFor(third, 'coin', 0), undefined);
  t.is(third.keys.length, 6);
});

test('revocation: the list says so, another key takes the place, and nobody takes it back', async (t) => {
  const { store, published } = open(t);
  await store.advance(DAY(0));
  const before = published();
  const bad = keyFor(before, 'coin', 0)!;
  await store.revoke(bad.keyId, DAY(1));
  const after = joinKeysets(before, published());
  t.is(keyById(after, bad.keyId)!.revokedMs, DAY(1));
  t.not(Buffer.compare(keyFor(after, 'coin', 0)!.keyId, bad.keyId), 0);
  t.is(store.byId(bad.keyId)!.privateKey, null);
  await store.revoke(bad.keyId, DAY(2));
  t.is(published().number, after.number, 'once');
  t.throws(() => joinKeysets(after, before), { message: /number is 1, after 2/ });
});

test('a list of somebody’s own, an altered one, one with two keys for a place or one modulus: refused', async (t) => {
  const { store, published } = open(t);
  await store.advance(DAY(0));
  const honest = published();
  const [coin, next] = [0, 1].map((month) => keyFor(honest, 'coin', month)!);
  const made = (keys: Keyset['keys'], number = honest.number + 1): Keyset =>
    openKeyset(publishKeyset({ ...honest, number, keys }, sign), 'bank', master.publicKey);
  const others = honest.keys.filter((key) => key !== coin);

  const altered = Buffer.from(store.bytes!);
  altered[40] ^= 1;
  t.throws(() => openKeyset(altered, 'bank', master.publicKey));
  t.throws(() => openKeyset(store.bytes!, 'bank', generateEd25519Key().publicKey), { message: /master key/ });
  t.throws(() => openKeyset(store.bytes!, 'shop', master.publicKey), { message: /party: is not shop/ });
  t.throws(() => openKeyset(Buffer.concat([store.bytes!, Buffer.of(0)]), 'bank', master.publicKey));

  const twin = { ...coin, value: 50 };
  t.throws(() => made([...honest.keys, { ...twin, keyId: keyIdOf('bank', twin) }]), {
    message: /that of another entry/,
  });
  const double = { ...coin, publicKey: Buffer.from(next.publicKey).fill(0xff, 9, 10) };
  t.throws(() => made([...honest.keys, { ...double, keyId: keyIdOf('bank', double) }]), {
    message: /a second key for/,
  });
  const even = { ...coin, publicKey: Buffer.from(coin.publicKey).fill(0, 255) };
  t.throws(() => made([...others, { ...even, keyId: keyIdOf('bank', even) }]), { message: /publicKey .*even/ });

  // shown to one customer only: another key in the place of one that is not revoked
  const tagged = { ...coin, publicKey: double.publicKey };
  const tag = made([...others, { ...tagged, keyId: keyIdOf('bank', tagged) }]);
  t.throws(() => joinKeysets(honest, tag), { message: /takes the place of a key .* not revoked/ });
  t.throws(() => joinKeysets(honest, { ...tag, number: honest.number }), { message: /as that of another list/ });
  t.throws(() => joinKeysets(honest, made([...others, { ...coin, deadlineMs: coin.deadlineMs + 1 }])), {
    message: /deadlineMs is another/,
  });
  t.throws(() => made([...others, { ...coin, closesMs: coin.deadlineMs + 1 }]), { message: /between opening and/ });
});
