/**
 * An identifier for another provider, for a household that has its names already (tpm-privacy-concept.txt: a change of provider
 * needs no new meter).
 *
 *   Customer ── the new provider's letter: name, customer number, PIN ──► Gateway
 *   Gateway  ── that, and a new key certified by the AK, sealed; signed by the household key ──► TrustedThirdParty
 *   Gateway  ◄── identifier certificate, encrypted under a secret that only this TPM activates ── TrustedThirdParty
 *
 * Pseudonyms, household and attestation certificates stay: neither collector nor verifier learns of it. The PIN is judged like that
 * of an initialisation, with the same few tries. The same message gets the same answer; from its first one on the third party
 * tops up pseudonyms for the new identifier only. The former identifier still signs the former provider's last bill.
 *
 * And the end of a household's names, when its people move out: `POST /ended`, signed by the identifier.
 */

import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { LABELS, labelled } from '../crypto/labels.ts';
import { bytes } from '../services/call.ts';
import {
  CERTIFIED,
  checked,
  decryptJson,
  openJson,
  PERSONAL_DATA,
  SEALED_CERTIFICATES,
  sealJson,
  TRANSACTION_BYTES,
} from './initialisation.ts';

const PLAIN_BYTES = 4096;
const NOTHING = new Uint8Array();

const { provider, customerNumber, pin } = PERSONAL_DATA.entries;
/** What the customer types from the new provider's letter. */
export const PROVIDER_LETTER = v.strictObject({ provider, customerNumber, pin });
export type ProviderLetter = v.InferOutput<typeof PROVIDER_LETTER>;

const REQUEST = v.strictObject({ ...PROVIDER_LETTER.entries, key: CERTIFIED });
/** `key` is certified over `certifiedOver(topUpNonce(serial number of the household certificate), null)`. */
export type OtherProviderRequest = v.InferOutput<typeof REQUEST>;
const ANSWER = v.strictObject({ identifier: bytes(100, 3_000) });

export const otherProviderCall = {
  path: '/identifier',
  body: v.strictObject({ sealed: bytes(100, PLAIN_BYTES + 64) }),
  answer: SEALED_CERTIFICATES,
};
export const endedCall = {
  path: '/ended',
  body: v.strictObject({}),
  answer: v.strictObject({ ended: v.literal(true) }),
};

/** The letter with the path of the first field that is wrong. @throws MalformedError `letter.pin: …` */
export const checkLetter = (value: unknown): ProviderLetter => checked('letter', PROVIDER_LETTER, value);

export const sealOtherProvider = (request: OtherProviderRequest, thirdParty: Uint8Array): Promise<Uint8Array> =>
  sealJson(request, PLAIN_BYTES, LABELS.otherProvider, thirdParty, NOTHING);
/** @throws MalformedError that names the field */
export const openOtherProvider = (sealed: Uint8Array, privateKey: Uint8Array): Promise<OtherProviderRequest> =>
  openJson('request', REQUEST, sealed, LABELS.otherProvider, privateKey, NOTHING);
export const otherProviderTransaction = (sealed: Uint8Array): Uint8Array =>
  createHash('sha256').update(labelled(LABELS.otherProvider, sealed)).digest().subarray(0, TRANSACTION_BYTES);
/** @throws MalformedError */
export const decryptIdentifier = (sealed: Uint8Array, secret: Uint8Array): Uint8Array =>
  checked('certificates', ANSWER, decryptJson(sealed, secret)).identifier;
