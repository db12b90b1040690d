/**
 * The grid operator's invoices, as the provider fetches them: for a year that is over, one sum for all of its customers
 * (protocol/grid-fees/invoice.ts). It asks every quarter hour until there is one, then once a day: late readings make another.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { type Invoice, openInvoice } from '../../protocol/grid-fees/invoice.ts';
import { invoicesCall } from '../../protocol/grid-fees/services.ts';
import { DAY_MS, SLOT_MS } from '../../protocol/time/slots.ts';
import { callAs, serviceOf } from '../shared/client.ts';
import { openStore } from '../shared/store.ts';

export const invoicesConfig = v.strictObject({
  /** The grid operator's service. */
  service: serviceOf,
  /** As the grid operator names this provider. */
  name: v.string(),
  /** Signs invoices: Ed25519, hexadecimal. */
  key: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not 64 lower-case hexadecimal digits')),
});
export type InvoicesConfig = v.InferOutput<typeof invoicesConfig>;

const SCHEMA =
  'CREATE TABLE IF NOT EXISTS invoices (number INTEGER PRIMARY KEY, year INTEGER NOT NULL, document TEXT NOT NULL)';

export interface Invoices {
  advance(nowMs: number): void;
  /** What was received, in the order of their numbers. */
  all(): Invoice[];
  close(): Promise<void>;
}

export function openInvoices(config: InvoicesConfig, stateDir: string): Invoices {
  const { service, name, key } = config;
  const database = openStore(join(stateDir, 'invoices.sqlite'), SCHEMA);
  const publicKey = Buffer.from(key, 'hex');
  let nextMs = 0;
  let asking: Promise<void> | null = null;
  let trouble = '';
  let closed = false;

  const ask = async (year: number, nowMs: number): Promise<void> => {
    try {
      const { invoices } = await callAs(service, { ...service, ...invoicesCall, body: { provider: name, year } });
      if (closed) return;
      for (const document of invoices) {
        const invoice = openInvoice(document, publicKey);
        if (invoice.provider !== name) throw new Error(`invoice ${invoice.number} is for ${invoice.provider}`);
        database.prepare('INSERT OR IGNORE INTO invoices VALUES (?, ?, ?)').run(invoice.number, invoice.year, document);
      }
      if (invoices.length > 0) nextMs = nowMs + DAY_MS;
      trouble = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== trouble) console.error(`provider: invoices: ${message}`);
      trouble = message;
    }
  };
  return {
    advance(nowMs) {
      if (nowMs < nextMs || asking) return;
      nextMs = nowMs + SLOT_MS;
      asking = ask(new Date(nowMs).getUTCFullYear() - 1, nowMs).finally(() => {
        asking = null;
      });
    },
    all: () =>
      database
        .prepare('SELECT document FROM invoices ORDER BY number')
        .all()
        .map(({ document }) => openInvoice(document as string, publicKey)),
    async close() {
      closed = true;
      await asking;
      database.close();
    },
  };
}
