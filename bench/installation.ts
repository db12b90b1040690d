/**
 * A gateway installed as on its machine (gateway/update/installation.ts), so that an update can replace it. What all households
 * are delivered with lies on the disk once:
 *
 *   <shared>/node_modules → this project's      <shared>/1/gateway/main.ts …
 *   <root>/node_modules → this project's        <root>/releases/1 → <shared>/1      <root>/current → releases/1
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PROJECT_ROOT } from '../gateway/attestation/software.ts';
import { Installation } from '../gateway/update/installation.ts';
import { nextStart } from '../gateway/update/launcher.ts';
import type { ArchivedFile } from '../protocol/updates/archive.ts';
import { DELIVERED } from './releases.ts';

/** Writes the release that every house is delivered with, once. */
export function unpackDelivered(shared: string, files: readonly ArchivedFile[]): void {
  linkPackages(shared);
  for (const { path, bytes } of files) {
    const file = join(shared, String(DELIVERED), path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}

/** A household's gateway, of the release that was unpacked. */
export function installGateway(root: string, shared: string): Installation {
  const installation = new Installation(root);
  linkPackages(root);
  mkdirSync(dirname(installation.folder(DELIVERED)), { recursive: true });
  symlinkSync(join(shared, String(DELIVERED)), installation.folder(DELIVERED));
  installation.link(DELIVERED);
  return installation;
}

/** The main file that is to be started now, as gateway/update/launcher.ts decides it. */
export function gatewayMain(installation: Installation): string {
  const version = nextStart(installation);
  if (version === null) throw new Error(`${installation.root} holds no gateway`);
  return join(installation.folder(version), 'gateway/main.ts');
}

function linkPackages(root: string): void {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const link = join(root, 'node_modules');
  if (!existsSync(link)) symlinkSync(join(PROJECT_ROOT, 'node_modules'), link);
}
