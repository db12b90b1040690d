/**
 * The grid operator's console: a page for the people who look after the meters.
 *
 *   browser ── https, one password ──► this server ── client certificate `console` ──► verifier, grid operator, provider
 *
 * Who learns what: whoever has the password sees where devices hang, whether they are trusted and why not, which release they run,
 * and what was told to areas. The console has no store, and no reading, pseudonym, person or bill ever comes near it.
 */
import { join } from 'node:path';
import { type Page, startWebServer } from '../../web/server.ts';
import { addConsoleApi } from './api.ts';
import { Watch } from './overview.ts';
import type { Parties } from './parties.ts';

export interface ConsoleOptions {
  parties: Parties;
  /** Keys, certificates, the password's hash and the sessions: `web/` in it. */
  directory: string;
  /** Stands on top. */
  name: string;
  port: number;
  host: string;
  nowMs?: () => number;
  log?: (line: string) => void;
}

export function startConsole({ parties, directory, log = () => {}, ...options }: ConsoleOptions): Promise<Page> {
  const watch = new Watch(parties);
  return startWebServer({
    ...options,
    log,
    directory: join(directory, 'web'),
    machine: 'console',
    pageFolder: join(import.meta.dirname, 'page'),
    addRoutes: (server) => addConsoleApi(server, { watch, parties, log }),
  });
}
