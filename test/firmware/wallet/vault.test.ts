import test from 'ava';
import fc from 'fast-check';
import { ID_MOST, VALUE_MOST_BYTES, Vault, type VaultChange } from '../../../firmware/wallet/vault.ts';
import { PAGE_ENDURANCE_ERASES } from '../../../hardware/flash.ts';
import { MemoryFlash, seeded } from './memory-flash.ts';
import { newWalletFlash, openVault, rememberingNatives, rootOf, vaultNatives, WALLET_PAGES } from './vault-natives.ts';

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const hex = (value: Uint8Array | null) => value && Buffer.from(value).toString('hex');

test('known answer: root key, page and commit as they lie in flash', (t) => {
  const flash = newWalletFlash();
  const vault = openVault(flash);
  vault.commit([
    { space: 3, id: 5, value: Uint8Array.of(1, 2, 3) },
    { space: 4, id: ID_MOST, value: new Uint8Array() },
  ]);
  const root = rootOf(1)();
  t.is(hex(flash.read(0, 0, 4)), hex(Buffer.from('vltr')));
  t.is(hex(flash.read(0, 4, 32)), hex(root));
  t.is(hex(flash.read(1, 0, 4)), hex(Buffer.from('vltp')));
  t.is(hex(flash.read(1, 20, 28)), `01000000${'00000000'}01000000${'00'.repeat(16)}`);
  t.is(hex(flash.read(1, 48, 4)), hex(Buffer.from('vltc')));
  const context = flash.read(1, 48 + 20, 20);
  t.is(hex(context), `01000000${'3000'}${'1000'}01000000${'00'.repeat(8)}`);
  // the body once more, by hand: { key, length, value } …, then zeros; its tag is the iv
  const body = Buffer.from('0500003003000102' + '03ffffff4f000000', 'hex');
  const key = (label: string) => vaultNatives.hmac(root, Buffer.from(`vault ${label}`));
  const tag = vaultNatives.hmac(key('mac'), Buffer.concat([context, body])).subarray(0, 16);
  t.is(hex(flash.read(1, 48 + 4, 16)), hex(tag));
  t.is(hex(flash.read(1, 48 + 40, 16)), hex(vaultNatives.encrypt(key('encrypt'), tag, body)));
  t.is(hex(flash.read(1, 48 + 56, 4)), 'ffffffff');
});

test('values are there after a start; deleted ones are not; ids of a space', (t) => {
  const flash = newWalletFlash();
  let vault = openVault(flash);
  t.is(vault.get(1, 1), null);
  vault.commit([
    { space: 1, id: 0, value: bytes(3, 1) },
    { space: 1, id: 7, value: bytes(VALUE_MOST_BYTES, 2) },
    { space: 2, id: 7, value: bytes(0, 0) },
  ]);
  vault.commit([
    { space: 1, id: 0, value: null },
    { space: 1, id: 9, value: null }, // never was
    { space: 1, id: 8, value: bytes(64, 3) },
  ]);
  for (vault of [vault, openVault(flash)]) {
    t.is(vault.get(1, 0), null);
    t.false(vault.has(1, 0));
    t.deepEqual(vault.get(1, 7), bytes(VALUE_MOST_BYTES, 2));
    t.deepEqual(vault.get(2, 7), bytes(0, 0));
    t.deepEqual(vault.ids(1).sort(), [7, 8]);
    t.deepEqual(vault.ids(3), []);
  }
  const { writes } = flash;
  vault.commit([{ space: 1, id: 0, value: null }]);
  t.is(flash.writes, writes, 'nothing changes, nothing is written');
});

test('what cannot be committed changes nothing', (t) => {
  const flash = newWalletFlash();
  const vault = openVault(flash);
  vault.commit([{ space: 1, id: 1, value: bytes(4, 4) }]);
  const { writes } = flash;
  const refused = (changes: VaultChange[], message: RegExp) => t.throws(() => vault.commit(changes), { message });
  refused([{ space: 0, id: 1, value: null }], /vault: 0 1 is no key/);
  refused([{ space: 16, id: 1, value: null }], /16 1 is no key/);
  refused([{ space: 1, id: -1, value: null }], /1 -1 is no key/);
  refused([{ space: 1, id: ID_MOST + 1, value: null }], /is no key/);
  refused([{ space: 1, id: Number.NaN, value: null }], /is no key/);
  refused([{ space: 1, id: 1, value: bytes(VALUE_MOST_BYTES + 1, 0) }], /too long/);
  refused(
    [
      { space: 1, id: 1, value: null },
      { space: 1, id: 1, value: bytes(1, 1) },
    ],
    /changes twice/,
  );
  refused(
    [1, 2].map((id) => ({ space: 1, id, value: bytes(1000, 0) })),
    /2012 bytes are too many for one commit/,
  );
  t.is(flash.writes, writes);
  t.deepEqual(vault.get(1, 1), bytes(4, 4));
});

test('property: whatever is committed, deleted, moved and restarted, the vault is a map', (t) => {
  const natives = rememberingNatives();
  const change = fc.record({
    space: fc.integer({ min: 1, max: 15 }),
    id: fc.nat(5),
    value: fc.option(fc.uint8Array({ maxLength: 90 })),
  });
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.uniqueArray(change, { minLength: 1, maxLength: 4, selector: (c) => `${c.space} ${c.id}` }),
    },
    { weight: 2, arbitrary: fc.constant('tidy' as const) },
    { weight: 1, arbitrary: fc.constant('start' as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const flash = new MemoryFlash(12, new Uint8Array(12 * 512).fill(0xff));
      let vault = openVault(flash, natives);
      const model = new Map<string, string>();
      for (const now of steps) {
        if (now === 'tidy') vault.tidy();
        else if (now === 'start') vault = openVault(flash, natives);
        else {
          try {
            vault.commit(now);
          } catch (error) {
            t.is((error as Error).message, 'vault: is full');
            continue;
          }
          for (const { space, id, value } of now) {
            if (value) model.set(`${space} ${id}`, hex(value)!);
            else model.delete(`${space} ${id}`);
          }
        }
      }
      for (vault of [vault, openVault(flash, natives)]) {
        t.is(vault.index.count, model.size);
        for (const [key, value] of model) {
          const [space, id] = key.split(' ').map(Number);
          t.is(hex(vault.get(space, id)), value);
        }
      }
    }),
    { numRuns: 60 },
  );
});

const holds = (vault: Vault, kept: Map<number, Uint8Array>) =>
  [...kept].every(([id, value]) => Buffer.compare(vault.get(3, id) ?? new Uint8Array(), value) === 0);

/** Lives with `entries` values of `length` bytes for so many commits, tidied as the meter does it. */
function live(flash: MemoryFlash, entries: number, length: number, commits: number, seed = 3) {
  const random = seeded(seed);
  const below = (n: number) => Math.floor(random() * n);
  const vault = openVault(flash);
  const kept = new Map<number, Uint8Array>();
  let committed = 0;
  let waited = 0;
  let tidying = false;
  flash.before = ({ kind }) => {
    if (kind === 'erase' && !tidying) waited++;
  };
  const put = (id: number) => {
    const value = Uint8Array.from({ length }, () => below(256));
    vault.commit([{ space: 3, id, value }]);
    kept.set(id, value);
    committed += length + 6;
    tidying = true;
    vault.tidy();
    tidying = false;
  };
  for (let id = 0; id < entries; id++) put(id);
  for (let i = 0; i < commits; i++) put(below(entries));
  flash.before = null;
  return { vault, kept, committed, waited };
}

test('a thousand entries of 64 bytes: all there, pages wear evenly, no commit waits for an erase', (t) => {
  const flash = newWalletFlash();
  const { vault, kept, committed, waited } = live(flash, 1000, 64, 8000);
  for (const opened of [vault, openVault(flash)]) for (const [id, value] of kept) t.deepEqual(opened.get(3, id), value);
  t.is(waited, 1, 'the first page of all');
  const erases = flash.erases.slice(1);
  t.is(flash.erases[0], 1, 'the root key is written once');
  t.true(Math.max(...erases) - Math.min(...erases) <= 2);
  const written = flash.wordsWritten * 4;
  // 200 commits of 64 B a day are two sales, two allocations and their answers in each quarter hour of the sun
  const years = (PAGE_ENDURANCE_ERASES / Math.max(...erases)) * (9000 / 200 / 365.25);
  t.log(
    `${vault.freeBytes()} B are free; ${(written / committed).toFixed(2)} B written for each that is kept; ` +
      `at 200 commits a day worn out in ${Math.round(years)} years`,
  );
  t.true(vault.freeBytes() > 20_000);
  t.true(written / committed < 3 && years > 40);
});

test('full is full, and stays usable: values change and go, then others come', (t) => {
  const flash = newWalletFlash();
  const { vault, kept } = live(flash, 90, 1000, 300);
  let id = 1000;
  const error = t.throws(() => {
    for (;;) vault.commit([{ space: 4, id: id++, value: bytes(200, 1) }]);
  });
  t.is(error.message, 'vault: is full');
  t.true(vault.freeBytes() < 208);
  for (let round = 0; round < 300; round++) {
    const value = bytes(1000, round & 255);
    vault.commit([{ space: 3, id: round % 90, value }]);
    kept.set(round % 90, value);
  }
  vault.commit([{ space: 3, id: 0, value: null }]);
  kept.delete(0);
  vault.commit([{ space: 4, id: 5000, value: bytes(900, 7) }]);
  const again = openVault(flash);
  t.true(holds(again, kept));
  t.deepEqual(again.get(4, 5000), bytes(900, 7));
  t.deepEqual(again.get(4, 1000), bytes(200, 1));
});

test('as full as it may be, in any sizes and orders, with nobody tidying: there is always a page to move to', (t) => {
  const natives = rememberingNatives();
  let least = WALLET_PAGES;
  for (const [seed, sizes] of [[1000, 200], [1024, 500, 10], [640], [1024, 1024, 1], [338, 1000], [64]].entries()) {
    const random = seeded(seed);
    const below = (n: number) => Math.floor(random() * n);
    const flash = newWalletFlash();
    const vault = openVault(flash, natives);
    const put = (id: number, fill: number) =>
      vault.commit([{ space: 1, id, value: bytes(sizes[id % sizes.length], fill & 255) }]);
    let count = 0;
    t.throws(
      () => {
        for (; ; count++) put(count, 1);
      },
      { message: 'vault: is full' },
    );
    for (let i = 0; i < 900; i++) {
      put([i % count, below(count), below(Math.ceil(count / 10)), (i * 7) % count][Math.floor(i / 60) % 4], i);
      least = Math.min(least, vault.log!.freePages());
    }
    t.is(openVault(flash, natives).index.count, count);
  }
  t.true(least > 2, `${least} pages were free`);
});

test('nothing of a value stands in flash, and equal values look different', (t) => {
  const flash = newWalletFlash();
  const vault = openVault(flash);
  const secret = Buffer.from('a credential that is worth money');
  for (let id = 0; id < 50; id++) vault.commit([{ space: 3, id, value: secret }]);
  const image = Buffer.from(flash.image);
  t.is(image.indexOf(secret), -1);
  t.is(image.indexOf(secret.subarray(0, 8)), -1);
  const blocks = new Set<string>();
  let count = 0;
  for (let at = 4096; at < 2 * 4096; at += 16) {
    const block = image.toString('hex', at, at + 16);
    if (block !== 'ff'.repeat(16)) count++;
    blocks.add(block);
  }
  t.true(blocks.size >= count, 'no block of 16 bytes comes twice');
});

test('put back, exchanged, erased or changed: every page but the newest is missed', (t) => {
  const flash = newWalletFlash();
  const before = { ...live(flash, 300, 64, 2500), image: Uint8Array.from(flash.image) };
  const first = before.vault.log!;
  const [tail, head] = [first.tail, first.head];
  // all pages are used again in the meantime
  live(flash, 300, 64, 3000, 4);
  const { log } = openVault(flash);
  const page = (sequence: number) => 1 + log!.pageOf(sequence);
  const newer = Uint8Array.from(flash.image);
  const natives = rememberingNatives();
  const opens = () => openVault(flash, natives);
  let found = 0;
  for (let sequence = log!.tail; sequence < log!.head; sequence++) {
    const at = page(sequence) * 4096;
    const changes = [
      () => flash.image.set(before.image.subarray(at, at + 4096), at),
      () => flash.image.fill(0xff, at, at + 4096),
      () =>
        flash.image.copyWithin(
          at,
          page(log!.tail + ((sequence + 1) % 2)) * 4096,
          page(log!.tail + ((sequence + 1) % 2)) * 4096 + 4096,
        ),
      // its last commit is taken out
      () => flash.image.fill(0xff, at + 3800, at + 4096),
      () => {
        flash.image[at + 60] ^= 1;
      },
    ];
    for (const [kind, change] of changes.entries()) {
      change();
      const untouched = Buffer.compare(flash.image.subarray(at, at + 4096), newer.subarray(at, at + 4096)) === 0;
      if (untouched) t.is(kind, 2, 'a page in the place of itself');
      else {
        t.throws(opens, { message: /vault: .*(is not what was written there)/ }, `page ${sequence}, change ${kind}`);
        found++;
      }
      flash.image.set(newer);
    }
  }
  t.true(head > tail && found > 20);
  t.notThrows(opens);
  // what flash alone cannot show: the newest page put back to what it was, or all of them at once
  flash.image.fill(0xff, page(log!.head) * 4096, page(log!.head) * 4096 + 4096);
  t.is(openVault(flash).log!.head, log!.head - 1);
  flash.image.set(before.image);
  t.is(openVault(flash).log!.head, head);
});

test('a root key is drawn once; one that is damaged is told, not replaced', (t) => {
  const flash = newWalletFlash();
  t.throws(() => new Vault(flash, vaultNatives, () => new Uint8Array(31)).open(), { message: /no key of 32 bytes/ });
  openVault(flash).commit([{ space: 1, id: 1, value: bytes(5, 5) }]);
  const again = new Vault(flash, vaultNatives, () => {
    throw new Error('drawn again');
  });
  again.open();
  t.deepEqual(again.get(1, 1), bytes(5, 5));
  flash.image[10] ^= 1;
  t.throws(() => openVault(flash), { message: 'vault: its key is damaged' });
  // where nothing was kept yet, a torn key is none: power failed in the first start
  const torn = newWalletFlash();
  torn.write(0, 0, Buffer.from('vltr0123'));
  t.notThrows(() => openVault(torn));
});

test('another root opens nothing', (t) => {
  const flash = newWalletFlash();
  openVault(flash).commit([{ space: 1, id: 1, value: bytes(5, 5) }]);
  const other = newWalletFlash();
  new Vault(other, vaultNatives, rootOf(2)).open();
  other.image.set(flash.image.subarray(4096), 4096);
  t.is(new Vault(other, vaultNatives, rootOf(2)).index.count, 0);
  const vault = new Vault(other, vaultNatives, rootOf(2));
  vault.open();
  t.is(vault.get(1, 1), null);
});

test('cells that stay 0: a commit is read back, passed over and written again; a dead page is passed over', (t) => {
  const flash = newWalletFlash();
  for (const cell of [4096 + 300, 2 * 4096 + 1000, 3 * 4096 + 5, 9 * 4096 + 2000, 10 * 4096 + 21])
    flash.stuck.add(cell);
  const { kept, vault } = live(flash, 300, 64, 4000);
  for (const opened of [vault, openVault(flash)]) for (const [id, value] of kept) t.deepEqual(opened.get(3, id), value);
  for (let i = 4096; i < flash.image.length; i += 2) flash.stuck.add(i);
  t.throws(() => vault.commit([{ space: 1, id: 1, value: bytes(9, 9) }]), { message: 'vault: the flash is worn out' });
  t.false(vault.has(1, 1));
});

test('a region that is too small, or holds something else', (t) => {
  t.throws(() => openVault(new MemoryFlash(8)), { message: /too small/ });
  const random = seeded(9);
  const flash = new MemoryFlash(WALLET_PAGES);
  for (let i = 0; i < flash.image.length; i++) flash.image[i] = Math.floor(random() * 256);
  openVault(flash).commit([{ space: 1, id: 1, value: bytes(5, 5) }]);
  t.deepEqual(openVault(flash).get(1, 1), bytes(5, 5));
});
