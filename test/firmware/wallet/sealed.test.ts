import { statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { SealedValues, STORE_REQUESTS_MOST } from '../../../firmware/session/sealed-values.ts';
import { SEALED_VALUE_MOST_BYTES, Sealer } from '../../../firmware/wallet/sealed.ts';
import { Vault } from '../../../firmware/wallet/vault.ts';
import { SealedValuesStore } from '../../../gateway/meter/sealed-values.ts';
import {
  decodeStoreMessage,
  encodeStoreMessage,
  SEALED_MOST_BYTES,
  STORE_ABSENT,
  STORE_KEPT,
  STORE_VALUE,
} from '../../../protocol/wire/sealed-values.ts';
import { freshDir } from '../../gateway/support/bench-link.ts';
import { newWalletFlash, openVault, rootOf, vaultNatives } from './vault-natives.ts';

const sealer = new Sealer(openVault(newWalletFlash()));
const value = Buffer.from('signatures of seven credentials');

test('what was sealed opens under its kind, id and version, and under nothing else', (t) => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(0xffffffff),
      fc.nat(0xffffffff),
      fc.uint8Array({ maxLength: 100 }),
      (kind, id, version, bytes) => {
        const sealed = sealer.sealValue(kind, id, version, bytes);
        t.deepEqual(sealer.openSealed(kind, id, version, sealed), bytes);
        t.deepEqual(sealer.sealValue(kind, id, version, bytes), sealed, 'the same again, to be sent again');
        t.is(sealer.openSealed(kind ^ 1, id, version, sealed), null);
        t.is(sealer.openSealed(kind, id === 0 ? 1 : id - 1, version, sealed), null);
        t.is(sealer.openSealed(kind, id, version === 0 ? 1 : version - 1, sealed), null);
      },
    ),
    { numRuns: 50 },
  );
  const longest = new Uint8Array(SEALED_VALUE_MOST_BYTES).fill(7);
  const sealed = sealer.sealValue(1, 2, 3, longest);
  t.is(sealed.length, SEALED_MOST_BYTES);
  t.deepEqual(sealer.openSealed(1, 2, 3, sealed), longest);
  t.throws(() => sealer.sealValue(1, 2, 3, new Uint8Array(SEALED_VALUE_MOST_BYTES + 1)), { message: /too many/ });
});

test('every changed byte, every cut, and another meter’s seal is refused', (t) => {
  const sealed = sealer.sealValue(1, 2, 3, value);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed);
    changed[at] ^= 1 << (at % 8);
    t.is(sealer.openSealed(1, 2, 3, changed), null, `byte ${at}`);
    t.is(sealer.openSealed(1, 2, 3, sealed.subarray(0, at)), null, `${at} bytes`);
  }
  const other = new Vault(newWalletFlash(), vaultNatives, rootOf(2));
  other.open();
  t.is(new Sealer(other).openSealed(1, 2, 3, sealed), null);
  t.is(Buffer.from(sealed).indexOf(value.subarray(0, 6)), -1);
});

/** Both halves of the session; a test may stand between them. */
class Line {
  readonly dir = freshDir();
  readonly toGateway: Uint8Array[] = [];
  toMeter: Uint8Array[] = [];
  readonly meter = new SealedValues(sealer, (body) => this.toGateway.push(body) > 0);
  readonly store: SealedValuesStore;
  handler: (body: Uint8Array) => void | Promise<void> = () => {};
  uptimeMs = 0;
  constructor(most?: number) {
    const sessions = {
      on: (_: number, handler: (body: Uint8Array) => void | Promise<void>) => {
        this.handler = handler;
      },
      tell: (_: number, body: Uint8Array) => this.toMeter.push(body) > 0,
    };
    this.store = new SealedValuesStore(this.dir, sessions, { most });
  }
  exchange(): void {
    this.uptimeMs += 300_000;
    this.meter.tick(0, this.uptimeMs);
    for (const body of this.toGateway.splice(0)) this.handler(body);
    for (const body of this.toMeter.splice(0)) this.meter.receive(body);
  }
  get(kind: number, id: number, version: number): Promise<Uint8Array | null> {
    return new Promise((got) => {
      this.meter.get(kind, id, version, got);
      this.exchange();
    });
  }
}

test('put, get, remove; each of them twice, and late', async (t) => {
  const line = new Line();
  let kept = 0;
  for (let version = 1; version <= 2; version++) {
    line.meter.put(0x30, 9, version, Buffer.concat([value, Buffer.of(version)]), () => kept++);
    line.exchange();
  }
  t.is(kept, 2);
  // the first one once more, as a line that doubles would bring it
  await line.handler(
    encodeStoreMessage({ type: 1, kind: 0x30, id: 9, version: 1, sealed: sealer.sealValue(0x30, 9, 1, value) }),
  );
  line.toMeter = [];
  t.deepEqual(Buffer.from((await line.get(0x30, 9, 2))!), Buffer.concat([value, Buffer.of(2)]));
  t.is(await line.get(0x30, 9, 1), null);
  t.is(await line.get(0x30, 8, 1), null);
  t.deepEqual(line.store.report(), { values: 1, bytes: 64, refused: 0 });
  t.is(statSync(join(line.dir, 'sealed.db')).mode & 0o777, 0o600);
  let removed = 0;
  for (let i = 0; i < 2; i++) {
    line.meter.remove(0x30, 9, 2, () => removed++);
    line.exchange();
  }
  t.is(removed, 2);
  t.is(line.store.report().values, 0);
  t.is(line.meter.refused, 0);
  line.store.close();
});

test('what is lost on the line is said again; a meter asks for no more than it can hold', (t) => {
  const line = new Line();
  let kept = 0;
  for (let id = 0; id < STORE_REQUESTS_MOST; id++) t.true(line.meter.put(0x30, id, 1, value, () => kept++));
  t.false(line.meter.put(0x30, 99, 1, value, () => kept++));
  t.false(line.meter.get(0x30, 99, 1, () => kept++));
  line.meter.tick(0, 0);
  line.toGateway.splice(0); // lost
  line.meter.tick(0, 5000);
  t.is(line.toGateway.length, 0, 'not at once');
  line.exchange();
  t.is(kept, STORE_REQUESTS_MOST);
  t.is(line.store.report().values, STORE_REQUESTS_MOST);
  line.store.close();
});

test('a hostile gateway: other values, old versions, noise, answers to nothing; it can refuse, and nothing else', (t) => {
  const line = new Line();
  const got: (Uint8Array | null)[] = [];
  const answer = (type: number, id: number, version: number, sealed: Uint8Array | null = null) =>
    line.meter.receive(encodeStoreMessage({ type, kind: 0x30, id, version, sealed }));
  const ask = () => line.meter.get(0x30, 5, 2, (bytes) => got.push(bytes));
  const good = sealer.sealValue(0x30, 5, 2, value);
  // an old version under the new one's name; another id's value; its own invention; a value of another kind
  for (const sealed of [
    sealer.sealValue(0x30, 5, 1, value),
    sealer.sealValue(0x30, 6, 2, value),
    new Uint8Array(48),
    sealer.sealValue(0x31, 5, 2, value),
  ]) {
    ask();
    answer(STORE_VALUE, 5, 2, sealed);
  }
  t.deepEqual(got, [null, null, null, null]);
  t.is(line.meter.refused, 4);
  ask();
  answer(STORE_VALUE, 5, 1, sealer.sealValue(0x30, 5, 1, value));
  answer(STORE_VALUE, 4, 2, good);
  answer(STORE_KEPT, 5, 2);
  for (const noise of [[], [1], [0x99, ...new Array(9).fill(0)], [0x82, 0x30, 5, 0, 0, 0, 2, 0, 0, 0, 1]])
    line.meter.receive(Uint8Array.from(noise));
  t.is(line.meter.requests.length, 1, 'still asked for');
  answer(STORE_VALUE, 5, 2, good);
  t.deepEqual(Buffer.from(got[4]!), value);
  answer(STORE_ABSENT, 5, 2);
  t.is(got.length, 5, 'called once');
  line.store.close();
});

test('a meter that is broken fills no disk, and what is no message is refused with its reason', (t) => {
  const line = new Line(3);
  for (let id = 0; id < 5; id++) line.meter.put(0x30, id, 1, value, () => {});
  line.exchange();
  t.deepEqual(line.store.report(), { values: 3, bytes: 3 * 64, refused: 2 });
  t.throws(() => line.handler(Uint8Array.of(1, 2)), { message: /STORE: 2 bytes are too few/ });
  t.throws(() => decodeStoreMessage(new Uint8Array(10)), { message: 'STORE.type: 0 is none' });
  t.throws(() => decodeStoreMessage(Uint8Array.from([1, ...new Array(2010).fill(0)])), {
    message: /STORE\.sealed: 2001 bytes/,
  });
  line.store.close();
});
