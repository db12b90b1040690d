/**
 * Releases of meter and gateway in a bench, made by scripts/release as in life; only that the two keys that stay offline there lie
 * beside them here. Release 1 is what every house is delivered with: the software in this folder, and the firmware built from it.
 *
 *   <directory>/keys              release.key, policy.key
 *   <directory>/<version>/        what the trusted third party serves, and the verifier takes
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorizationsText } from '../gateway/billing/release-file.ts';
import type { ArchivedFile } from '../protocol/updates/archive.ts';
import { type Manifest, openManifest } from '../protocol/updates/manifest.ts';
import { makeKeys, makeRelease, putRelease, type ReleaseKeys, readKeys, softwareFiles } from '../scripts/release.ts';

export const DELIVERED = 1;

export interface ReleasedSoftware {
  /** The meter's program as it is stored. */
  firmware: Uint8Array;
  /** The gateway's files. */
  files: readonly ArchivedFile[];
}
export interface ReleaseTerms {
  /** Unix ms: nobody installs it before. */
  notBeforeMs: number;
  /** From then on earlier releases are no longer accepted. */
  retiresMs: number;
  notes: string;
}

export class BenchReleases {
  readonly folder: string;
  /** Ed25519, hexadecimal. */
  readonly releaseKey: string;
  /** P-256, compressed, hexadecimal. */
  readonly policyKey: string;
  readonly #keys: ReleaseKeys;
  #newest: { manifest: Manifest; software: ReleasedSoftware };

  /** @param directory made if it is not there; holds no releases yet */
  constructor(directory: string, firmware: Uint8Array, files: readonly ArchivedFile[] = softwareFiles()) {
    this.folder = directory;
    const keysFolder = join(directory, 'keys');
    ({ releaseKey: this.releaseKey, policyKey: this.policyKey } = makeKeys(keysFolder));
    this.#keys = readKeys(keysFolder);
    const software = { firmware, files };
    // protocol time of a bench may be any
    const terms = { notBeforeMs: 0, retiresMs: 0, notes: 'what every house was delivered with' };
    this.#newest = { manifest: this.#make(DELIVERED, software, terms, null), software };
  }

  get version(): number {
    return this.#newest.manifest.version;
  }
  /** What the newest release brings. */
  get software(): ReleasedSoftware {
    return this.#newest.software;
  }
  /** The meter's program of a release. */
  imageFile(version = DELIVERED): string {
    return join(this.folder, String(version), 'firmware.js');
  }

  /** The next version; whoever looks into the folder sees it from now on. */
  put(software: ReleasedSoftware, terms: ReleaseTerms): Manifest {
    const manifest = this.#make(this.version + 1, software, terms, this.#newest.manifest);
    this.#newest = { manifest, software };
    return manifest;
  }

  /** `sealing` of a gateway's `billing`: the file is what the technician leaves there; updates replace it. */
  sealing(authorizationsFile: string): { policyKey: string; authorizationsFile: string } {
    const { authorizations = [] } = this.#newest.manifest;
    writeFileSync(authorizationsFile, authorizationsText(authorizations), { mode: 0o600 });
    return { policyKey: this.policyKey, authorizationsFile };
  }

  #make(version: number, software: ReleasedSoftware, terms: ReleaseTerms, previous: Manifest | null): Manifest {
    const made = makeRelease({ ...software, ...terms, version, previous }, this.#keys);
    putRelease(this.folder, version, { ...made, firmware: software.firmware });
    return openManifest(made.manifest, Buffer.from(this.releaseKey, 'hex'));
  }
}
