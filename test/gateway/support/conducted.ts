/** A gateway as the conductor sees it: a forked process that is led step by step, and can be killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayConfig } from '../../../gateway/config.ts';
import type { PartyMessage, ReadyMessage, SettledMessage } from '../../../protocol/conductor/messages.ts';

const MAIN = new URL('../../../gateway/main.ts', import.meta.url).pathname;
/** Gateways are started by the dozen here: compiled once, they start in half the time. */
const COMPILE_CACHE = join(tmpdir(), 'quietmeter-compile-cache');
const CERTIFIED = new URL('./certified-gateway.ts', import.meta.url).href;
const DYING_MAIN = new URL('./dying-gateway.ts', import.meta.url).pathname;

export class ConductedGateway {
  readonly directory: string;
  readonly config: Partial<GatewayConfig>;
  #child: ChildProcess | null = null;
  #listeners = new Set<(message: PartyMessage) => void>();
  #ended: Promise<number | null> = Promise.resolve(null);
  log = '';
  /** Where no third party is configured: whether the gateway has names all the same (certified-gateway.ts). */
  certified = true;

  constructor(directory: string, config: Partial<GatewayConfig>) {
    this.directory = directory;
    this.config = config;
  }

  get pid(): number {
    return this.#child!.pid!;
  }
  get running(): boolean {
    return this.#child !== null;
  }

  /** @param diesAt see dying-gateway.ts; it may be dead before it is ready */
  async start(diesAt?: number): Promise<ReadyMessage> {
    const file = join(this.directory, 'gateway.json');
    writeFileSync(file, JSON.stringify(this.config));
    const { area, identity } = this.config;
    const preload = this.certified && !identity ? ['--import', CERTIFIED] : [];
    const child = fork(diesAt === undefined ? MAIN : DYING_MAIN, [file], {
      execArgv: [...process.execArgv, ...preload],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        QUIETMETER_TEST_DIES_AT: String(diesAt),
        QUIETMETER_TEST_AREA: area,
      },
    });
    this.#child = child;
    child.stderr!.on('data', (text) => {
      this.log += text;
    });
    child.on('message', (message: PartyMessage) => {
      for (const listener of this.#listeners) listener(message);
    });
    this.#ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
    void this.#ended.then(() => {
      this.#child = null;
    });
    return this.#next((message) => message.type === 'ready') as Promise<ReadyMessage>;
  }

  advance(toMs: number, serial?: Uint8Array, deliver = true): Promise<SettledMessage> {
    const settled = this.#next((message) => message.type === 'settled' && message.atMs === toMs);
    this.#child?.send({ type: 'advance', toMs, serial, deliver }, () => {});
    return settled as Promise<SettledMessage>;
  }

  async ask(question: string, argument?: unknown): Promise<unknown> {
    const answer = this.#next((message) => message.type === 'answer');
    this.#child?.send({ type: 'ask', id: 1, question, argument }, () => {});
    return ((await answer) as { value: unknown }).value;
  }

  async stop(): Promise<number | null> {
    this.#child?.send({ type: 'stop' }, () => {});
    return this.#ended;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  #next(wanted: (message: PartyMessage) => boolean): Promise<PartyMessage> {
    return new Promise((resolve, reject) => {
      const listener = (message: PartyMessage): void => {
        if (!wanted(message)) return;
        this.#listeners.delete(listener);
        resolve(message);
      };
      this.#listeners.add(listener);
      void this.#ended.then(() => reject(new Error(`the gateway ended: ${this.log.slice(-2000)}`)));
    });
  }
}
