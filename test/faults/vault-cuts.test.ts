import test from 'ava';
import { type FlashOperation, MemoryFlash, PowerFailed } from '../firmware/wallet/memory-flash.ts';
import { openVault, rememberingNatives } from '../firmware/wallet/vault-natives.ts';
import { type Damage, everyDamage, halfErase, someDamage, words } from './recorded-day.ts';
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
