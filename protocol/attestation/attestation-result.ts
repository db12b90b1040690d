/**
 * The verifier's word on a device, signed: an EAR (EAT Attestation Results, draft-ietf-rats-ear) as JWT with ES256 (RFC 7515,
 * 7518, 7519; claims of EAT, RFC 9711). Verifier → gateway, and nobody else: it names the device.
 *
 *   {"alg":"ES256","typ":"eat+jwt"} . {
 *     "eat_profile": …, "iat", "exp",                when it was said, until when it holds: apart from the evidence's own age
 *     "sub": serial number of the endorsement key's certificate
 *     "eat_nonce": the challenge that was answered
 *     "ear.verifier-id": {"developer", "build"}
 *     "submods": {"gateway": {"ear.status", "ear.trustworthiness-vector", "ear.appraisal-policy-id"}, "meter": {…}},
 *     "quietmeter": {"evidence": SHA-256, "refusals": [{"code", "sentence"}], "warnings": […]}
 *   } . signature
 *
 * ear.status is the worst tier of the vector: affirming, warning or contraindicated (AR4SI, section 2.3.1). A device is trusted
 * where none of its parts is contraindicated or unknown, and there is no refusal.
 */
import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { SIGNATURE_BYTES, signP256, verifyP256 } from '../crypto/p256.ts';
import type { Finding, TrustClaim } from './findings.ts';

/** The profile that implementations of EAR share. */
const PROFILE = 'tag:github.com,2023:veraison/ear';
const VERIFIER_ID = { developer: 'quietmeter', build: 'operator/verifier' };
const HEADER = base64url(JSON.stringify({ alg: 'ES256', typ: 'eat+jwt' }));
/** A result is some hundred bytes; a list of refusals can be longer. */
const MOST_CHARACTERS = 20_000;

export type EarStatus = 'none' | 'affirming' | 'warning' | 'contraindicated';
export const PARTS = ['gateway', 'meter'] as const;
export type Part = (typeof PARTS)[number];
export type TrustVector = Partial<Record<TrustClaim, number>>;

export interface Reason {
  code: string;
  sentence: string;
}
export interface AttestationResult {
  /** Serial number of the endorsement key's certificate, lower-case hexadecimal. */
  device: string;
  issuedMs: number;
  expiresMs: number;
  nonce: Uint8Array;
  /** SHA-256 of the evidence, 32 B. */
  evidence: Uint8Array;
  policyId: string;
  trusted: boolean;
  refusals: Reason[];
  warnings: Reason[];
  vectors: Record<Part, TrustVector>;
}

/** AR4SI: "approved", "genuine", "recognized": each claim's best value that we can vouch for. */
const GOOD: Record<Part, TrustVector> = {
  gateway: { 'instance-identity': 2, configuration: 2, executables: 3, hardware: 2 },
  meter: { configuration: 2, executables: 2, 'sourced-data': 2 },
};
/** AR4SI, section 2.3.1: -1 and 1 are "none", up to 31 affirming, up to 95 warning, the rest contraindicated. */
function statusOf(vector: TrustVector): EarStatus {
  const worst = Math.max(...Object.values(vector));
  if (worst >= 96) return 'contraindicated';
  if (worst >= 32) return 'warning';
  return worst >= 2 ? 'affirming' : 'none';
}

/** What findings make of the two parts. Where the device itself is not believed, nothing it says of its parts counts. */
export function vectorsOf(findings: readonly Finding[]): Record<Part, TrustVector> {
  const forged = findings.some(({ claim, value }) => claim === 'instance-identity' && value >= 96);
  const vectors = structuredClone(GOOD);
  for (const part of PARTS) {
    if (forged) for (const claim of Object.keys(vectors[part]) as TrustClaim[]) vectors[part][claim] = 0;
  }
  for (const { about, claim, value } of findings) {
    vectors[about][claim] = Math.max(vectors[about][claim] ?? 0, value);
  }
  return vectors;
}

/** Compact serialisation, ASCII. `privateKey` is on P-256. */
export function signResult(result: AttestationResult, privateKey: KeyObject): string {
  const { device, issuedMs, expiresMs, nonce, evidence, policyId, refusals, warnings, vectors } = result;
  const submods = Object.fromEntries(
    PARTS.map((part) => [
      part,
      {
        'ear.status': statusOf(vectors[part]),
        'ear.trustworthiness-vector': vectors[part],
        'ear.appraisal-policy-id': policyId,
      },
    ]),
  );
  const claims = {
    eat_profile: PROFILE,
    iat: Math.floor(issuedMs / 1000),
    exp: Math.floor(expiresMs / 1000),
    sub: device,
    eat_nonce: base64url(nonce),
    'ear.verifier-id': VERIFIER_ID,
    submods,
    quietmeter: { evidence: base64url(evidence), refusals, warnings },
  };
  const signed = `${HEADER}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${base64url(signP256(privateKey, Buffer.from(signed)))}`;
}

/** A result is not to be believed, or no longer. `path` names the field; the message is a plain sentence. */
export class AttestationResultError extends Error {
  override readonly name = 'AttestationResultError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

const bytes32 = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'is not 32 bytes of base64url'));
const seconds = v.pipe(v.number(), v.integer(), v.minValue(0));
const reasons = v.pipe(v.array(v.object({ code: v.string(), sentence: v.string() })), v.maxLength(64));
const vector = v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(127)));
const submod = v.object({
  'ear.status': v.picklist(['none', 'affirming', 'warning', 'contraindicated']),
  'ear.trustworthiness-vector': vector,
  'ear.appraisal-policy-id': v.string(),
});
const claimsSchema = v.object({
  eat_profile: v.literal(PROFILE),
  iat: seconds,
  exp: seconds,
  sub: v.pipe(v.string(), v.minLength(1)),
  eat_nonce: bytes32,
  submods: v.object({ gateway: submod, meter: submod }),
  quietmeter: v.object({ evidence: bytes32, refusals: reasons, warnings: reasons }),
});

/**
 * @param publicKey the verifier's, compressed P-256, pinned
 * @param expected whose result it must be, and now in protocol time
 * @throws AttestationResultError
 */
export function verifyResult(
  jwt: string,
  publicKey: Uint8Array,
  expected: { device: string; nowMs: number },
): AttestationResult {
  if (jwt.length > MOST_CHARACTERS) throw new AttestationResultError('result', 'is too long');
  const parts = jwt.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part)))
    throw new AttestationResultError('result', 'is no JWT');
  const [header, payload, signature] = parts;
  // no choice of algorithm is left to who made it: "none" and HMAC are how JWTs are forged
  if (header !== HEADER)
    throw new AttestationResultError('result.header', 'is not that of an ES256 attestation result');
  const raw = Buffer.from(signature, 'base64url');
  if (
    raw.length !== SIGNATURE_BYTES ||
    base64url(raw) !== signature ||
    !verifyP256(publicKey, Buffer.from(`${header}.${payload}`), raw)
  )
    throw new AttestationResultError('result.signature', 'was not made by the verifier');
  const claims = readClaims(payload);
  if (claims.sub !== expected.device) throw new AttestationResultError('result.sub', 'names another device');
  if (expected.nowMs >= claims.exp * 1000) throw new AttestationResultError('result.exp', 'has passed: it has expired');
  const { refusals, warnings, evidence } = claims.quietmeter;
  const statuses = PARTS.map((part) => claims.submods[part]['ear.status']);
  return {
    device: claims.sub,
    issuedMs: claims.iat * 1000,
    expiresMs: claims.exp * 1000,
    nonce: Buffer.from(claims.eat_nonce, 'base64url'),
    evidence: Buffer.from(evidence, 'base64url'),
    policyId: claims.submods.gateway['ear.appraisal-policy-id'],
    trusted: refusals.length === 0 && statuses.every((status) => status === 'affirming' || status === 'warning'),
    refusals,
    warnings,
    vectors: {
      gateway: claims.submods.gateway['ear.trustworthiness-vector'],
      meter: claims.submods.meter['ear.trustworthiness-vector'],
    },
  };
}

/** The reasons in a result of one's own, whose signature need not be checked. @throws AttestationResultError */
export function readReasons(jwt: string): { refusals: Reason[]; warnings: Reason[] } {
  return readClaims(jwt.split('.')[1] ?? '').quietmeter;
}

function readClaims(payload: string): v.InferOutput<typeof claimsSchema> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    throw new AttestationResultError('result.payload', 'is no JSON');
  }
  const read = v.safeParse(claimsSchema, value);
  if (read.success) return read.output;
  const [issue] = read.issues;
  throw new AttestationResultError(`result.${v.getDotPath(issue) ?? 'payload'}`, 'is not as in an attestation result');
}

function base64url(value: Uint8Array | string): string {
  return Buffer.from(value as string).toString('base64url');
}
