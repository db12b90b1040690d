/**
 * The gateway's half of the session STORE (protocol/wire/sealed-values.ts): keeps what the meter has sealed, in a file of its own.
 * It cannot read it, and an old version that it gave back would not open. Answered is only what is on the disk.
 *
 *   sealed.db   values: kind, id → version, sealed; mode 0600
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import {
  decodeStoreMessage,
  encodeStoreMessage,
  STORE_ABSENT,
  STORE_GET,
  STORE_KEPT,
  STORE_PUT,
  STORE_REMOVE,
  STORE_VALUE,
  type StoreMessage,
} from '../../protocol/wire/sealed-values.ts';
import { SESSION_STORE } from '../../protocol/wire/sessions.ts';
import { openDatabase } from '../store-schema.ts';
import type { MeterSessions } from './sessions.ts';

const TABLES = `CREATE TABLE sealed (kind INTEGER NOT NULL, id INTEGER NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;`;
/** A meter that is broken fills no disk: 32 MB of values. Three months of 3,000 credentials, and what others keep. */
const VALUES_MOST = 16_384;

export class SealedValuesStore {
  readonly #database: DatabaseSync;
  readonly #sessions: Pick<MeterSessions, 'tell'>;
  readonly #most: number;
  /** Requests that were none, and values for which there was no room. */
  refused = 0;

  constructor(
    dataDir: string,
    sessions: Pick<MeterSessions, 'on' | 'tell'>,
    { most = VALUES_MOST }: { most?: number } = {},
  ) {
    this.#database = openDatabase(join(dataDir, 'sealed.db'), 'FULL', TABLES);
    this.#sessions = sessions;
    this.#most = most;
    sessions.on(SESSION_STORE, (body) => this.#receive(body));
  }

  close(): void {
    this.#database.close();
  }

  /** How much is kept. */
  report(): { values: number; bytes: number; refused: number } {
    const { values, bytes } = this.#database
      .prepare('SELECT count(*) AS "values", coalesce(sum(length(sealed)), 0) AS bytes FROM sealed')
      .get() as { values: number; bytes: number };
    return { values, bytes, refused: this.refused };
  }

  /** Values that the meter does not need any more: ids from `first` to before `end`. */
  forget(kind: number, first: number, end: number): void {
    this.#database.prepare('DELETE FROM sealed WHERE kind = ? AND id >= ? AND id < ?').run(kind, first, end);
  }

  #receive(body: Uint8Array): void {
    let request: StoreMessage;
    try {
      request = decodeStoreMessage(body);
    } catch (error) {
      this.refused++;
      throw error;
    }
    const { type, kind, id, version } = request;
    if (type === STORE_PUT) this.#put(request);
    else if (type === STORE_GET) this.#get(kind, id, version);
    else if (type === STORE_REMOVE) this.#remove(kind, id, version);
    else this.refused++;
  }

  #put({ kind, id, version, sealed }: StoreMessage): void {
    const kept = this.#kept(kind, id);
    if (kept === undefined && this.report().values >= this.#most) {
      this.refused++;
      return;
    }
    // the same version again is the same bytes; an older one is a message that was said again and came late
    if (kept === undefined || kept.version < version)
      this.#database.prepare('INSERT OR REPLACE INTO sealed VALUES (?,?,?,?)').run(kind, id, version, sealed!);
    this.#tell(STORE_KEPT, kind, id, Math.max(version, kept?.version ?? 0));
  }

  #get(kind: number, id: number, version: number): void {
    const kept = this.#kept(kind, id);
    if (kept?.version === version) this.#tell(STORE_VALUE, kind, id, version, kept.sealed);
    else this.#tell(STORE_ABSENT, kind, id, version);
  }

  #remove(kind: number, id: number, version: number): void {
    this.#database.prepare('DELETE FROM sealed WHERE kind = ? AND id = ? AND version <= ?').run(kind, id, version);
    this.#tell(STORE_ABSENT, kind, id, version);
  }

  #kept(kind: number, id: number): { version: number; sealed: Uint8Array } | undefined {
    return this.#database.prepare('SELECT version, sealed FROM sealed WHERE kind = ? AND id = ?').get(kind, id) as
      | { version: number; sealed: Uint8Array }
      | undefined;
  }

  #tell(type: number, kind: number, id: number, version: number, sealed: Uint8Array | null = null): void {
    this.#sessions.tell(SESSION_STORE, encodeStoreMessage({ type, kind, id, version, sealed }));
  }
}
