/**
 * Everything that the grid operator's console needs on this machine: its client certificate and one configuration file, as
 * bench/grid-side.ts does for others. The process is the caller's; its `ready` says where the page is, and its first password.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GridCa } from './grid-ca.ts';

export interface ConsoleSideOptions {
  /** Made if it is not there; holds the configuration and what the page keeps. */
  directory: string;
  ca: GridCa;
  /** `https://host:port` of the parties' services; null: what it would show is hidden. */
  services: { verifier: string; gridOperator: string | null; provider: string | null; controlCentre?: string | null };
  /** Port of the page; any free one unless told. */
  port?: number;
  name?: string;
  clock?: 'conductor' | 'system';
}

/** @returns the configuration file, for `node operator/console/main.ts FILE` */
export async function prepareConsole(options: ConsoleSideOptions): Promise<{ config: string }> {
  const { directory, ca, services, port = 0, name, clock = 'conductor' } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const client = await ca.client('console');
  const access = (url: string | null): object | null => (url === null ? null : { url, caFile: ca.caFile, ...client });
  const config = join(directory, 'console.json');
  const content = {
    stateDir: join(directory, 'console'),
    name,
    web: { port, host: '127.0.0.1' },
    verifier: access(services.verifier),
    gridOperator: access(services.gridOperator),
    provider: access(services.provider),
    controlCentre: access(services.controlCentre ?? null),
    clock,
  };
  writeFileSync(config, `${JSON.stringify(content, null, 2)}\n`);
  return { config };
}
