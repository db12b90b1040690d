/**
 * The customer's page, inside the house.
 *
 *   browser ── https, one password ──► this server ── HouseholdView ──► the gateway's store and meter
 *
 * Who learns what: whoever has the password sees the household's own values; whoever is in the home network sees the
 * login, the help and the authority's public certificate; nobody else sees anything, and nothing is sent anywhere.
 */
import { join } from 'node:path';
import { type Page, startWebServer } from '../../web/server.ts';
import { addApi } from './api.ts';
import type { HouseholdView } from './household-view.ts';
import { LiveStream } from './live-stream.ts';
import { DOCUMENT_TEXTS } from './page/texts/documents.ts';

export type { Page } from '../../web/server.ts';

export interface PageOptions {
  view: HouseholdView;
  /** Where keys, certificates, the password's hash and the sessions are kept: `web/` in it. */
  dataDir: string;
  /** 0: any free one. */
  port: number;
  /** The address to listen on: `::` or `0.0.0.0` for the home network, `127.0.0.1` for this machine only. */
  host: string;
  /** Transport time, never the conductor's: certificates and sessions end by it. */
  nowMs?: () => number;
  /** One line per event worth keeping (refused logins); never a secret. */
  log?: (line: string) => void;
}

export async function startPage({ view, dataDir, ...options }: PageOptions): Promise<Page> {
  const live = new LiveStream(view);
  const page = await startWebServer({
    ...options,
    directory: join(dataDir, 'web'),
    name: view.householdName,
    machine: 'gateway',
    pageFolder: join(import.meta.dirname, 'page'),
    texts: DOCUMENT_TEXTS,
    moreDocuments: ['explained'],
    addRoutes: (server, { isAllowed }) => addApi(server, { view, live, isAllowed }),
    onSessionsEnded: () => live.prune(),
  });
  return {
    ...page,
    async close() {
      live.close();
      await page.close();
    },
  };
}
