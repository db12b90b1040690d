/**
 * The gateway's calls to the services of the grid: HTTPS with TLS 1.3, the grid's authority pinned, nothing else trusted.
 * Time here is transport time. Nothing is repeated: whoever calls knows when (`ServiceError.recovery` says what helps).
 */
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:https';
import type * as v from 'valibot';
import { NONCE_BYTES, type RequestSigner, signRequest } from '../../protocol/identity/signed-request.ts';
import { BODY_MOST_BYTES, encodeBody, readAnswer, ServiceError } from '../../protocol/services/call.ts';

const TIMEOUT_MS = 20_000;

export interface ServiceAddress {
  /** `https://host:port`. */
  url: string;
  /** The grid's authority, PEM. */
  ca: string;
}

/** Who the request is from, proved by a TPM key (protocol/identity/signed-request.ts). */
export interface RequestIdentity extends RequestSigner {
  /** The service's role, such as `verifier`. */
  audience: string;
  /** Protocol time. */
  nowMs(): number;
}

export interface ServiceCall<S extends v.GenericSchema> extends ServiceAddress {
  path: string;
  /** GET where there is no body. */
  body?: object;
  /** Of the answer; bytes by `bytes()` of protocol/services/call.ts. */
  answer: S;
  identity?: RequestIdentity;
  timeoutMs?: number;
}

/** @throws ServiceError, TpmError */
export async function callService<S extends v.GenericSchema>(call: ServiceCall<S>): Promise<v.InferOutput<S>> {
  const method = call.body === undefined ? 'GET' : 'POST';
  const body = call.body === undefined ? Buffer.alloc(0) : encodeBody(call.body);
  const headers: Record<string, string | number> = { accept: 'application/json' };
  if (call.body !== undefined)
    Object.assign(headers, { 'content-type': 'application/json', 'content-length': body.length });
  if (call.identity) {
    const { audience, nowMs } = call.identity;
    const proof = { timestampMs: nowMs(), nonce: randomBytes(NONCE_BYTES) };
    Object.assign(headers, await signRequest({ audience, method, path: call.path, body }, call.identity, proof));
  }
  const answer = await exchange({ ...call, method, headers, body });
  return readAnswer(answer.status, answer.body, call.answer);
}

/** Connections stay open for a moment: initialisation is three requests. By authority, for tests with several. */
const agents = new Map<string, Agent>();
function agentFor(ca: string): Agent {
  let agent = agents.get(ca);
  if (!agent) {
    agent = new Agent({ ca, minVersion: 'TLSv1.3', keepAlive: true, keepAliveMsecs: 1000, timeout: 5000 });
    agents.set(ca, agent);
  }
  return agent;
}

interface Outgoing extends ServiceAddress {
  path: string;
  method: string;
  headers: Record<string, string | number>;
  body: Uint8Array;
  timeoutMs?: number;
}

/** What OpenSSL and Node call a peer that could not prove who it is. */
const UNTRUSTED = /^(ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_SSL)/;

function exchange({ url, ca, path, method, headers, body, timeoutMs = TIMEOUT_MS }: Outgoing): Promise<{
  status: number;
  body: Buffer;
}> {
  return new Promise((resolve, reject) => {
    const { hostname } = new URL(url);
    const fail = ({ code = '', message }: NodeJS.ErrnoException): void => {
      const kind = UNTRUSTED.test(code) ? 'untrusted' : 'unreachable';
      reject(new ServiceError(kind, `${hostname}: ${message}`, kind === 'untrusted' ? 'final' : 'again'));
    };
    const outgoing = request(new URL(path, url), { method, headers, agent: agentFor(ca) }, (incoming) => {
      const parts: Buffer[] = [];
      let length = 0;
      incoming.on('data', (part: Buffer) => {
        length += part.length;
        if (length > BODY_MOST_BYTES) outgoing.destroy(new Error(`answered more than ${BODY_MOST_BYTES} bytes`));
        else parts.push(part);
      });
      incoming.on('end', () => {
        clearTimeout(late);
        resolve({ status: incoming.statusCode!, body: Buffer.concat(parts) });
      });
      incoming.on('error', fail);
    });
    const late = setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    outgoing.on('error', (error) => {
      clearTimeout(late);
      fail(error);
    });
    outgoing.end(body);
  });
}
