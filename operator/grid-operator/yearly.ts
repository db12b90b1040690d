/**
 * Registers once a year, and the invoice to the provider that follows (tpm-privacy-concept.txt, "Data Provisioning For the Grid
 * Operator").
 *
 *   Gateway ── registers, signed ──► GridOperator: device · signature · only grows · one line ── invoice, one sum ──► Provider
 *
 * The grid operator learns a household's total since its last reading, and which provider supplies it; no person, no time within.
 *
 *   supplies   device, from which slot, provider          for good: whom a line is charged to
 *   readings   device, reason, slot → registers, bytes    for good: the evidence
 *   lines      one for each reading but a device's first: kWh, fee, the invoice that it went into
 *   invoices   number → the signed document
 */
import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { INVOICE, type Invoice, signInvoice } from '../../protocol/grid-fees/invoice.ts';
import {
  type ProviderChange,
  type ProviderTerms,
  signProviderChange,
} from '../../protocol/grid-fees/provider-change.ts';
import {
  decodeRegisterReading,
  type RegisterReading,
  registerReadingDigest,
  verifyRegisterReading,
  yearFirstSlot,
  yearOf,
} from '../../protocol/grid-fees/register-reading.ts';
import {
  accountsCall,
  changeCall,
  chooseCall,
  type GridAccounts,
  invoicesCall,
  OTHER_READING,
  offersCall,
  readingCall,
} from '../../protocol/grid-fees/services.ts';
import { DAY_MS, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { type IdentifiedCaller, identifiedRoute, Refusal, type Route, roleRoute } from '../shared/service.ts';
import { type DatabaseSync, inTransaction } from '../shared/store.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS supplies (
    device TEXT NOT NULL, fromSlot INTEGER NOT NULL, provider TEXT NOT NULL, number INTEGER NOT NULL, document TEXT,
    PRIMARY KEY (device, fromSlot)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS readings (
    device TEXT NOT NULL, slot INTEGER NOT NULL, reason TEXT NOT NULL, importKwh INTEGER NOT NULL, exportKwh INTEGER NOT NULL,
    digest BLOB NOT NULL, bytes BLOB NOT NULL, certificate TEXT NOT NULL, receivedMs INTEGER NOT NULL,
    PRIMARY KEY (device, slot, reason)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS lines (
    device TEXT NOT NULL, slot INTEGER NOT NULL, reason TEXT NOT NULL, provider TEXT NOT NULL, year INTEGER NOT NULL,
    importKwh INTEGER NOT NULL, exportKwh INTEGER NOT NULL, feeMilliCent INTEGER NOT NULL, invoice INTEGER,
    PRIMARY KEY (device, slot, reason)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS invoices (
    number INTEGER PRIMARY KEY, provider TEXT NOT NULL, year INTEGER NOT NULL, document TEXT NOT NULL
  );
`;

/** Readings that come so long after a year's end go into the next invoice. */
const PATIENCE_MS = 31 * DAY_MS;

/** One line of the grid operator's accounts. */
export interface FeeLine {
  device: string;
  slot: number;
  reason: string;
  provider: string;
  year: number;
  importKwh: number;
  exportKwh: number;
  feeMilliCent: number;
  /** Number of the invoice that it went into; null where none was made yet. */
  invoice: number | null;
}

export interface YearlyOptions {
  /** The grid operator's own store (RegisterStore.database). */
  database: DatabaseSync;
  /** As invoices name it. */
  name: string;
  /** Thousandths of a cent per kWh drawn. */
  feeMilliCentPerKwh: number;
  /** Ed25519: invoices and changes of provider. */
  key: KeyObject;
  isInstalled(device: string): boolean;
}

export class Yearly {
  readonly #options: YearlyOptions;
  readonly #database: DatabaseSync;

  constructor(options: YearlyOptions) {
    this.#options = options;
    this.#database = options.database;
    this.#database.exec(SCHEMA);
  }

  /** Who supplies a device that is installed. @throws Refusal */
  supply(device: string, provider: string, fromSlot: number): void {
    if (this.#supplies(device).length > 0)
      throw new Refusal('supplied', 'the device has a provider: it can be changed', 'final', { path: 'device' });
    this.#addSupply(device, fromSlot, provider, 0, null);
  }

  /** Another provider from a slot on that has not begun. The same change again is the same document. @throws Refusal */
  change(device: string, fromSlot: number, provider: ProviderChange['provider'], nowMs: number): string {
    const supplies = this.#supplies(device);
    const last = supplies.at(-1);
    if (!last) throw new Refusal('not supplied', 'the device has no provider yet', 'final', { path: 'device' });
    if (last.document !== null && last.fromSlot === fromSlot && last.provider === provider.name) return last.document;
    if (fromSlot <= last.fromSlot)
      throw new Refusal('too early', 'fromSlot is not after the last change', 'correct', { path: 'fromSlot' });
    if (fromSlot <= slotOf(nowMs))
      throw new Refusal('too early', 'fromSlot has begun: what was reported cannot go to another', 'correct', {
        path: 'fromSlot',
      });
    if (last.provider === provider.name)
      throw new Refusal('same provider', 'provider is the one that the device has', 'correct', { path: 'provider' });
    const number = last.number + 1;
    const document = signProviderChange(
      { kind: 'change of provider', number, device, fromSlot, provider },
      this.#options.key,
    );
    this.#addSupply(device, fromSlot, provider.name, number, document);
    return document;
  }

  /** The newest change of a device's provider, signed; null where there was none. */
  newestChange(device: string): string | null {
    return this.#supplies(device).at(-1)?.document ?? null;
  }

  /** @returns the reading's digest: it is on disk then, with the line that follows @throws Refusal */
  receive(bytes: Uint8Array, caller: IdentifiedCaller, nowMs: number): { digest: Uint8Array } {
    if (caller.kind !== 'household')
      throw new Refusal('not a household', 'registers are signed by a household key, not by a person', 'final', {
        status: 403,
      });
    const reading = decoded(bytes);
    const { reason, slot, ekSerial: device } = reading;
    if (device !== caller.ekSerial) throw wrong('ekSerial', 'is not the one of the certificate');
    if (!verifyRegisterReading(bytes, caller.publicKey))
      throw wrong('signature', "was not made by the household's key over these registers");
    const digest = registerReadingDigest(bytes);
    const known = this.#database
      .prepare('SELECT digest FROM readings WHERE device = ? AND slot = ? AND reason = ?')
      .get(device, slot, reason);
    if (known) {
      if (Buffer.compare(known.digest as Uint8Array, digest) === 0) return { digest };
      throw wrong('importKwh', 'is another one than was read for this instant before', OTHER_READING, 409);
    }
    if (!this.#options.isInstalled(device)) throw wrong('ekSerial', 'is of no device that is installed');
    if (slotStartMs(slot) > nowMs) throw wrong('slot', 'lies in the future');
    if (reason === 'year' && slot !== yearFirstSlot(yearOf(slot) + 1)) throw wrong('slot', 'is not the end of a year');
    const line = this.#lineOf(reading);
    inTransaction(this.#database, () => {
      this.#database
        .prepare('INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
        .run(device, slot, reason, reading.importKwh, reading.exportKwh, digest, bytes, caller.serialNumber, nowMs);
      if (line)
        this.#database
          .prepare('INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)')
          .run(
            ...[line.device, line.slot, line.reason, line.provider],
            ...[line.year, line.importKwh, line.exportKwh, line.feeMilliCent],
          );
    });
    return { digest };
  }

  /** In the order of devices and slots. */
  lines(): FeeLine[] {
    return this.#database
      .prepare('SELECT * FROM lines ORDER BY device, slot, reason')
      .all()
      .map((row) => ({ ...row })) as unknown as FeeLine[];
  }

  /**
   * The provider's invoices of a year, signed. Lines that no invoice has yet go into a new one; asked again, there is none to make.
   * An invoice is made when the year is over and all of the provider's devices have told their registers, or have had a month for
   * it: made as readings come, each would be one household's total.
   */
  invoices(provider: string, year: number, nowMs: number): string[] {
    return inTransaction(this.#database, () => {
      const sum = this.#database
        .prepare(
          `SELECT count(*) AS readings, total(importKwh) AS importKwh, total(exportKwh) AS exportKwh, total(feeMilliCent) AS fee
           FROM lines WHERE provider = ? AND year = ? AND invoice IS NULL`,
        )
        .get(provider, year) as { readings: number; importKwh: number; exportKwh: number; fee: number };
      if (sum.readings > 0 && this.#isComplete(provider, year, nowMs)) this.#addInvoice(provider, year, sum, nowMs);
      return this.#database
        .prepare('SELECT document FROM invoices WHERE provider = ? AND year = ? ORDER BY number')
        .all(provider, year)
        .map(({ document }) => document as string);
    });
  }

  /** For the console. In the order of slots and devices. */
  accounts(): GridAccounts {
    const readings = this.#database
      .prepare(
        `SELECT readings.device, readings.slot, readings.reason, readings.importKwh, readings.exportKwh, lines.provider
         FROM readings LEFT JOIN lines USING (device, slot, reason) ORDER BY slot DESC, device LIMIT 500`,
      )
      .all()
      .map((row) => ({ ...row })) as unknown as GridAccounts['readings'];
    const invoices = this.#database
      .prepare('SELECT document FROM invoices ORDER BY number DESC LIMIT 200')
      .all()
      .map(({ document }) => v.parse(INVOICE, JSON.parse(document as string).document));
    return { readings, invoices };
  }

  #isComplete(provider: string, year: number, nowMs: number): boolean {
    const end = yearFirstSlot(year + 1);
    if (nowMs < slotStartMs(end)) return false;
    if (nowMs >= slotStartMs(end) + PATIENCE_MS) return true;
    const devices = this.#database.prepare('SELECT DISTINCT device FROM supplies').all() as { device: string }[];
    return devices.every(({ device }) => {
      const supply = this.#supplies(device).findLast(({ fromSlot }) => fromSlot < end);
      if (supply?.provider !== provider || !this.#options.isInstalled(device)) return true;
      const told = this.#database.prepare('SELECT 1 FROM readings WHERE device = ? AND slot >= ?').get(device, end);
      return told !== undefined;
    });
  }

  #addInvoice(
    provider: string,
    year: number,
    { readings, importKwh, exportKwh, fee }: { readings: number; importKwh: number; exportKwh: number; fee: number },
    nowMs: number,
  ): void {
    const { name, feeMilliCentPerKwh, key } = this.#options;
    const number = (this.#database.prepare('SELECT max(number) AS n FROM invoices').get()!.n as number | null) ?? 0;
    const invoice: Invoice = {
      kind: 'grid fee invoice',
      number: number + 1,
      gridOperator: name,
      provider,
      year,
      issuedMs: nowMs,
      readings,
      importKwh,
      exportKwh,
      feeMilliCentPerKwh,
      totalMilliCent: fee,
    };
    this.#database
      .prepare('INSERT INTO invoices VALUES (?, ?, ?, ?)')
      .run(number + 1, provider, year, signInvoice(invoice, key));
    this.#database
      .prepare('UPDATE lines SET invoice = ? WHERE provider = ? AND year = ? AND invoice IS NULL')
      .run(number + 1, provider, year);
  }

  /** What follows from a new reading; null for a device's first one. @throws Refusal */
  #lineOf({ reason, slot, ekSerial: device, importKwh, exportKwh }: RegisterReading): Omit<FeeLine, 'invoice'> | null {
    const last = this.#database
      .prepare('SELECT slot, importKwh, exportKwh FROM readings WHERE device = ? ORDER BY slot DESC LIMIT 1')
      .get(device) as { slot: number; importKwh: number; exportKwh: number } | undefined;
    if (reason === 'first') {
      if (last) throw wrong('reason', 'is the first reading, but there are others');
      return null;
    }
    if (last && slot < last.slot) throw wrong('slot', 'is before the last reading');
    for (const [name, value, before] of [
      ['importKwh', importKwh, last?.importKwh ?? 0],
      ['exportKwh', exportKwh, last?.exportKwh ?? 0],
    ] as const)
      if (value < before) throw wrong(name, `is ${value}, less than the ${before} of the last reading`);
    const supplies = this.#supplies(device).filter(({ fromSlot }) => fromSlot < slot);
    const supply = supplies.at(-1);
    if (!supply) throw wrong('ekSerial', 'is of a device that no provider supplied then');
    if (supplies.length > 1 && supply.fromSlot > (last?.slot ?? 0))
      throw wrong('slot', 'is after a change of provider whose registers have not come', 'change first');
    const drawnKwh = importKwh - (last?.importKwh ?? 0);
    return {
      device,
      slot,
      reason,
      provider: supply.provider,
      year: yearOf(slot),
      importKwh: drawnKwh,
      exportKwh: exportKwh - (last?.exportKwh ?? 0),
      feeMilliCent: drawnKwh * this.#options.feeMilliCentPerKwh,
    };
  }

  #supplies(device: string): { fromSlot: number; provider: string; number: number; document: string | null }[] {
    return this.#database
      .prepare('SELECT fromSlot, provider, number, document FROM supplies WHERE device = ? ORDER BY fromSlot')
      .all(device) as unknown as { fromSlot: number; provider: string; number: number; document: string | null }[];
  }
  #addSupply(device: string, fromSlot: number, provider: string, number: number, document: string | null): void {
    this.#database
      .prepare('INSERT INTO supplies VALUES (?, ?, ?, ?, ?)')
      .run(device, fromSlot, provider, number, document);
  }
}

const wrong = (field: string, problem: string, code = 'reading refused', status = 422): Refusal =>
  new Refusal(code, `registerReading.${field} ${problem}`, code === 'change first' ? 'correct' : 'final', {
    status,
    path: `registerReading.${field}`,
  });

function decoded(bytes: Uint8Array): RegisterReading {
  try {
    return decodeRegisterReading(bytes);
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new Refusal('malformed', error.message, 'correct', { status: 400, path: error.path });
  }
}

/**
 * For the grid operator's service, which needs `identification`.
 * @param providers that supply here @param nowMs undefined while the party has not been told
 */
export function yearlyRoutes(
  yearly: Yearly,
  providers: readonly (ProviderTerms & { party: string })[],
  nowMs: () => number | undefined,
): Route[] {
  const offers = providers.map(({ party: _, ...offer }) => offer);
  const householdOf = (caller: IdentifiedCaller): string => {
    if (caller.kind === 'household') return caller.ekSerial;
    throw new Refusal('not a household', 'a household key asks for its device', 'final', { status: 403 });
  };
  const now = (): number => {
    const ms = nowMs();
    if (ms === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return ms;
  };
  return [
    identifiedRoute({
      method: 'POST',
      path: readingCall.path,
      body: readingCall.body,
      handle: ({ reading }, caller) => yearly.receive(reading, caller, now()),
    }),
    identifiedRoute({
      method: 'POST',
      path: changeCall.path,
      body: changeCall.body,
      handle: (_, caller) => ({ change: yearly.newestChange(householdOf(caller)) }),
    }),
    identifiedRoute({
      method: 'POST',
      path: offersCall.path,
      body: offersCall.body,
      handle: (_, caller) => {
        householdOf(caller);
        return { offers };
      },
    }),
    identifiedRoute({
      method: 'POST',
      path: chooseCall.path,
      body: chooseCall.body,
      handle: ({ provider, fromSlot }, caller) => {
        const device = householdOf(caller);
        const offer = offers.find(({ name }) => name === provider);
        if (!offer)
          throw new Refusal('unknown provider', 'provider is none that supplies here', 'correct', { path: 'provider' });
        return { change: yearly.change(device, fromSlot, offer, now()) };
      },
    }),
    roleRoute(['provider', 'console', ...providers.map(({ party }) => party)], {
      method: 'POST',
      path: invoicesCall.path,
      body: invoicesCall.body,
      handle: ({ provider, year }, { role }) => {
        const own = providers.find(({ party }) => party === role)?.name;
        if (own !== undefined && provider !== own)
          throw new Refusal('not yours', 'a provider asks for its own invoices', 'final', {
            status: 403,
            path: 'provider',
          });
        return { invoices: yearly.invoices(provider, year, now()) };
      },
    }),
    roleRoute(['console'], {
      method: 'POST',
      path: accountsCall.path,
      body: accountsCall.body,
      handle: () => yearly.accounts(),
    }),
  ];
}
