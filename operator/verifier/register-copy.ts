/**
 * The verifier's copy of the grid operator's register: which devices there are and where they hang. Read page by page from the
 * grid operator's service, and kept, so that a device is known after a restart and while the grid operator is away.
 */
import * as v from 'valibot';
import { DEVICE, type Device } from '../../protocol/identity/devices.ts';
import { callAs, type ServiceOf } from '../shared/client.ts';
import { type DatabaseSync, inTransaction } from '../shared/store.ts';
import type { DeviceRegister, Registered } from './steps.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS register (
    serial TEXT PRIMARY KEY, address TEXT, area TEXT, state TEXT NOT NULL
  ) STRICT;
`;
/** Real time: a device that has just been provisioned is asked for sooner (`isMissing`). */
const EVERY_MS = 30_000;
const SOON_MS = 500;
const PAGE = v.object({ devices: v.array(DEVICE) });

export class RegisterCopy implements DeviceRegister {
  readonly #database: DatabaseSync;
  readonly #fetchPage: (after: string) => Promise<readonly Device[]>;
  #devices: Map<string, Registered>;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | null = null;
  #readMs = 0;
  #trouble = '';
  #closed = false;

  constructor(database: DatabaseSync, fetchPage: (after: string) => Promise<readonly Device[]>) {
    this.#database = database;
    this.#fetchPage = fetchPage;
    database.exec(SCHEMA);
    this.#devices = new Map(
      (database.prepare('SELECT * FROM register').all() as unknown as Registered[]).map((device) => [
        device.serial,
        device,
      ]),
    );
  }

  device(serial: string): Registered | undefined {
    return this.#devices.get(serial);
  }
  all(): Registered[] {
    return [...this.#devices.values()];
  }

  /** Begins to read it, now and again and again. */
  start(): void {
    void this.refresh();
  }

  /** Reads all of it; a second call joins the first. Never throws: what is kept holds. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read()
      .catch((error: Error) => {
        if (error.message !== this.#trouble) console.error(`verifier: the grid operator's register: ${error.message}`);
        this.#trouble = error.message;
      })
      .finally(() => {
        this.#reading = null;
        if (!this.#closed) this.#timer = setTimeout(() => this.refresh(), EVERY_MS).unref();
      });
    clearTimeout(this.#timer);
    return this.#reading;
  }

  /** Somebody asks for a device that is not in the copy: it may have been installed a moment ago. */
  async ensure(serial: string): Promise<void> {
    if (this.#devices.has(serial) || Date.now() - this.#readMs < SOON_MS) return;
    await this.refresh();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#reading;
  }

  async #read(): Promise<void> {
    this.#readMs = Date.now();
    const found: Registered[] = [];
    for (let after = ''; ; ) {
      const page = await this.#fetchPage(after);
      if (page.length === 0) break;
      found.push(...page.map(({ serial, address, area, state }) => ({ serial, address, area, state })));
      after = page.at(-1)!.serial;
    }
    inTransaction(this.#database, () => {
      this.#database.exec('DELETE FROM register');
      const insert = this.#database.prepare('INSERT INTO register VALUES (?, ?, ?, ?)');
      for (const { serial, address, area, state } of found) insert.run(serial, address, area, state);
    });
    this.#devices = new Map(found.map((device) => [device.serial, device]));
    this.#trouble = '';
  }
}

/** As the grid operator's service gives it. */
export const pagesOf =
  ({ url, caFile, ...identity }: ServiceOf) =>
  async (after: string): Promise<readonly Device[]> =>
    (await callAs(identity, { url, caFile, path: '/devices/list', body: { after }, answer: PAGE })).devices;
