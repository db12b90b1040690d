/**
 * The gateway measures its own software: every file that it could run, below the project's root. What is not listed here is not
 * measured: the packages of node_modules (package-lock.json pins them by digest, npm checks that), Node itself and the operating
 * system. That whoever measures has not been replaced rests on what started it; docs/ says how little a Raspberry Pi gives.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeasuredFile } from '../../protocol/attestation/evidence.ts';
import { sortFiles } from '../../protocol/attestation/software.ts';

export const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MEASURED = ['gateway', 'protocol', 'hardware', 'web', 'package.json', 'package-lock.json'] as const;

/** In the order of their paths. */
export function measureSoftware(root: string = PROJECT_ROOT): MeasuredFile[] {
  const paths = MEASURED.flatMap((entry) => (entry.includes('.') ? [entry] : filesBelow(root, entry)));
  const files = paths.map((path) => ({
    path,
    digest: createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest(),
  }));
  return sortFiles(files);
}

function filesBelow(root: string, directory: string): string[] {
  const entries = readdirSync(join(root, directory), { withFileTypes: true });
  return entries.flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    // a link is a name for something that is not below the root, and would be run all the same
    if (entry.isSymbolicLink()) throw new Error(`${path} is a link: the gateway's software has none`);
    return entry.isDirectory() ? filesBelow(root, path) : [path];
  });
}
