/**
 * What all steps of the control centre share: store, keys, engine, terms, time. And the questions that all of them ask first: is this
 * key for this, and is it now?
 */
import type { BlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import { signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { blindKeyOf } from '../../protocol/crypto/keyset.ts';
import { MeterSealError, openMeterSeal } from '../../protocol/crypto/meter-seal.ts';
import type { ValueKey } from '../../protocol/selling/candidates.ts';
import type { SellingTerms, Weights } from '../../protocol/selling/terms.ts';
import { monthOf } from '../../protocol/time/months.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { Counters } from '../shared/counters.ts';
import type { KeysetStore, OwnKey } from '../shared/keyset-store.ts';
import { Refusal } from '../shared/service.ts';
import type { SigningEngine } from '../shared/signing-engine.ts';
import type { SpentSet } from '../shared/spent-set.ts';
import type { DatabaseSync } from '../shared/store.ts';
import { ANNOUNCEMENT_PURPOSE, SEALING_PURPOSE } from './calendar.ts';

export type CentreCount =
  | 'setUps'
  | 'credentialsSigned'
  | 'candidatesMalformed'
  | 'salesAccepted'
  | 'salesRepeated'
  | 'salesRefused'
  | 'salesUnreadable'
  | 'deposits'
  | 'claimsRefused'
  | 'payments';

export interface BooksOptions {
  database: DatabaseSync;
  keys: KeysetStore;
  engine: SigningEngine;
  /** L2. */
  spent: SpentSet;
}

export class Books {
  readonly database: DatabaseSync;
  readonly keys: KeysetStore;
  readonly engine: SigningEngine;
  readonly spent: SpentSet;
  readonly counters = new Counters<CentreCount>();
  /** By month. */
  readonly terms = new Map<number, SellingTerms>();
  weights: readonly Weights[] = [];
  /** Protocol time; undefined while the party has not been told. */
  nowMs: number | undefined;

  constructor({ database, keys, engine, spent }: BooksOptions) {
    this.database = database;
    this.keys = keys;
    this.engine = engine;
    this.spent = spent;
  }

  /** @throws Refusal while it is not known */
  get now(): number {
    if (this.nowMs === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return this.nowMs;
  }
  get slot(): number {
    return slotOf(this.now);
  }

  /** A key by its id, of this purpose and not revoked. @throws Refusal */
  keyFor(keyId: Uint8Array, purpose: string): OwnKey {
    const key = this.keys.byId(keyId);
    if (!key || key.purpose !== purpose || key.revokedMs !== 0)
      throw new Refusal('unknown key', `the keyset has no such key in force for ${purpose}`, 'start over', {
        path: 'keyId',
      });
    return key;
  }
  /** @throws Refusal */
  termsOf(month: number): SellingTerms {
    const terms = this.terms.get(month);
    if (!terms) throw new Refusal('no terms', `nothing is sold in month ${month}`, 'final', { path: 'keyId' });
    return terms;
  }

  /** By the announcement key of a month. */
  announce(month: number): (message: Uint8Array) => Uint8Array {
    const key = this.keys.find(ANNOUNCEMENT_PURPOSE, month);
    if (!key?.privateKey) throw new Error(`there is no announcement key for month ${month}`);
    const { privateKey } = key;
    return (message) => signEd25519(privateKey, message);
  }

  /** What a meter sealed to any of the sealing keys; null where it was not. */
  unseal(header: (sealingKeyId: Uint8Array) => Uint8Array, sealed: Uint8Array): Uint8Array | null {
    // the running month's first: most is sealed to it
    const away = ({ month }: OwnKey): number => Math.abs(month - monthOf(this.now));
    const sealing = this.keys.keys.filter(({ purpose }) => purpose === SEALING_PURPOSE);
    for (const { keyId, publicKey, privateKey } of sealing.sort((a, b) => away(a) - away(b))) {
      if (!privateKey) continue;
      try {
        return openMeterSeal({ modulus: publicKey, privateKey }, header(keyId), sealed);
      } catch (error) {
        if (!(error instanceof MeterSealError)) throw error;
      }
    }
    return null;
  }
}

export const valueKeyOf = (key: OwnKey): ValueKey & { key: BlindRsaKey } => ({
  keyId: key.keyId,
  month: key.month,
  value: key.value,
  key: blindKeyOf(key),
});
