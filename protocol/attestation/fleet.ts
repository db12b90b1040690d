/**
 * What the grid operator's people ask the verifier about their devices (frame: protocol/services/call.ts; role `console`).
 *
 *   POST /fleet/devices    {after}                       → {nowMs, devices}           a page, in the order of serial numbers
 *   POST /fleet/device     {device}                      → {evidence}                 newest first, with the reasons of each verdict
 *   POST /fleet/releases   {}                            → {releases}                 where each roll-out is
 *   POST /fleet/revoke     {device, severity, reason}    → {}
 *   POST /fleet/reinstate  {device}                      → {}
 *
 * A device is named by the serial number of its endorsement key's certificate. The console learns where devices hang and how they
 * are; nothing of a person, a reading, a pseudonym or a bill is asked or answered.
 */
import * as v from 'valibot';
import { EK_SERIAL } from '../identity/devices.ts';

export const FLEET_STATES = ['trusted', 'expired', 'failed', 'never seen', 'suspended', 'revoked'] as const;
export const SEVERITIES = ['advisory', 'suspended', 'revoked'] as const;
/** Of one answer, which stays below the limit of a body: a device that failed has its sentences with it. */
export const FLEET_PAGE_MOST = 40;
/** Of one device. */
export const EVIDENCE_MOST = 50;

const unixMs = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(1_000));
const sentences = v.pipe(v.array(text), v.maxLength(64));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const REVOCATION = v.object({ severity: v.picklist(SEVERITIES), reason: text, atMs: unixMs });
export const FLEET_DEVICE = v.object({
  device: EK_SERIAL,
  address: v.nullable(text),
  area: v.nullable(text),
  state: v.picklist(FLEET_STATES),
  sinceMs: v.nullable(unixMs),
  /** When evidence came last. */
  seenMs: v.nullable(unixMs),
  /** Until when it is trusted, where it is. */
  expiresMs: v.nullable(unixMs),
  /** Why it is not trusted. */
  why: sentences,
  warnings: sentences,
  gatewayVersion: v.nullable(count),
  meterVersion: v.nullable(count),
  restarts: count,
  failures: count,
  /** What people said of it. */
  revocation: v.nullable(REVOCATION),
});
export type FleetDevice = v.InferOutput<typeof FLEET_DEVICE>;

export const fleetDevicesCall = {
  path: '/fleet/devices',
  body: v.strictObject({
    /** Serial number of the last device of the page before; empty for the first. */
    after: v.pipe(v.string('is missing'), v.maxLength(56, 'is no serial number')),
  }),
  answer: v.object({
    /** The verifier's time. */
    nowMs: unixMs,
    devices: v.pipe(v.array(FLEET_DEVICE), v.maxLength(FLEET_PAGE_MOST)),
  }),
};

const EVIDENCE = v.object({
  /** SHA-256, hexadecimal: by it kept evidence is verified again (scripts/verify-evidence). */
  digest: v.string(),
  receivedMs: unixMs,
  trusted: v.boolean(),
  why: sentences,
  warnings: sentences,
});
export type FleetEvidence = v.InferOutput<typeof EVIDENCE>;
export const fleetDeviceCall = {
  path: '/fleet/device',
  body: v.strictObject({ device: EK_SERIAL }),
  answer: v.object({ evidence: v.pipe(v.array(EVIDENCE), v.maxLength(EVIDENCE_MOST)) }),
};

const RELEASE = v.object({
  version: count,
  accepted: v.boolean(),
  fromMs: unixMs,
  untilMs: v.nullable(unixMs),
  notes: v.pipe(v.string(), v.maxLength(5_000)),
  /** Devices whose last trusted evidence showed it. */
  gateways: count,
  meters: count,
});
export type FleetRelease = v.InferOutput<typeof RELEASE>;
export const fleetReleasesCall = {
  path: '/fleet/releases',
  body: v.strictObject({}),
  answer: v.object({ releases: v.array(RELEASE) }),
};

/** What people say when they revoke. */
export const FLEET_REVOCATION = v.strictObject({
  device: EK_SERIAL,
  severity: v.picklist(SEVERITIES, `is none of ${SEVERITIES.join(', ')}`),
  /** Ends a sentence: `the seal of its housing was broken`. */
  reason: v.pipe(
    v.string('is missing'),
    v.trim(),
    v.minLength(1, 'is empty'),
    v.maxLength(200, 'is longer than 200 characters'),
    v.regex(/^[^\p{C}]*$/u, 'holds characters that cannot be printed'),
  ),
});
export type FleetRevocation = v.InferOutput<typeof FLEET_REVOCATION>;
const DONE = v.object({});
export const fleetRevokeCall = { path: '/fleet/revoke', body: FLEET_REVOCATION, answer: DONE };
export const fleetReinstateCall = {
  path: '/fleet/reinstate',
  body: v.strictObject({ device: EK_SERIAL }),
  answer: DONE,
};
