/**
 * The door from end to end: a relay as a process, a party whose half runs here behind real TLS, and gateways' doors. The party
 * answers every message with its SHA-256 in front of itself, and remembers what it was told.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { Party } from '../../../bench/party.ts';
import { prepareDoorKeys, prepareRelay, type RelaySide } from '../../../bench/relay-side.ts';
import type { Door, HeardList } from '../../../gateway/door/door.ts';
import { openDoor } from '../../../gateway/door/open.ts';
import { Counters } from '../../../operator/shared/counters.ts';
import { type DoorCount, type DoorOptions, doorRoutes, readDoorKeys } from '../../../operator/shared/door.ts';
import { startService } from '../../../operator/shared/service.ts';
import { openStore } from '../../../operator/shared/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS, slotOf } from '../../../protocol/time/slots.ts';

export const CENTRE = 'control-centre';
export const START_SLOT = slotOf(Date.UTC(2026, 2, 10));
/** A conductor's step, right after a slot's begin. */
export const at = (slot: number): number => slot * SLOT_MS + 500;
export const answerTo = (message: Uint8Array): Uint8Array =>
  Buffer.concat([createHash('sha256').update(message).digest(), message]).subarray(0, 60);

export interface DoorHouse {
  directory: string;
  side: RelaySide;
  relay: Party;
  /** What the party was told, in order; a message that came twice stands there twice. */
  heard: string[];
  counters: Counters<DoorCount>;
  gateway(name: string): TestHome;
  /** Moves everybody to a slot, as a conductor does: gateways, then the relay. */
  step(slot: number, gateways: TestHome[]): Promise<void>;
  /** Ends the party's service and starts it again on its store. */
  restartParty(): Promise<void>;
  stopParty(): Promise<void>;
}
export interface TestHome {
  name: string;
  door: Door;
  answers: Map<string, string>;
  lists: HeardList[];
  clock: DrivenClock;
  tick(): Promise<void>;
  reopen(): Promise<void>;
}

export async function openDoorHouse(
  t: ExecutionContext,
  options: { k?: number; cells?: number; half?: Partial<DoorOptions>; relay?: Record<string, unknown> } = {},
): Promise<DoorHouse> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-door-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const doors = await prepareDoorKeys({
    directory: join(directory, 'door'),
    destinations: [
      { name: CENTRE, cells: options.cells ?? 1, messageBytes: 200, answerBytes: 60 },
      { name: 'bank', cells: 1, messageBytes: 40, answerBytes: 20 },
    ],
  });
  const [port, bankPort] = await freePorts(2);
  const side = await prepareRelay({
    directory,
    ca,
    doors,
    urls: { [CENTRE]: `https://127.0.0.1:${port}`, bank: `https://127.0.0.1:${bankPort}` },
    k: options.k ?? 3,
    relay: options.relay,
  });
  const relay = new Party({
    name: 'relay',
    main: join(import.meta.dirname, '../../../operator/relay/main.ts'),
    configPath: side.config,
    logPath: join(directory, 'relay.log'),
  });
  const heard: string[] = [];
  const counters = new Counters<DoorCount>();
  let slot = START_SLOT;
  const server = await ca.server('centre-server', ['127.0.0.1']);
  const startHalf = async (name: string, ownPort: number, half: Pick<DoorOptions, 'handle'> & Partial<DoorOptions>) => {
    const database = openStore(join(directory, name, 'party.sqlite'), '');
    const service = await startService({
      name,
      access: { host: '127.0.0.1', port: ownPort, ...server, caFile: ca.caFile, requestsPerMinute: 100_000 },
      routes: doorRoutes({ ...readDoorKeys(doors.party(name), name), database, slot: () => slot, ...half }),
    });
    return {
      close: async () => {
        await service.close();
        database.close();
      },
    };
  };
  const startCentre = () =>
    startHalf(CENTRE, port, {
      handle: (message) => {
        heard.push(Buffer.from(message).toString());
        return answerTo(message);
      },
      counters,
      ...options.half,
    });
  const bank = await startHalf('bank', bankPort, { handle: () => null });
  let half: Awaited<ReturnType<typeof startHalf>> | null = await startCentre();
  const stopParty = async (): Promise<void> => {
    await half?.close();
    half = null;
  };
  const homes: TestHome[] = [];
  t.teardown(async () => {
    await Promise.all(homes.map(({ door }) => door.close()));
    await relay.kill();
    await stopParty();
    await bank.close();
    if (!t.passed) t.log(readFileSync(join(directory, 'relay.log'), 'utf8'));
    rmSync(directory, { recursive: true, force: true });
  });
  await relay.start();
  await relay.advance(at(START_SLOT) - 1000, false);
  return {
    directory,
    side,
    relay,
    heard,
    counters,
    stopParty,
    restartParty: async () => {
      await stopParty();
      half = await startCentre();
    },
    async step(to, gateways) {
      slot = to;
      for (const home of gateways) home.clock.advanceTo(at(to));
      await Promise.all(gateways.map((home) => home.tick()));
      if (relay.running) await relay.advance(at(to), true);
    },
    gateway(name) {
      const dataDir = join(directory, name);
      mkdirSync(dataDir, { recursive: true });
      const clock = new DrivenClock(at(START_SLOT) - 1000);
      const answers = new Map<string, string>();
      const lists: HeardList[] = [];
      const open = (): Door => {
        const door = openDoor({ config: side.gatewayDoor, dataDir, clock, log: () => {} });
        door.onAnswers(CENTRE, (list) => {
          lists.push(list);
          for (const { message, answer } of list.answers)
            answers.set(Buffer.from(message).toString(), Buffer.from(answer).toString('hex'));
        });
        return door;
      };
      const home: TestHome = {
        name,
        door: open(),
        answers,
        lists,
        clock,
        async tick() {
          home.door.tick();
          await home.door.idle();
        },
        async reopen() {
          await home.door.close();
          home.door = open();
        },
      };
      homes.push(home);
      return home;
    },
  };
}
