/**
 * Evidence in, verdict out. No input or output, no clock of its own: the same arguments give the same verdict years later, which
 * is how kept evidence is verified again.
 *
 * What the verifier checks and offers, row by row; the code below goes down the same list:
 *
 *    1  The endorsement key's certificate leads to a maker of TPMs that is pinned, through intermediates that are known
 *       (ek-chain.ts), and the grid operator has registered a device with it.
 *    2  Nothing skips that: no argument, no setting.
 *    3  The attestation key was certified by the trusted third party, which saw it activate a credential in the TPM of that very
 *       endorsement key; certificate, description and sender all name one device, and a newer key replaces an older for good.
 *    4  The attestation key signs only what the TPM says of itself, and cannot leave it.
 *    5  The signature is the attestation key's, and what was signed begins as only a TPM begins, and is a quote.
 *    6  The challenge is in the quote. It is ours, this device's, not expired, not answered before.
 *    7  The quote is over PCRs 8 and 9 of the SHA-256 bank: exactly those.
 *    8  Each PCR holds one of the values that are accepted now; a staged roll-out accepts several.
 *    9  What is accepted comes from signed manifests only (reference-values.ts); on the device, signed policies seal keys to the
 *       same values (policy.ts).
 *   10  The log of measurements leads to the PCRs' values. Digests decide; names of files explain.
 *   11  A policy that accepts everything is warned of.
 *   12  The meter's image was measured before it was flashed, and the meter answers our nonce as that image does.
 *   13  Restarts are seen; a clock or count that went back is a copy, or the past.
 *   14  The gateway pushes evidence at the interval that the verifier gives, longer after failures (operator/verifier/steps.ts).
 *   15  A result expires by itself, apart from its evidence (attestation-result.ts).
 *   16  Devices, keys and releases can be revoked; a web hook tells of it (operator/verifier).
 *   17  Reference values are signed by the trusted third party's release key (protocol/updates/manifest.ts).
 *   18  The result is an EAR as JWT (attestation-result.ts).
 *   19  Evidence is kept, and can be verified again without network and TPM (scripts/verify-evidence).
 *   20  One call of `appraise` needs no state.
 *
 * Where rows 1 to 7 or 10 fail, nobody knows who speaks, and the rest is not looked at. From row 8 on everything that is wrong is
 * told.
 */
import { timingSafeEqual } from 'node:crypto';
import { type Holder, type HolderCheck, HolderError } from '../identity/certificates.ts';
import { measurementOfImage } from '../updates/measurement.ts';
import { type DecodedEvidence, type MeasuredEvent, meterNonceOf, PCR_GATEWAY, PCR_METER } from './evidence.ts';
import { type Finding, type RefusalCode, refusal, type WarningCode, warning } from './findings.ts';
import {
  AttestError,
  type AttestTrouble,
  type Quote,
  readAttestationKey,
  type TpmPublic,
  verifyQuote,
} from './quote.ts';
import { type Accepted, type ReferenceValues, standingOf } from './reference-values.ts';
import { differenceOf, listingDigest, replay } from './software.ts';

/** What is in the state of a device before this evidence; null fields where it was never trusted. */
export interface KnownDevice {
  /** TPM's name of the attestation key, and how long that is certified: a later key replaces an earlier one. */
  akName: Uint8Array;
  akUntilMs: number;
  resetCount: number;
  restartCount: number;
  /** The TPM's clock, ms. */
  clockMs: number;
  /** Newest releases that were ever trusted here. */
  gatewayVersion: number | null;
  meterVersion: number | null;
  /** Digest of the meter's calibration, hexadecimal; null or absent where it never told. */
  calibration?: string | null;
}

export type Severity = 'advisory' | 'suspended' | 'revoked';
export interface Revocation {
  severity: Severity;
  reason: string;
}

/** Who is believed. All of it is pinned by configuration. */
export interface TrustAnchors {
  /** Makers of TPMs. @throws Error, a sentence: why the certificate is not one of theirs */
  endorsement: { check(certificate: Uint8Array, nowMs: number): { ekSerial: string } };
  /** The trusted third party. */
  holders: HolderCheck;
}

export type ChallengeVerdict = 'fresh' | 'foreign' | 'expired' | 'used' | 'unchecked';

export interface AppraisalInput {
  evidence: DecodedEvidence;
  trust: TrustAnchors;
  references: ReferenceValues;
  /** What became of the challenge; `unchecked` where nobody can know any more (offline): a warning. */
  challenge: ChallengeVerdict;
  /** Protocol time. */
  nowMs: number;
  /** The machine's time: makers of TPMs know no other. Protocol time unless told. */
  calendarMs?: number;
  /** The device that the request was signed for, by its EK serial; null offline. */
  sender: string | null;
  /** Whether the grid operator has a device with this EK serial. */
  isRegistered(ekSerial: string): boolean;
  isCertificateRevoked(serialNumber: string): boolean;
  /** Of the device with this EK serial. */
  revocationOf(ekSerial: string): Revocation | null;
  /** Null where it was never seen. */
  known: KnownDevice | null;
}

/** What is known of the device once it is clear that it is this device that speaks. */
export interface DeviceFacts {
  ekSerial: string;
  area: string;
  address: string;
  akName: Uint8Array;
  akUntilMs: number;
  resetCount: number;
  restartCount: number;
  clockMs: number;
  /** Releases; null where they are none that is accepted. */
  gatewayVersion: number | null;
  meterVersion: number | null;
  /** Digest of the meter's calibration, hexadecimal; null where it has not told. */
  calibration: string | null;
}
export interface Verdict {
  trusted: boolean;
  refusals: Finding<RefusalCode>[];
  warnings: Finding<WarningCode>[];
  /** Null where rows 1 to 7 or 10 failed: then nobody knows who spoke. */
  facts: DeviceFacts | null;
}

/** Ends the appraisal: what follows would be said by nobody knows whom. */
class Refused extends Error {
  readonly finding: Finding<RefusalCode>;
  constructor(code: RefusalCode, problem?: string) {
    super(code);
    this.finding = refusal(code, problem);
  }
}

export function appraise(input: AppraisalInput): Verdict {
  const warnings: Finding<WarningCode>[] = [];
  try {
    const ekSerial = judgeEndorsement(input); // 1, 2
    const { holder, attestationKey } = judgeAttestationKey(input, ekSerial); // 3, 4
    judgeChallenge(input, warnings); // 6, as far as it needs no signature
    const quote = judgeQuote(input.evidence, attestationKey); // 5, 6, 7
    judgeEventLog(input.evidence); // 10
    const { clockMs, resetCount, restartCount } = quote;
    const akName = attestationKey.name;
    const identity = { ekSerial, area: holder.area, address: holder.address, akName, akUntilMs: holder.notAfterMs };
    const refusals: Finding<RefusalCode>[] = [];
    const gatewayVersion = judgeGateway(input, refusals, warnings); // 8, 11
    const meterVersion = judgeMeter(input, refusals, warnings); // 8, 11, 12
    judgeLog(input, warnings);
    const calibration = judgeCalibration(input, warnings);
    judgeContinuity(input, quote, akName, refusals, warnings); // 13
    judgeRevocation(input, ekSerial, refusals, warnings); // 16
    const facts = { ...identity, resetCount, restartCount, clockMs, gatewayVersion, meterVersion, calibration };
    return { trusted: refusals.length === 0, refusals, warnings, facts };
  } catch (error) {
    if (error instanceof Refused) return { trusted: false, refusals: [error.finding], warnings, facts: null };
    throw error;
  }
}

// 1 Endorsement key · 2 there is no way around this

function judgeEndorsement(input: AppraisalInput): string {
  const { evidence, trust, nowMs, calendarMs = nowMs, isRegistered, sender } = input;
  let ekSerial: string;
  try {
    ({ ekSerial } = trust.endorsement.check(evidence.ekCertificate, calendarMs));
  } catch (error) {
    throw new Refused('ek chain', (error as Error).message);
  }
  if (!isRegistered(ekSerial)) throw new Refused('ek unregistered');
  if (sender !== null && sender !== ekSerial) throw new Refused('other device');
  return ekSerial;
}

// 3 Credential activation, by the word of who saw it · 4 attributes of the attestation key

function judgeAttestationKey(
  { evidence, trust, nowMs, isCertificateRevoked, known }: AppraisalInput,
  ekSerial: string,
): { holder: Holder<'attestation'>; attestationKey: TpmPublic } {
  let holder: Holder<'attestation'>;
  try {
    holder = trust.holders.check(evidence.akCertificate, ['attestation'], nowMs);
  } catch (error) {
    if (error instanceof HolderError) throw new Refused('ak certificate', error.message);
    throw error;
  }
  if (isCertificateRevoked(holder.serialNumber)) throw new Refused('ak revoked');
  if (holder.ekSerial !== ekSerial) throw new Refused('ak of another ek');
  const attestationKey = attested(() => readAttestationKey(evidence.akPublic));
  if (!sameBytes(attestationKey.publicKey, holder.publicKey)) throw new Refused('ak differs');
  if (known && !sameBytes(known.akName, attestationKey.name) && holder.notAfterMs <= known.akUntilMs)
    throw new Refused('ak replaced');
  return { holder, attestationKey };
}

// 6 Challenge: ours, fresh, for this device

function judgeChallenge({ challenge }: AppraisalInput, warnings: Finding<WarningCode>[]): void {
  if (challenge === 'foreign') throw new Refused('foreign nonce');
  if (challenge === 'expired') throw new Refused('nonce expired');
  if (challenge === 'used') throw new Refused('nonce used');
  if (challenge === 'unchecked') warnings.push(warning('challenge unchecked'));
}

// 5 Signature, magic, type · 6 the challenge in the quote · 7 bank and selection

const QUOTED: readonly number[] = [PCR_GATEWAY, PCR_METER];

function judgeQuote({ quote: attest, signature, binding, pcrs }: DecodedEvidence, attestationKey: TpmPublic): Quote {
  const quote = attested(() => verifyQuote({ attest, signature, attestationKey, nonce: binding }, pcrs));
  const quoted = pcrs.map(({ pcr }) => pcr).join(', ');
  if (quoted !== QUOTED.join(', ')) throw new Refused('selection', quoted);
  return quote;
}

/** What quote.ts refuses, in the words of findings.ts. */
const ATTEST_REFUSALS: Record<AttestTrouble, RefusalCode> = {
  'attestation key': 'ak attributes',
  signature: 'signature',
  magic: 'magic',
  type: 'not a quote',
  malformed: 'not a quote',
  nonce: 'not this challenge',
  bank: 'bank',
  'empty selection': 'empty selection',
  selection: 'selection',
  'pcr values': 'pcr values',
  name: 'not a quote',
  key: 'ak attributes',
};
function attested<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof AttestError) throw new Refused(ATTEST_REFUSALS[error.code], error.message);
    throw error;
  }
}

// 10 Log of measurements

function judgeEventLog({ pcrs, events, files }: DecodedEvidence): void {
  for (const { pcr, value } of pcrs) {
    if (!sameBytes(replay(digestsOf(events, pcr)), value)) throw new Refused('event log', String(pcr));
  }
  const stray = events.find(({ pcr }) => !QUOTED.includes(pcr));
  if (stray) throw new Refused('event log', String(stray.pcr));
  const newest = digestsOf(events, PCR_GATEWAY).at(-1);
  if (files.length > 0 && !(newest && sameBytes(listingDigest(files), newest))) throw new Refused('file list');
}

const digestsOf = (events: readonly MeasuredEvent[], pcr: number): Uint8Array[] =>
  events.filter((event) => event.pcr === pcr).map(({ digest }) => digest);

// 8 Accepted values · 11 a policy that accepts everything

/** @returns the release that runs, where it is accepted */
function judgeGateway(
  { evidence, references, nowMs, known }: AppraisalInput,
  refusals: Finding<RefusalCode>[],
  warnings: Finding<WarningCode>[],
): number | null {
  const measured = digestsOf(evidence.events, PCR_GATEWAY);
  if (references.gateway === 'anything') warnings.push(warning('gateway anything'));
  if (measured.length === 0) {
    refusals.push(refusal('gateway unmeasured'));
    return null;
  }
  const explained = (): string => {
    const released = known?.gatewayVersion ?? null;
    const words = explain(evidence, references, released);
    return words.length > 0 ? `: ${words.join(', ')}` : '';
  };
  return judgeMeasured(
    'gateway',
    measured,
    references.gateway,
    nowMs,
    known?.gatewayVersion ?? null,
    refusals,
    explained,
  );
}

/** Which files differ from those of the release that the device had, or of the newest that there is. */
function explain({ files }: DecodedEvidence, references: ReferenceValues, had: number | null): string[] {
  if (files.length === 0 || references.gateway === 'anything') return [];
  const newestFirst = [...references.gateway].sort((a, b) => b.version - a.version);
  const release = newestFirst.find(({ version }) => version === had) ?? newestFirst[0];
  const released = release && references.filesOf?.(release.digest);
  return released ? differenceOf(files, released) : [];
}

/**
 * Every value since the TPM's start must be an accepted one, or a retired one that an accepted one came after, and versions may
 * only grow. What runs now is the last.
 */
function judgeMeasured(
  part: 'gateway' | 'meter',
  measured: readonly Uint8Array[],
  accepted: Accepted,
  nowMs: number,
  newestTrusted: number | null,
  refusals: Finding<RefusalCode>[],
  explained: () => string = () => '',
): number | null {
  const standings = measured.map((digest) => standingOf(accepted, digest, nowMs));
  const last = standings.at(-1)!;
  if (standings.some(({ standing }) => standing === 'unknown')) {
    refusals.push(refusal(`${part} unknown`, explained()));
    return null;
  }
  if (last.standing === 'not yet' || last.standing === 'retired')
    refusals.push(refusal(`${part} ${last.standing}`, String(last.version)));
  let highest = newestTrusted ?? -1;
  const back = standings.find(({ version }) => {
    if (version === null) return false;
    const older = version < highest;
    highest = Math.max(highest, version);
    return older && version === last.version;
  });
  if (back) refusals.push(refusal(`${part} rolled back`, `from ${highest} to ${back.version}`));
  return last.standing === 'accepted' ? last.version : null;
}

// 12 The meter's image

function judgeMeter(
  { evidence, references, nowMs, known }: AppraisalInput,
  refusals: Finding<RefusalCode>[],
  warnings: Finding<WarningCode>[],
): number | null {
  const measured = digestsOf(evidence.events, PCR_METER);
  const image = measured.at(-1);
  if (references.meter === 'anything') warnings.push(warning('meter anything'));
  if (!image) return judgeUnflashed(evidence, references, nowMs, known?.meterVersion ?? null, refusals);
  const newestTrusted = known?.meterVersion ?? null;
  const behind = stillRunning(evidence, measured.slice(0, -1), references, nowMs, newestTrusted);
  if (behind !== null) {
    // on its way, or given up by the meter: the image that was measured last has to be a released one all the same
    judgeMeasured('meter', measured, references.meter, nowMs, newestTrusted, refusals);
    warnings.push(warning('meter behind', String(behind)));
    return behind;
  }
  const version = judgeMeasured('meter', measured, references.meter, nowMs, newestTrusted, refusals);
  if (!evidence.measurement) refusals.push(refusal('meter silent'));
  else judgeAnswer(evidence, evidence.measurement, image, version, references, refusals);
  return version;
}

/**
 * An image is measured before it is flashed: until the meter has started it, it answers as an earlier one does.
 * @returns its release, where that is accepted and no step back; null where the answer is none of these
 */
function stillRunning(
  { nonce, measurement }: DecodedEvidence,
  earlier: readonly Uint8Array[],
  { meter, imageOf }: ReferenceValues,
  nowMs: number,
  newestTrusted: number | null,
): number | null {
  if (!measurement) return null;
  for (const digest of earlier.toReversed()) {
    const { standing, version } = standingOf(meter, digest, nowMs);
    if (standing !== 'accepted' || version === null || version < (newestTrusted ?? 0)) continue;
    const image = imageOf(digest);
    if (image && sameBytes(measurementOfImage(meterNonceOf(nonce), image), measurement)) return version;
  }
  return null;
}

/** A meter that runs what it was delivered with: the answer alone says which image that is. */
function judgeUnflashed(
  { nonce, measurement }: DecodedEvidence,
  { meter, meterMayBeUnmeasured, imageOf }: ReferenceValues,
  nowMs: number,
  newestTrusted: number | null,
  refusals: Finding<RefusalCode>[],
): number | null {
  if (!meterMayBeUnmeasured || meter === 'anything') refusals.push(refusal('meter unmeasured'));
  else if (!measurement) refusals.push(refusal('meter silent'));
  else {
    const meterNonce = meterNonceOf(nonce);
    const runs = meter.find(({ digest }) => {
      const image = imageOf(digest);
      return image && sameBytes(measurementOfImage(meterNonce, image), measurement);
    });
    if (runs) return judgeMeasured('meter', [runs.digest], meter, nowMs, newestTrusted, refusals);
    refusals.push(refusal('meter unreleased'));
  }
  return null;
}

function judgeAnswer(
  { nonce }: DecodedEvidence,
  answer: Uint8Array,
  imageDigest: Uint8Array,
  version: number | null,
  references: ReferenceValues,
  refusals: Finding<RefusalCode>[],
): void {
  const image = references.imageOf(imageDigest);
  if (image) {
    if (!sameBytes(measurementOfImage(meterNonceOf(nonce), image), answer)) refusals.push(refusal('meter differs'));
  } else if (version !== null) refusals.push(refusal('image missing', String(version)));
  // an image that was never released is refused already, and nobody has its bytes
}

// The household's log: the gateway's word, which is as good as its software

function judgeLog({ evidence: { log } }: AppraisalInput, warnings: Finding<WarningCode>[]): void {
  if (log.state === 'changed') warnings.push(warning('log changed'));
  if (log.begunAnew > 0)
    warnings.push(warning('log begun anew', log.begunAnew === 1 ? 'once' : `${log.begunAnew} times`));
}

// The meter's calibration: by the gateway's word, too

function judgeCalibration(
  { evidence: { calibration }, known }: AppraisalInput,
  warnings: Finding<WarningCode>[],
): string | null {
  if (!calibration?.digest) return null;
  const digest = Buffer.from(calibration.digest).toString('hex');
  const name = digest.slice(0, 8);
  if (calibration.state === 'unknown') warnings.push(warning('calibration unknown', name));
  else if (known?.calibration && known.calibration !== digest)
    warnings.push(warning('calibration changed', `${known.calibration.slice(0, 8)}, now ${name}`));
  return digest;
}

// 13 Restarts, and the past

function judgeContinuity(
  { known }: AppraisalInput,
  quote: Quote,
  akName: Uint8Array,
  refusals: Finding<RefusalCode>[],
  warnings: Finding<WarningCode>[],
): void {
  if (!quote.safe) warnings.push(warning('clock unsafe'));
  if (!known) return;
  if (!sameBytes(known.akName, akName)) {
    // another key may be of a TPM that was cleared, and its counters began anew
    warnings.push(warning('ak new'));
    return;
  }
  const resets = quote.resetCount - known.resetCount;
  const restarts = quote.restartCount - known.restartCount;
  const sameStart = resets === 0 && restarts === 0;
  // an unclean stop may set the clock back by as much as it saves apart: compare it within one start only
  if (resets < 0 || (resets === 0 && restarts < 0) || (sameStart && quote.clockMs < known.clockMs))
    refusals.push(refusal('older than known'));
  else if (resets > 0) warnings.push(warning('restarted', resets === 1 ? 'once' : `${resets} times`));
  else if (restarts > 0) warnings.push(warning('resumed', restarts === 1 ? 'once' : `${restarts} times`));
}

// 16 Revocation

function judgeRevocation(
  { revocationOf }: AppraisalInput,
  ekSerial: string,
  refusals: Finding<RefusalCode>[],
  warnings: Finding<WarningCode>[],
): void {
  const revocation = revocationOf(ekSerial);
  if (!revocation) return;
  const { severity, reason } = revocation;
  if (severity === 'advisory') warnings.push(warning('advisory', reason));
  else refusals.push(refusal(severity, reason));
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
