/**
 * A meter's half of trading, on Node: what firmware and gateway do together, without either (protocol/trading/messages.ts). It stands
 * for the neighbours in a simulated cell, and for meters in tests.
 *
 * Coins: FREE → RESERVED by a message → SPENT, or SEEN when the message is dead: then it is used again or exchanged, never deposited.
 * What is to be sent is kept before it is sent, and sent again as it is, under a fresh nonce, until a line or the unbroken batches say
 * what became of it.
 */
import { BlindRsaError, type BlindRsaKey, blind, finalize } from '../../protocol/crypto/blind-rsa.ts';
import { verifyEd25519 } from '../../protocol/crypto/ed25519.ts';
import { blindKeyOf, type Keyset, type KeysetKey, keyFor, keysetDigest } from '../../protocol/crypto/keyset.ts';
import { sealAsMeter } from '../../protocol/crypto/meter-seal.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import {
  BATCH_LABEL,
  BEACON_LABEL,
  type Beacon,
  bodyOf,
  decodeBeacon,
  type Line,
  signatureOf,
  signedPart,
  X_FORGED,
  X_USED,
} from '../../protocol/trading/batch.ts';
import { BatchChain } from '../../protocol/trading/chain.ts';
import {
  COIN_KEY,
  coinFactorOfSeed,
  coinIdentity,
  coinIdOfSeed,
  coinPayload,
  TRADE_ANNOUNCEMENT_KEY,
  TRADE_SEALING_KEY,
} from '../../protocol/trading/coins.ts';
import {
  BATCH,
  BEACON,
  EXCHANGE_SEAL,
  encodeExchange,
  encodeOffer,
  encodeRequest,
  encodeResend,
  exchangeHead,
  type Piece,
  REQUEST_SEAL,
  requestHead,
  sealContext,
  tradeId,
} from '../../protocol/trading/messages.ts';
import type { DepositRequest } from '../../protocol/trading/services.ts';
import { coinsRoot } from '../../protocol/trading/statement.ts';
import { BusReceiver, encodeBusFrames } from '../../protocol/wire/bus-frame.ts';

export type CoinState = 'free' | 'reserved' | 'seen' | 'spent' | 'lost' | 'deposited';
export interface Coin {
  id: Uint8Array;
  signature: Uint8Array;
  identity: Uint8Array;
  state: CoinState;
}
/** A coin that is not signed yet. */
interface Token {
  id: Uint8Array;
  payload: Uint8Array;
  blinded: Uint8Array;
  inverse: Uint8Array;
}
interface Sent {
  id: string;
  kind: 'offer' | 'request' | 'exchange';
  message: Uint8Array;
  validUntil: number;
  tokens: Token[];
  coins: Coin[];
  state: 'open' | 'done' | 'dead';
}

export interface SimulatedMeterOptions {
  keyset: Keyset;
  month: number;
  cell: Uint8Array;
  groupKey: Uint8Array;
  random(bytes: number): Uint8Array;
  send(frames: Uint8Array[]): void;
  /** By its own clock: beacons are missed. */
  epoch(): number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class SimulatedMeter {
  readonly coins: Coin[] = [];
  readonly sent: Sent[] = [];
  /** Pieces that were paid and may be consumed; that are to be supplied; by their messages. */
  readonly bought: string[] = [];
  readonly sold: string[] = [];
  /** Signed by the substation, and wrong. */
  readonly evidence: Uint8Array[] = [];
  /** Keyset or group key of one's own, a chain that forks. */
  readonly alarms: string[] = [];
  readonly receiver: BusReceiver;
  readonly chain: BatchChain;
  readonly key: KeysetKey;
  beacon: Beacon | null = null;
  forgedFrames = 0;
  readonly #options: SimulatedMeterOptions;
  readonly #blind: BlindRsaKey;
  readonly #sealing: KeysetKey;
  readonly #announcement: KeysetKey;

  constructor(options: SimulatedMeterOptions) {
    const { keyset, month, groupKey } = options;
    this.#options = options;
    this.key = keyFor(keyset, COIN_KEY, month)!;
    this.#sealing = keyFor(keyset, TRADE_SEALING_KEY, month)!;
    this.#announcement = keyFor(keyset, TRADE_ANNOUNCEMENT_KEY, month)!;
    this.#blind = blindKeyOf(this.key);
    this.receiver = new BusReceiver(nodeNatives, groupKey);
    this.chain = new BatchChain(nodeNatives, 0, new Uint8Array(32));
  }

  get free(): Coin[] {
    return this.coins.filter(({ state }) => state === 'free');
  }
  /** Counted, not derived: whatever is worth money. */
  get inWallet(): number {
    return this.coins.filter(({ state }) => state === 'free' || state === 'reserved' || state === 'seen').length;
  }
  get open(): Sent[] {
    return this.sent.filter(({ state }) => state === 'open');
  }

  /** Blinded coins for a withdrawal, and what takes the signatures. */
  withdrawal(count: number): { blinded: Uint8Array[]; take(signatures: readonly Uint8Array[]): void } {
    const tokens = Array.from({ length: count }, () => this.#token());
    return {
      blinded: tokens.map(({ blinded }) => blinded),
      take: (signatures) => {
        for (const [i, token] of tokens.entries()) this.#mint(token, signatures[i]);
      },
    };
  }

  offer(piece: Omit<Piece, 'keyId'>): Sent {
    const token = this.#token();
    const message = encodeOffer({ ...piece, keyId: this.key.keyId, pass: new Uint8Array(), blinded: token.blinded });
    return this.#send('offer', message, piece.validUntil, [token], []);
  }
  /** @returns null where there is no coin for it */
  request(piece: Omit<Piece, 'keyId'>): Sent | null {
    const coin = this.coins.find(({ state }) => state === 'seen') ?? this.free[0];
    if (!coin) return null;
    coin.state = 'reserved';
    const whole = { ...piece, keyId: this.key.keyId };
    const head = requestHead(whole);
    const sealed = this.#seal(REQUEST_SEAL, head, Buffer.concat([coin.id, coin.signature]));
    return this.#send('request', encodeRequest({ ...whole, sealed }), piece.validUntil, [], [coin]);
  }
  /** Seen coins become new ones. @param under their key, where it is another than the one in force */
  exchange(coins: Coin[], under: Uint8Array = this.key.keyId): Sent {
    const tokens = coins.map(() => this.#token());
    for (const coin of coins) coin.state = 'reserved';
    const blinded = tokens.map((token) => token.blinded);
    const head = exchangeHead(this.key.keyId, blinded, coins.length);
    const plaintext = Buffer.concat(coins.flatMap(({ id, signature }) => [under, id, signature]));
    const sealed = this.#seal(EXCHANGE_SEAL, head, plaintext);
    const message = encodeExchange({ keyId: this.key.keyId, blinded, coins: coins.length, sealed });
    return this.#send('exchange', message, Number.POSITIVE_INFINITY, tokens, coins);
  }
  /** Everything that was never shown, at once. */
  deposit(): DepositRequest {
    const coins = this.free;
    for (const coin of coins) coin.state = 'deposited';
    return {
      keyId: this.key.keyId,
      root: coinsRoot(coins.map(({ identity }) => identity)),
      count: coins.length,
      coins: coins.map(({ id, signature }) => ({ id, signature })),
    };
  }

  /** A frame from the line. */
  hear(frame: Uint8Array): void {
    const message = this.receiver.push(frame);
    if (!message) return;
    if (message[0] === BEACON && this.#isSigned(BEACON_LABEL, message)) this.#beacon(decodeBeacon(message));
    if (message[0] === BATCH && this.#isSigned(BATCH_LABEL, message))
      for (const batch of this.chain.push(message)) for (const line of batch.lines) this.#line(line);
  }

  /** Once an epoch: what is not answered is sent again, what is missing is asked for, what is over is dead. */
  tick(): void {
    this.receiver.enterEpoch(this.#options.epoch());
    const missing = this.chain.missing();
    if (missing >= 0) this.#put(encodeResend(missing));
    for (const one of this.open) {
      if (this.chain.isOver(one.validUntil, this.beacon?.epoch ?? 0)) this.#end(one, 'dead', 'seen');
      else this.#put(one.message);
    }
  }

  #beacon(beacon: Beacon): void {
    const { keyset, cell, groupKey } = this.#options;
    if (Buffer.compare(beacon.cell, cell) !== 0) return;
    if (Buffer.compare(beacon.keysetHash, keysetDigest(keyset)) !== 0) this.#alarm('another keyset');
    if (Buffer.compare(beacon.groupKeyHash, nodeNatives.sha256(groupKey)) !== 0) this.#alarm('another group key');
    this.receiver.enterEpoch(beacon.epoch);
    if (!this.beacon || beacon.epoch > this.beacon.epoch) this.beacon = beacon;
    this.chain.heardBeacon(beacon.nextBatch);
  }
  #alarm(what: string): void {
    if (!this.alarms.includes(what)) this.alarms.push(what);
  }
  #isSigned(label: string, message: Uint8Array): boolean {
    const holds = verifyEd25519(this.#announcement.publicKey, signedPart(label, bodyOf(message)), signatureOf(message));
    if (!holds) this.forgedFrames++;
    return holds;
  }

  #line(line: Line): void {
    const find = (id: Uint8Array): Sent | undefined => {
      const name = hex(id);
      return this.sent.find((one) => one.id === name && one.state === 'open');
    };
    if (line.kind === 'X') {
      const one = find(line.id);
      // a coin that is spent or no coin is worth nothing; whatever else is wrong with a message, its coins are not marked
      if (one) this.#end(one, 'dead', line.reason === X_USED || line.reason === X_FORGED ? 'lost' : 'seen');
      return;
    }
    const paid = line.kind === 'P' || line.kind === 'D' ? find(line.request) : undefined;
    if (paid) {
      this.#end(paid, 'done', 'spent');
      this.bought.push(paid.id);
    }
    const earned = line.kind === 'P' || line.kind === 'B' ? find(line.offer) : undefined;
    if (earned && line.kind !== 'D' && line.kind !== 'E') {
      this.#mint(earned.tokens[0], line.blindSignature);
      this.#end(earned, 'done', 'spent');
      this.sold.push(earned.id);
    }
    const exchanged = line.kind === 'E' ? find(line.exchange) : undefined;
    if (exchanged && line.kind === 'E') {
      exchanged.tokens.forEach((token, i) => {
        this.#mint(token, line.blindSignatures[i]);
      });
      this.#end(exchanged, 'done', 'spent');
    }
  }

  #end(one: Sent, state: 'done' | 'dead', coins: CoinState): void {
    one.state = state;
    for (const coin of one.coins) coin.state = coins;
  }

  #token(): Token {
    const { keyId, month, value, publicKey } = this.key;
    const seed = this.#options.random(32);
    const id = coinIdOfSeed(nodeNatives, seed, keyId);
    const payload = coinPayload(id, month, value);
    const factor = coinFactorOfSeed(nodeNatives, seed, keyId, publicKey);
    const [{ blinded, inverse }] = blind(this.#blind, [payload], () => factor);
    return { id, payload, blinded, inverse };
  }
  #mint({ id, payload, inverse }: Token, blindSignature: Uint8Array): void {
    try {
      const signature = finalize(this.#blind, payload, blindSignature, inverse);
      const identity = coinIdentity(nodeNatives, this.key.keyId, payload);
      this.coins.push({ id, signature, identity, state: 'free' });
    } catch (error) {
      if (!(error instanceof BlindRsaError)) throw error;
      this.evidence.push(blindSignature);
    }
  }
  #seal(label: string, head: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const { cell, keyset, random } = this.#options;
    const context = sealContext(label, cell, keysetDigest(keyset), this.#sealing.keyId, head);
    return sealAsMeter(this.#sealing.publicKey, context, plaintext, random);
  }
  #send(kind: Sent['kind'], message: Uint8Array, validUntil: number, tokens: Token[], coins: Coin[]): Sent {
    const one: Sent = {
      id: hex(tradeId(nodeNatives, message)),
      kind,
      message,
      validUntil,
      tokens,
      coins,
      state: 'open',
    };
    this.sent.push(one);
    this.#put(message);
    return one;
  }
  #put(message: Uint8Array): void {
    const { groupKey, random, send, epoch } = this.#options;
    send(encodeBusFrames(nodeNatives, groupKey, epoch(), random(12), message));
  }
}
