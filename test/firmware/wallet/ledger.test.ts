import test from 'ava';
import fc from 'fast-check';
import { Journal } from '../../../firmware/wallet/journal.ts';
import { AllocationLedger, OPEN_SLOTS, sumOf } from '../../../firmware/wallet/ledger.ts';
import { SPACE_SELLING } from '../../../firmware/wallet/spaces.ts';
import {
  DIRECTION_EXPORT,
  DIRECTION_IMPORT,
  PURPOSE_BUS,
  PURPOSE_CENTRE,
  PURPOSE_OWN_USE,
  PURPOSE_PREPAID,
  PURPOSE_REST,
} from '../../../protocol/wire/ledger.ts';
import { FLAG_CLOCK_STEP, FLAG_REVERSED } from '../../../protocol/wire/link-messages.ts';
import { FakeRecords } from './fake-records.ts';
import { MemoryFlash, natives, PowerFailed } from './memory-flash.ts';
import { newWalletFlash, openVault } from './vault-natives.ts';

const SLOT = 1_900_000;

function household(flash = newWalletFlash()) {
  const records = new FakeRecords();
  const vault = openVault(flash);
  return { flash, records, vault, ledger: new AllocationLedger(vault, records) };
}

test('the same kWh sold twice through two doors is refused', (t) => {
  const { records, ledger, vault, flash } = household();
  records.add(SLOT, 0, 1_000_000);
  // one door: the control centre, whose credential is used in the same commit
  const sold = ledger.allocateWith(
    [{ slot: SLOT, direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 1_000_000 }],
    ([granted]) => (granted === 1_000_000 ? [{ space: SPACE_SELLING, id: 7, value: Uint8Array.of(1) }] : null),
  );
  t.true(sold);
  t.deepEqual(vault.get(SPACE_SELLING, 7), Uint8Array.of(1));
  // the other door: neighbours on the bus. There is nothing left to sell, and the seller hears it before anything is changed
  const again = ledger.allocateWith(
    [{ slot: SLOT, direction: DIRECTION_EXPORT, purpose: PURPOSE_BUS, energyMwh: 1_000_000 }],
    ([granted]) => (granted === 1_000_000 ? [{ space: SPACE_SELLING, id: 8, value: Uint8Array.of(1) }] : null),
  );
  t.false(again);
  t.is(vault.get(SPACE_SELLING, 8), null);
  t.is(ledger.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_BUS, 1), 0);
  // nor through the first one again, nor after a start
  t.is(ledger.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_CENTRE, 1), 0);
  const restarted = new AllocationLedger(openVault(flash), records);
  t.is(restarted.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_BUS, 1), 0);
  t.deepEqual(restarted.parts(SLOT)!.parts, [
    { direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 1_000_000 },
  ]);
});

test('two requests of one commit share what is there', (t) => {
  const { records, ledger } = household();
  records.add(SLOT, 500, 1000);
  let granted: number[] = [];
  const both = [PURPOSE_CENTRE, PURPOSE_BUS].map((purpose) => ({
    slot: SLOT,
    direction: DIRECTION_EXPORT,
    purpose,
    energyMwh: 700,
  }));
  t.true(
    ledger.allocateWith(
      [...both, { slot: SLOT, direction: DIRECTION_IMPORT, purpose: PURPOSE_PREPAID, energyMwh: 9999 }],
      (amounts) => {
        granted = amounts;
        return [];
      },
    ),
  );
  t.deepEqual(granted, [700, 300, 500]);
  t.is(ledger.left(SLOT, DIRECTION_EXPORT), 0);
});

test('a slot without a sound record of its own is rest', (t) => {
  const { records, ledger } = household();
  records.add(SLOT, 1, 1000, FLAG_CLOCK_STEP);
  records.add(SLOT + 1, 1, 1000, FLAG_REVERSED);
  records.add(0, 1, 1000); // a boot that was cut: which quarter hour it was is for the gateway to say
  records.add(SLOT + 3, 1, 1000);
  for (const slot of [SLOT - 1, SLOT, SLOT + 1, SLOT + 2, SLOT + 4])
    t.is(ledger.allocate(slot, DIRECTION_EXPORT, PURPOSE_CENTRE, 1), 0, `${slot - SLOT}`);
  t.is(ledger.allocate(SLOT + 3, DIRECTION_EXPORT, PURPOSE_CENTRE, 5000), 1000);
  t.is(ledger.parts(SLOT + 2), null);
  records.list[2] = null; // damaged in flash
  t.is(ledger.allocate(SLOT + 3, DIRECTION_EXPORT, PURPOSE_BUS, 1), 0);
});

test('a slot can be given a purpose for a while, then it is rest for good', (t) => {
  const { records, ledger } = household();
  for (let i = 0; i < OPEN_SLOTS; i++) records.add(SLOT + i, 0, 100);
  t.is(ledger.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_CENTRE, 60), 60);
  t.is(ledger.finalNumber(), 0);
  records.add(SLOT + OPEN_SLOTS, 0, 100);
  t.is(ledger.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_CENTRE, 10), 0);
  t.is(ledger.finalNumber(), 1);
  t.deepEqual(ledger.line(1), {
    number: 1,
    slot: SLOT,
    restImportMwh: 0,
    restExportMwh: 40,
    parts: [{ direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 60 }],
  });
  t.is(ledger.line(2), null);
});

test('what makes no sense is refused and changes nothing', (t) => {
  const { records, ledger, flash } = household();
  records.add(SLOT, 1000, 1000);
  const { writes } = flash;
  for (const [direction, purpose, energyMwh] of [
    [2, PURPOSE_CENTRE, 1],
    [DIRECTION_EXPORT, PURPOSE_REST, 1],
    [DIRECTION_EXPORT, 6, 1],
    [DIRECTION_EXPORT, PURPOSE_CENTRE, -1],
    [DIRECTION_EXPORT, PURPOSE_CENTRE, 0.5],
    [DIRECTION_EXPORT, PURPOSE_CENTRE, Number.NaN],
  ])
    t.throws(() => ledger.allocate(SLOT, direction, purpose, energyMwh), { message: /makes no sense/ });
  t.is(flash.writes, writes);
  t.is(ledger.left(SLOT, DIRECTION_EXPORT), 1000);
});

test('lines that the gateway has for good are forgotten, and never said otherwise', (t) => {
  const { records, ledger, vault } = household();
  for (let i = 0; i < 60; i++) {
    records.add(SLOT + i, 0, 1000);
    ledger.allocate(SLOT + i, DIRECTION_EXPORT, PURPOSE_CENTRE, 600 + i);
  }
  t.is(ledger.finalNumber(), 60 - OPEN_SLOTS);
  ledger.forget(60);
  t.is(ledger.delivered(), 0, 'what can still change cannot be forgotten');
  const before = vault.ids(2).length;
  ledger.forget(44);
  t.is(ledger.delivered(), 44);
  t.true(vault.ids(2).length < before);
  for (let n = 45; n <= 60; n++) t.is(ledger.line(n)!.parts[0].energyMwh, 600 + n - 1);
  ledger.forget(10);
  t.is(ledger.delivered(), 44);
});

test('property: whatever is asked for, no slot gives more than it has, and its parts and rest are its registers', (t) => {
  const slots = fc.array(
    fc.record({ importMwh: fc.nat(1_000_000), exportMwh: fc.nat(1_000_000), known: fc.boolean() }),
    { minLength: 1, maxLength: 20 },
  );
  const requests = fc.array(
    fc.record({
      slot: fc.nat(20),
      direction: fc.nat(1),
      purpose: fc.integer({ min: 1, max: 5 }),
      energyMwh: fc.nat(2_000_000),
      restart: fc.boolean(),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(slots, requests, (energies, asked) => {
      const home = household(new MemoryFlash(12));
      let { ledger } = home;
      const given = new Map<string, number>();
      for (const [i, { importMwh, exportMwh, known }] of energies.entries())
        home.records.add(known ? SLOT + i : 0, importMwh, exportMwh);
      for (const { slot, direction, purpose, energyMwh, restart } of asked) {
        if (restart) ledger = new AllocationLedger(openVault(home.flash), home.records);
        const granted = ledger.allocate(SLOT + slot, direction, purpose, energyMwh);
        t.true(granted >= 0 && granted <= energyMwh);
        const key = `${slot} ${direction}`;
        given.set(key, (given.get(key) ?? 0) + granted);
      }
      energies.forEach(({ importMwh, exportMwh, known }, i) => {
        const parts = ledger.parts(SLOT + i);
        if (!known) {
          t.is(parts, null);
          t.is((given.get(`${i} 0`) ?? 0) + (given.get(`${i} 1`) ?? 0), 0);
          return;
        }
        t.like(parts, { importMwh, exportMwh });
        for (const [direction, energy] of [importMwh, exportMwh].entries()) {
          const sum = sumOf(parts!.parts, direction);
          t.is(sum, given.get(`${i} ${direction}`) ?? 0);
          t.true(sum <= energy);
        }
        const line = ledger.line(i + 1);
        if (line) {
          t.is(line.restImportMwh + sumOf(line.parts, DIRECTION_IMPORT), importMwh);
          t.is(line.restExportMwh + sumOf(line.parts, DIRECTION_EXPORT), exportMwh);
        }
      });
    }),
    { numRuns: 60 },
  );
});

test('on the journal: a sale and its allocation are one, wherever power fails', (t) => {
  const journalFlash = new MemoryFlash(16);
  const journal = new Journal(journalFlash, natives);
  journal.open();
  journal.checkpoint(300, 123_456, 899_000);
  journal.appendRecord(900_000, SLOT, 0);
  const flash = newWalletFlash();
  const vault = openVault(flash);
  const first = new AllocationLedger(vault, journal);
  t.is(first.allocate(SLOT, DIRECTION_EXPORT, PURPOSE_OWN_USE, 3456), 3456);
  const image = Uint8Array.from(flash.image);
  let sold = 0;
  for (let words = 0; words < 40; words++) {
    flash.image.set(image);
    const ledger = new AllocationLedger(openVault(flash), journal);
    flash.before = (operation) => {
      if (operation.kind !== 'write') return;
      const at = operation.page * flash.pageBytes + operation.offset;
      for (let i = 0; i < words * 4 && i < operation.bytes.length; i++) flash.image[at + i] &= operation.bytes[i];
      throw new PowerFailed();
    };
    const request = { slot: SLOT, direction: DIRECTION_EXPORT, purpose: PURPOSE_CENTRE, energyMwh: 999_999 };
    t.throws(
      () =>
        ledger.allocateWith([request], ([granted]) => [
          { space: SPACE_SELLING, id: 1, value: new Uint8Array(40).fill(granted & 255) },
        ]),
      { instanceOf: PowerFailed },
    );
    flash.before = null;
    const after = openVault(flash);
    const left = new AllocationLedger(after, journal).left(SLOT, DIRECTION_EXPORT);
    const used = after.has(SPACE_SELLING, 1);
    t.is(left, used ? 0 : 120_000, `${words} words`);
    if (used) sold++;
  }
  t.true(sold > 0 && sold < 30, 'some of these cuts came too late');
});
