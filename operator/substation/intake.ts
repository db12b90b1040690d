/**
 * What meters say on the line, in the order of messages.md: known already? its line again, and nothing else · key · time · token not seen
 * before · pass; for coins: the seal, the signature, then **one transaction** that marks the coin for this message, unique over request,
 * exchange and deposit. What is refused is said in the next batch.
 *
 * Nothing is known of a sender, so there is nobody to answer: the batch is for all.
 */
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { X_FORGED, X_KEY, X_PASS, X_TIME, X_TOKEN, X_USED, X_VALUE } from '../../protocol/trading/batch.ts';
import { isToken } from '../../protocol/trading/coins.ts';
import {
  COIN_ID_BYTES,
  decodeExchange,
  decodeOffer,
  decodeRequest,
  EXCHANGE,
  EXCHANGE_SEAL,
  exchangeHead,
  KEY_ID_BYTES,
  OFFER,
  type Piece,
  REQUEST,
  REQUEST_SEAL,
  requestHead,
  tradeId,
} from '../../protocol/trading/messages.ts';
import type { OwnKey } from '../shared/keyset-store.ts';
import { inTransaction } from '../shared/store.ts';
import { type Books, hash, type ShownCoin } from './books.ts';

/** An exchange names no piece. */
const NO_PIECE = { startSlot: 0, slots: 0 };
type Kind = 'offer' | 'request' | 'exchange';
interface Entry extends Piece {
  kind: Kind;
  tokens: Uint8Array[];
}

export class Intake {
  readonly #books: Books;

  constructor(books: Books) {
    this.#books = books;
  }

  /** @return the batch in which the line of this message stands, where it has one; null: nothing is to be said again */
  async take(message: Uint8Array): Promise<number | null> {
    const id = tradeId(nodeNatives, message);
    const known = this.find(id);
    if (known) {
      this.#books.counters.add('repeated');
      return known.batch;
    }
    try {
      if (message[0] === OFFER) this.#offer(id, message);
      else if (message[0] === REQUEST) await this.#request(id, message);
      else if (message[0] === EXCHANGE) await this.#exchange(id, message);
      else this.#books.counters.add('malformed');
    } catch (error) {
      if ((error as Error).name !== 'TradeError') throw error;
      this.#books.counters.add('malformed');
    }
    return null;
  }

  find(id: Uint8Array): { batch: number | null } | undefined {
    return this.#books.database.prepare('SELECT batch FROM messages WHERE id = ?').get(id) as never;
  }

  #offer(id: Uint8Array, message: Uint8Array): void {
    const offer = decodeOffer(message);
    const { checkPass } = this.#books.settings;
    const entry: Entry = { ...offer, kind: 'offer', tokens: [offer.blinded] };
    const key = this.#books.signingKey(offer.keyId);
    const flaw = this.#pieceFlaw(offer, key) ?? this.#tokenFlaw(entry.tokens, key!);
    const passFlaw = checkPass && !checkPass(offer.pass) ? X_PASS : null;
    const reason = flaw ?? passFlaw;
    if (reason !== null) {
      this.#refuse(id, entry, reason);
      return;
    }
    inTransaction(this.#books.database, () => {
      this.#enter(id, entry, 'OPEN', null);
      this.#see(entry.tokens);
    });
    this.#books.counters.add('offers');
  }

  async #request(id: Uint8Array, message: Uint8Array): Promise<void> {
    const request = decodeRequest(message);
    const entry: Entry = { ...request, kind: 'request', tokens: [] };
    const key = this.#books.signingKey(request.keyId);
    const flaw = this.#pieceFlaw(request, key);
    if (flaw !== null) return this.#refuse(id, entry, flaw);
    const coin = this.#books.unseal(REQUEST_SEAL, requestHead(request), request.sealed);
    if (coin?.length !== COIN_ID_BYTES + key!.publicKey.length) return this.#refuse(id, entry, X_FORGED);
    const shown = {
      keyId: key!.keyId,
      id: coin.subarray(0, COIN_ID_BYTES),
      signature: coin.subarray(COIN_ID_BYTES),
    };
    await this.#hold(id, entry, [{ coin: shown, key: key! }]);
  }

  async #exchange(id: Uint8Array, message: Uint8Array): Promise<void> {
    const exchange = decodeExchange(message, (keyId) => this.#books.coinKey(keyId)?.publicKey.length ?? 0);
    const { keyId, blinded, coins, sealed } = exchange;
    const validUntil = this.#books.epoch;
    const entry: Entry = { kind: 'exchange', keyId, ...NO_PIECE, validUntil, tokens: blinded };
    const key = this.#books.signingKey(keyId);
    if (!key) return this.#refuse(id, entry, X_KEY);
    const flaw = this.#tokenFlaw(blinded, key);
    if (flaw !== null) return this.#refuse(id, entry, flaw);
    const plaintext = this.#books.unseal(EXCHANGE_SEAL, exchangeHead(keyId, blinded, coins), sealed);
    const shown = plaintext && this.#coinsOf(plaintext, coins);
    if (!shown) return this.#refuse(id, entry, X_FORGED);
    const worth = shown.reduce((sum, { key: { value } }) => sum + value, 0);
    if (worth !== key.value * blinded.length) return this.#refuse(id, entry, X_VALUE);
    await this.#hold(id, entry, shown);
  }

  /** Null where they are not what their count says. A revoked key's coins are recouped by exchange, and by nothing else. */
  #coinsOf(plaintext: Uint8Array, count: number): { coin: ShownCoin; key: OwnKey }[] | null {
    const found: { coin: ShownCoin; key: OwnKey }[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const keyId = plaintext.subarray(at, at + KEY_ID_BYTES);
      const key = this.#books.coinKey(keyId);
      if (!key || this.#books.now >= key.closesMs) return null;
      const end = at + KEY_ID_BYTES + COIN_ID_BYTES + key.publicKey.length;
      if (end > plaintext.length) return null;
      const id = plaintext.subarray(at + KEY_ID_BYTES, at + KEY_ID_BYTES + COIN_ID_BYTES);
      found.push({ coin: { keyId, id, signature: plaintext.subarray(end - key.publicKey.length, end) }, key });
      at = end;
    }
    return at === plaintext.length ? found : null;
  }

  /** Verifies the coins, then marks all of them for this message, or none. */
  async #hold(id: Uint8Array, entry: Entry, shown: { coin: ShownCoin; key: OwnKey }[]): Promise<void> {
    const { engine, database, counters } = this.#books;
    const holds = await engine.redeem(
      shown.map(({ coin, key }) => ({
        keyId: key.keyId,
        message: this.#books.payloadOf(coin, key),
        signature: coin.signature,
      })),
      [],
    );
    if (typeof holds === 'string') return this.#refuse(id, entry, X_FORGED);
    const held = inTransaction(database, () => {
      const insert = database.prepare("INSERT OR IGNORE INTO coins VALUES (?, ?, 'held', ?)");
      const free = database.prepare('SELECT 1 FROM coins WHERE identity = ?');
      const identities = shown.map(({ coin, key }) => this.#books.identityOf(coin, key));
      const once = new Set(identities.map((identity) => Buffer.from(identity).toString('hex'))).size;
      if (once !== identities.length || identities.some((identity) => free.get(identity))) return false;
      if (shown.some(({ key }) => key.revokedMs !== 0 && this.#isExhausted(key, shown.length))) return false;
      identities.forEach((identity, i) => {
        insert.run(identity, shown[i].key.keyId, id);
      });
      this.#enter(id, entry, 'HELD', null);
      this.#see(entry.tokens);
      return true;
    });
    if (held) counters.add(entry.kind === 'request' ? 'requests' : 'exchanges');
    else this.#refuse(id, entry, X_USED);
  }

  /** A revoked key may be in other hands: no more of its coins are recouped than were ever signed. */
  #isExhausted({ keyId }: OwnKey, more: number): boolean {
    const { database } = this.#books;
    const count = (sql: string): number => database.prepare(sql).get(keyId)!.n as number;
    const signed = count('SELECT coalesce(sum(count), 0) AS n FROM issued WHERE keyId = ?');
    return count('SELECT count(*) AS n FROM coins WHERE keyId = ?') + more > signed;
  }

  #pieceFlaw(piece: Piece, key: OwnKey | undefined): number | null {
    const { now, epoch, settings } = this.#books;
    if (!key || monthOf(slotStartMs(piece.startSlot)) !== key.month) return X_KEY;
    const late = piece.validUntil < epoch + settings.guardEpochs || piece.startSlot < slotOf(now);
    return late || piece.validUntil > epoch + settings.aheadEpochs ? X_TIME : null;
  }
  #tokenFlaw(tokens: Uint8Array[], key: OwnKey): number | null {
    const seen = this.#books.database.prepare('SELECT 1 FROM tokens WHERE hash = ?');
    const hashes = tokens.map((token) => hash(token));
    const once = new Set(hashes.map((one) => Buffer.from(one).toString('hex'))).size === tokens.length;
    const fresh = once && hashes.every((one) => !seen.get(one));
    return fresh && tokens.every((token) => isToken(token, key.publicKey)) ? null : X_TOKEN;
  }

  #see(tokens: Uint8Array[]): void {
    const insert = this.#books.database.prepare('INSERT INTO tokens VALUES (?)');
    for (const token of tokens) insert.run(hash(token));
  }
  #refuse(id: Uint8Array, entry: Entry, reason: number): void {
    this.#books.counters.add('refused');
    inTransaction(this.#books.database, () => this.#enter(id, { ...entry, tokens: [] }, 'GONE', reason));
  }
  #enter(id: Uint8Array, entry: Entry, state: string, reason: number | null): void {
    const { kind, keyId, startSlot, slots, validUntil, tokens } = entry;
    this.#books.database
      .prepare(
        `INSERT INTO messages (id, kind, state, reason, batch, keyId, startSlot, slots, validUntil, tokens)
         VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)`,
      )
      .run(id, kind, state, reason, keyId, startSlot, slots, validUntil, Buffer.concat(tokens));
  }
}
