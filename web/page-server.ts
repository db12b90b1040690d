/** Fastify's types for HTTP/2 with TLS, and the headers that every answer carries. */
import type { Http2SecureServer } from 'node:http2';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteGenericInterface } from 'fastify';

export type PageServer = FastifyInstance<Http2SecureServer>;
export type PageRequest = FastifyRequest<RouteGenericInterface, Http2SecureServer>;
export type PageReply = FastifyReply<RouteGenericInterface, Http2SecureServer>;

/**
 * Nothing is loaded from or sent to anywhere but this gateway, no script stands inside a document, nobody frames the page.
 *
 * No Strict-Transport-Security: it would hold for every port of the host, and break what else the customer runs on the
 * same small computer over plain HTTP (or on localhost). Nothing here is served without TLS, so there is nothing to upgrade.
 */
export const SECURITY_HEADERS: Record<string, string> = {
  'content-security-policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
  'cache-control': 'no-store',
};
