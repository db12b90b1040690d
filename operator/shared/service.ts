/**
 * The frame of a service that a party offers to gateways and other parties (named phases): HTTPS with TLS 1.3, JSON, bytes as
 * base64url (protocol/services/call.ts). A route says who may call it:
 *
 *   public      whoever reaches it
 *   role        a party whose client certificate of the grid's authority has one of these common names
 *   identifier  a gateway whose request is signed by the key of its identifier or household certificate
 *               (protocol/identity/signed-request.ts)
 *
 * Every body is checked before a handler sees it; what is wrong is named by the field's path. Requests have ids, refusals are
 * counted, and nothing of a body, header or address is ever logged. GET /health says that the party is up.
 *
 * With `runParty`: start the service before, close it in the role's `close`, and let `nowMs` be the role's protocol time.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import * as v from 'valibot';
import type { Holder, HolderCheck } from '../../protocol/identity/certificates.ts';
import { RequestProofError, verifyRequest } from '../../protocol/identity/signed-request.ts';
import { BODY_MOST_BYTES, encodeBody, fitting, type Recovery } from '../../protocol/services/call.ts';
import { port } from './config.ts';
import { Counters } from './counters.ts';
import type { NonceMemory } from './nonce-memory.ts';

/** What a party's configuration says of its service. */
export const serviceAccess = v.strictObject({
  host: v.string(),
  port,
  certFile: v.string(),
  keyFile: v.string(),
  /** The grid's authority, by which other parties' client certificates are judged; PEM. */
  caFile: v.string(),
  /** From one address in a minute of real time. */
  requestsPerMinute: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 600),
});
export type ServiceAccess = v.InferOutput<typeof serviceAccess>;

/** A handler's no: what the caller did, what helps, and a plain sentence without secrets. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: string;
  readonly recovery: Recovery;
  readonly path: string | undefined;
  constructor(
    code: string,
    message: string,
    recovery: Recovery,
    { status = 422, path }: { status?: number; path?: string } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.recovery = recovery;
    this.path = path;
  }
}

type Schema = v.GenericSchema;
export interface PublicCaller {
  /** Where on the network the request came from. */
  address: string;
}
export interface RoleCaller {
  role: string;
}
export type IdentifiedCaller = Holder<'identifier' | 'household'>;

interface Described<S extends Schema | undefined, Caller> {
  method: 'GET' | 'POST';
  /** `/initialisation/request`. */
  path: string;
  /** Of a POST's body. */
  body?: S;
  /** Returns what is answered; bytes in it become base64url. @throws Refusal */
  handle(body: S extends Schema ? v.InferOutput<S> : undefined, caller: Caller): object | Promise<object>;
}
/** Made by one of the three functions below, which know the types of body and caller. */
export interface Route extends Described<Schema, never> {
  access: 'public' | 'identifier' | { roles: readonly string[] };
}

export const publicRoute = <S extends Schema | undefined = undefined>(route: Described<S, PublicCaller>): Route =>
  ({ ...route, access: 'public' }) as Route;
export const roleRoute = <S extends Schema | undefined = undefined>(
  roles: readonly string[],
  route: Described<S, RoleCaller>,
): Route => ({ ...route, access: { roles } }) as Route;
export const identifiedRoute = <S extends Schema | undefined = undefined>(
  route: Described<S, IdentifiedCaller>,
): Route => ({ ...route, access: 'identifier' }) as Route;

export interface ServiceOptions {
  /** The party's role; requests are signed for it. */
  name: string;
  access: ServiceAccess;
  routes: readonly Route[];
  /** Needed where a route's access is `identifier`. */
  identification?: {
    holders: HolderCheck;
    /** Protocol time; undefined while the party has not been told. */
    nowMs(): number | undefined;
    isRevoked(serialNumber: string): boolean;
    nonces: NonceMemory;
  };
  /** More for GET /health. */
  health?: () => object;
}

export interface Service {
  readonly url: string;
  /** By refusal's code; `answered` counts the others. */
  readonly counters: Counters<string>;
  /** Answers what is under way, then ends. */
  close(): Promise<void>;
}

export async function startService({ name, access, routes, identification, health }: ServiceOptions): Promise<Service> {
  const counters = new Counters<string>();
  const server = Fastify({
    https: {
      cert: readFileSync(access.certFile),
      key: readFileSync(access.keyFile),
      ca: readFileSync(access.caFile),
      minVersion: 'TLSv1.3',
      // asked for, and judged route by route: gateways have none
      requestCert: true,
      rejectUnauthorized: false,
    },
    logger: false,
    bodyLimit: BODY_MOST_BYTES,
    forceCloseConnections: 'idle',
    genReqId: () => randomUUID(),
    requestTimeout: 30_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 10_000,
  });
  // the bytes as they came: signatures are over them
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.addHook('onRequest', async (request, reply) => {
    reply.header('request-id', request.id).header('cache-control', 'no-store');
  });
  server.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const refusal = asRefusal(error);
    counters.add(refusal.code);
    if (refusal.status >= 500 && !(error instanceof Refusal))
      console.error(
        `${name}: ${request.method} ${request.routeOptions.url} ${request.id}: ${error.stack ?? error.message}`,
      );
    return answer(reply, refusal.status, {
      error: {
        code: refusal.code,
        message: refusal.message,
        recovery: refusal.recovery,
        path: refusal.path,
        requestId: request.id,
      },
    });
  });
  server.setNotFoundHandler(() => {
    throw new Refusal('not found', 'there is nothing at this path', 'final', { status: 404 });
  });
  await server.register(rateLimit, {
    max: access.requestsPerMinute,
    timeWindow: 60_000,
    errorResponseBuilder: () => new Refusal('too many', 'too many requests in this minute', 'again', { status: 429 }),
  });

  const callerOf = (
    route: Route,
    request: FastifyRequest,
    raw: Uint8Array,
  ): PublicCaller | RoleCaller | IdentifiedCaller => {
    if (route.access === 'public') return { address: request.ip };
    if (route.access === 'identifier') return identify(request, raw);
    const socket = request.raw.socket as TLSSocket;
    const role = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined;
    if (typeof role !== 'string' || !route.access.roles.includes(role))
      throw new Refusal('not this role', `only ${route.access.roles.join(', ')} may ask this`, 'final', {
        status: 403,
      });
    return { role };
  };
  const identify = (request: FastifyRequest, body: Uint8Array): IdentifiedCaller => {
    const { holders, nowMs, isRevoked, nonces } = identification!;
    const now = nowMs();
    if (now === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    try {
      return verifyRequest({ audience: name, method: request.method, path: request.url, body }, request.headers, {
        holders,
        nowMs: now,
        isRevoked,
        remember: (nonce, forgetAfterMs) => nonces.remember(nonce, forgetAfterMs, now),
      });
    } catch (error) {
      if (!(error instanceof RequestProofError)) throw error;
      throw new Refusal('not proved', error.message, 'correct', { status: 401, path: error.path });
    }
  };

  for (const route of routes) {
    if (route.access === 'identifier' && !identification) throw new Error(`${route.path}: needs identification`);
    server.route({
      method: route.method,
      url: route.path,
      handler: async (request, reply) => {
        const raw = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
        const caller = callerOf(route, request, raw);
        const body = route.body ? checked(route.body, raw) : undefined;
        const result = await route.handle(body, caller as never);
        counters.add('answered');
        return answer(reply, 200, result);
      },
    });
  }
  server.get('/health', async (_request, reply) => answer(reply, 200, { party: name, ...health?.() }));
  await server.listen({ host: access.host, port: access.port });
  const { address, port: bound, family } = server.server.address() as AddressInfo;
  return {
    url: `https://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    counters,
    close: () => server.close(),
  };
}

const answer = (reply: FastifyReply, status: number, value: object): FastifyReply =>
  reply
    .code(status)
    .type('application/json')
    .send(Buffer.from(encodeBody(value)));

function checked(schema: Schema, raw: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(raw).toString('utf8'));
  } catch {
    throw new Refusal('malformed', 'the body is no JSON', 'correct', { status: 400 });
  }
  const result = fitting(schema, value);
  if ('value' in result) return result.value;
  const { path, problem } = result;
  throw new Refusal('malformed', `${path || 'the body'} ${problem}`, 'correct', { status: 400, path });
}

function asRefusal(error: Error & { statusCode?: number; code?: string }): Refusal {
  if (error instanceof Refusal) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new Refusal('too large', `the body is longer than ${BODY_MOST_BYTES} bytes`, 'correct', { status: 413 });
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Refusal('not json', 'the content type is not application/json', 'correct', { status: 415 });
  if (error.statusCode && error.statusCode < 500)
    return new Refusal('malformed', 'the request is malformed', 'correct', { status: error.statusCode });
  return new Refusal('failed', 'the service failed; the request may be sent again', 'again', { status: 500 });
}
