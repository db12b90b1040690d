/**
 * The trusted third party's steps of initialisation (protocol/identity/initialisation.ts has the flow and who learns what).
 *
 *   1 request   EK chain · EK on the grid operator's list · AK's attributes · PIN against its hash (kept, not told) → 2 challenge
 *   3 answer    secret activated · keys certified by the AK, over the nonce · locks · PIN · then 4 certificates
 *
 * An answer is on disk before it is sent, so the same message again, also after a kill, gets the same answer and is counted once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { makeCredential } from '../../protocol/attestation/credential.ts';
import { EkChainError } from '../../protocol/attestation/ek-chain.ts';
import {
  AttestError,
  readAttestationKey,
  type TpmPublic,
  verifyKeyCertification,
} from '../../protocol/attestation/quote.ts';
import type { CertificateSubject, Holder } from '../../protocol/identity/certificates.ts';
import {
  type CertifiedTpmKey,
  certifiedOver,
  encryptCertificates,
  type InitialisationRequest,
  NONCE_BYTES,
  openAnswer,
  openRequest,
  type PseudonymKey,
  SECRET_BYTES,
  topUpNonce,
  transactionOf,
} from '../../protocol/identity/initialisation.ts';
import { openOtherProvider, otherProviderTransaction } from '../../protocol/identity/other-provider.ts';
import { PIN_TRIES, pinMatches } from '../../protocol/identity/pin.ts';
import { encodeBody } from '../../protocol/services/call.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Refusal } from '../shared/service.ts';
import type { Issuer } from './issuer.ts';
import type { PendingRequest, ThirdPartyStore, Transaction } from './store.ts';

export interface InitialisationOptions {
  store: ThirdPartyStore;
  issuer: Issuer;
  /**
   * Serial number of an endorsement certificate of a maker that is trusted, and of this key (TPM2B_PUBLIC).
   * @throws EkChainError
   */
  ekSerialOf(ekCertificate: Uint8Array, ekPublic: Uint8Array): string;
  /** HPKE, 32 B. */
  privateKey: Uint8Array;
  /** Protocol time. @throws Refusal while it is not known */
  nowMs(): number;
}

/** How long a challenge waits for its answer, and an answer for who asks again. */
export const TRANSACTION_MS = DAY_MS;
/** A gateway may ask for pseudonyms so many days ahead. */
export const AHEAD_DAYS = 70;

/** JSON of an outcome in the store. */
type Outcome = { answer: object } | { refusal: { code: string; message: string; recovery: 'correct' | 'final' } };

export class Initialisation {
  readonly #options: InitialisationOptions;

  constructor(options: InitialisationOptions) {
    this.#options = options;
  }

  /** Step 1. @returns the challenge, as JSON @throws Refusal */
  async request(sealed: Uint8Array): Promise<object> {
    const { store, privateKey } = this.#options;
    const nowMs = this.#options.nowMs();
    const id = transactionOf(sealed);
    const kept = store.transaction(id);
    if (kept) return JSON.parse(kept.challenge);

    const request = await openRequest(sealed, privateKey).catch(asRefusal);
    const serial = this.#checkDevice(request);
    const attestationKey = refusing('akPublic', () => readAttestationKey(request.akPublic));
    const { provider, customerNumber, name, address } = request;
    const pending: PendingRequest = {
      ekPublic: Buffer.from(request.ekPublic).toString('base64url'),
      akPublic: Buffer.from(request.akPublic).toString('base64url'),
      name,
      address,
      provider,
      customerNumber,
      // the same work for numbers that nobody has
      pinMatches: await pinMatches(request.pin, store.customer(provider, customerNumber)),
    };
    const secret = randomBytes(SECRET_BYTES);
    const challenge = {
      transaction: id,
      credential: makeCredential(request.ekPublic, attestationKey.name, secret),
      nonce: randomBytes(NONCE_BYTES),
    };
    return store.atOnce(() => {
      const first = store.transaction(id); // the same request may have come twice meanwhile
      if (first) return JSON.parse(first.challenge);
      const json = Buffer.from(encodeBody(challenge)).toString('utf8');
      store.begin({ id, atMs: nowMs, serial, secret, request: JSON.stringify(pending), challenge: json });
      return JSON.parse(json);
    });
  }

  /** Step 3. @returns the encrypted certificates, as JSON @throws Refusal */
  async answer(id: Uint8Array, sealed: Uint8Array): Promise<object> {
    const { store, privateKey } = this.#options;
    const nowMs = this.#options.nowMs();
    const digest = createHash('sha256').update(sealed).digest();
    const transaction = store.transaction(id);
    if (!transaction || nowMs - transaction.atMs > TRANSACTION_MS)
      throw new Refusal(
        'unknown transaction',
        'this initialisation is not known, or was begun too long ago',
        'start over',
      );
    if (transaction.outcome) return replay(transaction, digest);

    const secret = transaction.secret!;
    const { activated, keys } = await openAnswer(sealed, { transaction: id, secret }, privateKey).catch(asRefusal);
    if (!activated)
      throw new Refusal(
        'not activated',
        'the credential was not activated by the TPM of this endorsement key',
        'final',
      );
    const pending = JSON.parse(transaction.request!) as PendingRequest;
    const akPublic = Buffer.from(pending.akPublic, 'base64url');
    const ekPublic = Buffer.from(pending.ekPublic, 'base64url');
    const { nonce } = JSON.parse(transaction.challenge) as { nonce: string };
    const attestation = readAttestationKey(akPublic);
    const over = Buffer.from(nonce, 'base64url');
    const identifier = certified(keys.identifier, attestation, certifiedOver(over, null), 'keys.identifier');
    const household = certified(keys.household, attestation, certifiedOver(over, null), 'keys.household');
    const today = Math.floor(nowMs / DAY_MS);
    const pseudonyms = this.checkPseudonyms(keys.pseudonyms, attestation, over, {
      from: today - 1,
      to: today + AHEAD_DAYS,
    });

    const refused = store.atOnce(() => this.#judgePin(id, digest, transaction.serial, pending, nowMs));
    if (refused) return replay(refused, digest);

    // the grid operator's area and address: a gateway says neither of itself
    const device = this.#installed(transaction.serial);
    const { provider, customerNumber, name, address } = pending;
    const { ekSerial, area } = { ekSerial: transaction.serial, area: device.area };
    const { issuer } = this.#options;
    const issue = (subject: CertificateSubject, key: TpmPublic) => issuer.certificate(subject, key.publicKey, nowMs);
    const certificates = {
      identifier: await issue({ kind: 'identifier', name, provider, customerNumber }, identifier),
      household: await issue({ kind: 'household', ekSerial, area }, household),
      attestation: await issue({ kind: 'attestation', ekSerial, area, address: device.address }, attestation),
    };
    const issued = await Promise.all(
      pseudonyms.map(async ({ day, publicKey }) => ({
        day,
        publicKey,
        certificate: await issuer.pseudonym({ day, publicKey, area }),
      })),
    );

    const finished = store.atOnce(() => {
      // all that may have changed while it was signed
      const refusedMeanwhile = this.#judgePin(id, digest, ekSerial, pending, nowMs);
      if (refusedMeanwhile) return refusedMeanwhile;
      // today's pseudonym of who was here before goes on to its end: there is one for a day, not two
      for (const former of store.activeIdentities(ekSerial, provider, customerNumber))
        store.endIdentity(former.id, nowMs, today + 1);
      const free = issued.filter(({ day }) => !store.hasPseudonym(day, ekSerial, provider, customerNumber));
      store.pinUsed(ekSerial, provider, customerNumber);
      const identity = store.addIdentity({
        serial: ekSerial,
        provider,
        customerNumber,
        name,
        address,
        area,
        ekPublic,
        akPublic,
        identifierSerial: certificates.identifier.serialNumber,
        householdSerial: certificates.household.serialNumber,
        attestationSerial: certificates.attestation.serialNumber,
        firstDay: free.reduce((first, { day }) => Math.min(first, day), today + 1),
        notAfterMs: certificates.identifier.notAfterMs,
      });
      for (const pseudonym of free) store.addPseudonym(identity, pseudonym);
      const certificatesSecret = randomBytes(SECRET_BYTES);
      const answer = {
        credential: makeCredential(ekPublic, attestation.name, certificatesSecret),
        sealed: encryptCertificates(
          {
            identifier: certificates.identifier.der,
            household: certificates.household.der,
            attestation: certificates.attestation.der,
            area,
            pseudonyms: free.map(({ certificate }) => certificate),
          },
          certificatesSecret,
        ),
      };
      return this.#finish(id, digest, nowMs, { answer });
    });
    await issuer.refreshLists(nowMs);
    return replay(finished, digest);
  }

  /**
   * An identifier for another provider; everything else of the household stays.
   * @returns the encrypted certificate, as JSON @throws Refusal
   */
  async otherProvider(holder: Holder<'household'>, sealed: Uint8Array): Promise<object> {
    const { store, issuer, privateKey } = this.#options;
    const nowMs = this.#options.nowMs();
    const id = otherProviderTransaction(sealed);
    const digest = createHash('sha256').update(sealed).digest();
    const kept = store.transaction(id);
    if (kept?.outcome) return replay(kept, digest);
    const identity = store.identityOfHousehold(holder.serialNumber);
    if (!identity || identity.endedMs !== null) throw new Refusal('ended', 'this household has ended', 'start over');
    const { serial, akPublic, ekPublic, name } = identity;
    const { provider, customerNumber, pin, key } = await openOtherProvider(sealed, privateKey).catch(asRefusal);
    const attestation = readAttestationKey(akPublic);
    const identifier = certified(key, attestation, certifiedOver(topUpNonce(holder.serialNumber), null), 'key');
    const pending = {
      provider,
      customerNumber,
      pinMatches: await pinMatches(pin, store.customer(provider, customerNumber)),
    };
    const subject = { kind: 'identifier', name, provider, customerNumber } as const;
    const certificate = await issuer.certificate(subject, identifier.publicKey, nowMs);
    const finished = store.atOnce(() => {
      if (!store.transaction(id))
        store.begin({ id, atMs: nowMs, serial, secret: null, request: null, challenge: '{}' });
      const refused = this.#judgePin(id, digest, serial, pending, nowMs);
      if (refused) return refused;
      store.pinUsed(serial, provider, customerNumber);
      store.changeProvider(identity.id, { provider, customerNumber, identifierSerial: certificate.serialNumber });
      const secret = randomBytes(SECRET_BYTES);
      const answer = {
        credential: makeCredential(ekPublic, attestation.name, secret),
        sealed: encryptCertificates({ identifier: certificate.der }, secret),
      };
      return this.#finish(id, digest, nowMs, { answer });
    });
    return replay(finished, digest);
  }

  /** @param isTheSame whether this day's pseudonym has this key already @throws Refusal */
  checkPseudonyms(
    pseudonyms: readonly PseudonymKey[],
    attestationKey: TpmPublic,
    nonce: Uint8Array,
    { from, to }: { from: number; to: number },
    isTheSame: (pseudonym: { day: number; publicKey: Uint8Array }) => boolean = () => false,
  ): { day: number; publicKey: Uint8Array }[] {
    const { store } = this.#options;
    const days = new Set<number>();
    const keys = new Set<string>();
    return pseudonyms.map((pseudonym, i) => {
      const { day } = pseudonym;
      const path = `keys.pseudonyms.${i}`;
      if (day < from || day > to) throw bad(`${path}.day`, 'is too long ago or too far ahead');
      if (days.has(day)) throw bad(`${path}.day`, 'stands there twice');
      days.add(day);
      const { publicKey } = certified(pseudonym, attestationKey, certifiedOver(nonce, day), path);
      const name = Buffer.from(publicKey).toString('hex');
      // one key on two days would join them
      if (keys.has(name) || (store.keyIsKnown(publicKey) && !isTheSame({ day, publicKey })))
        throw bad(path, 'has been used for another day');
      keys.add(name);
      return { day, publicKey };
    });
  }

  #checkDevice({ ekCertificate, ekPublic }: InitialisationRequest): string {
    let serial: string;
    try {
      serial = this.#options.ekSerialOf(ekCertificate, ekPublic);
    } catch (error) {
      if (!(error instanceof EkChainError)) throw error;
      throw new Refusal('bad endorsement key', error.message, 'final', { path: 'ekCertificate' });
    }
    this.#installed(serial);
    return serial;
  }

  #installed(serial: string): { address: string; area: string } {
    const device = this.#options.store.device(serial);
    if (!device)
      throw new Refusal('unknown device', 'this gateway is not registered with the grid operator', 'again', {
        path: 'ekCertificate',
      });
    if (device.state === 'revoked')
      throw new Refusal('revoked device', 'the grid operator has revoked this gateway', 'final', {
        path: 'ekCertificate',
      });
    if (device.state !== 'installed' || device.address === null || device.area === null)
      throw new Refusal(
        'not installed',
        'the grid operator has not installed this gateway at any address yet',
        'again',
        {
          path: 'ekCertificate',
        },
      );
    return { address: device.address, area: device.area };
  }

  /** Inside a transaction of the store. @returns the stored refusal, or undefined where the PIN is good */
  #judgePin(
    id: Uint8Array,
    digest: Uint8Array,
    serial: string,
    pending: Pick<PendingRequest, 'provider' | 'customerNumber' | 'pinMatches'>,
    nowMs: number,
  ): Transaction | undefined {
    const { store } = this.#options;
    const before = store.transaction(id)!;
    if (before.outcome) return before;
    const { provider, customerNumber } = pending;
    const customer = store.customer(provider, customerNumber);
    const refuse = (code: string, message: string, recovery: 'correct' | 'final'): Transaction =>
      this.#finish(id, digest, nowMs, { refusal: { code, message, recovery } });
    if (store.wrongTries(serial) >= PIN_TRIES)
      return refuse(
        'locked',
        `this gateway is locked after ${PIN_TRIES} wrong PINs: call the trusted third party`,
        'final',
      );
    if (customer && customer.tries >= PIN_TRIES)
      return refuse(
        'locked',
        `this customer number is locked after ${PIN_TRIES} wrong PINs: ask your provider for a new PIN`,
        'final',
      );
    if (!pending.pinMatches || !customer) {
      store.countWrongPin(serial, provider, customerNumber);
      const left = PIN_TRIES - store.wrongTries(serial);
      const tries = left === 1 ? 'one try is left' : left > 0 ? `${left} tries are left` : 'this gateway is locked now';
      return refuse('wrong pin', `customer number and PIN do not belong together; ${tries}`, 'correct');
    }
    if (customer.usedBy !== null && customer.usedBy !== serial)
      return refuse('pin used', 'this PIN was used for another gateway: ask your provider for a new one', 'final');
    return undefined;
  }

  #finish(id: Uint8Array, digest: Uint8Array, nowMs: number, outcome: Outcome): Transaction {
    const { store } = this.#options;
    store.finish(id, nowMs, digest, Buffer.from(encodeBody(outcome)).toString('utf8'));
    return store.transaction(id)!;
  }
}

/** What was answered to these bytes. @throws Refusal where it was one, or where these are other bytes */
function replay({ answered, outcome }: Transaction, digest: Uint8Array): object {
  if (!answered || !Buffer.from(answered).equals(digest))
    throw new Refusal('answered', 'this initialisation has had another answer already', 'start over');
  const kept = JSON.parse(outcome!) as Outcome;
  if ('answer' in kept) return kept.answer;
  const { code, message, recovery } = kept.refusal;
  throw new Refusal(code, message, recovery, { path: code === 'wrong pin' ? 'pin' : undefined });
}

const bad = (path: string, problem: string): Refusal => new Refusal('bad key', `${path} ${problem}`, 'final', { path });

/** A key that the attestation key says to be in its TPM, over this. @throws Refusal */
function certified(
  { public: publicBlob, attest, signature }: CertifiedTpmKey,
  attestationKey: TpmPublic,
  over: Uint8Array,
  path: string,
): TpmPublic {
  return refusing(
    path,
    () => verifyKeyCertification({ attest, signature, attestationKey, nonce: over }, publicBlob).key,
  );
}

function refusing<T>(path: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof AttestError) throw new Refusal('bad key', error.message, 'final', { path });
    throw error;
  }
}

/** For what does not open or has a wrong field. */
export function asRefusal(error: unknown): never {
  if (error instanceof MalformedError)
    throw new Refusal('malformed', `${error.path} ${error.problem}`, 'correct', { status: 400, path: error.path });
  throw error;
}
