/**
 * The gateway's own software on its disk, and the switch from one release to the next.
 *
 *   <root>/node_modules           what package-lock.json pins; found from below by Node's own rule
 *   <root>/releases/7/            a release, whole: gateway/ protocol/ … ; written beside, then renamed
 *   <root>/current → releases/7   the one that is started (launcher.ts)
 *   <root>/trial.json             {version, previous, starts}: a release that has not come up yet; the launcher counts its starts
 *   <root>/failed.json            {version}: the launcher has given it up
 *
 * Each change is one rename: cut anywhere, the old release is started, or the new one.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ArchivedFile } from '../../protocol/updates/archive.ts';
import { writeDurably } from './durable-file.ts';

const TRIAL = 'trial.json';
const FAILED = 'failed.json';
/** So often a release that does not come up is started. */
export const STARTS_MOST = 3;

export interface Trial {
  version: number;
  previous: number;
  starts: number;
}

export class Installation {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** The release that is started next; null in a folder that is no installation. */
  current(): number | null {
    const link = join(this.root, 'current');
    if (!lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) return null;
    const version = Number(basename(readlinkSync(link)));
    return Number.isInteger(version) ? version : null;
  }
  folder(version: number): string {
    return join(this.root, 'releases', String(version));
  }

  /** @throws Error where its packages are other ones than those that are installed */
  stage(version: number, files: readonly ArchivedFile[]): void {
    const folder = this.folder(version);
    this.#checkPackages(files);
    const fresh = `${folder}.new`;
    rmSync(fresh, { recursive: true, force: true });
    for (const { path, bytes } of files) {
      mkdirSync(dirname(join(fresh, path)), { recursive: true, mode: 0o755 });
      writeDurably(join(fresh, path), bytes, 0o644);
    }
    rmSync(folder, { recursive: true, force: true }); // never the current one: the caller asks `current` first
    renameSync(fresh, folder);
  }

  /** From the next start on, on trial. */
  switchTo(version: number): void {
    const previous = this.current();
    if (previous === null) throw new Error('the gateway was not installed in releases: it cannot be replaced');
    if (previous === version) return;
    rmSync(join(this.root, FAILED), { force: true });
    this.writeTrial({ version, previous, starts: 0 });
    this.link(version);
  }
  link(version: number): void {
    const fresh = join(this.root, 'current.new');
    rmSync(fresh, { force: true });
    symlinkSync(join('releases', String(version)), fresh);
    renameSync(fresh, join(this.root, 'current'));
  }

  trial(): Trial | null {
    return this.#read<Trial>(TRIAL);
  }
  writeTrial(trial: Trial): void {
    writeDurably(join(this.root, TRIAL), Buffer.from(JSON.stringify(trial)), 0o600);
  }
  /** The running release has come up. */
  confirm(): void {
    rmSync(join(this.root, TRIAL), { force: true });
  }
  /** The release before is started from now on. */
  giveUp({ version, previous }: Trial): void {
    writeDurably(join(this.root, FAILED), Buffer.from(JSON.stringify({ version })), 0o600);
    this.link(previous);
    this.confirm();
  }
  /** The release that did not come up; null where none was given up. */
  failed(): number | null {
    return this.#read<{ version: number }>(FAILED)?.version ?? null;
  }

  #checkPackages(files: readonly ArchivedFile[]): void {
    const current = this.current();
    if (current === null) throw new Error('the gateway was not installed in releases: it cannot be replaced');
    const lock = 'package-lock.json';
    const file = join(this.folder(current), lock);
    const fresh = files.find(({ path }) => path === lock)?.bytes;
    if (fresh && existsSync(file) && Buffer.compare(fresh, readFileSync(file)) !== 0)
      throw new Error('the release needs other packages: install them with npm ci, then it can be switched to');
  }
  #read<T>(name: string): T | null {
    try {
      return JSON.parse(readFileSync(join(this.root, name), 'utf8')) as T;
    } catch {
      return null;
    }
  }
}
