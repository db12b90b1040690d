/**
 * The door's queue, in a file of its own (`door.db`).
 *
 *   messages  what is to leave the house, until it is answered or withdrawn; sentSlot: the newest bundle that took it along
 *   secrets   answerId → key, for each cell that a message left in: there may be several, the answer comes to any of them
 *   bundle    the one of the present slot, exact bytes, until the relay has it
 *   heads     by destination the newest list that was read, and its digest
 *
 * A committed change is on disk. A message leaves the queue in the transaction that moves on the head of the list it was answered
 * in: who is killed between hearing an answer and that, hears it again.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { AnswerSecret } from '../../protocol/door/cell.ts';
import { openDatabase } from '../store-schema.ts';

const TABLES = `
  CREATE TABLE messages (id BLOB PRIMARY KEY, destination TEXT NOT NULL, place INTEGER NOT NULL, message BLOB NOT NULL,
    sent_slot INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE secrets (id BLOB PRIMARY KEY, message BLOB NOT NULL, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX secrets_of ON secrets (message);
  CREATE TABLE bundle (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), slot INTEGER NOT NULL, bytes BLOB NOT NULL,
    messages BLOB NOT NULL, stored INTEGER NOT NULL) STRICT;
  CREATE TABLE heads (destination TEXT PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;`;
export const MESSAGE_ID_BYTES = 16;

export interface QueuedMessage {
  id: Uint8Array;
  message: Uint8Array;
}
export interface KeptBundle {
  slot: number;
  bytes: Uint8Array;
  stored: boolean;
}
/** The cell of a message in a bundle that is about to leave. */
export interface SealedMessage {
  id: Uint8Array;
  answer: AnswerSecret;
}

export const messageId = (destination: string, message: Uint8Array): Uint8Array =>
  createHash('sha256').update(`${destination}\0`).update(message).digest().subarray(0, MESSAGE_ID_BYTES);

export class DoorStore {
  readonly #database: DatabaseSync;

  constructor(dataDir: string) {
    this.#database = openDatabase(join(dataDir, 'door.db'), 'FULL', TABLES);
    this.#database.exec('PRAGMA secure_delete = ON');
  }
  close(): void {
    this.#database.close();
  }

  /** The same message twice is one. */
  add(destination: string, message: Uint8Array): Uint8Array {
    const id = messageId(destination, message);
    this.#database
      .prepare('INSERT OR IGNORE INTO messages SELECT ?, ?, coalesce(max(place), 0) + 1, ?, NULL FROM messages')
      .run(id, destination, message);
    return id;
  }
  remove(id: Uint8Array): void {
    this.#inTransaction(() => this.#remove(id));
  }
  #remove(id: Uint8Array): void {
    this.#database.prepare('DELETE FROM messages WHERE id = ?').run(id);
    this.#database.prepare('DELETE FROM secrets WHERE message = ?').run(id);
  }
  waiting(destination?: string): number {
    const row = this.#database
      .prepare('SELECT count(*) AS n FROM messages WHERE destination = ?1 OR ?1 IS NULL')
      .get(destination ?? null)!;
    return row.n as number;
  }

  /** Messages whose turn it is: never sent, or last with the bundle of `againSlot` or before; the longest unsent first. */
  due(destination: string, againSlot: number, atMost: number): QueuedMessage[] {
    return this.#database
      .prepare(
        `SELECT id, message FROM messages WHERE destination = ? AND (sent_slot IS NULL OR sent_slot <= ?)
          ORDER BY coalesce(sent_slot, -1), place LIMIT ?`,
      )
      .all(destination, againSlot, atMost) as unknown as QueuedMessage[];
  }

  bundle(): KeptBundle | null {
    const row = this.#database.prepare('SELECT slot, bytes, stored FROM bundle').get();
    return row ? { slot: row.slot as number, bytes: row.bytes as Uint8Array, stored: row.stored === 1 } : null;
  }
  /** Takes the place of the bundle of the slot before, whatever became of it. */
  keepBundle(slot: number, bytes: Uint8Array, messages: readonly SealedMessage[]): void {
    this.#inTransaction(() => {
      const ids = Buffer.concat(messages.map(({ id }) => id));
      this.#database.prepare('INSERT OR REPLACE INTO bundle VALUES (1, ?, ?, ?, 0)').run(slot, bytes, ids);
      const insert = this.#database.prepare('INSERT INTO secrets VALUES (?, ?, ?)');
      for (const { id, answer } of messages) insert.run(answer.id, id, answer.key);
    });
  }
  /** The relay has it, or will never take it (`sent` false: then its messages are due again). */
  bundleDone(slot: number, sent: boolean): void {
    this.#inTransaction(() => {
      const row = this.#database.prepare('SELECT messages FROM bundle WHERE slot = ? AND stored = 0').get(slot);
      if (!row) return;
      const ids = row.messages as Uint8Array;
      const update = this.#database.prepare('UPDATE messages SET sent_slot = ? WHERE id = ?');
      for (let at = 0; sent && at < ids.length; at += MESSAGE_ID_BYTES)
        update.run(slot, ids.subarray(at, at + MESSAGE_ID_BYTES));
      this.#database.prepare("UPDATE bundle SET stored = 1, bytes = x'', messages = x'' WHERE slot = ?").run(slot);
    });
  }

  head(destination: string): { number: number; digest: Uint8Array } | null {
    const row = this.#database.prepare('SELECT number, digest FROM heads WHERE destination = ?').get(destination);
    return row ? { number: row.number as number, digest: row.digest as Uint8Array } : null;
  }
  /** Secrets of this destination's messages that are not answered. */
  secrets(destination: string): (QueuedMessage & { answer: AnswerSecret })[] {
    return this.#database
      .prepare(
        `SELECT s.id, s.key, m.id AS message_id, m.message FROM secrets AS s JOIN messages AS m ON m.id = s.message
          WHERE m.destination = ?`,
      )
      .all(destination)
      .map((row) => ({
        id: row.message_id as Uint8Array,
        message: row.message as Uint8Array,
        answer: { id: row.id as Uint8Array, key: row.key as Uint8Array },
      }));
  }
  /** A list was read; these messages are answered, and whoever sent them has heard. */
  moveHead(destination: string, number: number, digest: Uint8Array, answered: readonly Uint8Array[]): void {
    this.#inTransaction(() => {
      this.#database.prepare('INSERT OR REPLACE INTO heads VALUES (?, ?, ?)').run(destination, number, digest);
      for (const id of answered) this.#remove(id);
    });
  }

  #inTransaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
