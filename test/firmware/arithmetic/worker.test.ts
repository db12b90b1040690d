// The worker beside the meter's ticks: no window is ever late, everything is done, nothing grows.
import test from 'ava';
import { type Job, Worker } from '../../../firmware/arithmetic/worker.ts';

/** A clock on which steps take time, and a meter whose ticks must not be late. */
class Bench {
  nowMs = 0;
  stepMs: number;
  tickMs: number;
  latestMs = 0;
  ticks = 0;
  timers: { atMs: number; run: () => void }[] = [];
  worker: Worker;

  constructor({ stepMs = 100, tickMs = 150 }: { stepMs?: number; tickMs?: number } = {}) {
    this.stepMs = stepMs;
    this.tickMs = tickMs;
    this.worker = new Worker({
      uptimeMs: () => this.nowMs,
      msToNextTick: () => 1000 - (this.nowMs % 1000),
      later: (run, ms) => this.timers.push({ atMs: this.nowMs + ms, run }),
    });
  }

  /** Runs timers and ticks in their order up to an instant; each runs when the one before has ended. */
  advance(toMs: number): void {
    for (;;) {
      const tickAtMs = 1000 * (this.ticks + 1);
      const timer = this.timers.reduce((first, one) => (one.atMs < first.atMs ? one : first), {
        atMs: Number.POSITIVE_INFINITY,
        run: () => {},
      });
      const next = Math.min(tickAtMs, timer.atMs);
      if (next > toMs) break;
      this.nowMs = Math.max(this.nowMs, next);
      if (tickAtMs <= timer.atMs) {
        this.latestMs = Math.max(this.latestMs, this.nowMs - tickAtMs);
        this.nowMs += this.tickMs;
        this.ticks++;
      } else {
        this.timers.splice(this.timers.indexOf(timer), 1);
        timer.run();
      }
    }
    this.nowMs = Math.max(this.nowMs, toMs);
  }

  job(steps: number, log: string[] = [], name = ''): Job {
    let left = steps;
    return {
      step: () => {
        this.nowMs += this.stepMs;
        log.push(name);
        return --left === 0;
      },
    };
  }
}

test('no window is late while there is work, whatever a step takes', (t) => {
  for (const stepMs of [1, 40, 120, 300, 390]) {
    const bench = new Bench({ stepMs });
    let done = 0;
    for (let n = 0; n < 3; n++) t.true(bench.worker.add(bench.job(20), () => done++));
    bench.advance(120_000);
    t.is(done, 3, `${stepMs} ms`);
    t.is(bench.latestMs, 0, `${stepMs} ms`);
    t.is(bench.worker.steps, 60);
    t.is(bench.timers.length, 0);
  }
});

test('a step that once took longer is remembered, and forgotten again', (t) => {
  const bench = new Bench({ stepMs: 100 });
  bench.worker.add(bench.job(200), () => {});
  bench.advance(5_000);
  t.true(bench.worker.expectedMs <= 400);
  bench.stepMs = 700; // an erase in between
  bench.advance(6_000);
  bench.stepMs = 100;
  const { latestMs } = bench;
  bench.advance(40_000);
  t.is(bench.latestMs, latestMs, 'nothing was late after it');
  t.true(bench.worker.expectedMs < 200);
  bench.advance(60_000);
  t.is(bench.worker.jobs, 0);
});

test('steps that never fit are taken all the same, seldom', (t) => {
  const bench = new Bench({ stepMs: 1_100 });
  let done = false;
  bench.worker.add(bench.job(5), () => {
    done = true;
  });
  bench.advance(100_000);
  t.true(done);
  t.true(bench.ticks >= 99);
});

test('jobs run one after the other, in their order', (t) => {
  const bench = new Bench({ stepMs: 1 });
  const log: string[] = [];
  const ended: string[] = [];
  for (const name of ['a', 'b', 'c']) bench.worker.add(bench.job(2, log, name), () => ended.push(name));
  bench.advance(1_000);
  t.is(log.join(''), 'aabbcc');
  t.deepEqual(ended, ['a', 'b', 'c']);
});

test('a job that throws is told to its owner and costs the others nothing', (t) => {
  const bench = new Bench({ stepMs: 1 });
  const heard: (Error | null)[] = [];
  const broken: Job = {
    step: () => {
      throw new Error('arithmetic: a product is wrong');
    },
  };
  bench.worker.add(broken, (problem) => heard.push(problem));
  bench.worker.add(bench.job(3), (problem) => heard.push(problem));
  bench.advance(1_000);
  t.is(heard[0]?.message, 'arithmetic: a product is wrong');
  t.is(heard[1], null);
});

test('progress and cancelling: a cancelled job is neither continued nor told', (t) => {
  const bench = new Bench({ stepMs: 100 });
  const log: string[] = [];
  const long = bench.job(50, log, 'l');
  let ended = false;
  bench.worker.add(long, () => {
    ended = true;
  });
  let next = false;
  bench.worker.add(bench.job(1), () => {
    next = true;
  });
  bench.advance(2_000);
  t.is(bench.worker.progress(long), log.length);
  t.true(log.length > 0);
  t.true(bench.worker.cancel(long));
  t.false(bench.worker.cancel(long));
  t.is(bench.worker.progress(long), -1);
  bench.advance(20_000);
  t.false(ended);
  t.true(next);
});

test('a job that cancels itself or adds another in its last step', (t) => {
  const bench = new Bench({ stepMs: 1 });
  const told: string[] = [];
  const own: Job = {
    step: () => {
      bench.worker.cancel(own);
      return true;
    },
  };
  bench.worker.add(own, () => told.push('own'));
  bench.worker.add(bench.job(1), () => {
    told.push('first');
    bench.worker.add(bench.job(1), () => told.push('second'));
  });
  bench.advance(2_000);
  t.deepEqual(told, ['first', 'second']);
  t.is(bench.worker.jobs, 0);
});

test('no more jobs than there is room for', (t) => {
  const bench = new Bench({ stepMs: 1 });
  let taken = 0;
  while (bench.worker.add(bench.job(1), () => {})) taken++;
  t.is(taken, 32);
  bench.advance(5_000);
  t.is(bench.worker.jobs, 0);
  t.true(bench.worker.add(bench.job(1), () => {}));
});
