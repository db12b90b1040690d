/**
 * The household's names: an identifier for its provider, a pseudonym for each day, an attestation key, all of them keys in the TPM
 * that the trusted third party certified (protocol/identity/initialisation.ts has the flow and who learns what).
 *
 * `initialise` starts it with what the customer typed; from then on it drives itself through refusals that pass, restarts and
 * kills: what is sent is stored before, and the third party gives the same message the same answer. Personal data and PIN are
 * sealed at once and not kept. Later it has more days' pseudonyms certified before they run out.
 */
import { createHash } from 'node:crypto';
import { readSigningPublic } from '../../protocol/attestation/tpm-wire.ts';
import { compressPoint } from '../../protocol/crypto/p256.ts';
import { HolderCheck, providerOf } from '../../protocol/identity/certificates.ts';
import {
  BATCH_DAYS,
  type CertifiedTpmKey,
  CHALLENGE,
  type Challenge,
  certifiedOver,
  checkPersonalData,
  decryptCertificates,
  decryptTopUp,
  type PersonalData,
  SEALED_CERTIFICATES,
  type SealedCertificates,
  sealAnswer,
  sealRequest,
  sealTopUp,
  topUpNonce,
} from '../../protocol/identity/initialisation.ts';
import {
  checkLetter,
  decryptIdentifier,
  endedCall,
  otherProviderCall,
  sealOtherProvider,
} from '../../protocol/identity/other-provider.ts';
import { normalisePin } from '../../protocol/identity/pin.ts';
import {
  decodePseudonymCertificate,
  verifyPseudonymCertificate,
} from '../../protocol/identity/pseudonym-certificate.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { DAY_MS, SLOTS_PER_DAY } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { RequestIdentity } from '../services/client.ts';
import { callService, type ServiceAddress } from '../services/client.ts';
import { withRecovery } from '../tpm/error.ts';
import type { KeyBlob } from '../tpm/key-file.ts';
import type { TpmKey } from '../tpm/keys.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { makeReadingSigner, type ReadingSigner, ReadingSigners, type SignerSource } from './reading-signer.ts';
import { type Generation, IdentityStore, type KeyName } from './store.ts';

/** More days are certified when fewer than these are left. */
export const TOP_UP_BELOW_DAYS = 14;
/** What a meter keeps, it may still report. */
const BACK_DAYS = 35;
/** After a failure that passes, transport time; doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;

export interface ThirdPartyAccess extends ServiceAddress {
  /** HPKE, 32 B. */
  publicKey: Uint8Array;
  /** Signs pseudonym certificates, compressed P-256. */
  issuingKey: Uint8Array;
  /** Its X.509 authority for the household's certificates, PEM. */
  authority: string;
}

/** What initialisation needs of the TPM. */
export type InitialisationTpm = Pick<
  Tpm,
  'createSigningKey' | 'createAttestationKey' | 'loadKey' | 'sign' | 'certify' | 'endorsement' | 'activateCredential'
>;

export interface IdentityState {
  /**
   *   uninitialised  nobody has typed anything yet
   *   waiting        under way; `reason` says for what, where something keeps it
   *   ready          has its names; `reason` says why a newer attempt came to nothing, where one did
   *   refused        the last attempt came to nothing: `reason`
   */
  state: 'uninitialised' | 'waiting' | 'ready' | 'refused';
  reason: string | null;
  /** Days from today on that have a pseudonym. */
  daysLeft: number;
}

export interface HouseholdIdentityOptions {
  /** Opens the TPM where it is not open. @throws TpmError */
  tpm: () => Promise<InitialisationTpm>;
  /** SQLite file. */
  file: string;
  clock: Clock;
  thirdParty: ThirdPartyAccess;
  log(line: string): void;
}

/** There is no certified pseudonym for the day: not initialised yet, or a day before that, or the third party is out of reach. */
export class NoPseudonymError extends Error {
  override readonly name = 'NoPseudonymError';
  readonly day: number;
  constructor(day: number) {
    super(`there is no certified pseudonym for ${new Date(day * DAY_MS).toISOString().slice(0, 10)}`);
    this.day = day;
  }
}

export class HouseholdIdentity implements SignerSource {
  readonly #options: HouseholdIdentityOptions;
  readonly #store: IdentityStore;
  readonly #holders: HolderCheck;
  readonly #signers = new ReadingSigners((day) => this.#makeSigner(day));
  readonly #loaded = new Map<string, TpmKey>();
  #named: { certificate: string; provider: string } | null = null;
  /** Why the last letter of another provider came to nothing. */
  #letterRefusal: ServiceError | null = null;
  #running: Promise<void> | null = null;
  #trouble: string | null = null;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #checkedDay = 0;

  constructor(options: HouseholdIdentityOptions) {
    this.#options = options;
    this.#store = new IdentityStore(options.file);
    this.#holders = new HolderCheck(options.thirdParty.authority);
  }

  // What others ask

  get state(): IdentityState {
    const today = this.#today();
    const daysLeft = this.#store.certifiedDays().filter((day) => day >= today).length;
    if (this.#store.get('attempt')) return { state: 'waiting', reason: this.#trouble, daysLeft };
    const refusal = this.#store.get('refusal');
    if (this.#store.get('certificates')) return { state: 'ready', reason: refusal ?? this.#trouble, daysLeft };
    return { state: refusal ? 'refused' : 'uninitialised', reason: refusal, daysLeft };
  }

  /** As the grid operator's register has it; null before initialisation. */
  get area(): string | null {
    return this.#store.get('certificates')?.area ?? null;
  }

  /** @throws NoPseudonymError, TpmError */
  signerFor(slot: number): Promise<ReadingSigner> {
    return this.#signers.ofSlot(slot);
  }

  /** The certified pseudonym of a day, compressed, 33 B; null where there is none. */
  pseudonymOf(day: number): Uint8Array | null {
    const pseudonym = this.#store.pseudonym(day);
    return pseudonym && decodePseudonymCertificate(pseudonym.certificate).publicKey;
  }

  /**
   * For requests under a name to a service; null before initialisation.
   * @param audience the service's role
   * @param provider whose identifier, where the household has had several; null where it has none of that one
   */
  requestIdentity(kind: 'identifier' | 'household', audience: string, provider?: string): RequestIdentity | null {
    const certificates = this.#store.get('certificates');
    if (!certificates) return null;
    let certificate = certificates[kind];
    let key: KeyName = kind;
    if (provider !== undefined && provider !== this.provider) {
      const former = this.#store.get('former')?.find((one) => one.provider === provider);
      if (!former) return null;
      certificate = former.certificate;
      key = `former ${provider}`;
    }
    return {
      audience,
      certificate: Buffer.from(certificate, 'base64url'),
      nowMs: () => this.#options.clock.nowMs(),
      sign: (message) => this.#signBy(key, message),
    };
  }

  /** The provider that the present identifier names; null before initialisation. */
  get provider(): string | null {
    const certificate = this.#store.get('certificates')?.identifier;
    if (certificate === undefined) return null;
    if (this.#named?.certificate !== certificate)
      this.#named = { certificate, provider: providerOf(Buffer.from(certificate, 'base64url')) };
    return this.#named.provider;
  }

  /** ECDSA by the identifier or household key over SHA-256(message), r ‖ s, 64 B. @throws TpmError */
  sign(kind: 'identifier' | 'household', message: Uint8Array): Promise<Uint8Array> {
    return this.#signBy(kind, message);
  }
  async #signBy(kind: KeyName, message: Uint8Array): Promise<Uint8Array> {
    const tpm = await this.#options.tpm();
    const key = await this.#key(tpm, this.#store.key(kind)!);
    return tpm.sign(key, createHash('sha256').update(message).digest());
  }

  /** The attestation key and its certificate (DER); null before initialisation. @throws TpmError */
  async attestation(): Promise<{ key: TpmKey; certificate: Uint8Array } | null> {
    const certificates = this.#store.get('certificates');
    const blob = this.#store.key('attestation');
    if (!certificates || !blob) return null;
    const key = await this.#key(await this.#options.tpm(), blob);
    return { key, certificate: Buffer.from(certificates.attestation, 'base64url') };
  }

  // Initialisation

  /**
   * Seals what the customer typed and begins. Resolves when the request is on the disk; `state` tells the rest.
   * @throws MalformedError that names the field: `personal.pin: is not eight digits`; TpmError
   */
  async initialise(personal: unknown): Promise<IdentityState> {
    const typed = typeof personal === 'object' && personal !== null ? { ...personal } : {};
    if ('pin' in typed && typeof typed.pin === 'string') Object.assign(typed, { pin: normalisePin(typed.pin) });
    const data: PersonalData = checkPersonalData(typed);
    const tpm = await this.#options.tpm();
    const endorsement = await tpm.endorsement();
    const attestationKey = await this.#attestationKey(tpm);
    const sealed = await sealRequest(
      {
        ekCertificate: endorsement.certificate,
        ekPublic: endorsement.publicBlob,
        akPublic: attestationKey.blob.publicBlob,
        ...data,
      },
      this.#options.thirdParty.publicKey,
    );
    await this.#running; // of an attempt that this one takes the place of
    this.#store.beginAttempt({ phase: 'request', sealed: Buffer.from(sealed).toString('base64url') });
    this.#failures = 0;
    this.#trouble = null;
    this.resume();
    return this.state;
  }

  /**
   * Seals what the customer typed from another provider's letter and asks for its identifier. Resolves when it has come, or at
   * least is on its way (`provider` tells).
   * @throws MalformedError that names the field: `letter.pin: is not eight digits`; ServiceError where it was refused; TpmError
   */
  async takeLetter(letter: unknown): Promise<void> {
    const typed = typeof letter === 'object' && letter !== null ? { ...letter } : {};
    if ('pin' in typed && typeof typed.pin === 'string') Object.assign(typed, { pin: normalisePin(typed.pin) });
    const data = checkLetter(typed);
    const household = this.requestIdentity('household', 'trusted-third-party');
    if (household === null || this.#store.get('attempt'))
      throw new MalformedError('letter', 'comes before this meter is set up');
    if (data.provider === this.provider) throw new MalformedError('letter.provider', 'is the one that you have');
    const tpm = await this.#options.tpm();
    const attestationKey = await this.#attestationKey(tpm);
    const { serialNumber } = this.#holders.check(household.certificate, ['household'], this.#options.clock.nowMs());
    const key = await tpm.createSigningKey();
    const over = certifiedOver(topUpNonce(serialNumber), null);
    const { attest, signature } = await tpm.certify(await tpm.loadKey(key), attestationKey, over);
    const sealed = await sealOtherProvider(
      { ...data, key: { public: key.publicBlob, attest, signature } },
      this.#options.thirdParty.publicKey,
    );
    await this.#running;
    this.#store.setNextKey('another', key);
    this.#store.set('another', { sealed: Buffer.from(sealed).toString('base64url') });
    this.#letterRefusal = null;
    this.resume();
    await this.#running;
    if (this.#letterRefusal) throw this.#letterRefusal;
  }

  /** The people move out: tells the third party, then forgets their names. @throws ServiceError, TpmError: ask again later */
  async end(): Promise<void> {
    const identity = this.requestIdentity('identifier', 'trusted-third-party');
    if (identity) {
      try {
        await this.#call(endedCall.path, {}, endedCall.answer, identity);
      } catch (error) {
        // it was told before: an identifier that has ended proves nothing any longer
        if (!(error instanceof ServiceError && error.code === 'not proved' && error.path === 'identifier.certificate'))
          throw error;
      }
    }
    await this.#running;
    this.#store.forgetHousehold(this.#today() + 1);
    this.#loaded.clear();
    this.#signers.forget();
  }

  /** Called often: when a day begins, and when the time is first known, there may be something to do. */
  tick(): void {
    const today = this.#today();
    if (today === this.#checkedDay) return;
    this.#checkedDay = today;
    this.resume();
  }

  /** Goes on with what is under way: after a start, and whenever something may have changed. Never throws. */
  resume(): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#today() === 0) return; // a conductor has not told the time yet
    this.#running ??= this.#work()
      .then(
        () => {
          this.#failures = 0;
          this.#trouble = null;
        },
        (error: Error) => this.#failed(error),
      )
      .finally(() => {
        this.#running = null;
      });
  }

  /** Resolves when nothing is under way at the moment. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    this.#store.close();
  }

  async #work(): Promise<void> {
    if (this.#store.get('attempt')?.phase === 'request') await this.#answerChallenge();
    if (this.#store.get('attempt')?.phase === 'answer') await this.#takeCertificates();
    if (this.#store.get('another')) await this.#takeAnother();
    if (this.#store.get('certificates') && this.state.daysLeft < TOP_UP_BELOW_DAYS) await this.#topUp();
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    if (error instanceof ServiceError && error.recovery !== 'again' && this.#store.get('attempt')) {
      this.#options.log(`initialisation: refused: ${error.message}`);
      this.#store.refuse(error.message);
      this.#trouble = null;
      return;
    }
    const trouble = withRecovery(error);
    if (trouble !== this.#trouble) this.#options.log(`identity: ${trouble}`);
    this.#trouble = trouble;
    this.#timer = setTimeout(() => this.resume(), Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS));
  }

  /** Steps 1 to 3: asks for the challenge, makes and certifies keys, stores the answer. */
  async #answerChallenge(): Promise<void> {
    const attempt = this.#store.get('attempt')!;
    const challenge: Challenge = await this.#call('/initialisation/request', { sealed: attempt.sealed }, CHALLENGE);
    const tpm = await this.#options.tpm();
    const attestationKey = await this.#attestationKey(tpm);
    const secret = await tpm.activateCredential(attestationKey, challenge.credential);
    const certify = async (blob: KeyBlob, day: number | null): Promise<CertifiedTpmKey> => {
      const over = certifiedOver(challenge.nonce, day);
      const { attest, signature } = await tpm.certify(await tpm.loadKey(blob), attestationKey, over);
      return { public: blob.publicBlob, attest, signature };
    };
    const today = this.#today();
    await this.#makePseudonymKeys(tpm, 'next', today, BATCH_DAYS, []);
    const pseudonyms = [];
    for (const { day, key } of this.#store.uncertified('next'))
      if (day >= today) pseudonyms.push({ day, ...(await certify(key, day)) });
    const keys = {
      identifier: await certify(await this.#nextKey(tpm, 'identifier'), null),
      household: await certify(await this.#nextKey(tpm, 'household'), null),
      pseudonyms,
    };
    const { transaction } = challenge;
    const sealed = await sealAnswer(keys, { transaction, secret }, this.#options.thirdParty.publicKey);
    this.#store.set('attempt', {
      phase: 'answer',
      transaction: Buffer.from(transaction).toString('base64url'),
      sealed: Buffer.from(sealed).toString('base64url'),
    });
  }

  /** Step 4. */
  async #takeCertificates(): Promise<void> {
    const { phase: _, ...body } = this.#store.get('attempt')!;
    const answer: SealedCertificates = await this.#call('/initialisation/answer', body, SEALED_CERTIFICATES);
    const tpm = await this.#options.tpm();
    const secret = await tpm.activateCredential(await this.#attestationKey(tpm), answer.credential);
    const certificates = decryptCertificates(answer.sealed, secret);
    const nowMs = this.#options.clock.nowMs();
    for (const kind of ['identifier', 'household', 'attestation'] as const) {
      const { publicKey } = this.#holders.check(certificates[kind], [kind], nowMs);
      const blob = this.#store.key(kind, 'next') ?? this.#store.key(kind);
      if (!blob || !Buffer.from(publicKey).equals(publicKeyOf(blob)))
        throw new Error(`the ${kind} certificate is not for the key of this TPM`);
    }
    const pseudonyms = this.#checkPseudonyms(certificates.pseudonyms, 'next');
    this.#loaded.clear();
    this.#store.accept(
      {
        identifier: Buffer.from(certificates.identifier).toString('base64url'),
        household: Buffer.from(certificates.household).toString('base64url'),
        attestation: Buffer.from(certificates.attestation).toString('base64url'),
        area: certificates.area,
      },
      pseudonyms,
    );
    this.#signers.forget();
    this.#options.log(`initialised: pseudonyms for ${pseudonyms.length} days`);
  }

  async #takeAnother(): Promise<void> {
    const household = this.requestIdentity('household', 'trusted-third-party')!;
    let answer: SealedCertificates;
    try {
      const { path, answer: schema } = otherProviderCall;
      answer = await this.#call(path, this.#store.get('another')!, schema, household);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.recovery === 'again') throw error;
      this.#options.log(`another provider: refused: ${error.message}`);
      this.#letterRefusal = error;
      this.#store.delete('another');
      return;
    }
    const tpm = await this.#options.tpm();
    const secret = await tpm.activateCredential(await this.#attestationKey(tpm), answer.credential);
    const certificate = decryptIdentifier(answer.sealed, secret);
    const { publicKey, provider } = this.#holders.check(certificate, ['identifier'], this.#options.clock.nowMs());
    if (!Buffer.from(publicKey).equals(publicKeyOf(this.#store.key('another', 'next')!)))
      throw new Error('the identifier certificate is not for the key of this TPM');
    this.#loaded.clear();
    this.#store.acceptAnother(Buffer.from(certificate).toString('base64url'), this.provider!);
    this.#options.log(`has an identifier for ${provider}`);
  }

  /** More days, and days of a time without the third party. */
  async #topUp(): Promise<void> {
    const tpm = await this.#options.tpm();
    const attestationKey = await this.#attestationKey(tpm);
    const today = this.#today();
    this.#store.forgetBefore(today - BACK_DAYS);
    const certified = this.#store.certifiedDays();
    const from = Math.max(Math.min(today, ...certified), today - BACK_DAYS);
    await this.#makePseudonymKeys(tpm, 'present', from, today + BATCH_DAYS - from, certified);
    const identity = this.requestIdentity('identifier', 'trusted-third-party')!;
    const { serialNumber } = this.#holders.check(identity.certificate, ['identifier'], this.#options.clock.nowMs());
    const nonce = topUpNonce(serialNumber);
    const pseudonyms = [];
    for (const { day, key } of this.#store.uncertified('present')) {
      const { attest, signature } = await tpm.certify(
        await tpm.loadKey(key),
        attestationKey,
        certifiedOver(nonce, day),
      );
      pseudonyms.push({ day, public: key.publicBlob, attest, signature });
    }
    const sealed = await sealTopUp(pseudonyms, this.#options.thirdParty.publicKey);
    const answer = await this.#call('/pseudonyms', { sealed }, SEALED_CERTIFICATES, identity);
    const secret = await tpm.activateCredential(attestationKey, answer.credential);
    const more = this.#checkPseudonyms(decryptTopUp(answer.sealed, secret), 'present');
    this.#store.certify(more);
    this.#options.log(`pseudonyms for ${more.length} more days`);
  }

  // Parts

  #today(): number {
    return Math.floor(this.#options.clock.nowMs() / DAY_MS);
  }

  async #makeSigner(day: number): Promise<ReadingSigner> {
    const pseudonym = this.#store.pseudonym(day);
    if (!pseudonym) {
      this.resume();
      throw new NoPseudonymError(day);
    }
    const tpm = await this.#options.tpm();
    return makeReadingSigner(tpm, await tpm.loadKey(pseudonym.key), day, pseudonym.certificate);
  }

  async #makePseudonymKeys(
    tpm: InitialisationTpm,
    generation: Generation,
    fromDay: number,
    days: number,
    except: readonly number[],
  ): Promise<void> {
    const there = new Set([...except, ...this.#store.uncertified(generation).map(({ day }) => day)]);
    for (let day = fromDay; day < fromDay + days; day++)
      if (!there.has(day)) this.#store.addUncertified(generation, day, await tpm.createSigningKey());
  }

  /** Certificates that fit the keys that were sent, by day. */
  #checkPseudonyms(
    certificates: readonly Uint8Array[],
    generation: Generation,
  ): { day: number; certificate: Uint8Array }[] {
    const keys = new Map(this.#store.uncertified(generation).map(({ day, key }) => [day, key]));
    return certificates.map((bytes) => {
      const certificate = decodePseudonymCertificate(bytes);
      const { day, publicKey } = certificate;
      verifyPseudonymCertificate(certificate, [this.#options.thirdParty.issuingKey], day * SLOTS_PER_DAY);
      const key = keys.get(day);
      if (!key || !Buffer.from(publicKey).equals(publicKeyOf(key)))
        throw new Error(`the pseudonym certificate of day ${day} is not for the key of this TPM`);
      return { day, certificate: bytes };
    });
  }

  /** Made once for the gateway: the attestation key says nothing of who lives there. */
  async #attestationKey(tpm: InitialisationTpm): Promise<TpmKey> {
    let blob = this.#store.key('attestation') ?? this.#store.key('attestation', 'next');
    if (!blob) {
      blob = await tpm.createAttestationKey();
      this.#store.setNextKey('attestation', blob);
    }
    return this.#key(tpm, blob);
  }
  async #nextKey(tpm: InitialisationTpm, name: KeyName): Promise<KeyBlob> {
    const kept = this.#store.key(name, 'next');
    if (kept) return kept;
    const blob = await tpm.createSigningKey();
    this.#store.setNextKey(name, blob);
    return blob;
  }

  /** Keys that are used often are shown to the TPM once. */
  async #key(tpm: InitialisationTpm, blob: KeyBlob): Promise<TpmKey> {
    const name = Buffer.from(blob.publicBlob).toString('base64');
    const loaded = this.#loaded.get(name) ?? (await tpm.loadKey(blob));
    this.#loaded.set(name, loaded);
    return loaded;
  }

  #call<S extends typeof CHALLENGE | typeof SEALED_CERTIFICATES | typeof endedCall.answer>(
    path: string,
    body: object,
    answer: S,
    identity?: RequestIdentity,
  ) {
    const { url, ca } = this.#options.thirdParty;
    return callService({ url, ca, path, body, answer, identity });
  }
}

function publicKeyOf(blob: KeyBlob): Uint8Array {
  const { x, y } = readSigningPublic(blob.publicBlob);
  return compressPoint(x, y);
}
