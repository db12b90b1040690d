/**
 * How a gateway proves who it is on each request to a service (phases under a name, protocols.md section 0).
 *
 * TLS would need the key in software, so the TPM's key signs the request itself. Two headers travel beside the body:
 *
 *   quietmeter-identifier   the certificate, DER in base64url (certificates.ts: identifier or household)
 *   quietmeter-proof        base64url of
 *
 *     offset  size
 *          0     1  version = 1
 *          1     8  timestampMs   big-endian, protocol time of the gateway
 *          9    16  nonce         random, never used twice
 *         25    64  signature     ECDSA r ‖ s by the certified key over
 *                                 "quietmeter/v1/signed-request" ‖ 00 ‖ bytes 0…24 ‖ SHA-256(body) ‖ audience ‖ method ‖ path
 *                                 (each text with one byte of length before it)
 *
 * `audience` is the service's role (`verifier`): a request cannot be handed on to another service. A request is good within
 * WINDOW_MS of the service's clock, and once: the service remembers nonces for as long as their requests could be good. A
 * request that is repeated is signed anew.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { SIGNATURE_BYTES, verifyP256 } from '../crypto/p256.ts';
import { ByteReader, ByteWriter, MalformedError } from '../wire/bytes.ts';
import { type Holder, type HolderCheck, HolderError } from './certificates.ts';

export const IDENTIFIER_HEADER = 'quietmeter-identifier';
export const PROOF_HEADER = 'quietmeter-proof';
const MINUTE_MS = 60_000;
/** Two slots: a conductor moves the gateways' clocks before the services', by a slot at most. */
export const WINDOW_MS = 30 * MINUTE_MS;
export const NONCE_BYTES = 16;

const VERSION = 1;
const TEXT = /^[\x21-\x7e]{1,255}$/;
const U32 = 2 ** 32;

/** The request as both sides see it. */
export interface ServiceRequest {
  /** The service's role: `trusted-third-party`, `verifier`, … */
  audience: string;
  /** `POST`. */
  method: string;
  /** With the query, as it stands in the request line. */
  path: string;
  /** Exactly the bytes that travel. */
  body: Uint8Array;
}

export interface RequestSigner {
  /** DER. */
  certificate: Uint8Array;
  /** By the certified TPM key: ECDSA r ‖ s over SHA-256(message), 64 B. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** The proof does not hold. `path` names what is wrong with it, the message is a plain sentence. */
export class RequestProofError extends Error {
  override readonly name = 'RequestProofError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

/** The gateway's step. @param random 16 bytes that were never used before @returns the headers to send */
export async function signRequest(
  request: ServiceRequest,
  signer: RequestSigner,
  { timestampMs, nonce }: { timestampMs: number; nonce: Uint8Array },
): Promise<Record<string, string>> {
  const head = new ByteWriter('proof')
    .u8('version', VERSION)
    .u32('timestampMs', Math.floor(timestampMs / U32))
    .u32('timestampMs', timestampMs % U32)
    .bytes('nonce', nonce, NONCE_BYTES)
    .finish();
  const signature = await signer.sign(signedPart(head, request));
  return {
    [IDENTIFIER_HEADER]: Buffer.from(signer.certificate).toString('base64url'),
    [PROOF_HEADER]: Buffer.concat([head, signature]).toString('base64url'),
  };
}

function signedPart(head: Uint8Array, { audience, method, path, body }: ServiceRequest): Uint8Array {
  const rest = new ByteWriter('request')
    .bytes('body', createHash('sha256').update(body).digest(), 32)
    .text('audience', audience, TEXT)
    .text('method', method, TEXT)
    .text('path', path, TEXT)
    .finish();
  return labelled(LABELS.signedRequest, head, rest);
}

export interface ProofCheck {
  holders: HolderCheck;
  /** Protocol time of the service. */
  nowMs: number;
  isRevoked(serialNumber: string): boolean;
  /** Stores the nonce until `forgetAfterMs`; false where it was there already. Must not forget it in a crash. */
  remember(nonce: Uint8Array, forgetAfterMs: number): boolean;
}

/**
 * The service's step.
 * @param headers by lower-case name
 * @throws RequestProofError
 */
export function verifyRequest(
  request: ServiceRequest,
  headers: Record<string, string | string[] | undefined>,
  { holders, nowMs, isRevoked, remember }: ProofCheck,
): Holder<'identifier' | 'household'> {
  const proof = decodeProof(header(headers, PROOF_HEADER));
  if (Math.abs(nowMs - proof.timestampMs) > WINDOW_MS)
    throw new RequestProofError(
      'proof.timestampMs',
      `is more than ${WINDOW_MS / MINUTE_MS} minutes off: is a clock wrong?`,
    );
  let holder: Holder<'identifier' | 'household'>;
  try {
    holder = holders.check(header(headers, IDENTIFIER_HEADER), ['identifier', 'household'], nowMs);
  } catch (error) {
    if (error instanceof HolderError)
      throw new RequestProofError(`identifier.${error.path}`, error.message.slice(error.path.length + 1));
    throw error;
  }
  if (isRevoked(holder.serialNumber)) throw new RequestProofError('identifier.certificate', 'has been revoked');
  if (!verifyP256(holder.publicKey, signedPart(proof.head, request), proof.signature))
    throw new RequestProofError('proof.signature', 'was not made by the certified key over this request');
  if (!remember(proof.nonce, proof.timestampMs + WINDOW_MS))
    throw new RequestProofError('proof.nonce', 'was used before');
  return holder;
}

function header(headers: Record<string, string | string[] | undefined>, name: string): Uint8Array {
  const value = headers[name];
  if (typeof value !== 'string') throw new RequestProofError(name, 'does not stand among the headers once');
  if (!/^[A-Za-z0-9_-]{1,8192}$/.test(value)) throw new RequestProofError(name, 'is no base64url');
  return Buffer.from(value, 'base64url');
}

function decodeProof(bytes: Uint8Array): {
  head: Uint8Array;
  timestampMs: number;
  nonce: Uint8Array;
  signature: Uint8Array;
} {
  try {
    const reader = new ByteReader('proof', bytes);
    reader.constant('version', VERSION);
    const timestampMs = reader.u32('timestampMs') * U32 + reader.u32('timestampMs');
    const nonce = reader.bytes('nonce', NONCE_BYTES);
    const head = bytes.subarray(0, reader.at);
    const signature = reader.bytes('signature', SIGNATURE_BYTES);
    reader.end();
    return { head, timestampMs, nonce, signature };
  } catch (error) {
    if (error instanceof MalformedError) throw new RequestProofError(error.path, error.problem);
    throw error;
  }
}
