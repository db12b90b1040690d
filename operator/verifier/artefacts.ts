/**
 * What was released, from the folder that scripts/release writes and the trusted third party serves:
 *
 *   <version>/manifest.bin   as it was signed (protocol/updates/manifest.ts)
 *             firmware.js    the meter's image
 *             gateway.bin    the gateway's software (protocol/updates/archive.ts)
 *
 * Nobody need trust the folder: manifests are signed, and everything else is known by its digest.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveDigest, decodeArchive } from '../../protocol/updates/archive.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { Artefacts } from './releases.ts';

/** A release appears under its number, whole. */
const VERSION = /^[1-9]\d*$/;

export class ArtefactFolder implements Artefacts {
  readonly #directory: string;
  readonly #manifests = new Map<number, Uint8Array>();
  readonly #images = new Map<string, Uint8Array>();
  readonly #listings = new Map<string, ReadonlyMap<string, Uint8Array>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reads releases that are new; true where there are some. */
  refresh(): boolean {
    if (!existsSync(this.#directory)) return false;
    const names = readdirSync(this.#directory).filter(
      (name) => VERSION.test(name) && !this.#manifests.has(Number(name)),
    );
    for (const name of names) this.#take(Number(name), join(this.#directory, name));
    return names.length > 0;
  }

  #take(version: number, folder: string): void {
    this.#manifests.set(version, readFileSync(join(folder, 'manifest.bin')));
    const image = readFileSync(join(folder, 'firmware.js'));
    this.#images.set(createHash('sha256').update(image).digest('hex'), image);
    try {
      const files = decodeArchive(readFileSync(join(folder, 'gateway.bin')));
      const digests = files.map(({ path, bytes }) => [path, createHash('sha256').update(bytes).digest()] as const);
      this.#listings.set(nameOf(archiveDigest(files)), new Map(digests));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error; // no file can be named then; verdicts are the same
    }
  }

  /** In the order of their versions. */
  get manifests(): readonly Uint8Array[] {
    return [...this.#manifests].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
  }
  image(digest: Uint8Array): Uint8Array | undefined {
    return this.#images.get(nameOf(digest));
  }
  files(digest: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined {
    return this.#listings.get(nameOf(digest));
  }
}

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('hex');
