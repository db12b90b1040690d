import test, { type ExecutionContext } from 'ava';
import { type PowerCut, VirtualBoard } from '../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { runOnEspruino } from '../../bench/espruino/run.ts';
import { UPDATE_LAYOUT } from '../../hardware/flash.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { type FlashOperation, MemoryFlash, PowerFailed } from '../firmware/wallet/memory-flash.ts';
import { openVault, rememberingNatives } from '../firmware/wallet/vault-natives.ts';
import { below, type Damage, everyDamage, halfErase, someDamage, words } from './recorded-day.ts';
import { changed, contentsOf, type Expected, type LifePlan, recordLife, sameContents } from './recorded-vault.ts';

/**
 * Power fails in the vault's flash operations, in every way in which it can (power-cuts.test.ts has the list), and a second time in
 * the recovery. Each time everything that was committed has to be there, and of what was being committed all or nothing.
 */

const natives = rememberingNatives();

/** Goes through a life on one image; each cut is made on it, looked at, and taken back. */
function cutEverywhere(plan: LifePlan, damagesOf: (operation: FlashOperation, index: number) => Damage[]) {
  const { image, operations } = recordLife(plan);
  const flash = new MemoryFlash(plan.pages, Uint8Array.from(image));
  const count = { operations: operations.length, erases: 0, cuts: 0, second: 0, livedOn: 0 };
  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'erase') count.erases++;
    const before = Uint8Array.from(flash.image);
    for (const [kind, damage] of damagesOf(operation, index).entries()) {
      damage(flash, operation);
      const left = Uint8Array.from(flash.image);
      const where = `operation ${index} (${operation.kind}), damage ${kind}`;
      const recovery = openAndCheck(flash, operation.expected, where);
      count.cuts++;
      if (kind % 16 === 0) {
        liveOn(flash, where);
        count.livedOn++;
      }
      for (let step = 0; kind % 4 === 0 && step < recovery.length; step++) {
        flash.image.set(left);
        cutTheRecovery(flash, step, recovery[step]);
        openAndCheck(flash, operation.expected, `${where}, second cut in operation ${step} of the recovery`);
        count.second++;
      }
      flash.image.set(before);
    }
    if (operation.kind === 'write') words(operation.bytes.length / 4)(flash, operation);
    else halfErase(0, 1)(flash, operation);
  }
  return count;
}

/** What the vault holds on what a cut left. Its own operations are given back. */
function openAndCheck(flash: MemoryFlash, { before, after }: Expected, where: string): FlashOperation[] {
  const done: FlashOperation[] = [];
  flash.before = (operation) => done.push(operation);
  const found = contentsOf(openVault(flash, natives));
  flash.before = null;
  if (!sameContents(found, before) && !sameContents(found, after))
    throw new Error(`half of a commit, or less, ${where}`);
  return done;
}

/** Commits once more, tidies, starts, and finds it. */
function liveOn(flash: MemoryFlash, where: string): void {
  const vault = openVault(flash, natives);
  let contents = contentsOf(vault);
  for (let i = 0; i < 3; i++) {
    const changes = [{ space: 1, id: i, value: Uint8Array.of(i, 1, 2) }];
    vault.commit(changes);
    contents = changed(contents, changes);
    vault.tidy();
  }
  if (!sameContents(contentsOf(openVault(flash, natives)), contents))
    throw new Error(`what came after is lost, ${where}`);
}

function cutTheRecovery(flash: MemoryFlash, step: number, operation: FlashOperation): void {
  const [damage] = someDamage(operation);
  let done = 0;
  flash.before = (now) => {
    if (done++ < step) return;
    damage(flash, now);
    throw new PowerFailed();
  };
  try {
    openVault(flash, natives);
  } catch (error) {
    if (!(error instanceof PowerFailed)) throw error;
  }
  flash.before = null;
}

const SMALL = { pages: 12, pageBytes: 512, valueBytes: 60, entries: 7, seed: 11 };

test('the vault: every word of every flash operation of a life on small pages', (t) => {
  const count = cutEverywhere({ ...SMALL, warmUp: 300, commits: 120 }, everyDamage);
  t.log(
    `${count.operations} operations, ${count.cuts} cuts, ${count.second} second cuts, ${count.livedOn} times lived on`,
  );
  t.true(count.erases > 20 && count.cuts > 10_000 && count.second > 2000);
});

test('the vault: cuts all along thousands of commits on pages as the board has them', (t) => {
  const plan = { pages: 48, pageBytes: 4096, valueBytes: 200, entries: 250, seed: 12, warmUp: 1000, commits: 2000 };
  const count = cutEverywhere(plan, (operation, index) =>
    index % (operation.kind === 'erase' ? 3 : 60) === 0 ? someDamage(operation) : [],
  );
  t.log(
    `${count.operations} operations, ${count.cuts} cuts, ${count.second} second cuts, ${count.livedOn} times lived on`,
  );
  t.true(count.erases > 150 && count.cuts > 100);
});

/** What vault-on-board.js said: no start missed anything that was said to be kept before, nor found more than one commit beyond it. */
function checkStarts(t: ExecutionContext, output: readonly string[]): number {
  let kept = 0;
  let starts = 0;
  for (const line of output) {
    const [word, count, wrong] = line.split(' ');
    if (word === 'open') {
      t.is(wrong, '0', line);
      t.true(Number(count) === kept || Number(count) === kept + 1, `${line} after ${kept}`);
      starts++;
    } else t.is(word, 'kept', line);
    kept = Number(count);
  }
  return starts;
}
const cutOf = (): PowerCut & { afterFlashOperations: number } => {
  const kind = (['nothing', 'words', 'torn'] as const)[below(3)];
  const afterFlashOperations = below(60);
  return kind === 'nothing' ? { kind, afterFlashOperations } : { kind, words: below(100), afterFlashOperations };
};

test('the vault on the virtual board: power fails again and again, also while it starts', async (t) => {
  const { code: bundle } = await buildFirmware({ entry: 'test/faults/vault-on-board.js' });
  const board = new VirtualBoard({ bundle, seed: 3, layout: UPDATE_LAYOUT, startMs: 0 });
  let nowMs = 0;
  for (let cut = 0; cut < 60; cut++) {
    board.armCut(cut % 3 === 2 ? { ...cutOf(), afterFlashOperations: below(2) } : cutOf());
    board.start();
    while (board.running) {
      nowMs += 1000;
      board.advanceTo(nowMs);
    }
  }
  board.start();
  const starts = checkStarts(t, board.output);
  t.log(`${board.flashOperations} operations, 60 cuts, ${starts} starts that came as far as opening`);
  t.true(starts > 40 && board.flashOperations > 1000);
});

(espruinoBinary() ? test : test.skip)(
  'the vault on real Espruino: the same (skipped where there is none)',
  async (t) => {
    const { code: bundle } = await buildFirmware({ entry: 'test/faults/vault-on-board.js' });
    let flash: Uint8Array | undefined;
    const output: string[] = [];
    for (let cut = 0; cut < 6; cut++) {
      const run = await runOnEspruino({
        bundle,
        layout: UPDATE_LAYOUT,
        flash,
        seed: cut,
        cutAtStart: { ...cutOf(), afterFlashOperations: 20 + below(60) },
        steps: [{ toMs: 20_000 }],
      });
      t.true(run.cut);
      flash = run.flash;
      output.push(...run.output);
    }
    const last = await runOnEspruino({ bundle, layout: UPDATE_LAYOUT, flash, steps: [{ toMs: 100 }] });
    t.is(checkStarts(t, [...output, ...last.output]), 7);
  },
);
