/**
 * Which provider a household has from a slot on, without a new meter (tpm-privacy-concept.txt).
 *
 *   Gateway ── the provider that its customer chose, from which day on ──► GridOperator
 *   GridOperator ── device, from which slot, the new provider's keys, signed ──► Gateway
 *
 * The grid operator knows which provider charges it for which household, so it says; a provider cannot take a customer by itself.
 * The gateway reports from that slot on to the new provider's key, closes the old one's bill there, obeys the new one's control
 * messages, and tells the grid operator the registers of that instant.
 */
import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { TARIFF_PATTERN } from '../billing/prices.ts';
import { LABELS } from '../crypto/labels.ts';
import { EK_SERIAL } from '../identity/devices.ts';
import { openDocument, signDocument } from './signed-document.ts';

const whole = v.pipe(v.number('is missing'), v.safeInteger('is no whole number'), v.minValue(1, 'is less than 1'));
const serviceUrl = v.pipe(
  v.string('is missing'),
  v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port'),
);
const hexadecimal = (bytes: number) =>
  v.pipe(
    v.string('is missing'),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `is not ${2 * bytes} lower-case hexadecimal digits`),
  );

export const PROVIDER_CHANGE = v.strictObject({
  kind: v.literal('change of provider', 'is no change of provider'),
  /** Grows with every change of this device. */
  number: whole,
  /** Serial number of the EK certificate. */
  device: EK_SERIAL,
  /** The new provider's first one. */
  fromSlot: whole,
  provider: v.strictObject({
    name: v.pipe(v.string('is missing'), v.minLength(1, 'is empty'), v.maxLength(100, 'is longer than 100 characters')),
    /** HPKE, X25519: readings are sealed to it. */
    readingKey: hexadecimal(32),
    /** Ed25519: signs control messages. */
    controlKey: hexadecimal(32),
    tariff: v.pipe(v.string('is missing'), v.regex(TARIFF_PATTERN, 'is no name of a tariff')),
    /** P-256, compressed: signs the tariff. */
    tariffKey: hexadecimal(33),
    /** Prices and bills. */
    url: serviceUrl,
    /** Control messages that were missed. */
    controlUrl: serviceUrl,
  }),
});
/** A provider that supplies here, as a customer may choose it. */
export type ProviderTerms = v.InferOutput<typeof PROVIDER_CHANGE>['provider'];
export type ProviderChange = v.InferOutput<typeof PROVIDER_CHANGE>;

export const signProviderChange = (change: ProviderChange, key: KeyObject): string =>
  signDocument(LABELS.providerChange, PROVIDER_CHANGE, change, key);
/** @throws MalformedError, DocumentError */
export const openProviderChange = (text: string, gridOperatorKey: Uint8Array): ProviderChange =>
  openDocument(LABELS.providerChange, PROVIDER_CHANGE, text, gridOperatorKey, 'the grid operator');
