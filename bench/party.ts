/**
 * One party of the grid as a process of its own, led by the conductor over IPC (protocol/conductor/messages.ts).
 * It can be killed with SIGKILL and started again on what it had on disk.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { RESTART_CODE, RESTART_MACHINE_CODE } from '../gateway/update/launcher.ts';
import type {
  AdvanceMessage,
  AskMessage,
  PartyMessage,
  ReadyMessage,
  SettledMessage,
} from '../protocol/conductor/messages.ts';

/** The process ended while something was expected of it. */
export class PartyGone extends Error {
  readonly party: string;
  constructor(party: string, detail: string) {
    super(`${party} is gone${detail ? `: ${detail}` : ''}`);
    this.name = 'PartyGone';
    this.party = party;
  }
}

export interface PartyOptions {
  /** For people and log files: `collector`, `gateway of house-1`. */
  name: string;
  /** The main file, asked for at each start where it may change, and the JSON it is started with. */
  main: string | (() => string);
  configPath: string;
  logPath: string;
  /** Restarts the machine that the party runs on, as far as there is one; for a gateway, whose launcher this class plays. */
  restartMachine?(): Promise<void>;
}

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

export class Party {
  readonly name: string;
  #options: PartyOptions;
  #child: ChildProcess | null = null;
  #ready: Waiting<ReadyMessage> | null = null;
  #settled: (Waiting<SettledMessage> & { toMs: number; message: AdvanceMessage }) | null = null;
  #answers = new Map<number, Waiting<unknown> & { message: AskMessage }>();
  /** Under way between two releases of itself. */
  #restart: Promise<void> | null = null;
  #nextQuestion = 1;
  #busy = false;
  #fromParty: Uint8Array[] = [];
  #ended: Promise<void> = Promise.resolve();

  constructor(options: PartyOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get running(): boolean {
    return this.#child !== null || this.#restart !== null;
  }

  /** A gateway in the middle of a long talk with its meter, as it said when it settled last. */
  get busy(): boolean {
    return this.#child !== null && this.#busy;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the party says it is ready. */
  start(): Promise<ReadyMessage> {
    if (this.#child) throw new Error(`${this.name} is running already`);
    const log = openSync(this.#options.logPath, 'a', 0o600);
    const { main, configPath } = this.#options;
    const child = fork(typeof main === 'string' ? main : main(), [configPath], {
      serialization: 'advanced',
      // a party has little garbage: a third less memory for the same time
      execArgv: ['--max-semi-space-size=2'],
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((done) => {
      child.once('exit', (code, signal) => {
        this.#child = null;
        if (code === RESTART_CODE || code === RESTART_MACHINE_CODE) {
          this.#restart = this.#startAgain(code).finally(() => {
            this.#restart = null;
          });
          done();
          return;
        }
        const why = signal ? `ended by ${signal}` : `ended with code ${code}\n${this.#logTail()}`;
        this.#rejectAll(new PartyGone(this.name, why));
        done();
      });
    });
    child.on('message', (message: PartyMessage) => this.#receive(message));
    return new Promise((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
  }

  /**
   * Moves the party's clock. A second call while one is in work takes its place: the first never settles on its own.
   * What a gateway wrote to its meter is kept for `takeSerial`.
   */
  advance(toMs: number, deliver: boolean, serial?: Uint8Array): Promise<SettledMessage> {
    if (!this.running) return Promise.reject(new PartyGone(this.name, ''));
    const message: AdvanceMessage = { type: 'advance', toMs, deliver, serial };
    const previous = this.#settled;
    const promise = new Promise<SettledMessage>((resolve, reject) => {
      this.#settled = {
        toMs,
        message,
        resolve: (value) => {
          previous?.resolve(value);
          resolve(value);
        },
        reject: (error) => {
          previous?.reject(error);
          reject(error);
        },
      };
    });
    this.#send(message);
    return promise;
  }

  /** Whether the advance to `toMs` is still in work. */
  waitsFor(toMs: number): boolean {
    return this.#settled?.toMs === toMs;
  }

  ask(question: string, argument?: unknown): Promise<unknown> {
    if (!this.running) return Promise.reject(new PartyGone(this.name, ''));
    const message: AskMessage = { type: 'ask', id: this.#nextQuestion++, question, argument };
    return new Promise((resolve, reject) => {
      this.#answers.set(message.id, { resolve, reject, message });
      this.#send(message);
    });
  }

  /** What the gateway wrote to its meter since the last call. */
  takeSerial(): Uint8Array[] {
    const bytes = this.#fromParty;
    this.#fromParty = [];
    return bytes;
  }

  /** SIGKILL, as a power cut would. */
  async kill(): Promise<void> {
    await this.#restart;
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** Asks the party to close its stores; kills it if it does not within five seconds. */
  async stop(): Promise<void> {
    await this.#restart;
    const child = this.#child;
    if (!child) return;
    child.send({ type: 'stop' }, () => {});
    const impatient = setTimeout(() => child.kill('SIGKILL'), 5000);
    await this.#ended;
    clearTimeout(impatient);
  }

  /** While it starts anew, everything waits until it has. */
  #send(message: AdvanceMessage | AskMessage): void {
    if (this.#restart === null) this.#child?.send(message, () => {});
  }

  /** It has asked for it. What it was told and has not answered, it is told again. */
  async #startAgain(code: number): Promise<void> {
    try {
      if (code === RESTART_MACHINE_CODE) await this.#options.restartMachine?.();
      await this.start();
      for (const { message } of [...(this.#settled ? [this.#settled] : []), ...this.#answers.values()])
        this.#child?.send(message, () => {});
    } catch (error) {
      this.#rejectAll(new PartyGone(this.name, (error as Error).message));
    }
  }

  #receive(message: PartyMessage): void {
    if (message.type === 'ready') {
      this.#ready?.resolve(message);
      this.#ready = null;
    } else if (message.type === 'settled') {
      this.#busy = message.busy ?? false;
      if (message.serial?.length) this.#fromParty.push(message.serial);
      if (this.#settled?.toMs === message.atMs) {
        const waiting = this.#settled;
        this.#settled = null;
        waiting.resolve(message);
      }
    } else if (message.type === 'answer') {
      this.#answers.get(message.id)?.resolve(message.value);
      this.#answers.delete(message.id);
    }
  }

  #rejectAll(error: PartyGone): void {
    this.#ready?.reject(error);
    this.#settled?.reject(error);
    for (const waiting of this.#answers.values()) waiting.reject(error);
    this.#ready = null;
    this.#settled = null;
    this.#answers.clear();
  }

  #logTail(): string {
    try {
      return readFileSync(this.#options.logPath, 'utf8').split('\n').slice(-12).join('\n');
    } catch {
      return '';
    }
  }
}
