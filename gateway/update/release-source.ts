/** Where releases come from: the trusted third party, or a folder (protocol/updates/exchange.ts). Neither is believed. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../../protocol/services/call.ts';
import {
  NEWEST_PATH,
  newestAnswer,
  PART_BYTES,
  PART_PATH,
  type PartRequest,
  partAnswer,
} from '../../protocol/updates/exchange.ts';
import { callService, type ServiceAddress } from '../services/client.ts';

export interface ReleaseSource {
  /** The newest manifest with its signature; null where there is none yet. @throws ServiceError, Error */
  newest(): Promise<Uint8Array | null>;
  /** A piece of a release's firmware or gateway archive. */
  part(request: PartRequest): Promise<Uint8Array>;
}

export function releasesOverHttps(address: ServiceAddress): ReleaseSource {
  return {
    newest: async () => {
      try {
        return (await callService({ ...address, path: NEWEST_PATH, answer: newestAnswer })).manifest;
      } catch (error) {
        if (error instanceof ServiceError && error.code === 'no release') return null;
        throw error;
      }
    },
    part: async (request) => {
      const { bytes } = await callService({ ...address, path: PART_PATH, body: request, answer: partAnswer });
      return bytes;
    },
  };
}

/** A folder as scripts/release writes it: `<version>/manifest.bin`, `firmware.js`, `gateway.bin`. */
export function releasesInFolder(folder: string): ReleaseSource {
  return {
    newest: async () => {
      const newest = newestIn(folder);
      return newest === null ? null : readFileSync(join(folder, String(newest), 'manifest.bin'));
    },
    part: async ({ version, of, offset }) => {
      const file = join(folder, String(version), of === 'firmware' ? 'firmware.js' : 'gateway.bin');
      return readFileSync(file).subarray(offset, offset + PART_BYTES);
    },
  };
}

function newestIn(folder: string): number | null {
  const versions = readdirSync(folder)
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number);
  return versions.length === 0 ? null : Math.max(...versions);
}
