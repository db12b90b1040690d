/**
 * What the grid operator's people ask the verifier about their devices (frame: protocol/services/call.ts; role `console`).
 *
 *   POST /fleet/devices    {state, text, from, open}     → {nowMs, devices, …}        a page of those that fit, the gravest first
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
export type FleetState = (typeof FLEET_STATES)[number];
export const SEVERITIES = ['advisory', 'suspended', 'revoked'] as const;
/** Of one answer, which stays below the limit of a body: a device that failed has its sentences with it. */
export const FLEET_PAGE_MOST = 40;
export const REVOKED_MOST = 20;
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

/** What somebody looks at. */
export const FLEET_QUERY = v.strictObject({
  /** Null: all of them. */
  state: v.nullable(v.picklist(FLEET_STATES, `is none of ${FLEET_STATES.join(', ')}`)),
  /** In address, area or serial number, whatever the case. */
  text: v.pipe(v.string('is missing'), v.trim(), v.maxLength(100, 'is longer than 100 characters')),
  /** How many of those that fit are passed over. */
  from: count,
  /** One device that is looked at closely, whether it fits or not. */
  open: v.nullable(EK_SERIAL),
});
export type FleetQuery = v.InferOutput<typeof FLEET_QUERY>;
export const fleetDevicesCall = {
  path: '/fleet/devices',
  body: FLEET_QUERY,
  answer: v.object({
    /** The verifier's time. */
    nowMs: unixMs,
    devices: v.pipe(v.array(FLEET_DEVICE), v.maxLength(FLEET_PAGE_MOST)),
    opened: v.nullable(FLEET_DEVICE),
    /** How many fit the text, by state. */
    counts: v.object(
      Object.fromEntries(FLEET_STATES.map((state) => [state, count])) as Record<FleetState, typeof count>,
    ),
    /** Of the whole fleet. */
    all: v.object({ devices: count, trusted: count, troubled: count }),
    /** Of whom people said something, or the register: newest first. */
    revoked: v.pipe(v.array(FLEET_DEVICE), v.maxLength(REVOKED_MOST)),
  }),
};
export type FleetPage = v.InferOutput<typeof fleetDevicesCall.answer>;

/** The gravest first: what wants a person stands on top. */
export const URGENCY: readonly FleetState[] = ['failed', 'expired', 'suspended', 'revoked', 'never seen', 'trusted'];

/** A page of a fleet. Whoever has the fleet filters and sorts it: of thousands of devices some dozens are sent. */
export function lookAt(
  fleet: readonly FleetDevice[],
  { state, text, from, open }: FleetQuery,
  nowMs: number,
): FleetPage {
  const wanted = text.toLowerCase();
  const fits = ({ address, area, device }: FleetDevice): boolean =>
    [address, area, device].some((field) => field?.toLowerCase().includes(wanted));
  const found = wanted === '' ? fleet : fleet.filter(fits);
  const of = (rows: readonly FleetDevice[], ...states: FleetState[]): number =>
    rows.filter((row) => states.includes(row.state)).length;
  return {
    nowMs,
    devices: found
      .filter((row) => state === null || row.state === state)
      .toSorted(byUrgency)
      .slice(from, from + FLEET_PAGE_MOST),
    opened: (open !== null && fleet.find(({ device }) => device === open)) || null,
    counts: Object.fromEntries(FLEET_STATES.map((one) => [one, of(found, one)])) as Record<FleetState, number>,
    all: { devices: fleet.length, trusted: of(fleet, 'trusted'), troubled: of(fleet, 'failed', 'expired') },
    revoked: fleet
      .filter((row) => row.revocation !== null || row.state === 'revoked')
      .toSorted((a, b) => (b.revocation?.atMs ?? 0) - (a.revocation?.atMs ?? 0))
      .slice(0, REVOKED_MOST),
  };
}

const inOrder = new Intl.Collator('en', { numeric: true });
const byUrgency = (a: FleetDevice, b: FleetDevice): number =>
  URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state) ||
  inOrder.compare(a.address ?? '~', b.address ?? '~') ||
  (a.device < b.device ? -1 : 1);

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
