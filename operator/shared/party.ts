/**
 * The frame of a party that runs as a process: led by a conductor over IPC (protocol/conductor/messages.ts), or by the machine's
 * clock. Whatever a party must not lose is on disk before it says so; `kill -9` is as good an end as any.
 */
import type { ConductorMessage, PartyMessage, ReadyMessage } from '../../protocol/conductor/messages.ts';

export interface Role {
  /** For log lines: `collector`. */
  name: string;
  /** Moves protocol time and does what is due. Never goes back. */
  advance(nowMs: number): void;
  /** Resolves when everything that is due has been delivered and answered. */
  delivered(): Promise<void>;
  /** How many things wait to be delivered. */
  pending(): number;
  /** By question. Each reads the party's own store. */
  questions: Record<string, () => unknown>;
  close(): Promise<void>;
}

/** How often a party on the machine's clock looks what is due. */
const TICK_MS = 1000;

/** @param people where the party has a page for people: what the conductor is told of it once */
export function runParty(role: Role, clock: 'conductor' | 'system', people: Omit<ReadyMessage, 'type'> = {}): void {
  if (clock === 'conductor') followConductor(role, people);
  else followSystemClock(role);
}

/** Starts a party; a mistake in its configuration is one sentence on stderr and exit code 1. */
export async function startParty(name: string, start: (configFile: string) => Promise<void>): Promise<void> {
  const [, , configFile] = process.argv;
  try {
    if (!configFile) throw new Error(`usage: node operator/${name}/main.ts CONFIG.json`);
    await start(configFile);
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exit(1);
  }
}

function followConductor(role: Role, people: Omit<ReadyMessage, 'type'>): void {
  if (!process.send) throw new Error('clock: is "conductor", but no conductor started this process');
  const say = (message: PartyMessage): void => {
    // a conductor that is gone hears nothing; 'disconnect' ends us
    process.send?.(message, undefined, undefined, () => {});
  };
  let steps = 0;
  process.on('message', async (message: ConductorMessage) => {
    if (message.type === 'advance') {
      const step = ++steps;
      role.advance(message.toMs);
      if (message.deliver) await role.delivered();
      // a later step has taken this one's place
      if (step === steps) say({ type: 'settled', atMs: message.toMs, pending: role.pending() });
    } else if (message.type === 'ask') {
      say({ type: 'answer', id: message.id, value: role.questions[message.question]?.() });
    } else {
      await stop(role);
    }
  });
  process.on('disconnect', () => stop(role));
  // Ctrl-C on the terminal reaches everybody; the conductor stops its parties in its own order
  process.on('SIGINT', () => {});
  say({ type: 'ready', ...people });
}

function followSystemClock(role: Role): void {
  role.advance(Date.now());
  setInterval(() => role.advance(Date.now()), TICK_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(role));
}

let stopping = false;
async function stop(role: Role): Promise<void> {
  if (stopping) return;
  stopping = true;
  await role.close();
  process.exit(0);
}
