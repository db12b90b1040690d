/** What all steps of the substation share: store, keys, engine, time. */
import { createHash } from 'node:crypto';
import { signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { MeterSealError, openMeterSeal } from '../../protocol/crypto/meter-seal.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { signedPart } from '../../protocol/trading/batch.ts';
import {
  COIN_KEY,
  coinIdentity,
  coinPayload,
  TRADE_ANNOUNCEMENT_KEY,
  TRADE_SEALING_KEY,
} from '../../protocol/trading/coins.ts';
import { sealContext } from '../../protocol/trading/messages.ts';
import { Counters } from '../shared/counters.ts';
import type { KeysetStore, OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import type { SigningEngine } from '../shared/signing-engine.ts';
import type { DatabaseSync } from '../shared/store.ts';
import type { CalendarSettings } from './calendar.ts';

export interface SubstationSettings extends CalendarSettings {
  /** 8 B. */
  cell: Uint8Array;
  epochMs: number;
  /** An offer or request is paired until so many epochs before its validUntil, and taken so many ahead at most. */
  guardEpochs: number;
  aheadEpochs: number;
  /** The DSO sells so long before a request runs out; until then a neighbour may offer. */
  dsoLeadMs: number;
  /** Open offers above it are bought by the DSO; −1: never. */
  surplusThreshold: number;
  /** Coins of one withdrawal, the same for everybody. */
  standardCoins: number;
  /** A batch goes out again at most so often. */
  resendMs: number;
  /** Whether an offer's attestation pass holds; null: none is asked for. */
  checkPass: ((pass: Uint8Array) => boolean) | null;
}

export type SubstationCount =
  | 'malformed'
  | 'repeated'
  | 'refused'
  | 'offers'
  | 'requests'
  | 'exchanges'
  | 'pairings'
  | 'dsoSales'
  | 'dsoPurchases'
  | 'expired'
  | 'resent'
  | 'withdrawals'
  | 'deposits';

export interface ShownCoin {
  keyId: Uint8Array;
  id: Uint8Array;
  signature: Uint8Array;
}

export class Books {
  readonly database: DatabaseSync;
  readonly keys: KeysetStore;
  readonly engine: SigningEngine;
  readonly settings: SubstationSettings;
  readonly counters = new Counters<SubstationCount>();
  nowMs: number | undefined;

  constructor(database: DatabaseSync, keys: KeysetStore, engine: SigningEngine, settings: SubstationSettings) {
    this.database = database;
    this.keys = keys;
    this.engine = engine;
    this.settings = settings;
  }

  /** @throws Refusal while it is not known */
  get now(): number {
    if (this.nowMs === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return this.nowMs;
  }
  get epoch(): number {
    return Math.floor(this.now / this.settings.epochMs);
  }
  get keysetHash(): Uint8Array {
    return this.keys.digest;
  }

  /** A coin key of the list, revoked or not. */
  coinKey(keyId: Uint8Array): OwnKey | undefined {
    const key = this.keys.byId(keyId);
    return key?.purpose === COIN_KEY ? key : undefined;
  }
  /** … in force, with which coins are signed now. */
  signingKey(keyId: Uint8Array): OwnKey | undefined {
    const key = this.coinKey(keyId);
    return key && key.revokedMs === 0 && key.privateKey && key.opensMs <= this.now && this.now < key.closesMs
      ? key
      : undefined;
  }

  payloadOf({ id }: ShownCoin, key: OwnKey): Uint8Array {
    return coinPayload(id, key.month, key.value);
  }
  identityOf(coin: ShownCoin, key: OwnKey): Uint8Array {
    return coinIdentity(nodeNatives, key.keyId, this.payloadOf(coin, key));
  }

  /** What a meter sealed to a sealing key under this head of a message; null where it was not. */
  unseal(label: string, head: Uint8Array, sealed: Uint8Array): Uint8Array | null {
    const { cell } = this.settings;
    const away = ({ month }: OwnKey): number => Math.abs(month - monthOf(this.now));
    const sealing = this.keys.keys.filter(({ purpose }) => purpose === TRADE_SEALING_KEY);
    for (const { keyId, publicKey, privateKey } of sealing.sort((a, b) => away(a) - away(b))) {
      if (!privateKey) continue;
      try {
        const context = sealContext(label, cell, this.keysetHash, keyId, head);
        return openMeterSeal({ modulus: publicKey, privateKey }, context, sealed);
      } catch (error) {
        if (!(error instanceof MeterSealError)) throw error;
      }
    }
    return null;
  }

  /** Body and signature by the running month's announcement key. */
  signed(label: string, body: Uint8Array): Uint8Array {
    const key = this.keys.find(TRADE_ANNOUNCEMENT_KEY, monthOf(this.now));
    if (!key?.privateKey) throw new Error('there is no announcement key for this month');
    return Buffer.concat([body, signEd25519(key.privateKey, signedPart(label, body))]);
  }
}

export const hash = (...parts: Uint8Array[]): Uint8Array => {
  const sha = createHash('sha256');
  for (const part of parts) sha.update(part);
  return sha.digest();
};
