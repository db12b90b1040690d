/**
 * Long computations beside metering: one step, a multiplication, in a timer's tick of its own. (Espruino dialect; the clock is
 * passed in)
 *
 * The interpreter does one thing at a time, so a step that is running when a window is due makes the window late. A step is begun
 * only where what is left until the next tick of the meter suffices for one of the length that steps have had of late; otherwise the
 * worker waits until that tick has passed. Jobs run one after the other, in the order in which they came.
 *
 * Memory: the jobs that wait, MOST_JOBS at most; a job holds what it needs itself.
 */

/** A computation in steps. */
export interface Job {
  /** One step of some tenths of a second at most. @return whether the job is done; it is not asked again then */
  step(): boolean;
}

export interface WorkerClock {
  uptimeMs(): number;
  /** Until the meter's next window is due. */
  msToNextTick(): number;
  later(run: () => void, ms: number): void;
}

const MOST_JOBS = 32;
/** Between two steps: bytes from the gateway and other timers have their turn. */
const PAUSE_MS = 1;
/** A multiplication on an ESP32, until one has been seen (inferred, not measured; 3072 bits). */
const EXPECTED_MS = 400;
/** Left free before the tick. */
const MARGIN_MS = 20;
/** After so long, a step that does not seem to fit between two ticks is tried all the same, right behind a tick. */
const PATIENCE_MS = 10000;

interface Entry {
  job: Job;
  done: (problem: Error | null) => void;
  steps: number;
}

export class Worker {
  /** Steps done since the start, of all jobs. */
  steps = 0;
  /** How long a step is expected to take: the longest of late, forgotten by an eighth with every step. */
  expectedMs = EXPECTED_MS;
  private clock: WorkerClock;
  private entries: Entry[] = [];
  private timer = false;
  private waitsSinceMs = -1;

  constructor(clock: WorkerClock) {
    this.clock = clock;
  }

  /** How many jobs are not done. */
  get jobs(): number {
    return this.entries.length;
  }

  /**
   * @param done is called once, with what the job threw or null; not for a job that is cancelled
   * @return false where there is no room: nothing is taken then, and the caller comes again
   */
  add(job: Job, done: (problem: Error | null) => void): boolean {
    if (this.entries.length >= MOST_JOBS) return false;
    this.entries.push({ job: job, done: done, steps: 0 });
    this.schedule(PAUSE_MS);
    return true;
  }

  /** @return false where the job is not here: it is done, or never came */
  cancel(job: Job): boolean {
    const at = this.entries.findIndex((entry) => entry.job === job);
    if (at < 0) return false;
    this.entries.splice(at, 1);
    return true;
  }

  /** Steps that a job has behind it; −1 where it is not here. */
  progress(job: Job): number {
    const entry = this.entries.find((entry) => entry.job === job);
    return entry ? entry.steps : -1;
  }

  private schedule(ms: number): void {
    if (this.timer) return;
    this.timer = true;
    this.clock.later(() => {
      this.timer = false;
      this.run();
    }, ms);
  }

  private run(): void {
    if (this.entries.length === 0) return;
    const begin = this.clock.uptimeMs();
    const roomMs = this.clock.msToNextTick();
    if (roomMs < this.expectedMs + MARGIN_MS) {
      if (this.waitsSinceMs < 0) this.waitsSinceMs = begin;
      if (begin - this.waitsSinceMs < PATIENCE_MS) {
        this.schedule(roomMs + PAUSE_MS);
        return;
      }
    }
    this.waitsSinceMs = -1;
    const entry = this.entries[0];
    let problem: Error | null = null;
    let finished = true;
    try {
      finished = entry.job.step();
    } catch (error) {
      problem = error as Error;
    }
    entry.steps++;
    this.steps++;
    this.expectedMs = Math.max(this.clock.uptimeMs() - begin, (this.expectedMs * 7) / 8);
    if (finished && this.cancel(entry.job)) entry.done(problem);
    if (this.entries.length > 0) this.schedule(PAUSE_MS);
  }
}
