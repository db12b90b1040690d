/**
 * A party's half of the door (protocol/door/services.ts): it gets cells from the relay in batches, drops the dummies, answers the
 * messages, and gives one signed list for each batch.
 *
 *   Relay ── batch, part by part ──► open · drop dummies · handle(message) → answer ── all parts there ──► list n, signed, chained
 *
 * The party learns what the messages say and when a batch came; from whom each came it does not.
 *
 * Every step may be repeated and survives `kill -9`: a part that is there already is not handled again, a batch has one list. Only
 * between `handle` and the part's commit a message may be handled twice, and a gateway that has not seen its answer sends the message
 * again in another batch: **`handle` gives the same message the same answer.** What it refuses it answers, or it returns null: then
 * the household hears nothing, as if the message had been lost on the way, and sends it again.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { ED25519_PUBLIC_KEY_BYTES, ed25519PublicKey } from '../../protocol/crypto/ed25519.ts';
import { HPKE_PRIVATE_KEY_BYTES, HpkeError, type HpkeOpener, hpkeOpener } from '../../protocol/crypto/hpke.ts';
import { listDigest, NO_LIST_BEFORE, signList } from '../../protocol/door/answer-list.ts';
import { cellBytes, openCell, sealEntry } from '../../protocol/door/cell.ts';
import { type Destination, type DoorPlan, destinationOf, openPlan } from '../../protocol/door/plan.ts';
import {
  CELLS_PATH,
  type CellsCall,
  cellsCall,
  LIST_PATH,
  listCall,
  partOf,
  RELAY_ROLE,
} from '../../protocol/door/services.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { ConfigError, readSecretKey } from './config.ts';
import type { Counters } from './counters.ts';
import { readPrivateKey } from './private-key.ts';
import { Refusal, type Route, roleRoute } from './service.ts';
import { type DatabaseSync, inTransaction } from './store.ts';

/** Two weeks. The relay has fetched each long before, and keeps them for gateways that were away. */
const LISTS_KEPT = 14 * 96;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS doorParts (
    batch BLOB NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (batch, part)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS doorAnswers (
    batch BLOB NOT NULL, part INTEGER NOT NULL, place INTEGER NOT NULL, id BLOB, key BLOB, answer BLOB,
    PRIMARY KEY (batch, part, place)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS doorBatches (batch BLOB PRIMARY KEY, list INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS doorLists (number INTEGER PRIMARY KEY, digest BLOB NOT NULL, bytes BLOB NOT NULL);
`;

/** What a party's configuration says of the door. */
export const doorAccess = v.strictObject({
  /** The plan, as it was published. */
  planFile: v.string(),
  /** The grid's key that signs plans, Ed25519, hexadecimal. */
  planKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is no Ed25519 key in lower-case hexadecimal')),
  /** X25519, hexadecimal, mode 0600: opens cells. */
  hpkeKeyFile: v.string(),
  /** Ed25519, PEM, mode 0600: signs lists. */
  listKeyFile: v.string(),
});
export type DoorAccess = v.InferOutput<typeof doorAccess>;

export interface DoorKeys {
  destination: Destination;
  hpkeKey: HpkeOpener;
  listKey: KeyObject;
}

/** @throws ConfigError, MalformedError, PlanForgedError */
export function readPlan({ planFile, planKey }: Pick<DoorAccess, 'planFile' | 'planKey'>): DoorPlan {
  return openPlan(readFileSync(planFile), Buffer.from(planKey, 'hex'));
}

/** The keys of the destination `name`, checked against the plan. @throws ConfigError, MalformedError, PlanForgedError */
export function readDoorKeys(access: DoorAccess, name: string): DoorKeys {
  const destination = destinationOf(readPlan(access), name);
  const hpkeKey = hpkeOpener(readSecretKey(access.hpkeKeyFile, HPKE_PRIVATE_KEY_BYTES));
  const listKey = readPrivateKey(access.listKeyFile);
  if (Buffer.compare(hpkeKey.publicKey, destination.publicKey) !== 0)
    throw new ConfigError(access.hpkeKeyFile, '', `is not the key of ${name} in the door's plan`);
  const listPublicKey = ed25519PublicKey(listKey);
  if (listPublicKey.length !== ED25519_PUBLIC_KEY_BYTES || Buffer.compare(listPublicKey, destination.listKey) !== 0)
    throw new ConfigError(access.listKeyFile, '', `is not the list key of ${name} in the door's plan`);
  return { destination, hpkeKey, listKey };
}

export type DoorCount = 'doorMessages' | 'doorDummies' | 'doorBadCells' | 'doorFailed' | 'doorLists';

export interface DoorOptions extends DoorKeys {
  /** The party's store, or one of its own. */
  database: DatabaseSync;
  /** Same message, same answer (see above). Several at once. @returns at most `answerBytes`, or null: no answer */
  handle(message: Uint8Array): Promise<Uint8Array | null> | Uint8Array | null;
  /** Protocol time, as a slot; undefined while the party has not been told. */
  slot(): number | undefined;
  /** What a list tells everybody. Called in the transaction that stores the list. */
  notice?(listNumber: number): Uint8Array;
  counters?: Counters<DoorCount>;
}

/** For `startService`. */
export function doorRoutes(options: DoorOptions): Route[] {
  const half = new DoorHalf(options);
  return [
    roleRoute([RELAY_ROLE], {
      method: 'POST',
      path: CELLS_PATH,
      body: cellsCall,
      handle: async (call) => ({ list: await half.take(call) }),
    }),
    roleRoute([RELAY_ROLE], {
      method: 'POST',
      path: LIST_PATH,
      body: listCall,
      handle: ({ number, part }) => {
        const list = half.list(number);
        const piece = list && partOf(list, part);
        if (!piece)
          throw new Refusal('no such list', 'there is no such part of such a list', 'correct', { status: 404 });
        return piece;
      },
    }),
  ];
}

interface Opened {
  message: Uint8Array | null;
  id: Uint8Array;
  key: Uint8Array;
}

export class DoorHalf {
  readonly #options: DoorOptions;
  readonly #database: DatabaseSync;
  /** One call at a time: a part that is repeated while it is in work waits, and finds it done. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#database = options.database;
    this.#database.exec(SCHEMA);
  }

  /** The number of the batch's list; null while parts are missing. */
  take(call: CellsCall): Promise<number | null> {
    const result = this.#turn.then(() => this.#take(call));
    this.#turn = result.catch(() => {});
    return result;
  }

  /** The bytes of a list, or undefined where there is none, or not any more. */
  list(number: number): Uint8Array | undefined {
    const row = this.#database.prepare('SELECT bytes FROM doorLists WHERE number = ?').get(number);
    return row?.bytes as Uint8Array | undefined;
  }

  async #take(call: CellsCall): Promise<number | null> {
    const { batch, part, parts } = call;
    if (part >= parts)
      throw new Refusal('malformed', `part is ${part} of ${parts}`, 'correct', { status: 400, path: 'part' });
    const made = this.#database.prepare('SELECT list FROM doorBatches WHERE batch = ?').get(batch);
    if (made) return made.list as number;
    if (!this.#database.prepare('SELECT 1 FROM doorParts WHERE batch = ? AND part = ?').get(batch, part))
      await this.#handlePart(call);
    const { n } = this.#database.prepare('SELECT count(*) AS n FROM doorParts WHERE batch = ?').get(batch)!;
    return n === parts ? this.#makeList(batch) : null;
  }

  async #handlePart({ batch, part, cells }: CellsCall): Promise<void> {
    const { destination } = this.#options;
    const wrong = cells.findIndex(({ length }) => length !== cellBytes(destination));
    if (wrong >= 0)
      throw new Refusal('malformed', `cells.${wrong} is no cell for ${destination.name}`, 'correct', {
        status: 400,
        path: `cells.${wrong}`,
      });
    const opened = cells.map((cell) => this.#open(cell));
    const answers = new Map<string, Promise<Uint8Array | null>>();
    for (const one of opened) {
      if (!one?.message || answers.has(nameOf(one.message))) continue;
      answers.set(nameOf(one.message), this.#answer(one.message));
    }
    await Promise.all(answers.values());
    const insert = this.#database.prepare('INSERT INTO doorAnswers VALUES (?, ?, ?, ?, ?, ?)');
    const rows = await Promise.all(
      opened.map(async (one) => (one?.message ? { one, answer: await answers.get(nameOf(one.message))! } : undefined)),
    );
    inTransaction(this.#database, () => {
      rows.forEach((row, place) => {
        if (row?.answer) insert.run(batch, part, place, row.one.id, row.one.key, row.answer);
        else insert.run(batch, part, place, null, null, null);
      });
      this.#database.prepare('INSERT INTO doorParts VALUES (?, ?)').run(batch, part);
    });
  }

  /** Undefined where it opens to nothing that a gateway would have sealed. */
  #open(cell: Uint8Array): Opened | undefined {
    const { destination, hpkeKey, counters } = this.#options;
    try {
      const { message, answer } = openCell(destination, hpkeKey, cell);
      counters?.add(message ? 'doorMessages' : 'doorDummies');
      return { message, ...answer };
    } catch (error) {
      if (!(error instanceof HpkeError || error instanceof MalformedError)) throw error;
      counters?.add('doorBadCells');
      return undefined;
    }
  }

  /** One message that the party fails at does not keep the others from their answers. */
  async #answer(message: Uint8Array): Promise<Uint8Array | null> {
    const { handle, destination, counters } = this.#options;
    try {
      const answer = await handle(message);
      if (answer && answer.length > destination.answerBytes)
        throw new RangeError(`an answer of ${answer.length} bytes, not at most ${destination.answerBytes}`);
      return answer;
    } catch (error) {
      counters?.add('doorFailed');
      console.error(`${destination.name}: door: ${(error as Error).message}`);
      return null;
    }
  }

  #makeList(batch: Uint8Array): number {
    const { destination, listKey, notice, slot, counters } = this.#options;
    const now = slot();
    if (now === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return inTransaction(this.#database, () => {
      const before = this.#database.prepare('SELECT number, digest FROM doorLists ORDER BY number DESC LIMIT 1').get();
      const number = before ? (before.number as number) + 1 : 1;
      const answers = this.#database.prepare('SELECT id, key, answer FROM doorAnswers WHERE batch = ?').all(batch);
      const entries = answers.map(({ id, key, answer }) =>
        sealEntry(destination, number, { id: id as Uint8Array, key: key as Uint8Array }, answer as Uint8Array | null),
      );
      const previous = (before?.digest as Uint8Array | undefined) ?? NO_LIST_BEFORE;
      const bytes = signList(
        destination,
        { number, slot: now, previous, entries, notice: notice?.(number) ?? new Uint8Array() },
        listKey,
      );
      this.#database.prepare('INSERT INTO doorLists VALUES (?, ?, ?)').run(number, listDigest(bytes), bytes);
      this.#database.prepare('INSERT INTO doorBatches VALUES (?, ?)').run(batch, number);
      this.#database.prepare('DELETE FROM doorAnswers WHERE batch = ?').run(batch);
      this.#database.prepare('DELETE FROM doorParts WHERE batch = ?').run(batch);
      this.#database.prepare('DELETE FROM doorLists WHERE number <= ?').run(number - LISTS_KEPT);
      this.#database.prepare('DELETE FROM doorBatches WHERE list <= ?').run(number - LISTS_KEPT);
      counters?.add('doorLists');
      return number;
    });
  }
}

const nameOf = (message: Uint8Array): string => createHash('sha256').update(message).digest('base64');
