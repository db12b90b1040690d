/**
 * The trusted third party (tpm-privacy-concept.txt; protocols.md, section 3): knows who is behind a pseudonym, and nothing of what
 * is reported under it.
 *
 *   GridOperator ── valid devices ──► TTP          Provider ── customer numbers, hashed PINs ──► TTP
 *   Gateway ── initialisation (initialisation.ts), top-up of pseudonyms ──► TTP ── certificates ──► Gateway
 *   TTP ── signed lists of what is revoked ──► everybody
 *
 * A gateway's names end when the grid operator revokes its device, when its customer initialises another gateway, and when another
 * customer initialises it. A device taken back into stock keeps nobody's names either.
 */
import { randomBytes } from 'node:crypto';
import { makeCredential } from '../../protocol/attestation/credential.ts';
import { readAttestationKey } from '../../protocol/attestation/quote.ts';
import type { Holder } from '../../protocol/identity/certificates.ts';
import type { DeviceChanges } from '../../protocol/identity/devices.ts';
import {
  encryptCertificates,
  openTopUp,
  SECRET_BYTES,
  type SealedCertificates,
  topUpNonce,
} from '../../protocol/identity/initialisation.ts';
import type { CustomerPin } from '../../protocol/identity/pin.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { Refusal } from '../shared/service.ts';
import { AHEAD_DAYS, asRefusal, Initialisation, TRANSACTION_MS } from './initialisation.ts';
import type { Issuer } from './issuer.ts';
import type { ListName, ThirdPartyStore } from './store.ts';

/** Quarter hours that a gateway still has to report are no older than a meter keeps them. */
const BACK_DAYS = 35;
/** A day's pseudonyms are forgotten when its month is settled for sure: a month, the settlement's delay, and one more week. */
const KEPT_DAYS = 75;

export interface ThirdPartyOptions {
  store: ThirdPartyStore;
  issuer: Issuer;
  /**
   * Serial number of an endorsement certificate of a maker that is trusted, and of this key (TPM2B_PUBLIC).
   * @throws EkChainError
   */
  ekSerialOf(ekCertificate: Uint8Array, ekPublic: Uint8Array): string;
  /** HPKE, 32 B. */
  privateKey: Uint8Array;
}

export class TrustedThirdParty {
  readonly #options: ThirdPartyOptions;
  readonly #initialisation: Initialisation;
  #nowMs: number | undefined;

  constructor(options: ThirdPartyOptions) {
    this.#options = options;
    this.#initialisation = new Initialisation({ ...options, nowMs: () => this.now() });
  }

  /** Protocol time; undefined before the first `advance`. */
  get nowMs(): number | undefined {
    return this.#nowMs;
  }
  /** @throws Refusal */
  now(): number {
    if (this.#nowMs === undefined)
      throw new Refusal('starting', 'the trusted third party does not know the time yet', 'again', { status: 503 });
    return this.#nowMs;
  }

  /** Moves protocol time; what is old is forgotten, the lists say what holds today. */
  advance(nowMs: number): void {
    const before = this.#nowMs;
    this.#nowMs = Math.max(nowMs, before ?? nowMs);
    const today = Math.floor(this.#nowMs / DAY_MS);
    if (before !== undefined && Math.floor(before / DAY_MS) === today) return;
    this.#options.store.forget({
      transactionsMs: this.#nowMs - TRANSACTION_MS,
      day: today - KEPT_DAYS,
      nowMs: this.#nowMs,
    });
    this.#options.issuer
      .refreshLists(this.#nowMs)
      .catch((error: Error) => console.error(`trusted-third-party: lists of what is revoked: ${error.message}`));
  }

  // Initialisation

  request(sealed: Uint8Array): Promise<object> {
    return this.#initialisation.request(sealed);
  }
  answer(transaction: Uint8Array, sealed: Uint8Array): Promise<object> {
    return this.#initialisation.answer(transaction, sealed);
  }

  /**
   * Certifies the keys of more days for a gateway that has its identifier. The same keys again get the same certificates.
   * @throws Refusal
   */
  async topUp(holder: Holder<'identifier'>, sealed: Uint8Array): Promise<SealedCertificates> {
    const { store, issuer, privateKey } = this.#options;
    const nowMs = this.now();
    const identity = store.identityOf(holder.serialNumber);
    if (!identity || identity.endedMs !== null) throw new Refusal('ended', 'this identifier has ended', 'start over');
    const pseudonyms = await openTopUp(sealed, privateKey).catch(asRefusal);
    const attestationKey = readAttestationKey(identity.akPublic);
    const today = Math.floor(nowMs / DAY_MS);
    const known = new Map(store.pseudonyms(identity.id).map((row) => [row.day, row]));
    const certified = this.#initialisation.checkPseudonyms(
      pseudonyms,
      attestationKey,
      topUpNonce(holder.serialNumber),
      { from: Math.max(identity.firstDay, today - BACK_DAYS), to: today + AHEAD_DAYS },
      ({ day, publicKey }) => Buffer.from(known.get(day)?.publicKey ?? []).equals(publicKey),
    );
    const { area, serial, provider, customerNumber } = identity;
    const made = await Promise.all(
      certified.map(async ({ day, publicKey }) => ({
        day,
        publicKey,
        certificate: await issuer.pseudonym({ day, publicKey, area }),
      })),
    );
    const certificates = store.atOnce(() =>
      made.map((pseudonym) => {
        const before = store.pseudonyms(identity.id).find(({ day }) => day === pseudonym.day);
        if (before && Buffer.from(before.publicKey).equals(pseudonym.publicKey)) return before.certificate;
        if (before || store.hasPseudonym(pseudonym.day, serial, provider, customerNumber))
          throw new Refusal('day taken', `day ${pseudonym.day} has another pseudonym: there is one for a day`, 'final');
        store.addPseudonym(identity.id, pseudonym);
        return pseudonym.certificate;
      }),
    );
    const secret = randomBytes(SECRET_BYTES);
    return {
      credential: makeCredential(identity.ekPublic, attestationKey.name, secret),
      sealed: encryptCertificates({ pseudonyms: certificates }, secret),
    };
  }

  /** An identifier for another provider (protocol/identity/other-provider.ts). @throws Refusal */
  otherProvider(holder: Holder<'household'>, sealed: Uint8Array): Promise<object> {
    return this.#initialisation.otherProvider(holder, sealed);
  }

  /** The people move out: nothing of their names is believed from tomorrow on. */
  async end(holder: Holder<'identifier'>): Promise<{ ended: true }> {
    const { store, issuer } = this.#options;
    const nowMs = this.now();
    const identity = store.identityOf(holder.serialNumber);
    if (identity) store.atOnce(() => store.endIdentity(identity.id, nowMs, Math.floor(nowMs / DAY_MS) + 1));
    await issuer.refreshLists(nowMs);
    return { ended: true };
  }

  // From the other parties

  /** The grid operator's changes. @returns the version that is there now */
  async takeDevices({ after, version, devices }: DeviceChanges): Promise<{ version: number }> {
    const { store, issuer } = this.#options;
    const nowMs = this.now();
    if (after === store.devicesVersion && version > after) {
      const today = Math.floor(nowMs / DAY_MS);
      store.atOnce(() => {
        store.takeDevices(version, devices);
        for (const { serial, state } of devices) {
          if (state === 'installed') continue;
          // who was tampered with is not believed for the rest of the day either
          const fromDay = state === 'revoked' ? today : today + 1;
          for (const identity of store.activeIdentitiesOfDevice(serial)) store.endIdentity(identity.id, nowMs, fromDay);
        }
      });
      await issuer.refreshLists(nowMs);
    }
    return { version: store.devicesVersion };
  }

  takePins(provider: string, pins: readonly CustomerPin[]): { customers: number } {
    this.#options.store.takePins(provider, pins);
    return { customers: pins.length };
  }

  /** Somebody has shown who they are: their gateway may try PINs again. A number is unlocked by a new letter. */
  forgetTries(device: string): { forgotten: number } {
    const { store } = this.#options;
    const forgotten = store.wrongTries(device);
    store.forgetTries(device);
    return { forgotten };
  }

  // What everybody may have

  /** @throws Refusal before the first one is made */
  list(name: ListName): { list: Uint8Array } {
    const list = this.#options.store.list(name);
    if (!list) throw new Refusal('starting', 'there is no list yet', 'again', { status: 503 });
    return { list };
  }

  /** Resolves when the lists say what holds. */
  settled(): Promise<void> {
    return this.#options.issuer.settled();
  }
}
