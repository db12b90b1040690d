/**
 * The gateway as a process: `node gateway/main.ts CONFIG.json`. On a Raspberry Pi it follows the machine's clock; in the
 * bench a conductor leads it over IPC (protocol/conductor/messages.ts). `kill -9` is as good an end as any.
 */
import type { AdvanceMessage, AskMessage, ConductorMessage, PartyMessage } from '../protocol/conductor/messages.ts';
import { DrivenClock, systemClock } from '../protocol/time/clock.ts';
import { loadConfig } from './config.ts';
import { Gateway } from './gateway.ts';
import { ConductorChannel } from './meter/channel.ts';

const TICK_MS = 1000;

const log = (line: string): void => console.error(`gateway: ${line}`);

try {
  const [, , file] = process.argv;
  if (!file) throw new Error('usage: node gateway/main.ts CONFIG.json');
  const config = loadConfig(file);
  if (config.clock === 'conductor') {
    const clock = new DrivenClock(0);
    await followConductor(new Gateway(config, clock, log), clock);
  } else {
    await followSystemClock(new Gateway(config, systemClock, log));
  }
} catch (error) {
  log((error as Error).message);
  process.exit(1);
}

async function followSystemClock(gateway: Gateway): Promise<void> {
  const { url, firstPassword, authorityFingerprint } = await gateway.start();
  setInterval(() => gateway.tick(), TICK_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(gateway));
  if (url) console.log(`page: ${url}\nits certificate authority, SHA-256: ${authorityFingerprint}`);
  // a log is no place for a password
  if (firstPassword && process.stdout.isTTY) console.log(`password, shown this once: ${firstPassword}`);
  else if (firstPassword) console.log('the page has no password that anybody knows: `quietmeter password` makes one');
}

async function followConductor(gateway: Gateway, clock: DrivenClock): Promise<void> {
  if (!process.send) throw new Error('clock: is conductor, but no conductor started this process');
  const say = (message: PartyMessage): void => {
    // A conductor that is gone hears nothing; 'disconnect' ends us.
    process.send?.(message, undefined, undefined, () => {});
  };
  clock.advanceTo(gateway.household.latest()?.unixMs ?? 0);
  let steps = 0;
  const advance = async ({ toMs, serial, deliver }: AdvanceMessage): Promise<void> => {
    const step = ++steps;
    clock.advanceTo(toMs);
    const channel = gateway.channel instanceof ConductorChannel ? gateway.channel : null;
    if (serial?.length) channel?.deliver(serial);
    gateway.tick();
    if (deliver) await gateway.idle();
    // A later step has taken this one's place.
    const { pending, busy } = gateway;
    if (step === steps) say({ type: 'settled', atMs: toMs, pending, busy, serial: channel?.take() });
  };
  const answer = async ({ id, question, argument }: AskMessage): Promise<void> => {
    // an error is an answer, too: a form that was filled in wrong
    const value = await Promise.resolve()
      .then(() => gateway.answer(question, argument))
      .catch(({ message }: Error) => ({ error: message }));
    say({ type: 'answer', id, value });
  };
  process.on('message', (message: ConductorMessage) => {
    if (message.type === 'advance') void advance(message);
    else if (message.type === 'ask') void answer(message);
    else void stop(gateway);
  });
  process.on('disconnect', () => void stop(gateway));
  process.on('SIGTERM', () => void stop(gateway));
  // Ctrl-C on the terminal reaches everybody; the conductor stops its parties in its own order.
  process.on('SIGINT', () => {});
  say({ type: 'ready', ...(await gateway.start()) });
}

let stopping = false;
async function stop(gateway: Gateway): Promise<void> {
  if (stopping) return;
  stopping = true;
  await gateway.close();
  process.exit(0);
}
