/**
 * What the meter keeps under lock: small values by (space, id), in flash pages of their own, encrypted and authenticated.
 * (Espruino dialect; everything it needs is passed in)
 *
 * Promises, for a power cut inside any flash operation, also a second one while the next start recovers:
 * - what `commit` has returned from is found again
 * - what was being committed when the power failed is there whole or not at all: all of its changes or none
 * - a value that is read is one that was committed, and no newer one ever was: what was changed or put back in flash is refused
 *   (vault-log.ts says what cannot be seen)
 * Whoever has the flash chip without encryption (docs/threat-model.md) has the root key and so all of it.
 *
 *   body of a commit:  { key u32: space × 2^28 + id · length u16, 65,535: deleted · value } …, then zeros up to a whole block
 *
 * The log goes round: while few pages are free, what still counts on the oldest page is committed once more, and the page is let go.
 * So pages wear evenly, and what was deleted needs no trace once its page has gone. All pages go round, so what is kept must leave
 * room: LOAD of the region. In memory is the index, 7 bytes an entry, and while it works the page that it works on.
 */
import type { CipherNatives } from './cipher.ts';
import { Cipher, copyOf, KEY_BYTES, paddedLength } from './cipher.ts';
import type { FlashPages } from './flash-pages.ts';
import { readRootKey, writeRootKey } from './root-key.ts';
import { UNIT, VaultIndex } from './vault-index.ts';
import type { Commit, LogNatives } from './vault-log.ts';
import { BODY_MOST_BYTES, holdsPages, VaultLog, vaultError } from './vault-log.ts';

export interface VaultChange {
  /** Whose: SPACE_… (spaces.ts), 1 … 15. */
  space: number;
  /** 0 … ID_MOST. */
  id: number;
  /** At most VALUE_MOST_BYTES; null deletes. */
  value: Uint8Array | null;
}
export interface VaultNatives extends CipherNatives, LogNatives {}

export const VALUE_MOST_BYTES = 1024;
/** 2^28 − 1 */
export const ID_MOST = 268435455;
/** What one commit holds: ENTRY_HEAD_BYTES and its value for each change. */
export const COMMIT_MOST_BYTES = BODY_MOST_BYTES;
export const ENTRY_HEAD_BYTES = 6;
export const ENTRIES_MOST = 1536;

const SPACE_MOST = 15;
const IDS = 268435456;
const DELETED = 65535;
/** Pages that only moving may begin: it must always be able to end. */
const RESERVED_PAGES = 4;
/** From so few free pages on the oldest page is emptied. */
const FEW_PAGES = 7;
/** Of the pages that are not to be free, how much may count: the rest is what makes going round cheap. */
const LOAD = 0.65;
/** One step of moving looks at so many commits, and writes one: it lies between two windows. */
const COMMITS_A_STEP = 8;
const MOVED_MOST_BYTES = 992;
/** The page that comes next is erased when the one in use has room for less than this. */
const PREPARE_BYTES = 1200;
/** The page in use is filled up by what is moved, but not with less than this. */
const CRUMBS_BYTES = 144;

/** Entries of a body: `at` is the offset of one. */
function keyOf(space: number, id: number): number {
  if (!(space >= 1 && space <= SPACE_MOST && id >= 0 && id <= ID_MOST))
    throw vaultError(space + ' ' + id + ' is no key');
  return space * IDS + id;
}
const keyAt = (body: Uint8Array, at: number) =>
  body[at] + body[at + 1] * 256 + body[at + 2] * 65536 + body[at + 3] * 16777216;
const lengthAt = (body: Uint8Array, at: number) => body[at + 4] + body[at + 5] * 256;
/** Whether there is one, and not the zeros at the end. */
const isEntry = (body: Uint8Array, at: number) => at + ENTRY_HEAD_BYTES <= body.length && keyAt(body, at) > 0;
function entryEnd(body: Uint8Array, at: number): number {
  const length = lengthAt(body, at);
  return at + ENTRY_HEAD_BYTES + (length === DELETED ? 0 : length);
}
/** @return the offset behind it */
function putEntry(body: Uint8Array, at: number, key: number, value: Uint8Array | null): number {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  view.setUint32(at, key, true);
  view.setUint16(at + 4, value ? value.length : DELETED, true);
  if (value) body.set(value, at + ENTRY_HEAD_BYTES);
  return entryEnd(body, at);
}
const unitsOf = (bytes: number) => Math.ceil((ENTRY_HEAD_BYTES + bytes) / UNIT);

export class Vault {
  flash: FlashPages;
  natives: VaultNatives;
  newRoot: () => Uint8Array;
  /** Once it is open. */
  log: VaultLog | null = null;
  opening: VaultLog | null = null;
  root: Uint8Array | null = null;
  index = new VaultIndex();
  capacity = 0;
  /** How far the oldest page was emptied: commits before this offset hold nothing that counts. */
  emptied = 0;

  /** @param newRoot draws 32 B that nobody can know; asked at the first start only */
  constructor(flash: FlashPages, natives: VaultNatives, newRoot: () => Uint8Array) {
    this.flash = flash;
    this.natives = natives;
    this.newRoot = newRoot;
  }

  /** Finds what was kept. To be called once, before anything else. @throws Error where it was tampered with or is damaged */
  open(): void {
    let done = this.openSome();
    while (!done) done = this.openSome();
  }

  /** The same, a page in each call: whether that was all. */
  openSome(): boolean {
    const log = this.opening || this.begin();
    this.opening = log;
    if (log.openNext((commit) => this.takeIn(commit))) return false;
    this.log = log;
    this.opening = null;
    return true;
  }

  /** A value, null where there is none. It is the caller's own. */
  get(space: number, id: number): Uint8Array | null {
    const key = keyOf(space, id);
    const place = this.index.placeOf(key);
    if (place < 0) return null;
    const body = this.log!.read(place);
    for (let at = 0; isEntry(body, at); at = entryEnd(body, at)) {
      if (keyAt(body, at) === key) return copyOf(body, at + ENTRY_HEAD_BYTES, entryEnd(body, at));
    }
    throw vaultError('an entry is damaged');
  }

  has(space: number, id: number): boolean {
    return this.index.placeOf(keyOf(space, id)) >= 0;
  }

  /** All ids of a space, in no order. For spaces with few. */
  ids(space: number): number[] {
    const ids: number[] = [];
    const from = space * IDS;
    this.index.forEach((key) => {
      const id = key - from;
      if (id >= 0 && id < IDS) ids.push(id);
    });
    return ids;
  }

  /** Bytes that still can be kept; each entry takes ENTRY_HEAD_BYTES and its value, rounded up to 8. */
  freeBytes(): number {
    return Math.max(0, this.capacity - this.index.total * UNIT);
  }

  /**
   * All of the changes, or none. When it returns they are in flash.
   * @throws Error, and has changed nothing, where a change is not allowed, they do not fit into one commit or the vault is full
   */
  commit(changes: VaultChange[]): void {
    const entries: VaultChange[] = [];
    let bytes = 0;
    let units = this.index.total;
    let count = this.index.count;
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i];
      const key = keyOf(change.space, change.id);
      for (let j = 0; j < i; j++) {
        if (keyOf(changes[j].space, changes[j].id) === key) throw vaultError('an entry changes twice');
      }
      const length = change.value ? change.value.length : 0;
      if (length > VALUE_MOST_BYTES) throw vaultError('a value of ' + length + ' bytes is too long');
      const known = this.index.unitsOf(key);
      if (known > 0) {
        units -= known;
        count--;
      }
      if (change.value) {
        units += unitsOf(length);
        count++;
      }
      if (change.value || known > 0) {
        entries.push(change);
        bytes += ENTRY_HEAD_BYTES + length;
      }
    }
    if (entries.length === 0) return;
    if (bytes > this.log!.mostBytes) throw vaultError(bytes + ' bytes are too many for one commit');
    const grows = units > this.index.total || count > this.index.count;
    if (grows && (units * UNIT > this.capacity || count > ENTRIES_MOST)) throw vaultError('is full');
    const body = new Uint8Array(paddedLength(bytes));
    let at = 0;
    for (const entry of entries) at = putEntry(body, at, keyOf(entry.space, entry.id), entry.value);
    this.makeRoom();
    const place = this.log!.append(body, this.log!.tail);
    for (const entry of entries) {
      const key = keyOf(entry.space, entry.id);
      if (entry.value) this.index.set(key, place, unitsOf(entry.value.length));
      else this.index.remove(key);
    }
  }

  /**
   * To be called between windows: erases the page that comes next, if it will soon be needed, or moves something of the oldest
   * page. Whether it erased.
   */
  tidy(): boolean {
    const log = this.log!;
    if (log.room() < PREPARE_BYTES && log.prepare()) return true;
    if (log.freePages() < FEW_PAGES) this.move();
    return false;
  }

  /** A key for something else that is to be as secret as what is kept here. */
  keyFor(label: string): Cipher {
    return new Cipher(this.natives, this.root!, label);
  }

  // ── inside ──

  begin(): VaultLog {
    const flash = this.flash;
    let root = readRootKey(flash, this.natives);
    if (!root) {
      if (holdsPages(flash)) throw vaultError('its key is damaged');
      root = this.newRoot();
      if (root.length !== KEY_BYTES) throw vaultError('no key of 32 bytes was drawn');
      writeRootKey(flash, this.natives, root);
    }
    this.root = root;
    const log = new VaultLog(flash, this.natives, new Cipher(this.natives, root, 'vault'));
    const pages = log.pages - FEW_PAGES - 1;
    if (pages < 1) throw vaultError('its region is too small');
    this.capacity = Math.floor(pages * flash.pageBytes * LOAD);
    log.open();
    return log;
  }

  takeIn(commit: Commit): void {
    const body = commit.body;
    for (let at = 0; isEntry(body, at); at = entryEnd(body, at)) {
      const length = lengthAt(body, at);
      if (length === DELETED) this.index.remove(keyAt(body, at));
      else this.index.set(keyAt(body, at), commit.place, unitsOf(length));
    }
  }

  /** Sees to it that a commit leaves the pages that moving needs. */
  makeRoom(): void {
    const log = this.log!;
    // more steps than it takes to move all there is: it does not come to that
    let steps = log.pages * log.wordsPerPage;
    while (log.freePages() <= RESERVED_PAGES) {
      this.move();
      if (--steps === 0) throw vaultError('no page could be emptied');
    }
  }

  /** A step of emptying the oldest page. At its end the page is let go. */
  move(): void {
    const log = this.log!;
    if (log.head === log.tail) return;
    const room = log.room();
    const most = Math.min(MOVED_MOST_BYTES, room < CRUMBS_BYTES ? log.mostBytes : room);
    const page = log.readTail();
    const moving: Uint8Array[] = [];
    let bytes = 0;
    let full = false;
    let emptied = this.emptied;
    let commit = log.inTail(page, emptied);
    for (let looked = 0; commit && !full && looked < COMMITS_A_STEP; looked++) {
      const body = commit.body;
      for (let at = 0; !full && isEntry(body, at); at = entryEnd(body, at)) {
        if (this.counts(body, at, commit.place)) {
          const end = entryEnd(body, at);
          full = bytes > 0 && bytes + end - at > most;
          if (!full) {
            moving.push(body.subarray(at, end));
            bytes += end - at;
          }
        }
      }
      if (!full) {
        emptied = commit.end;
        commit = log.inTail(page, emptied);
      }
    }
    const tail = commit ? log.tail : log.afterTail();
    if (bytes > 0 || tail > log.tail) {
      const body = new Uint8Array(paddedLength(bytes));
      let at = 0;
      for (const entry of moving) {
        body.set(entry, at);
        at += entry.length;
      }
      const place = log.append(body, tail);
      for (const entry of moving) this.index.set(keyAt(entry, 0), place, unitsOf(entry.length - ENTRY_HEAD_BYTES));
    }
    this.emptied = commit ? emptied : 0;
  }

  /** Whether an entry is the one that stands, and not an older one or a deletion. */
  counts(body: Uint8Array, at: number, place: number): boolean {
    return this.index.placeOf(keyAt(body, at)) === place && lengthAt(body, at) !== DELETED;
  }
}
