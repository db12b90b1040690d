import type { Vault, VaultChange } from '../../firmware/wallet/vault.ts';
import { type FlashOperation, MemoryFlash, seeded } from '../firmware/wallet/memory-flash.ts';
import { openVault } from '../firmware/wallet/vault-natives.ts';

/** What a vault is to hold: values by "space id", in hex. */
export type Contents = Map<string, string>;
/** What had been committed before an operation, and what the operation was to add: the same where it adds nothing. */
export interface Expected {
  before: Contents;
  after: Contents;
}
export interface VaultLife {
  image: Uint8Array<ArrayBuffer>;
  operations: (FlashOperation & { expected: Expected })[];
  commits: number;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** All that a vault holds. */
export function contentsOf(vault: Vault): Contents {
  const contents: Contents = new Map();
  for (let space = 1; space <= 15; space++) {
    for (const id of vault.ids(space)) contents.set(`${space} ${id}`, hex(vault.get(space, id)!));
  }
  return contents;
}
export function sameContents(a: Contents, b: Contents): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
export const changed = (contents: Contents, changes: VaultChange[]): Contents => {
  const next = new Map(contents);
  for (const { space, id, value } of changes) {
    if (value) next.set(`${space} ${id}`, hex(value));
    else next.delete(`${space} ${id}`);
  }
  return next;
};

export interface LifePlan {
  pages: number;
  pageBytes: number;
  /** Commits before the recording begins, so that the log has gone round; and in it. */
  warmUp: number;
  commits: number;
  /** Values have 0 … so many bytes, in so many entries. */
  valueBytes: number;
  entries: number;
  seed: number;
}

/** Random commits of one to four changes, tidied behind as the meter does it, with a start now and then. */
export function recordLife(plan: LifePlan): VaultLife {
  const random = seeded(plan.seed);
  const below = (n: number) => Math.floor(random() * n);
  const flash = new MemoryFlash(plan.pages, new Uint8Array(plan.pages * plan.pageBytes).fill(0xff));
  let image = Uint8Array.from(flash.image);
  const operations: VaultLife['operations'] = [];
  let contents: Contents = new Map();
  let after = contents;
  let vault = openVault(flash);
  for (let i = -plan.warmUp; i < plan.commits; i++) {
    if (i === 0) {
      image = Uint8Array.from(flash.image);
      flash.before = (operation) => {
        const copy = operation.kind === 'write' ? { ...operation, bytes: Uint8Array.from(operation.bytes) } : operation;
        operations.push({ ...copy, expected: { before: contents, after } });
      };
    }
    const changes: VaultChange[] = [];
    for (let n = 1 + below(4); n > 0; n--) {
      const [space, id] = [1 + below(3), below(plan.entries)];
      if (changes.some((change) => change.space === space && change.id === id)) continue;
      const value = random() < 0.1 ? null : Uint8Array.from({ length: below(plan.valueBytes + 1) }, () => below(256));
      changes.push({ space, id, value });
    }
    after = changed(contents, changes);
    vault.commit(changes);
    contents = after;
    vault.tidy();
    if (below(40) === 0) vault = openVault(flash);
  }
  return { image, operations, commits: plan.commits };
}
