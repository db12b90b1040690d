/**
 * Set-up and registration (paper, sections 4.A and 4.B): under a name. The centre learns who asks for how many credentials, and sees
 * them blinded; every customer registers the same amount, before the month's first sale.
 *
 * With c = 1 a batch is signed at once: month and value live in the key, so there is nothing else in a credential that could be
 * wrong to the centre's cost. With c > 1 one candidate of each c is kept, the choice is on disk before it is told, and the same
 * question gets the same choice. **A credential whose opened candidates are not what their seeds make is forfeited**: no second try,
 * or a customer would ask until his bad candidate is the one that stays closed.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { openedBy } from '../../protocol/selling/candidates.ts';
import { equalBytes } from '../../protocol/selling/natives.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import {
  BID_BYTES,
  decodeSetUp,
  listStart,
  listStep,
  registrationTag,
  setUpHeader,
} from '../../protocol/selling/registration.ts';
import type { OpenRequest, RegisterAnswer, RegisterRequest, SignedCandidate } from '../../protocol/selling/services.ts';
import { CREDENTIAL, isFactor } from '../../protocol/selling/values.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import { inTransaction } from '../shared/store.ts';
import { type Books, valueKeyOf } from './books.ts';
import { CREDENTIAL_PURPOSE } from './calendar.ts';

interface CandidateRow {
  blinded: Uint8Array;
  keep: number;
  forfeited: number;
}
interface Signed extends SignedCandidate {
  blinded: Uint8Array;
}

export class Registration {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** Keeps what the customer's meter shares with the centre. A new meter takes the place of the old one. @throws Refusal */
  setUp(customer: string, sealed: Uint8Array): { customer: string } {
    const plaintext = this.#books.unseal(setUpHeader, sealed);
    if (!plaintext)
      throw new Refusal('unreadable', 'sealed was not sealed to a key of this keyset', 'start over', {
        path: 'sealed',
      });
    const { meterId, secretValue, sharedKey } = decodedOrRefused(plaintext);
    inTransaction(this.#books.database, () =>
      this.#books.database
        .prepare('INSERT OR REPLACE INTO customers VALUES (?, ?, ?, ?)')
        .run(customer, meterId, secretValue, sharedKey),
    );
    this.#books.counters.add('setUps');
    return { customer };
  }

  /** @throws Refusal */
  async register(customer: string, request: RegisterRequest): Promise<RegisterAnswer> {
    const { first, candidates } = request;
    const key = this.#openKey(request.keyId);
    const { amount, candidatesEach } = this.#books.termsOf(key.month);
    if (first + candidates.length > amount)
      throw new Refusal('too many', `everybody registers ${amount} credentials`, 'final', { path: 'first' });
    candidates.forEach((each, i) => {
      if (each.length !== candidatesEach)
        throw malformed(`candidates.${i}`, `are ${each.length} candidates, not ${candidatesEach}`);
      each.forEach((blinded, j) => {
        if (!isFactor(blinded, key.publicKey)) throw malformed(`candidates.${i}.${j}`, 'is no number of the range');
      });
    });
    this.#checkTag(customer, request, candidatesEach);
    if (candidatesEach === 1) {
      const blinded = candidates.map(([only]) => only);
      return { signed: await this.#sign(key, customer, first, blinded) };
    }
    return { keep: this.#choose(key, customer, first, candidates) };
  }

  /** @throws Refusal */
  async open(customer: string, { keyId, first, seeds }: OpenRequest): Promise<{ signed: SignedCandidate[] }> {
    const key = this.#openKey(keyId);
    const { candidatesEach } = this.#books.termsOf(key.month);
    const kept = seeds.map((each, i) => {
      const row = this.#candidateRow(key, customer, first + i);
      if (!row) throw new Refusal('not asked', 'no candidates were shown before', 'start over', { path: `seeds.${i}` });
      if (row.forfeited) throw forfeited(`seeds.${i}`);
      if (each.length !== candidatesEach - 1)
        throw malformed(`seeds.${i}`, `are ${each.length} seeds, not ${candidatesEach - 1}`);
      const all = apart(row.blinded, key.publicKey.length);
      all
        .filter((_, j) => j !== row.keep)
        .forEach((blinded, j) => {
          if (openedBy(CREDENTIAL, valueKeyOf(key), each[j], blinded)) return;
          this.#forfeit(key, customer, first + i);
          throw forfeited(`seeds.${i}.${j}`);
        });
      return all[row.keep];
    });
    return { signed: await this.#sign(key, customer, first, kept) };
  }

  /** The key, while its registration is open. */
  #openKey(keyId: Uint8Array): OwnKey {
    const key = this.#books.keyFor(keyId, CREDENTIAL_PURPOSE);
    if (this.#books.now < key.opensMs)
      throw new Refusal('not open', 'registration for this month has not begun', 'again', { status: 409 });
    if (this.#books.now >= key.closesMs)
      throw new Refusal('closed', 'registration for this month is over, for everybody', 'start over', { status: 409 });
    return key;
  }

  #checkTag(customer: string, { keyId, first, candidates, tag }: RegisterRequest, candidatesEach: number): void {
    const row = this.#books.database.prepare('SELECT secretValue FROM customers WHERE customer = ?').get(customer);
    if (!row) throw new Refusal('not set up', "the customer's meter is not set up", 'start over', { status: 409 });
    let digest = listStart();
    for (const each of candidates) for (const blinded of each) digest = listStep(nodeNatives, digest, blinded);
    const batch = { keyId, first, candidatesEach, count: candidates.length, digest };
    if (!equalBytes(registrationTag(nodeNatives, row.secretValue as Uint8Array, batch), tag))
      throw new Refusal('not proved', "tag was not made by the customer's meter over these candidates", 'correct', {
        status: 401,
        path: 'tag',
      });
  }

  /** Which candidate stays closed, for each credential; on disk when it returns. */
  #choose(key: OwnKey, customer: string, first: number, candidates: readonly Uint8Array[][]): number[] {
    return inTransaction(this.#books.database, () =>
      candidates.map((each, i) => {
        const blinded = Buffer.concat(each);
        const known = this.#candidateRow(key, customer, first + i);
        if (known?.forfeited) throw forfeited(`candidates.${i}`);
        if (known && Buffer.compare(known.blinded, blinded) !== 0) throw askedBefore(`candidates.${i}`);
        if (known) return known.keep;
        const keep = randomInt(each.length);
        this.#books.database
          .prepare('INSERT INTO candidates VALUES (?, ?, ?, ?, ?, 0)')
          .run(key.keyId, customer, first + i, blinded, keep);
        return keep;
      }),
    );
  }

  /** Signs, and enters into L1 before the answer leaves. Who asked before has the same answer. */
  async #sign(
    key: OwnKey,
    customer: string,
    first: number,
    blinded: readonly Uint8Array[],
  ): Promise<SignedCandidate[]> {
    const find = this.#books.database.prepare(
      'SELECT bid, blinded, signature FROM l1 WHERE keyId = ? AND customer = ? AND place = ?',
    );
    const known = blinded.map((_, i) => find.get(key.keyId, customer, first + i) as Signed | undefined);
    known.forEach((row, i) => {
      if (row && Buffer.compare(row.blinded, blinded[i]) !== 0) throw askedBefore(`candidates.${i}`);
    });
    const fresh = blinded.filter((_, i) => !known[i]);
    const signatures = await this.#books.engine.signBlinded(key.keyId, fresh);
    if (signatures === 'malformed') throw malformed('candidates', 'are no numbers of the range');
    let next = 0;
    const answer = inTransaction(this.#books.database, () =>
      blinded.map((one, i) => {
        const made = known[i] ? undefined : signatures[next++];
        if (made)
          this.#books.database
            .prepare('INSERT OR IGNORE INTO l1 VALUES (?, ?, ?, ?, ?, ?)')
            .run(key.keyId, customer, first + i, randomBytes(BID_BYTES), one, made);
        // two that ask at once have one row
        const row = find.get(key.keyId, customer, first + i) as unknown as Signed;
        if (Buffer.compare(row.blinded, one) !== 0) throw askedBefore(`candidates.${i}`);
        return { bid: row.bid, signature: row.signature };
      }),
    );
    this.#books.counters.add('credentialsSigned', fresh.length);
    return answer;
  }

  #candidateRow(key: OwnKey, customer: string, place: number): CandidateRow | undefined {
    return this.#books.database
      .prepare('SELECT blinded, keep, forfeited FROM candidates WHERE keyId = ? AND customer = ? AND place = ?')
      .get(key.keyId, customer, place) as CandidateRow | undefined;
  }

  #forfeit(key: OwnKey, customer: string, place: number): void {
    inTransaction(this.#books.database, () =>
      this.#books.database
        .prepare('UPDATE candidates SET forfeited = 1 WHERE keyId = ? AND customer = ? AND place = ?')
        .run(key.keyId, customer, place),
    );
    this.#books.counters.add('candidatesMalformed');
  }
}

function decodedOrRefused(plaintext: Uint8Array) {
  try {
    return decodeSetUp(plaintext);
  } catch (error) {
    throw malformed('sealed', (error as Error).message);
  }
}
const apart = (bytes: Uint8Array, length: number): Uint8Array[] =>
  Array.from({ length: bytes.length / length }, (_, i) => bytes.subarray(i * length, (i + 1) * length));

const malformed = (path: string, problem: string): Refusal =>
  new Refusal('malformed', `${path} ${problem}`, 'correct', { status: 400, path });
const askedBefore = (path: string): Refusal =>
  new Refusal('already asked', `${path}: this credential was asked for before, with other bytes`, 'final', { path });
const forfeited = (path: string): Refusal =>
  new Refusal('forfeited', `${path}: an opened candidate was not what its seed makes`, 'final', { path });
