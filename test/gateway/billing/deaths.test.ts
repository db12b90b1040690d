// Death at every single step between record and chain, chain and anchor, bill and acknowledgement; and kill -9 of a process.
import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { HouseholdLog } from '../../../gateway/billing/household-log.ts';
import { GatewayStore } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { freshDir } from '../support/bench-link.ts';
import { BilledHouse, FIRST, KEY, MONTH, SLOTS, startProvider } from './billed-house.ts';
import { fixedKey, MemoryAnchors } from './memory-anchors.ts';
import { fileAnchors } from './writing-process.ts';

/** From the n-th thing on that a process does to its disk, its TPM or the provider, nothing happens any more. */
class Life {
  left = Number.POSITIVE_INFINITY;
  steps = 0;
  step(): void {
    this.steps++;
    if (--this.left <= 0) throw new Error('dead');
  }
}
let life = new Life();
let guarded = false;
const { exec } = DatabaseSync.prototype;
const { run } = StatementSync.prototype;
DatabaseSync.prototype.exec = function (...args) {
  if (guarded) life.step();
  return exec.apply(this, args);
};
StatementSync.prototype.run = function (this: StatementSync, ...args: Parameters<typeof run>) {
  if (guarded) life.step();
  return run.apply(this, args);
} as typeof run;

class MortalAnchors extends MemoryAnchors {
  override async write(generation: number, anchor: Uint8Array): Promise<void> {
    if (guarded) life.step();
    this.anchor = Uint8Array.from(anchor);
    if (guarded) life.step();
    this.generation = generation;
  }
}

test.serial(
  'whatever the step it dies at: nothing is lost, nothing twice, the log is good and one bill arrives',
  async (t) => {
    const provider = await startProvider(t, { default: { import: [30_000], export: [8200] } });
    const identifier = await provider.issuer.issue();
    const dir = mkdtempSync(join(provider.directory, 'first-'));
    const first = new BilledHouse(provider, identifier, new MortalAnchors(), dir, FIRST + SLOTS - 96);
    await first.start();
    first.measure(FIRST + SLOTS - 4, () => ({ importMwh: 250_000, exportMwh: 0 }));
    await first.settle();
    await first.settle();
    provider.billing.advance(first.clock.nowMs() + 3_600_000);
    await first.stop();

    // what a service says of its own death
    const { error: complain } = console;
    t.teardown(() => {
      console.error = complain;
    });
    console.error = () => {};

    const deaths: number[] = [];
    for (let n = 1, survived = false; !survived; n++) {
      const house = first.copy(
        mkdtempSync(join(provider.directory, 'life-')),
        Object.assign(new MortalAnchors(), { generation: first.anchors.generation, anchor: first.anchors.anchor }),
      );
      house.identifier = {
        ...identifier,
        sign: async (message) => {
          if (guarded) life.step();
          return identifier.sign(message);
        },
      };
      const live = async (): Promise<void> => {
        await house.start();
        // what the meter still has, in two portions; it sends again what was not stored
        for (const to of [FIRST + SLOTS - 2, FIRST + SLOTS]) {
          if (house.rewind() < to) house.measure(to, () => ({ importMwh: 250_000, exportMwh: 0 }));
          await house.settle();
        }
        await house.settle();
      };
      life = new Life();
      life.left = n;
      guarded = true;
      await live().catch((error) => {
        if (error.message !== 'dead') throw error;
      });
      survived = life.left > 0;
      if (!survived) deaths.push(n);
      guarded = false;
      await house.stop().catch(() => {});
      await live();
      t.deepEqual(house.billing.log.state, { ok: true, reason: null }, `death ${n}`);
      const report = house.billing.log.report();
      t.like(report, { entries: 96, waiting: 0, late: 0 }, `death ${n}`);
      t.like(house.bill(), { totalMilliCent: 96 * 7500, state: 'acknowledged' }, `death ${n}`);
      t.is(provider.billing.bills().length, 1);
      await house.stop();
    }
    t.log(`${deaths.length} deaths`);
    t.true(deaths.length > 20);
    t.is(provider.billing.bills()[0].month, MONTH);
  },
);

test.serial(
  'kill -9 while it writes: every quarter hour that was stored is in the log, once, and the log is good',
  async (t) => {
    const directory = freshDir();
    let stored = 0;
    for (let kill = 0; kill < 6; kill++) {
      const child = fork(join(import.meta.dirname, 'writing-process.ts'), [directory], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
      let said = '';
      child.stderr!.on('data', (text) => {
        said += text;
      });
      child.on('message', (message: { stored?: number; state?: object }) => {
        if (message.state) t.deepEqual(message.state, { ok: true, reason: null }, said);
        stored = Math.max(stored, message.stored ?? 0);
      });
      await once(child, 'message');
      await sleep(20 + randomInt(250));
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    const clock = new DrivenClock(Date.UTC(2030, 0));
    const log = new HouseholdLog({
      keys: fixedKey(KEY),
      anchors: fileAnchors(directory),
      clock,
      log: (line) => t.log(line),
    });
    const store = new GatewayStore(join(directory, 'data'), [log]);
    await log.start();
    t.deepEqual(log.state, { ok: true, reason: null });
    const { quarterHoursMeasured, records } = store.totals();
    t.log(`${records} quarter hours through 6 kills`);
    t.true(quarterHoursMeasured >= stored && stored > 0);
    t.is(records, quarterHoursMeasured);
    t.like(log.report(), { entries: 2 * records, waiting: 0, late: 0 });
    await log.close();
    store.close();
  },
);
