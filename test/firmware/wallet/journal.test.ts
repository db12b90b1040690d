import { crc32 as zlibCrc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { Journal, RECORDS_KEPT } from '../../../firmware/wallet/journal.ts';
import { JOURNAL_REGION, PAGE_ENDURANCE_ERASES } from '../../../hardware/flash.ts';
import {
  FLAG_CLIPPED,
  FLAG_CLOCK_STEP,
  FLAG_NO_CLOCK,
  FLAG_POWER_CUT,
  type MeterRecord,
} from '../../../protocol/wire/link-messages.ts';
import { MemoryFlash, natives, seeded } from './memory-flash.ts';

const open = (flash: MemoryFlash) => {
  const journal = new Journal(flash, natives);
  journal.open();
  return journal;
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const newFlash = () => new MemoryFlash(JOURNAL_REGION.pageCount);

test('the CRC of these tests is zlib’s', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => t.is(natives.crc32(bytes), zlibCrc32(bytes))));
});

test('known answers: the bytes of the first entries of both rings', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  t.like(journal, { boot: 1, importMwh: 0, exportMwh: 0, checkpointMs: 10_000 });
  t.is(journal.oldestRecord(), 0);
  t.is(journal.newestRecord(), 0);
  journal.checkpoint(2 ** 40 + 5, 7, 10_003);
  journal.checkpoint(2 ** 40 + 5 + 0x020304, 7 + 0x0a0b0c, 20_000);
  journal.appendRecord(20_000, 1_800_000, FLAG_CLIPPED);
  const words = (page: number, at: number, count: number) =>
    Array.from({ length: count }, (_, i) => hex(flash.read(page, at + 4 * i, 4))).join(' ');
  // start: full, kind c4ec6b01, number 1, boot 1, flags 8
  t.is(
    words(0, 0, 11),
    '016becc4 01000000 01000000 00000000 00000000 08000000 00000000 00000000 00000000 00000000 00000000',
  );
  // 2^40 does not fit into a short entry
  t.is(
    words(0, 48, 11),
    '016becc4 02000000 01000000 00000000 13270000 08000000 00010000 05000000 00000000 00000000 07000000',
  );
  // short: import 0x020304, flags 8, export 0x0a0b0c, drift 9997 − 10000 + 128 = 125, CRC of the run
  t.is(words(0, 96, 2), '04030208 0c0b0a7d');
  const run = Buffer.from(flash.read(0, 48, 56));
  t.is(words(0, 104, 1), hex(new Uint8Array(Uint32Array.of(zlibCrc32(run)).buffer)));
  t.is(words(0, 108, 1), 'ffffffff');
  // the record ring begins at page 4
  t.is(
    words(4, 0, 11),
    '014dc09e 01000000 01000000 00000000 204e0000 01000000 00010000 09030200 40771b00 00000000 130b0a00',
  );
  t.deepEqual(journal.record(1), {
    type: 3,
    number: 1,
    boot: 1,
    uptimeMs: 20_000,
    slot: 1_800_000,
    importMwh: 2 ** 40 + 5 + 0x020304,
    exportMwh: 7 + 0x0a0b0c,
    flags: FLAG_CLIPPED,
  });
});

test('a start finds the registers, closes the boot before it and counts on', (t) => {
  const flash = newFlash();
  const first = open(flash);
  first.checkpoint(1000, 0, 10_000);
  first.appendRecord(10_000, 77, 0);
  first.checkpoint(1500, 20, 20_000);
  const second = open(flash);
  t.like(second, { boot: 2, importMwh: 1500, exportMwh: 20 });
  t.like(second.record(2), {
    boot: 1,
    uptimeMs: 20_000,
    slot: 0,
    importMwh: 1500,
    exportMwh: 20,
    flags: FLAG_NO_CLOCK,
  });
  const third = open(flash); // nothing was measured: nothing to close
  t.is(third.boot, 3);
  t.is(third.newestRecord(), 2);
  third.appendRecord(900_000, 78, 0);
  third.appendRecord(1_800_000, 79, FLAG_CLOCK_STEP);
  t.like(third.record(3), { boot: 3, slot: 78, flags: FLAG_POWER_CUT });
  t.like(third.record(4), { boot: 3, slot: 79, flags: FLAG_CLOCK_STEP });
  t.is(third.record(5), null);
  t.is(third.record(0), null);
});

test('a slot is recorded once: where the clock was set back the record stands without one', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  journal.appendRecord(1, 100, 0);
  journal.appendRecord(2, 100, 0);
  journal.appendRecord(3, 99, 0);
  open(flash).appendRecord(4, 100, 0);
  const again = open(flash);
  again.appendRecord(5, 101, FLAG_NO_CLOCK); // whoever names a slot knows the time
  t.deepEqual(
    [1, 2, 3, 4, 5].map((n) => [again.record(n)!.slot, again.record(n)!.flags & FLAG_NO_CLOCK]),
    [
      [100, 0],
      [0, FLAG_NO_CLOCK],
      [0, FLAG_NO_CLOCK],
      [0, FLAG_NO_CLOCK],
      [101, 0],
    ],
  );
});

test('a register that would fall is refused, and a checkpoint without change costs nothing', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  journal.checkpoint(500, 600, 10_000);
  const { writes } = flash;
  journal.checkpoint(500, 600, 20_000);
  t.is(flash.writes, writes);
  t.throws(() => journal.checkpoint(499, 601, 30_000), { message: 'a register would fall' });
  t.throws(() => journal.checkpoint(501, 599, 30_000), { message: 'a register would fall' });
  t.like(open(flash), { importMwh: 500, exportMwh: 600 });
});

/** Runs whole days: a checkpoint each 10 s, a record each quarter hour, all of it kept beside the journal. */
function runDays(journal: Journal, days: number, kept: MeterRecord[], random: () => number, startSlot: number) {
  let { importMwh, exportMwh } = journal;
  for (let second = 10; second <= days * 86_400; second += 10) {
    importMwh += Math.floor(random() * 20_000);
    exportMwh += Math.floor(random() * 3_000);
    const uptimeMs = second * 1000 + Math.floor(random() * 9);
    journal.checkpoint(importMwh, exportMwh, uptimeMs);
    if (second % 900 === 0) {
      journal.appendRecord(uptimeMs, startSlot + second / 900, random() < 0.1 ? FLAG_CLIPPED : 0);
      kept.push(journal.record(journal.newestRecord())!);
    }
    journal.tidy();
  }
}

test('60 days: 35 days are kept, pages wear evenly, no entry waits for an erase', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  const kept: MeterRecord[] = [];
  let waited = 0;
  let tidying = false;
  flash.before = (operation) => {
    if (operation.kind === 'erase' && !tidying) waited++;
  };
  const tidy = journal.tidy.bind(journal);
  journal.tidy = () => {
    tidying = true;
    const done = tidy();
    tidying = false;
    return done;
  };
  runDays(journal, 60, kept, seeded(1), 1_800_000);
  t.is(waited, 0);
  t.is(journal.newestRecord(), 60 * 96);
  for (const opened of [journal, open(flash)]) {
    const oldest = opened.oldestRecord();
    t.true(60 * 96 - oldest + 1 >= RECORDS_KEPT);
    for (let n = oldest; n <= 60 * 96; n++) t.deepEqual(opened.record(n), kept[n - 1]);
    for (const n of [5000, 4000, 5760, oldest]) t.deepEqual(opened.record(n), kept[n - 1], 'in any order');
    t.is(opened.record(oldest - 1), null);
  }
  t.like(open(flash), { importMwh: journal.importMwh, exportMwh: journal.exportMwh });

  const checkpointPages = flash.erases.slice(0, 4);
  const recordPages = flash.erases.slice(4);
  t.log(`erases in 60 days: checkpoints ${checkpointPages.join(' ')}, records ${recordPages.join(' ')}`);
  t.true(Math.max(...checkpointPages) - Math.min(...checkpointPages) <= 1);
  t.true(Math.max(...recordPages) - Math.min(...recordPages) <= 1);
  const years = (PAGE_ENDURANCE_ERASES / Math.max(...flash.erases)) * (60 / 365.25);
  t.log(
    `flash a day: ${Math.round(flash.writes / 60)} writes, ${Math.round(flash.wordsWritten / 60)} words; worn out in ${years.toFixed(0)} years`,
  );
  t.true(years > 40);
});

test('a larger region keeps the registers each second, and wears no faster', (t) => {
  const flash = new MemoryFlash(64);
  const journal = open(flash);
  t.is(journal.checkpointMs, 1000);
  for (let second = 1; second <= 3 * 86_400; second++) journal.checkpoint(second * 300, second * 7, second * 1000);
  t.true((PAGE_ENDURANCE_ERASES / Math.max(...flash.erases)) * (3 / 365.25) > 40);
  t.like(open(flash), { importMwh: 3 * 86_400 * 300, exportMwh: 3 * 86_400 * 7 });
});

test('35 days are kept through a power cut a day; many more cost the oldest records only', (t) => {
  for (const [cuts, least] of [
    [35, RECORDS_KEPT],
    [700, 1500],
  ]) {
    const flash = newFlash();
    let journal = open(flash);
    let slot = 1_000_000;
    let importMwh = 0;
    let uptimeMs = 0;
    const total = 60 * 96;
    for (let i = 1; i <= total; i++) {
      importMwh += 1000;
      uptimeMs += 900_000;
      journal.checkpoint(importMwh, 0, uptimeMs);
      journal.appendRecord(uptimeMs, ++slot, 0);
      if (i % Math.ceil((35 * 96) / cuts) === 0) {
        importMwh += 10;
        journal.checkpoint(importMwh, 0, uptimeMs + 10_000);
        journal = open(flash);
        uptimeMs = 0;
      }
    }
    const held = journal.newestRecord() - journal.oldestRecord() + 1;
    t.true(held >= least, `${cuts} cuts in 35 days: ${held} records are held`);
    let before = 0;
    for (let n = journal.oldestRecord(); n <= journal.newestRecord(); n++) {
      const record = journal.record(n)!;
      t.true(record.importMwh >= before);
      before = record.importMwh;
    }
    t.is(before, importMwh);
  }
});

test('registers go to 2^53 − 1 mWh, a power of 1 GW and a stopped clock included', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  const max = Number.MAX_SAFE_INTEGER;
  journal.checkpoint(max - 2 ** 31, 5, 10_000);
  journal.checkpoint(max, max, 10_000);
  journal.appendRecord(max, 2 ** 32 - 1, 63);
  t.like(open(flash), { importMwh: max, exportMwh: max, boot: 2 });
  t.like(open(flash).record(1), { importMwh: max, exportMwh: max, uptimeMs: max, slot: 2 ** 32 - 1, flags: 63 & ~12 });
});

test('cells that stay 0: an entry is read back, passed over and written again; a dead page is passed over', (t) => {
  const flash = newFlash();
  flash.stuck
    .add(200)
    .add(4096 + 5)
    .add(4 * 4096 + 1000)
    .add(5 * 4096 + 3);
  let journal = open(flash);
  const kept: MeterRecord[] = [];
  runDays(journal, 8, kept, seeded(5), 500_000);
  const { importMwh, exportMwh } = journal;
  journal = open(flash);
  t.like(journal, { importMwh, exportMwh });
  for (const record of kept) t.deepEqual(journal.record(record.number), record);
  t.is(flash.erases[5], 1, 'the page without a beginning was tried once');
});

test('flash that takes nothing any more is reported, and the registers stand', (t) => {
  const flash = newFlash();
  const journal = open(flash);
  journal.checkpoint(100, 0, 10_000);
  for (let i = 0; i < flash.image.length; i += 2) flash.stuck.add(i);
  const error = t.throws(() => {
    for (let i = 1; i < 1000; i++) journal.checkpoint(100 + i, 0, 20_000);
  });
  t.is(error?.message, 'flash is worn out');
  t.is(journal.importMwh, 100);
});

test('a region of anything but a journal is an empty one', (t) => {
  const random = seeded(9);
  for (const fill of [() => 0, () => 0xaa, () => Math.floor(random() * 256)]) {
    const flash = new MemoryFlash(16, Uint8Array.from({ length: 65_536 }, fill));
    const journal = open(flash);
    t.like(journal, { boot: 1, importMwh: 0, exportMwh: 0 });
    journal.checkpoint(5, 6, 10_000);
    journal.appendRecord(10_000, 3, 0);
    t.like(open(flash), { boot: 2, importMwh: 5, exportMwh: 6 });
    t.is(open(flash).record(1)?.slot, 3);
  }
});

test('too small a region is refused', (t) => {
  t.throws(() => new Journal(new MemoryFlash(13), natives), { message: /13 pages are too few/ });
  t.notThrows(() => new Journal(new MemoryFlash(14), natives));
});
