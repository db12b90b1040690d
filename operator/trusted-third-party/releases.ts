/**
 * What the trusted third party serves of releases: the newest manifest and its parts, from a folder as scripts/release writes it
 * (`<version>/manifest.bin`, `firmware.js`, `gateway.bin`). Its release key is not here: it stays offline.
 *
 * A release appears when its folder is renamed into place; what stands in it is served as it is, and verified by whoever takes it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NEWEST_PATH, PART_BYTES, PART_PATH, partRequest } from '../../protocol/updates/exchange.ts';
import { openManifest } from '../../protocol/updates/manifest.ts';
import { publicRoute, Refusal, type Route } from '../shared/service.ts';

export interface Release {
  version: number;
  manifest: Uint8Array;
  firmware: Uint8Array;
  gateway: Uint8Array;
}

export class Releases {
  readonly #folder: string;
  readonly #releaseKey: Uint8Array;
  #newest: Release | null = null;

  /** @param releaseKey Ed25519, 32 B: what was not signed by it is not served, so that a mistake is noticed here */
  constructor(folder: string, releaseKey: Uint8Array) {
    this.#folder = folder;
    this.#releaseKey = releaseKey;
  }

  /** @throws ManifestError where the newest one is not signed by the release key */
  newest(): Release | null {
    const versions = this.#versions();
    if (versions.length === 0) return null;
    const version = Math.max(...versions);
    if (this.#newest?.version !== version) this.#newest = this.read(version);
    return this.#newest;
  }
  read(version: number): Release {
    const file = (name: string) => readFileSync(join(this.#folder, String(version), name));
    const manifest = file('manifest.bin');
    openManifest(manifest, this.#releaseKey);
    return { version, manifest, firmware: file('firmware.js'), gateway: file('gateway.bin') };
  }
  #versions(): number[] {
    return readdirSync(this.#folder)
      .filter((name) => /^[1-9]\d*$/.test(name))
      .map(Number);
  }
}

export const releaseRoutes = (releases: Releases): Route[] => [
  publicRoute({
    method: 'GET',
    path: NEWEST_PATH,
    handle: () => {
      const newest = releases.newest();
      if (!newest) throw new Refusal('no release', 'nothing was released yet', 'again', { status: 404 });
      return { manifest: newest.manifest };
    },
  }),
  publicRoute({
    method: 'POST',
    path: PART_PATH,
    body: partRequest,
    handle: ({ version, of, offset }) => {
      const newest = releases.newest();
      if (newest?.version !== version)
        throw new Refusal('not newest', `release ${version} is not the newest one`, 'start over', { path: 'version' });
      const part = newest[of];
      if (offset >= part.length)
        throw new Refusal('behind the end', `the ${of} has ${part.length} bytes`, 'correct', { path: 'offset' });
      return { bytes: part.subarray(offset, offset + PART_BYTES), length: part.length };
    },
  }),
];
