// A substation and simulated meters on a simulated line.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { EventQueue } from '../../../bench/power-line/events.ts';
import { type LineFaults, PAPER_CHANNEL, PowerLine } from '../../../bench/power-line/line.ts';
import { SimulatedMeter } from '../../../bench/power-line/simulated-meter.ts';
import { generateKey, type KeyPlan, type NewKey } from '../../../operator/shared/keyset-store.ts';
import type { SubstationSettings } from '../../../operator/substation/books.ts';
import { Substation } from '../../../operator/substation/substation.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { type Keyset, openKeyset } from '../../../protocol/crypto/keyset.ts';
import { monthOf, monthStartMs } from '../../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS, slotOf } from '../../../protocol/time/slots.ts';
import { type Batch, decodeBatch } from '../../../protocol/trading/batch.ts';

export const EPOCH_MS = 10_000;
export const BEGAN_MS = Date.UTC(2026, 5, 1);
export const MONTH = monthOf(BEGAN_MS);
export const DEPOSITS_MS = monthStartMs(MONTH + 1) + 2 * DAY_MS;
export const CELL = Buffer.from('cell 007');
export const settings: SubstationSettings = {
  value: 100,
  bits: 2048,
  loadingDays: 3,
  exchangeDays: 2,
  depositDays: 20,
  cell: CELL,
  epochMs: EPOCH_MS,
  guardEpochs: 1,
  aheadEpochs: 200,
  dsoLeadMs: SLOT_MS,
  surplusThreshold: -1,
  standardCoins: 4,
  resendMs: 100,
  checkPass: null,
};

/** Making RSA keys is what would take longest: each is made once for a test file. */
const made = new Map<string, Promise<NewKey>>();
let generation = 0;
export const makeOthers = (): number => ++generation;
export function madeOnce(plan: KeyPlan): Promise<NewKey> {
  // months that nobody trades in get the running month's neighbour once
  const name = `${plan.purpose} ${plan.month} ${generation}`;
  const key = made.get(name) ?? generateKey(plan);
  made.set(name, key);
  return key;
}

/** Faults meet whole messages, as the paper's channel carries them. */
const bytesOf = (frames: Uint8Array[]): number => frames.reduce((sum, { length }) => sum + length, 0);

export interface Cell {
  substation: Substation;
  meters: SimulatedMeter[];
  line: PowerLine<Uint8Array[]>;
  keyset: Keyset;
  file: string;
  groupKey: Uint8Array;
  masterKey: Uint8Array;
  /** Protocol time now. */
  nowMs: number;
  /** Runs the line and the substation in steps of two seconds. */
  run(ms: number): Promise<void>;
  /** Meters' once-an-epoch step, then the line until then. */
  epochs(count: number): Promise<void>;
  /** From one slot before it: may be paired until it begins. */
  piece(slotsAhead?: number): { startSlot: number; slots: number; validUntil: number };
  batches(): Batch[];
  load(customers?: number): Promise<void>;
  /** Another process on the same file, as after a kill. */
  restart(more?: Partial<SubstationSettings>): Promise<void>;
}

export async function makeCell(
  t: ExecutionContext | null,
  {
    meters: count = 3,
    faults = {},
    more = {},
    seed = 1,
  }: { meters?: number; faults?: LineFaults; more?: Partial<SubstationSettings>; seed?: number } = {},
): Promise<Cell> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-substation-'));
  const file = join(directory, 'substation.sqlite');
  const master = generateEd25519Key();
  const groupKey = randomBytes(32);
  const events = new EventQueue(BEGAN_MS);
  const line = new PowerLine<Uint8Array[]>(events, PAPER_CHANNEL, { seed });
  const open = (changed: Partial<SubstationSettings> = {}): Substation => {
    const substation: Substation = new Substation({
      ...{ file, groupKey, random: randomBytes, generate: madeOnce, workers: 1 },
      settings: { ...settings, ...more, ...changed },
      sign: (message) => signEd25519(master.privateKey, message),
      broadcast: (frames) => {
        line.send(hears, frames, bytesOf(frames), { priority: true });
      },
    });
    return substation;
  };
  let substation = open();
  const hears = (frames: Uint8Array[]): void => {
    for (const frame of frames) substation.receive(frame);
  };
  line.attach(hears);
  await substation.tick(BEGAN_MS);
  const keyset = openKeyset(substation.books.keys.bytes!, 'substation', master.publicKey);
  const meters = Array.from({ length: count }, () => {
    const meter: SimulatedMeter = new SimulatedMeter({
      ...{ keyset, month: MONTH, cell: CELL, groupKey, random: randomBytes },
      epoch: () => Math.floor(events.nowMs / EPOCH_MS),
      send: (frames) => {
        line.send(receive, frames, bytesOf(frames));
      },
    });
    const receive = (frames: Uint8Array[]): void => {
      for (const frame of frames) meter.hear(frame);
    };
    line.attach(receive);
    return meter;
  });
  const cell: Cell = {
    ...{ substation, meters, line, keyset, file, groupKey, masterKey: master.publicKey, nowMs: BEGAN_MS },
    async run(ms) {
      for (const endMs = cell.nowMs + ms; cell.nowMs < endMs; ) {
        cell.nowMs += 2000;
        events.run(cell.nowMs);
        await substation.settled();
        await substation.tick(cell.nowMs);
      }
    },
    async epochs(n) {
      for (let i = 0; i < n; i++) {
        for (const meter of meters) meter.tick();
        await cell.run(EPOCH_MS);
      }
    },
    piece(slotsAhead = 1) {
      const startSlot = slotOf(cell.nowMs) + slotsAhead;
      return { startSlot, slots: 1, validUntil: Math.floor(cell.nowMs / EPOCH_MS) + 12 };
    },
    batches: () =>
      substation.books.database
        .prepare('SELECT bytes FROM batches ORDER BY number')
        .all()
        .map(({ bytes }) => decodeBatch(bytes as Uint8Array)),
    async load(customers = meters.length) {
      for (const [i, meter] of meters.slice(0, customers).entries()) {
        const { blinded, take } = meter.withdrawal(settings.standardCoins);
        const request = { keyId: meter.key.keyId, number: 0, blinded };
        take((await substation.accounts.withdraw(`customer ${i}`, request)).blindSignatures);
      }
    },
    async restart(changed = {}) {
      await substation.close();
      substation = open(changed);
      cell.substation = substation;
      await substation.tick(cell.nowMs);
    },
  };
  t?.teardown(async () => {
    await substation.close();
    rmSync(directory, { recursive: true });
  });
  await cell.run(EPOCH_MS);
  line.faults = faults;
  return cell;
}

/** loaded + minted for DSO purchases, and deposited + DSO sales + in wallets, counted. */
export function balance({ substation, meters }: Cell): {
  loaded: number;
  bought: number;
  deposited: number;
  sold: number;
  inWallets: number;
} {
  const { database } = substation.books;
  const number = (sql: string): number => database.prepare(sql).get()!.n as number;
  const issued = (reason: string): number =>
    number(`SELECT coalesce(sum(count), 0) AS n FROM issued WHERE reason = '${reason}'`);
  const coins = (state: string): number => number(`SELECT count(*) AS n FROM coins WHERE state = '${state}'`);
  return {
    loaded: issued('withdrawn'),
    bought: issued('bought'),
    deposited: coins('deposited'),
    sold: coins('sold'),
    inWallets: meters.reduce((sum, meter) => sum + meter.inWallet, 0),
  };
}
