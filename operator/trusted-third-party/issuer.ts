/**
 * The trusted third party's keys at work: what it signs for a household, and its lists of what is revoked.
 *
 *   issuing key   P-256: pseudonym certificates, both lists of revocations
 *   authority     X.509: identifier, household and attestation certificates
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import { signP256 } from '../../protocol/crypto/p256.ts';
import {
  type CertificateSubject,
  type IssuerKey,
  issueHolderCertificate,
} from '../../protocol/identity/certificates.ts';
import { issuePseudonymCertificate, type Pseudonym } from '../../protocol/identity/pseudonym-certificate.ts';
import { issueRevocationList, openRevocationList } from '../../protocol/identity/revocation-list.ts';
import { issueRevokedCertificates, openRevokedCertificates } from '../../protocol/identity/revoked-certificates.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import type { ListName, ThirdPartyStore } from './store.ts';

/** A household keeps its certificates for three years; a new visit to the page renews them. */
const VALID_MS = 3 * 365 * DAY_MS;
/** For gateways whose clock is behind. */
const BEFORE_MS = 3_600_000;
/** The list names pseudonyms of today and the two days after it: whoever checks fetches it daily. */
const LISTED_DAYS = 3;

export interface IssuerKeys {
  issuing: { publicKey: Uint8Array; privateKey: KeyObject };
  authority: IssuerKey;
}

export interface IssuedCertificate {
  der: Uint8Array;
  /** Of the certificate, lower-case hexadecimal. */
  serialNumber: string;
  notAfterMs: number;
}

export class Issuer {
  readonly #keys: IssuerKeys;
  readonly #store: ThirdPartyStore;
  readonly #publish: (name: ListName, list: Uint8Array) => void;
  #lists: Promise<void> = Promise.resolve();

  /** @param publish is given every list that is new; it may be given one again */
  constructor(
    keys: IssuerKeys,
    store: ThirdPartyStore,
    publish: (name: ListName, list: Uint8Array) => void = () => {},
  ) {
    this.#keys = keys;
    this.#store = store;
    this.#publish = publish;
  }

  async certificate(subject: CertificateSubject, publicKey: Uint8Array, nowMs: number): Promise<IssuedCertificate> {
    const serialNumber = randomBytes(16);
    serialNumber[0] = (serialNumber[0] & 0x3f) | 0x40; // positive and without leading zeros in DER
    const notAfterMs = nowMs + VALID_MS;
    const der = await issueHolderCertificate(subject, publicKey, {
      issuer: this.#keys.authority,
      notBeforeMs: nowMs - BEFORE_MS,
      notAfterMs,
      serialNumber,
    });
    return { der, serialNumber: serialNumber.toString('hex'), notAfterMs };
  }

  pseudonym(pseudonym: Pseudonym): Promise<Uint8Array> {
    return issuePseudonymCertificate(pseudonym, this.#sign);
  }

  /** Makes the lists anew where what they have to say has changed. One after the other, or two would get one number. */
  refreshLists(nowMs: number): Promise<void> {
    const refreshed = this.#lists.then(() => this.#refresh(nowMs));
    this.#lists = refreshed.catch(() => {}); // whoever asked hears of it; the next one tries again
    return refreshed;
  }
  /** Resolves when the lists say what the store says. */
  settled(): Promise<void> {
    return this.#lists;
  }

  async #refresh(nowMs: number): Promise<void> {
    const issuers = [this.#keys.issuing.publicKey];
    const today = Math.floor(nowMs / DAY_MS);
    const pseudonyms = this.#store.revokedPseudonyms(today, today + LISTED_DAYS - 1);
    const kept = this.#store.list('revokedPseudonyms');
    const oldList = kept && openRevocationList(kept, issuers);
    const candidate = await issueRevocationList((oldList?.number ?? 0) + 1, pseudonyms, this.#sign);
    if (!oldList || !same(oldList.revoked, openRevocationList(candidate, issuers).revoked))
      this.#set('revokedPseudonyms', candidate);

    const serialNumbers = new Set(this.#store.revokedCertificates(nowMs));
    const keptCertificates = this.#store.list('revokedCertificates');
    const oldCertificates = keptCertificates && openRevokedCertificates(keptCertificates, issuers);
    if (oldCertificates && same(oldCertificates.serialNumbers, serialNumbers)) return;
    const number = (oldCertificates?.number ?? 0) + 1;
    this.#set('revokedCertificates', await issueRevokedCertificates({ number, serialNumbers }, this.#sign));
  }

  #set(name: ListName, list: Uint8Array): void {
    this.#store.setList(name, list);
    this.#publish(name, list);
  }

  readonly #sign = (message: Uint8Array): Uint8Array => signP256(this.#keys.issuing.privateKey, message);
}

const same = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((x) => b.has(x));
