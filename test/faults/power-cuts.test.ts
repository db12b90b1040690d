import test from 'ava';
import { makeChip } from '../../bench/board/adc-model.ts';
import { type PowerCut, VirtualBoard } from '../../bench/board/virtual-board.ts';
import { END, espruinoBinary, MARK, runEspruino } from '../../bench/espruino/process.ts';
import { Journal, RECORDS_KEPT } from '../../firmware/wallet/journal.ts';
import { FLAG_NO_CLOCK, type MeterRecord } from '../../protocol/wire/link-messages.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { GatewayPeer } from '../firmware/gateway-peer.ts';
import { mains } from '../firmware/mains.ts';
import { type FlashOperation, MemoryFlash, natives, PowerFailed } from '../firmware/wallet/memory-flash.ts';
import {
  below,
  everyDamage,
  halfErase,
  PAGES,
  type Promised,
  random,
  recordDay,
  someDamage,
  words,
} from './recorded-day.ts';

/**
 * Power fails in every flash operation of a day, in every way in which it can:
 * nothing yet · after any word of a write · torn bits within a word · an erase half done (random bits, half a page) ·
 * and a second time while the next start recovers.
 * Only flash survives a cut. So the day runs once and leaves the list of its operations; then one image is walked through it, each
 * cut is made on that image, `open()` has to find what was promised, and the cut is taken back.
 */

const day = recordDay();

/** An image whose changes are taken back page by page. */
class Scratch {
  readonly flash: MemoryFlash;
  readonly #saved: { page: number; bytes: Uint8Array }[] = [];
  constructor(image: Uint8Array<ArrayBuffer>) {
    this.flash = new MemoryFlash(PAGES, image);
  }
  save(page: number) {
    const at = page * this.flash.pageBytes;
    this.#saved.push({ page, bytes: this.flash.image.slice(at, at + this.flash.pageBytes) });
  }
  get depth() {
    return this.#saved.length;
  }
  undoTo(depth: number) {
    while (this.#saved.length > depth) {
      const { page, bytes } = this.#saved.pop()!;
      this.flash.image.set(bytes, page * this.flash.pageBytes);
    }
  }
}

/** Opens the journal on what a cut left and holds it against the promises. Its own operations can be watched. */
function openAndCheck(scratch: Scratch, promised: Promised, where: () => string): FlashOperation[] {
  const { flash } = scratch;
  const done: FlashOperation[] = [];
  flash.before = (operation) => {
    scratch.save(operation.page);
    done.push(operation);
  };
  const journal = new Journal(flash, natives);
  journal.open();
  flash.before = null;
  const { importMwh, exportMwh } = journal;
  const kept = importMwh === promised.importMwh && exportMwh === promised.exportMwh;
  const next = importMwh === promised.nextImportMwh && exportMwh === promised.nextExportMwh;
  if (!kept && !next)
    throw new Error(`registers ${importMwh} ${exportMwh}, promised ${JSON.stringify(promised)}, ${where()}`);
  if (journal.boot <= promised.boot) throw new Error(`boot ${journal.boot} was there before, ${where()}`);
  const newest = journal.newestRecord();
  if (newest < promised.newestRecord) throw new Error(`record ${promised.newestRecord} is lost, ${where()}`);
  if (newest - journal.oldestRecord() + 1 < RECORDS_KEPT)
    throw new Error(`only from ${journal.oldestRecord()}, ${where()}`);
  const last = journal.record(newest)!;
  if (last.importMwh !== importMwh || last.exportMwh !== exportMwh) throw new Error(`boot is not closed, ${where()}`);
  const expected = day.records.get(promised.newestRecord)!;
  if (!same(journal.record(promised.newestRecord), expected)) throw new Error(`record ${expected.number}, ${where()}`);
  return done;
}
function openUntilCut(flash: MemoryFlash) {
  try {
    new Journal(flash, natives).open();
  } catch (error) {
    if (error instanceof PowerFailed) return;
    throw error;
  }
  throw new Error('the recovery did less than before');
}
const same = (a: MeterRecord | null, b: MeterRecord) =>
  a !== null &&
  a.number === b.number &&
  a.boot === b.boot &&
  a.uptimeMs === b.uptimeMs &&
  a.slot === b.slot &&
  a.importMwh === b.importMwh &&
  a.exportMwh === b.exportMwh &&
  a.flags === b.flags;

test('the journal: every cut of every flash operation of a day, and a second one in each recovery', (t) => {
  const scratch = new Scratch(Uint8Array.from(day.image));
  const { flash } = scratch;
  let cuts = 0;
  let second = 0;
  let whole = 0;
  let livedOn = 0;
  let erases = 0;
  for (let index = 0; index < day.operations.length; index++) {
    const operation = day.operations[index];
    const { promised } = operation;
    if (operation.kind === 'erase') erases++;
    const damages = everyDamage(operation);
    for (let kind = 0; kind < damages.length; kind++) {
      scratch.save(operation.page);
      damages[kind](flash, operation);
      const left = scratch.depth;
      const where = () => `operation ${index} (${operation.kind}), damage ${kind}`;
      const recovery = openAndCheck(scratch, promised, where);
      cuts++;
      if ((index % 499 === 0 && kind === 0) || (operation.kind === 'erase' && operation.page > 3)) {
        whole++;
        checkAllRecords(scratch, promised);
      }
      if (operation.kind === 'erase' || index % 7 === 0) {
        liveOn(scratch, 5, where);
        livedOn++;
      }
      // The same recovery, cut in each of its own operations: after some words, and with torn bits.
      scratch.undoTo(left);
      for (let step = 0; step < recovery.length; step++) {
        for (const damage of someDamage(recovery[step])) {
          let count = 0;
          flash.before = (now) => {
            scratch.save(now.page);
            if (count++ === step) {
              damage(flash, now);
              throw new PowerFailed();
            }
          };
          openUntilCut(flash);
          openAndCheck(scratch, promised, () => `${where()}, second cut in operation ${step} of the recovery`);
          second++;
          scratch.undoTo(left);
        }
      }
      scratch.undoTo(0);
    }
    if (operation.kind === 'write') words(operation.bytes.length / 4)(flash, operation);
    else halfErase(0, 1)(flash, operation);
  }
  t.log(
    `${day.operations.length} operations, ${cuts} cuts, ${second} second cuts; ${livedOn} times lived on, ${whole} times all records compared`,
  );
  t.true(day.operations.length > 8640 && erases > 20);
});

/** Goes on after a recovery, with one more start, and finds what it then wrote. */
function liveOn(scratch: Scratch, checkpoints: number, where: () => string) {
  const depth = scratch.depth;
  scratch.flash.before = (operation) => scratch.save(operation.page);
  let journal = new Journal(scratch.flash, natives);
  journal.open();
  let { importMwh } = journal;
  for (let start = 0; start < 2; start++) {
    for (let i = 1; i <= checkpoints; i++) journal.checkpoint(++importMwh, journal.exportMwh, i * 10_000);
    journal.appendRecord(60_000, 0, 0);
    const number = journal.newestRecord();
    journal = new Journal(scratch.flash, natives);
    journal.open();
    if (journal.importMwh !== importMwh || journal.record(number)?.importMwh !== importMwh) {
      throw new Error(`what came after the recovery is lost, ${where()}`);
    }
  }
  scratch.flash.before = null;
  scratch.undoTo(depth);
}

/** Every record that was ever promised and is kept. */
function checkAllRecords(scratch: Scratch, promised: Promised) {
  const depth = scratch.depth;
  scratch.flash.before = (operation) => scratch.save(operation.page);
  const journal = new Journal(scratch.flash, natives);
  journal.open();
  for (let n = journal.oldestRecord(); n <= promised.newestRecord; n++) {
    if (!same(journal.record(n), day.records.get(n)!)) throw new Error(`record ${n} is another one`);
  }
  scratch.flash.before = null;
  scratch.undoTo(depth);
}

test('the day has what a cut may meet', (t) => {
  const pages = new Set(day.operations.map((operation) => operation.page));
  t.true(
    [0, 1, 2, 3].every((page) => pages.has(page)),
    'all pages of checkpoints',
  );
  t.true(
    day.operations.some((operation) => operation.kind === 'erase' && operation.page > 3),
    'a page of records erased',
  );
  const slots = [...day.records.values()].filter((record) => record.flags & FLAG_NO_CLOCK);
  t.true(slots.length >= 5, 'closing records, and records of a clock that was set back');
});

test('the whole board: power fails in every 50th flash operation of some hours, on demand again while it starts', async (t) => {
  const { code: bundle } = await buildFirmware();
  const startMs = Date.UTC(2026, 1, 3, 10);
  const chip = makeChip(11);
  const board = new VirtualBoard({ bundle, seed: 11, chip, startMs });
  const peer = new GatewayPeer(); // throws where a register falls, a slot or a record comes twice
  let nowMs = startMs;
  const greet = () => {
    nowMs += 200;
    board.advanceTo(nowMs);
    board.receive(peer.hear(board.take(), nowMs));
  };
  board.setMains(mains(10));
  board.start();
  greet();
  let cuts = 0;
  let secondCuts = 0;
  for (let hour = 0; hour < 6; hour++) {
    board.setMains(mains(hour % 2 ? -6 : 10));
    const endMs = startMs + (hour + 1) * 3_600_000;
    while (nowMs < endMs) {
      const kind = below(3);
      const cut: PowerCut = kind === 0 ? { kind: 'nothing' } : { kind: kind === 1 ? 'words' : 'torn', words: below(4) };
      board.armCut({ afterFlashOperations: 49, ...cut });
      const before = cuts;
      while (board.running && nowMs < endMs) {
        nowMs += 10_000;
        board.advanceTo(nowMs);
        board.receive(peer.hear(board.take(), nowMs));
      }
      if (board.running) break;
      cuts++;
      const { importMwh, exportMwh, boot } = peer.live!;
      if (cuts % 2 === 0) {
        board.armCut({ afterFlashOperations: below(2), kind: 'torn', words: below(12) });
        board.start();
        if (!board.running) secondCuts++;
      }
      if (!board.running) board.start();
      greet();
      nowMs += 1000;
      board.advanceTo(nowMs);
      board.receive(peer.hear(board.take(), nowMs));
      t.true(peer.hello!.boot > boot, `cut ${before}`);
      t.is(peer.live!.boot, peer.hello!.boot);
      // One checkpoint more than what was said is possible, one less is not.
      const gained = peer.live!.importMwh - importMwh + peer.live!.exportMwh - exportMwh;
      t.true(gained >= 0 && gained <= (10 * 230 * 12_000) / 3600, `cut ${before}: ${gained} mWh`);
    }
  }
  t.deepEqual(board.output, []);
  t.is(peer.reader.damaged, 0);
  t.log(
    `${board.flashOperations} operations, ${cuts} cuts, ${secondCuts} in a recovery, ${peer.records.length} records`,
  );
  t.true(cuts > 35 && secondCuts > 10);
});

/** What the journal's own little firmware (journal-on-board.ts) says of each cut. */
interface Found {
  boot: number;
  importMwh: number;
  exportMwh: number;
  oldest: number;
  newest: number;
  record: MeterRecord;
}

const CUTS_ON_ESPRUINO = 200;
const CUTS_IN_A_RUN = 20;
const onEspruino = espruinoBinary() ? test : test.skip;

onEspruino(`the journal on real Espruino: ${CUTS_ON_ESPRUINO} cuts (skipped without an espruino binary)`, async (t) => {
  const { code } = await buildFirmware({ entry: 'test/faults/journal-on-board.ts' });
  const flash = new MemoryFlash(PAGES, Uint8Array.from(day.image));
  const every = Math.floor(day.operations.length / CUTS_ON_ESPRUINO);
  const cases: { image: Uint8Array; promised: Promised; where: string }[] = [];
  for (const [index, operation] of day.operations.entries()) {
    // erases are few: each of them is taken, instead of its neighbour
    const isErase = operation.kind === 'erase';
    if (cases.length < CUTS_ON_ESPRUINO && (isErase || index >= cases.length * every)) {
      const whole = Uint8Array.from(flash.image);
      const damages = everyDamage(operation);
      const kind = below(damages.length);
      damages[kind](flash, operation);
      const where = `operation ${index} (${operation.kind}), damage ${kind}`;
      cases.push({ image: Uint8Array.from(flash.image), promised: operation.promised, where });
      flash.image.set(whole);
    }
    if (isErase) halfErase(0, 1)(flash, operation);
    else words(operation.bytes.length / 4)(flash, operation);
  }
  t.is(cases.length, CUTS_ON_ESPRUINO);

  for (let from = 0; from < cases.length; from += CUTS_IN_A_RUN) {
    const run = cases.slice(from, from + CUTS_IN_A_RUN);
    const program = [code];
    let before: Uint8Array | null = null;
    for (const { image } of run) {
      for (let page = 0; page < PAGES; page++) {
        const bytes = image.subarray(page * 4096, page * 4096 + 4096);
        const known = before?.subarray(page * 4096, page * 4096 + 4096);
        if (!known || Buffer.compare(known, bytes) !== 0) {
          program.push(`load(${page},"${Buffer.from(bytes).toString('base64')}");`);
        }
      }
      before = image;
      program.push(random() < 0.3 ? `recover(${below(2)},${below(12)});` : 'recover(-1,0);');
    }
    program.push(`print(${JSON.stringify(MARK + END)});`);
    const lines = await runEspruino(program.join('\n'), { timeoutMs: 60_000 });
    t.is(lines.length, run.length, lines.join('\n'));
    for (const [i, { promised, where }] of run.entries()) {
      const found = JSON.parse(lines[i]) as Found;
      const kept = found.importMwh === promised.importMwh && found.exportMwh === promised.exportMwh;
      const written = found.importMwh === promised.nextImportMwh && found.exportMwh === promised.nextExportMwh;
      t.true(kept || written, where);
      t.true(found.boot > promised.boot && found.newest >= promised.newestRecord, where);
      t.true(found.newest - found.oldest + 1 >= RECORDS_KEPT, where);
      t.is(found.record.importMwh, found.importMwh, where);
      // a later number is the record that closes the boot that was cut
      if (found.newest === promised.newestRecord) t.true(same(found.record, day.records.get(found.newest)!), where);
    }
  }
});
