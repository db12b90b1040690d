/**
 * Gives the trusted third party what changed in the register, until it says that it has it (protocol/identity/devices.ts). What is
 * due stands in the store; this only has one message under way at a time.
 */
import { CHANGES_MOST, type DeviceChanges } from '../../protocol/identity/devices.ts';
import type { RegisterStore } from './store.ts';

/** Real time. */
const AGAIN_MS = 500;
const AGAIN_MOST_MS = 30_000;

export class DeviceDelivery {
  readonly #store: RegisterStore;
  readonly #send: (changes: DeviceChanges) => Promise<{ version: number }>;
  readonly #log: (line: string) => void;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #lastError = '';
  #closed = false;
  #waiting: (() => void)[] = [];

  constructor(
    store: RegisterStore,
    send: (changes: DeviceChanges) => Promise<{ version: number }>,
    log: (line: string) => void,
  ) {
    this.#store = store;
    this.#send = send;
    this.#log = log;
  }

  get pending(): number {
    if (this.#closed) return 0; // the store may be closed by now
    return this.#store.changesAfter(this.#store.deliveredVersion, CHANGES_MOST).length;
  }

  /** Sends what is due; nothing happens where it is under way already. */
  pump(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#running ??= this.#deliver().then((failed) => {
      this.#running = null;
      if (this.pending === 0) for (const wake of this.#waiting.splice(0)) wake();
      else if (!failed) this.pump(); // something changed at the very end
    });
  }

  /** Resolves when the third party has everything. */
  delivered(): Promise<void> {
    if (this.pending === 0) return Promise.resolve();
    this.pump();
    return new Promise((done) => this.#waiting.push(done));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** @returns whether it failed, and is tried again later */
  async #deliver(): Promise<boolean> {
    while (this.pending > 0 && !this.#closed) {
      const after = this.#store.deliveredVersion;
      const changes = this.#store.changesAfter(after, CHANGES_MOST);
      const version = changes.at(-1)!.version;
      const devices = changes.map(({ version: _, ...device }) => device);
      try {
        const { version: theirs } = await this.#send({ after, version, devices });
        // who has more than there is had it from a register that was lost since: it gets everything anew
        if (theirs > this.#store.version) this.#store.raiseVersions(theirs);
        this.#store.deliveredVersion = theirs;
        this.#failures = 0;
        this.#lastError = '';
      } catch (error) {
        this.#again((error as Error).message);
        return true;
      }
    }
    return false;
  }

  #again(problem: string): void {
    if (problem !== this.#lastError) this.#log(`trusted third party: ${problem}`);
    this.#lastError = problem;
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.pump(), Math.min(AGAIN_MS * 2 ** this.#failures++, AGAIN_MOST_MS));
  }
}
