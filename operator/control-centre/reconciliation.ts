/**
 * The paper's m-of-n mode, after the month (section 4.D): a customer claims n used credentials by L4, a list of commitments; the
 * centre picks m of them, L5; the customer opens these. Each CID is credited once across all customers. When everybody's claims are
 * in, they must not be more than L2 has used credentials of the key: if they are, somebody claims what was never sold, and m is
 * doubled for everybody, round by round, up to all of n.
 *
 *   list       parts of L4 come                                         ─► challenge
 *   challenge  L5 is chosen, on disk before it is told; openings come   ─► waiting, or refused
 *   waiting    the list's time is up: claims are compared with L2       ─► credited, or challenge of the next round
 *
 * What the openings show: the sales that they are about, with their slots, are the customer's (the mode's price in privacy; the
 * default mode opens nothing). Never shown credentials can be returned, which lets the counts be compared: |L1| − returned − lapsed =
 * |L2|. What was shown and refused lapses: it is returned by nobody, under no name.
 */
import { createHash, randomInt } from 'node:crypto';
import { type Candidate, openedBy } from '../../protocol/selling/candidates.ts';
import { MODE_M_OF_N } from '../../protocol/selling/messages.ts';
import { equalBytes } from '../../protocol/selling/natives.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { commitmentOf, usedListTag } from '../../protocol/selling/reconciliation.ts';
import { listStart, listStep } from '../../protocol/selling/registration.ts';
import type {
  ReconciliationAnswer,
  ReturnRequest,
  RevealRequest,
  UsedListRequest,
} from '../../protocol/selling/services.ts';
import { CREDENTIAL } from '../../protocol/selling/values.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import { type Books, valueKeyOf } from './books.ts';
import { CREDENTIAL_PURPOSE } from './calendar.ts';

export interface ReconciliationSettings {
  /** m/n of the first round; the planner helps to choose it (protocol/selling/planner.ts). */
  challengeShare: number;
  /** So long after the last sale lists are taken; then claims are compared. */
  listMs: number;
  /** When the last slot of a month can no longer be sold. */
  soldMs(month: number): number;
}

interface ListRow {
  count: number;
  lapsed: number;
  digest: Uint8Array;
  state: 'list' | 'challenge' | 'waiting' | 'credited' | 'refused';
  round: number;
  reason: string;
}

export class Reconciliation {
  readonly #books: Books;
  readonly #settings: ReconciliationSettings;

  constructor(books: Books, settings: ReconciliationSettings) {
    this.#books = books;
    this.#settings = settings;
  }

  /** @throws Refusal */
  takeList(customer: string, request: UsedListRequest): ReconciliationAnswer {
    const { keyId, count, lapsed, digest, at, entries } = request;
    const { database } = this.#books;
    const key = this.#settledKey(keyId);
    const known = this.#list(key, customer);
    if (known && (known.count !== count || Buffer.compare(known.digest, digest) !== 0))
      throw new Refusal('already claimed', 'the customer has claimed another list', 'final', { path: 'digest' });
    if (known && known.state !== 'list') return this.#answer(key, customer);
    if (!known && this.#books.now >= this.#comparedMs(key))
      throw new Refusal('too late', 'claims of this month are compared already', 'final', { status: 409 });
    this.#checkTag(customer, request);
    const registered = this.#count('SELECT count(*) AS n FROM l1 WHERE keyId = ? AND customer = ?', key, customer);
    const returned = this.#count('SELECT count(*) AS n FROM returned WHERE keyId = ? AND customer = ?', key, customer);
    if (count + lapsed + returned > registered)
      throw new Refusal('too many', `the customer has registered ${registered} credentials`, 'final', {
        path: 'count',
      });
    if (at + entries.length > count)
      throw new Refusal('malformed', `entries reach beyond the list's ${count}`, 'correct', { path: 'entries' });
    inTransaction(database, () => {
      database
        .prepare("INSERT OR IGNORE INTO usedLists VALUES (?, ?, ?, ?, ?, 'list', 0, '')")
        .run(keyId, customer, count, lapsed, digest);
      const insert = database.prepare('INSERT OR IGNORE INTO usedEntries VALUES (?, ?, ?, ?, 0, 0)');
      entries.forEach((entry, i) => {
        insert.run(keyId, customer, at + i, entry);
      });
      const all = this.#entries(key, customer);
      if (all.length < count) return;
      let found = listStart();
      for (const { commitment } of all) found = listStep(nodeNatives, found, commitment);
      if (!equalBytes(found, digest)) {
        // one of the parts was not what the meter's digest says: all of them come again
        database.prepare('DELETE FROM usedEntries WHERE keyId = ? AND customer = ?').run(keyId, customer);
        return;
      }
      if (new Set(all.map(({ commitment }) => hex(commitment))).size !== count) {
        this.#refuse(key, customer, 'a commitment stands twice in the list');
        return;
      }
      this.#challenge(key, customer, count, Math.ceil(count * this.#settings.challengeShare), 1);
    });
    return this.#answer(key, customer);
  }

  /** @throws Refusal */
  reveal(customer: string, { keyId, reveals }: RevealRequest): ReconciliationAnswer {
    const key = this.#settledKey(keyId);
    const list = this.#list(key, customer);
    if (!list || list.state === 'list')
      throw new Refusal('no list', 'there is no whole list of this customer', 'start over', { status: 409 });
    // nothing changes where any opening is not one at all; what it opens to is judged when all are
    const opened = reveals.map((reveal, i) => this.#opening(key, customer, reveal, `reveals.${i}`));
    if (list.state === 'challenge')
      inTransaction(this.#books.database, () => {
        for (const { index, candidate } of opened) {
          const flaw = this.#credit(key, customer, index, candidate);
          if (!flaw) continue;
          this.#refuse(key, customer, flaw);
          return;
        }
        const open = this.#entries(key, customer).filter(({ round, revealed }) => round > 0 && !revealed);
        if (open.length === 0) this.#setState(key, customer, 'waiting');
      });
    return this.#answer(key, customer);
  }

  /** Where it stands. @throws Refusal */
  state(customer: string, keyId: Uint8Array): ReconciliationAnswer {
    return this.#answer(this.#settledKey(keyId), customer);
  }

  /** Credentials that nobody was ever shown. @throws Refusal; then nothing of it is returned */
  async giveBack(customer: string, { keyId, unused }: ReturnRequest): Promise<{ returned: number }> {
    const { database, spent } = this.#books;
    const key = this.#settledKey(keyId);
    const opened = unused.map(({ bid, seed }, i) => ({
      bid,
      candidate: this.#own(key, customer, bid, seed, `unused.${i}`),
    }));
    const shown = opened.findIndex(
      ({ candidate: { identity } }) => spent.has(key.month, identity) && !this.#isReturned(key, identity),
    );
    if (shown >= 0)
      throw new Refusal('was shown', `unused.${shown} was shown: it lapses`, 'correct', { path: `unused.${shown}` });
    for (const {
      bid,
      candidate: { identity },
    } of opened) {
      // marked as spent, so that it can never be shown after it was given back
      await spent.spend({
        period: key.month,
        ids: [identity],
        request: createHash('sha256').update('returned').update(bid).digest(),
        answer: bid,
        also: () => database.prepare('INSERT INTO returned VALUES (?, ?, ?)').run(keyId, identity, customer),
      });
    }
    return {
      returned: this.#count('SELECT count(*) AS n FROM returned WHERE keyId = ? AND customer = ?', key, customer),
    };
  }

  /**
   * Compares claims with L2 for keys whose lists are in. Total credit never exceeds what was sold: claims that were found out do not
   * count, and while the others are more than L2, m is doubled.
   */
  compare(): void {
    for (const key of this.#books.keys.keys) {
      if (key.purpose !== CREDENTIAL_PURPOSE || this.#books.terms.get(key.month)?.mode !== MODE_M_OF_N) continue;
      if (this.#books.now < this.#comparedMs(key)) continue;
      inTransaction(this.#books.database, () => this.#compareKey(key));
    }
  }

  /** For those who watch: |L1|, returned, lapsed by declaration, claimed, |L2|. */
  counts(
    keyId: Uint8Array,
  ): { registered: number; returned: number; lapsed: number; claimed: number; used: number } | undefined {
    const key = this.#books.keys.byId(keyId);
    if (!key) return undefined;
    const returned = this.#count('SELECT count(*) AS n FROM returned WHERE keyId = ?', key);
    return {
      registered: this.#count('SELECT count(*) AS n FROM l1 WHERE keyId = ?', key),
      returned,
      lapsed: this.#count('SELECT coalesce(sum(lapsed), 0) AS n FROM usedLists WHERE keyId = ?', key),
      claimed: this.#count(
        "SELECT coalesce(sum(count), 0) AS n FROM usedLists WHERE keyId = ? AND state <> 'refused'",
        key,
      ),
      used: this.#books.spent.count(key.month) - returned,
    };
  }

  /** Credentials that stand to a customer's account; null where that is not decided. */
  credited(customer: string, keyId: Uint8Array): number | null {
    const key = this.#books.keys.byId(keyId);
    const list = key && this.#list(key, customer);
    return list?.state === 'credited' ? list.count : null;
  }

  #compareKey(key: OwnKey): void {
    const { database } = this.#books;
    const lists = database.prepare('SELECT customer, count, state FROM usedLists WHERE keyId = ?').all(key.keyId) as {
      customer: string;
      count: number;
      state: ListRow['state'];
    }[];
    // a list that was never finished, or whose openings never came, is no claim; it may still become one
    const claiming = lists.filter(({ state }) => state === 'waiting' || state === 'credited');
    if (!claiming.some(({ state }) => state === 'waiting')) return;
    const claimed = claiming.reduce((sum, { count }) => sum + count, 0);
    const { used } = this.counts(key.keyId)!;
    for (const { customer, count, state } of claiming) {
      if (state === 'credited') continue;
      const revealed = this.#entries(key, customer).filter((entry) => entry.revealed).length;
      if (claimed <= used || revealed === count) this.#setState(key, customer, 'credited');
      else this.#challenge(key, customer, count, Math.min(count, 2 * revealed), this.#list(key, customer)!.round + 1);
    }
  }

  /** Chooses until `m` are chosen, those of earlier rounds among them. */
  #challenge(key: OwnKey, customer: string, count: number, m: number, round: number): void {
    const { database } = this.#books;
    const open = this.#entries(key, customer)
      .filter((entry) => entry.round === 0)
      .map(({ place }) => place);
    const update = database.prepare('UPDATE usedEntries SET round = ? WHERE keyId = ? AND customer = ? AND place = ?');
    for (let chosen = count - open.length; chosen < m; chosen++) {
      const [place] = open.splice(randomInt(open.length), 1);
      update.run(round, key.keyId, customer, place);
    }
    database
      .prepare('UPDATE usedLists SET state = ?, round = ? WHERE keyId = ? AND customer = ?')
      .run(m === 0 ? 'waiting' : 'challenge', round, key.keyId, customer);
  }

  #opening(
    key: OwnKey,
    customer: string,
    { index, bid, seed, salt }: RevealRequest['reveals'][number],
    path: string,
  ): { index: number; candidate: Candidate } {
    const entry = this.#books.database
      .prepare('SELECT commitment, round FROM usedEntries WHERE keyId = ? AND customer = ? AND place = ?')
      .get(key.keyId, customer, index) as { commitment: Uint8Array; round: number } | undefined;
    if (!entry || entry.round === 0)
      throw new Refusal('not chosen', `${path}.index is none of those that were chosen`, 'correct', {
        path: `${path}.index`,
      });
    if (!equalBytes(commitmentOf(nodeNatives, { bid, seed, salt }, key.keyId, key.publicKey), entry.commitment))
      throw new Refusal('not committed', `${path} is not what the list holds there`, 'correct', { path });
    return { index, candidate: this.#own(key, customer, bid, seed, path) };
  }

  /** The customer's own candidate of L1, opened. */
  #own(key: OwnKey, customer: string, bid: Uint8Array, seed: Uint8Array, path: string): Candidate {
    const row = this.#books.database
      .prepare('SELECT blinded FROM l1 WHERE bid = ? AND keyId = ? AND customer = ?')
      .get(bid, key.keyId, customer) as { blinded: Uint8Array } | undefined;
    if (!row)
      throw new Refusal('not his', `${path}.bid is no candidate of this customer`, 'final', { path: `${path}.bid` });
    const candidate = openedBy(CREDENTIAL, valueKeyOf(key), seed, row.blinded);
    if (!candidate)
      throw new Refusal('does not open', `${path}.seed is not what this candidate was made of`, 'final', {
        path: `${path}.seed`,
      });
    return candidate;
  }

  /** Undefined, or why the claim is false. */
  #credit(key: OwnKey, customer: string, index: number, { identity }: Candidate): string | undefined {
    const { database, spent } = this.#books;
    const claimed = database
      .prepare('SELECT customer, place FROM credited WHERE keyId = ? AND identity = ?')
      .get(key.keyId, identity) as { customer: string; place: number } | undefined;
    if (claimed && (claimed.customer !== customer || claimed.place !== index))
      return 'a credential was claimed before, by this or another customer';
    if (!spent.has(key.month, identity) || this.#isReturned(key, identity))
      return 'a credential was claimed that was never shown';
    database.prepare('INSERT OR IGNORE INTO credited VALUES (?, ?, ?, ?)').run(key.keyId, identity, customer, index);
    database
      .prepare('UPDATE usedEntries SET revealed = 1 WHERE keyId = ? AND customer = ? AND place = ?')
      .run(key.keyId, customer, index);
    return undefined;
  }

  #settledKey(keyId: Uint8Array): OwnKey {
    const key = this.#books.keyFor(keyId, CREDENTIAL_PURPOSE);
    if (this.#books.termsOf(key.month).mode !== MODE_M_OF_N)
      throw new Refusal('receipts', 'this month was sold with receipts: nothing is opened', 'final', { path: 'keyId' });
    if (this.#books.now < this.#settings.soldMs(key.month))
      throw new Refusal('not yet', 'the last slot of the month is still sold', 'again', { status: 409 });
    return key;
  }
  #comparedMs(key: OwnKey): number {
    return this.#settings.soldMs(key.month) + this.#settings.listMs;
  }

  #checkTag(customer: string, { keyId, count, lapsed, digest, tag }: UsedListRequest): void {
    const row = this.#books.database.prepare('SELECT sharedKey FROM customers WHERE customer = ?').get(customer);
    if (!row) throw new Refusal('not set up', "the customer's meter is not set up", 'start over', { status: 409 });
    if (!equalBytes(usedListTag(nodeNatives, row.sharedKey as Uint8Array, { keyId, count, lapsed, digest }), tag))
      throw new Refusal('forged list', "tag was not made by the customer's meter over this list", 'correct', {
        status: 401,
        path: 'tag',
      });
  }

  #answer(key: OwnKey, customer: string): ReconciliationAnswer {
    const list = this.#list(key, customer);
    if (!list) throw new Refusal('no list', 'there is no list of this customer', 'start over', { status: 409 });
    const entries = this.#entries(key, customer);
    switch (list.state) {
      case 'list':
        return { state: 'list', missing: list.count - entries.length };
      case 'challenge':
        return {
          state: 'challenge',
          round: list.round,
          indices: entries.filter(({ round, revealed }) => round > 0 && !revealed).map(({ place }) => place),
        };
      case 'credited':
        return { state: 'credited', count: list.count };
      case 'refused':
        return { state: 'refused', reason: list.reason };
      default:
        return { state: 'waiting' };
    }
  }

  #list(key: OwnKey, customer: string): ListRow | undefined {
    return this.#books.database
      .prepare('SELECT * FROM usedLists WHERE keyId = ? AND customer = ?')
      .get(key.keyId, customer) as ListRow | undefined;
  }
  #entries(
    key: OwnKey,
    customer: string,
  ): { place: number; commitment: Uint8Array; round: number; revealed: number }[] {
    return this.#books.database
      .prepare(
        'SELECT place, commitment, round, revealed FROM usedEntries WHERE keyId = ? AND customer = ? ORDER BY place',
      )
      .all(key.keyId, customer) as never;
  }
  #setState(key: OwnKey, customer: string, state: ListRow['state']): void {
    this.#books.database
      .prepare('UPDATE usedLists SET state = ? WHERE keyId = ? AND customer = ?')
      .run(state, key.keyId, customer);
  }
  #refuse(key: OwnKey, customer: string, reason: string): void {
    this.#books.database
      .prepare("UPDATE usedLists SET state = 'refused', reason = ? WHERE keyId = ? AND customer = ?")
      .run(reason, key.keyId, customer);
    this.#books.counters.add('claimsRefused');
  }
  #isReturned(key: OwnKey, identity: Uint8Array): boolean {
    return (
      this.#books.database
        .prepare('SELECT 1 FROM returned WHERE keyId = ? AND identity = ?')
        .get(key.keyId, identity) !== undefined
    );
  }
  #count(sql: string, key: OwnKey, customer?: string): number {
    const statement = this.#books.database.prepare(sql);
    return (customer === undefined ? statement.get(key.keyId) : statement.get(key.keyId, customer))!.n as number;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
