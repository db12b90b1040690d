/**
 * What was released, from a folder: manifests, and beside them what they name.
 *
 *   *.manifest   as the trusted third party signed them (protocol/updates/manifest.ts)
 *   *.files      the listing of a gateway's software: per line SHA-256 in hexadecimal, two spaces, path (as sha256sum prints it)
 *   others       images of the meter, by their SHA-256
 *
 * Nobody need trust the folder: manifests are signed, and everything else is known by its digest.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { MeasuredFile } from '../../protocol/attestation/evidence.ts';
import { listingDigest } from '../../protocol/attestation/software.ts';
import type { Artefacts } from './releases.ts';

const MANIFEST = /\.manifest$/;
const LISTING = /\.files$/;
const IMAGE_MOST_BYTES = 4_000_000;

export class ArtefactFolder implements Artefacts {
  readonly #directory: string;
  #written = '';
  #manifests: Uint8Array[] = [];
  readonly #images = new Map<string, string>();
  readonly #listings = new Map<string, ReadonlyMap<string, Uint8Array>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Looks whether something was written; true where it was. */
  refresh(): boolean {
    if (!existsSync(this.#directory)) return false;
    const names = readdirSync(this.#directory).sort();
    const stats = names.map((name) => ({ name, stat: statSync(join(this.#directory, name)) }));
    const written = stats.map(({ name, stat }) => `${name} ${stat.size} ${stat.mtimeMs}`).join('\n');
    if (written === this.#written) return false;
    this.#written = written;
    this.#manifests = [];
    for (const { name, stat } of stats) if (stat.isFile() && stat.size <= IMAGE_MOST_BYTES) this.#take(name);
    return true;
  }

  #take(name: string): void {
    const file = join(this.#directory, name);
    const bytes = readFileSync(file);
    if (MANIFEST.test(name)) this.#manifests.push(bytes);
    else if (LISTING.test(name)) {
      const files = readListing(bytes.toString('utf8'));
      const digest = Buffer.from(listingDigest(files)).toString('hex');
      this.#listings.set(digest, new Map(files.map((entry) => [entry.path, entry.digest])));
    } else this.#images.set(createHash('sha256').update(bytes).digest('hex'), file);
  }

  /** In the order of their names. */
  get manifests(): readonly Uint8Array[] {
    return this.#manifests;
  }
  image(digest: Uint8Array): Uint8Array | undefined {
    const file = this.#images.get(Buffer.from(digest).toString('hex'));
    return file === undefined ? undefined : readFileSync(file);
  }
  files(digest: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined {
    return this.#listings.get(Buffer.from(digest).toString('hex'));
  }
}

export const writeListing = (files: readonly MeasuredFile[]): string =>
  files.map(({ path, digest }) => `${Buffer.from(digest).toString('hex')}  ${path}\n`).join('');

function readListing(text: string): MeasuredFile[] {
  return text.split('\n').flatMap((line) => {
    const [, digest, path] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? [];
    return digest ? [{ path, digest: Buffer.from(digest, 'hex') }] : [];
  });
}
