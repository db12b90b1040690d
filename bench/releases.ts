/**
 * Releases of meter and gateway in a bench, made by scripts/release as in life; only that the two keys that stay offline there lie
 * beside them here. Release 1 is what every house is delivered with: the software in this folder, and the firmware built from it.
 *
 *   <directory>/keys/          release.key, policy.key
 *   <directory>/released/      what the trusted third party serves, and the verifier takes
 */
import { createHash } from 'node:crypto';
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
    this.folder = join(directory, 'released');
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

  /** The next version, as a roll-out needs one: a meter's program with another banner, a gateway with another number. */
  next(terms: ReleaseTerms): Manifest {
    const version = this.version + 1;
    const { firmware, files } = this.software;
    return this.put({ firmware: withBanner(firmware, version), files: numbered(files, version) }, terms);
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

/** The same program as another text: a last line that names the release, and another digest that the program says of itself. */
function withBanner(firmware: Uint8Array, version: number): Uint8Array {
  const text = Buffer.from(firmware).toString('latin1');
  const said = saidDigest(text);
  const fresh = `${(said ? text.replace(said, DIGEST_MARK) : text).trimEnd()}\n// release ${version}\n`;
  return Buffer.from(fresh.replace(DIGEST_MARK, digestOf(fresh)), 'latin1');
}

/** As scripts/build.mjs puts it in: of the text with this mark in its place. */
const DIGEST_MARK = '%FIRMWAREDIGEST%';
const digestOf = (text: string): string =>
  createHash('sha256').update(text, 'latin1').digest('hex').slice(0, DIGEST_MARK.length);
const saidDigest = (text: string): string | undefined =>
  [...text.matchAll(/(?<=['"`])[0-9a-f]{16}(?=['"`])/g)]
    .map(([digest]) => digest)
    .find((digest) => digestOf(text.replace(digest, DIGEST_MARK)) === digest);

/** The gateway's package says another version. */
function numbered(files: readonly ArchivedFile[], version: number): ArchivedFile[] {
  return files.map(({ path, bytes }) => {
    if (path !== 'package.json') return { path, bytes };
    const description = { ...JSON.parse(Buffer.from(bytes).toString('utf8')), version: `0.${version}.0` };
    return { path, bytes: Buffer.from(`${JSON.stringify(description, null, 2)}\n`) };
  });
}
