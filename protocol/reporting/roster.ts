/**
 * Which dealings of a slot are summed. Two sums over rosters that differ in one household are its reading; so each server decrypts one
 * roster for a slot and area, of at least k households, agreed before anything is decrypted, and never a second (protocols.md, section 2).
 *
 *   ReportServers   each: list of the dealings it verified by the slot's deadline ── signed ──► all others
 *                   each: passes on what another lacks; a dealing proves itself, so nobody has to be believed
 *                   roster = union of the lists; each endorses it, once ── signed ──► all others
 *                   with a quorum of endorsements: decrypts its share (crypto/pvss.ts)
 *
 * A server endorses only what contains everything that it verified itself by the deadline: so nobody can have a household left out
 * whose dealing reached an honest server, and take the difference. A server that endorses two rosters has signed the evidence.
 * With a quorum q of n servers, of which fewer than t lie, two rosters cannot both be endorsed where q > (n + t − 1)/2 (`safeQuorum`);
 * with q = t the sum comes about while any t are well. Which of them holds is the area's choice; the default is t.
 *
 *   entry       SHA-256(identity ‖ C_0 ‖ dealing), 32 B
 *   roster      version 1 ‖ slot 4 ‖ area 1+n ‖ panel's digest 32 ‖ n 4 ‖ entries, ascending; its digest is SHA-256(label ‖ 00 ‖ roster)
 *   endorsement server 1 ‖ roster's digest 32 ‖ Ed25519 signature 64 over label ‖ 00 ‖ slot ‖ area ‖ server ‖ digest
 */
import { createHash } from 'node:crypto';
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { ReportError } from './errors.ts';

const VERSION = 1;
const HASH_BYTES = 32;
export const ENDORSEMENT_BYTES = 1 + HASH_BYTES + ED25519_SIGNATURE_BYTES;

export interface Roster {
  slot: number;
  area: string;
  /** 32 B. */
  panel: Uint8Array;
  /** Ascending, all different; 32 B each. */
  entries: readonly Uint8Array[];
}

/** What a server holds of a slot: dealings that it verified. */
export interface RosterEntry {
  /** 32 B. */
  id: Uint8Array;
  identity: Uint8Array;
  /** C_0. */
  commitment: Uint8Array;
}

const sha256 = (...parts: Uint8Array[]): Uint8Array => createHash('sha256').update(Buffer.concat(parts)).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** @param dealing its bytes */
export const rosterEntry = (identity: Uint8Array, commitment: Uint8Array, dealing: Uint8Array): RosterEntry => ({
  id: sha256(identity, commitment, dealing),
  identity,
  commitment,
});

/**
 * What counts of all that came in for a slot, whatever the order: of two dealings of one identity, or of one C_0 (A12: a copy would
 * count a reading twice), the one with the smaller id; all servers leave out the same.
 */
export function admitted(entries: readonly RosterEntry[]): RosterEntry[] {
  const seen = new Set<string>();
  return [...entries]
    .sort((a, b) => Buffer.compare(a.id, b.id))
    .filter(({ identity, commitment }) => {
      const [who, what] = [`identity ${hex(identity)}`, `commitment ${hex(commitment)}`];
      if (seen.has(who) || seen.has(what)) return false;
      seen.add(who);
      seen.add(what);
      return true;
    });
}

/** @throws MalformedError */
export function encodeRoster({ slot, area, panel, entries }: Roster): Uint8Array {
  const writer = new ByteWriter('roster')
    .u8('version', VERSION)
    .u32('slot', slot)
    .text('area', area, AREA_PATTERN)
    .bytes('panel', panel, HASH_BYTES)
    .u32('entries', entries.length);
  for (const [i, entry] of entries.entries()) writer.bytes(`entries.${i}`, entry, HASH_BYTES);
  return writer.finish();
}
/** @throws MalformedError: entries out of order or twice, too */
export function decodeRoster(bytes: Uint8Array, path = 'roster'): Roster {
  const reader = new ByteReader(path, bytes);
  reader.constant('version', VERSION);
  const head = { slot: reader.u32('slot'), area: reader.text('area', AREA_PATTERN) };
  const panel = reader.bytes('panel', HASH_BYTES);
  const count = reader.u32('entries');
  const entries: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const entry = reader.bytes(`entries.${i}`, HASH_BYTES);
    if (i > 0 && Buffer.compare(entries[i - 1], entry) >= 0)
      throw reader.error(`entries.${i}`, 'does not come after the one before it');
    entries.push(entry);
  }
  reader.end();
  return { ...head, panel, entries };
}
/** 32 B: what a decryption share is bound to. */
export const rosterDigest = (roster: Roster): Uint8Array => sha256(labelled(LABELS.roster, encodeRoster(roster)));

/** Of what all servers hold, once each holds it all. */
export const rosterOf = (slot: number, area: string, panel: Uint8Array, held: readonly RosterEntry[]): Roster => ({
  slot,
  area,
  panel,
  entries: admitted(held).map(({ id }) => id),
});

/** The least quorum that keeps two rosters apart although threshold − 1 servers lie. */
export const safeQuorum = (servers: number, threshold: number): number => Math.floor((servers + threshold - 1) / 2) + 1;

/**
 * Whether a server may endorse: it holds all dealings of the roster, the roster holds all of its own, and they are k.
 * @param held what the server verified by the deadline, its own and what was passed on to it
 * @throws ReportError with the reason
 */
export function checkRoster(roster: Roster, held: readonly RosterEntry[], least: number): void {
  if (roster.entries.length < least)
    throw new ReportError('roster.entries', `are ${roster.entries.length}, fewer than ${least}`, 'bad value');
  const mine = new Set(admitted(held).map(({ id }) => hex(id)));
  for (const [i, entry] of roster.entries.entries())
    if (!mine.delete(hex(entry)))
      throw new ReportError(`roster.entries.${i}`, 'is a dealing that this server did not verify', 'forged');
  if (mine.size > 0)
    throw new ReportError('roster.entries', `leave out ${mine.size} that this server verified in time`, 'forged');
}

/**
 * A server's memory of what it endorsed. MUST be atomic and on disk before the endorsement leaves: a server that forgets endorses a
 * second roster.
 */
export interface EndorsementBook {
  /** Keeps the digest if there is none for the slot and area; gives what is kept. */
  keep(slot: number, area: string, digest: Uint8Array): Uint8Array;
}
export class MemoryEndorsementBook implements EndorsementBook {
  readonly #kept = new Map<string, Uint8Array>();
  keep(slot: number, area: string, digest: Uint8Array): Uint8Array {
    const key = `${slot} ${area}`;
    const kept = this.#kept.get(key) ?? digest;
    this.#kept.set(key, kept);
    return kept;
  }
}

export interface Endorsement {
  /** From 1. */
  server: number;
  /** 32 B. */
  digest: Uint8Array;
  /** 64 B. */
  signature: Uint8Array;
}
const endorsed = (slot: number, area: string, server: number, digest: Uint8Array): Uint8Array =>
  labelled(
    LABELS.roster,
    new ByteWriter('endorsement')
      .u32('slot', slot)
      .text('area', area, AREA_PATTERN)
      .u8('server', server)
      .bytes('digest', digest, HASH_BYTES)
      .finish(),
  );

/**
 * The server's step; the same roster again gives the same bytes.
 * @param sign Ed25519 by the server's key
 * @throws ReportError where the roster may not be endorsed, or another one was
 */
export function endorseRoster(
  roster: Roster,
  held: readonly RosterEntry[],
  least: number,
  server: number,
  book: EndorsementBook,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  checkRoster(roster, held, least);
  const digest = rosterDigest(roster);
  if (Buffer.compare(book.keep(roster.slot, roster.area, digest), digest) !== 0)
    throw new ReportError('roster', 'is a second one for its slot and area', 'repeated');
  return Buffer.concat([Buffer.of(server), digest, sign(endorsed(roster.slot, roster.area, server, digest))]);
}

/** @param keys Ed25519 of server 1, 2 … @throws MalformedError, ReportError */
export function openEndorsement(
  bytes: Uint8Array,
  slot: number,
  area: string,
  keys: readonly Uint8Array[],
  path = 'endorsement',
): Endorsement {
  const reader = new ByteReader(path, bytes);
  const server = reader.u8('server');
  const digest = reader.bytes('digest', HASH_BYTES);
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  reader.end();
  if (server < 1 || server > keys.length) throw reader.error('server', `is ${server}, of ${keys.length}`);
  if (!verifyEd25519(keys[server - 1], endorsed(slot, area, server, digest), signature))
    throw new ReportError(`${path}.signature`, `was not made by server ${server}`, 'forged');
  return { server, digest, signature };
}

/** The digest that a quorum endorsed, or null; and servers that endorsed two: their endorsements are the evidence. */
export function countEndorsements(
  endorsements: readonly Endorsement[],
  quorum: number,
): { agreed: Uint8Array | null; liars: number[] } {
  const byServer = new Map<number, Set<string>>();
  for (const { server, digest } of endorsements)
    byServer.set(server, (byServer.get(server) ?? new Set()).add(hex(digest)));
  const liars = [...byServer].filter(([, digests]) => digests.size > 1).map(([server]) => server);
  const counts = new Map<string, number>();
  for (const digests of byServer.values())
    if (digests.size === 1) for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  const found = [...counts].find(([, count]) => count >= quorum);
  return { agreed: found ? Buffer.from(found[0], 'hex') : null, liars };
}
