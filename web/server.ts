/**
 * A page for people: HTTP/2 and TLS under an authority of its own, behind a login. The customer's page and the operator's
 * console stand on it; what they show is theirs (`addRoutes`), what keeps strangers out is here, once.
 *
 * Who learns what: whoever has the password sees the page; whoever can reach the port sees the login, the help and the
 * authority's public certificate; nothing is sent anywhere.
 *
 * HTTP/2 because over HTTP/1.1 a browser opens six connections per host: six tabs' live streams would eat them all.
 */
import { X509Certificate } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import Fastify from 'fastify';
import { ASSET_ROUTES, Documents, readAssets } from './assets.ts';
import { authorityTag, openServerCertificate, type ServerCertificate } from './certificates.ts';
import { keepsChoice, languageOf } from './languages.ts';
import { isBearer } from './login/bearer.ts';
import { LoginGuard } from './login/guard.ts';
import { Password } from './login/password.ts';
import { addLogin, html, tokenOf } from './login/routes.ts';
import { Sessions } from './login/sessions.ts';
import { type PageRequest, type PageServer, SECURITY_HEADERS } from './page-server.ts';
import type { TextsByLanguage } from './texts/types.ts';

const CERTIFICATE_CHECK_MS = 12 * 3_600_000;
/** A form has a few hundred bytes; nothing larger is ever sent to a page. */
const MAX_BODY_BYTES = 4_096;
const MAX_CONNECTIONS = 256;

/** Below the folder of keys: the hash of the token of scripts. */
export const TOKEN_FILE = 'api-token';

export interface WebOptions {
  /** Where keys, certificates, the password's hash and the sessions are kept. */
  directory: string;
  /** 0: any free one. */
  port: number;
  /** The address to listen on: `::` or `0.0.0.0` for the network, `127.0.0.1` for this machine only. */
  host: string;
  /** Stands on top: the household's name, the console's. */
  name: string;
  /** What is behind the page, in a sentence: `gateway`, `console`. */
  machine: string;
  /** Folder of the page's own files, with index.html and help.html. */
  pageFolder: string;
  /** What its documents say, by language; absent: their text stands in them, in English. */
  texts?: TextsByLanguage;
  /** Its other documents, at their names' own paths; only who is logged in gets them. */
  moreDocuments?: readonly string[];
  /** Transport time, never the conductor's: certificates and sessions end by it. */
  nowMs?: () => number;
  /** One line per event worth keeping (refused logins); never a secret. */
  log?: (line: string) => void;
  /** Adds what only a logged-in reader gets. */
  addRoutes(server: PageServer, access: Access): void;
  /** Sessions have ended: what they hold open is to be closed. */
  onSessionsEnded?: () => void;
}

export interface Access {
  /** Whether the request's session still holds. */
  isAllowed(request: PageRequest): boolean;
}

export interface Page {
  url: string;
  /** Made on the first start, and never again: show it once. */
  firstPassword?: string;
  /** SHA-256 of the authority's certificate: people compare it with what the browser shows. */
  authorityFingerprint: string;
  close(): Promise<void>;
}

export async function startWebServer(options: WebOptions): Promise<Page> {
  const { directory, name, machine, pageFolder, nowMs = Date.now, log = () => {}, onSessionsEnded } = options;
  let certificate = await openServerCertificate({ directory, nowMs: nowMs() });
  const { password, first } = await Password.open(join(directory, 'password.json'));
  const sessions = new Sessions(join(directory, 'sessions.json'), nowMs);
  const guard = new LoginGuard(nowMs);
  const cookieName = `__Host-quietmeter-${authorityTag(certificate.authorityPem)}`;
  const documents = new Documents(pageFolder, { name, machine }, options.texts);
  const { languages } = documents;
  const languageFor = (request: PageRequest) => languageOf(request, languages);

  const server = Fastify({
    http2: true,
    https: { allowHTTP1: true, ...secretsOf(certificate) },
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    logger: false,
  });
  server.addHook('onRequest', async (_, reply) => void reply.headers(SECURITY_HEADERS));
  server.addHook('preHandler', async (request, reply) => {
    const isDocument = request.method === 'GET' && !request.url.startsWith('/api/');
    if (isDocument && keepsChoice(request, reply, languages)) return reply;
  });
  // Fastify asks to close the connection after a body that is too large; HTTP/2 has no such header, and Node warns.
  server.addHook('onSend', async (request, reply) => {
    if (request.raw.httpVersionMajor === 2) reply.removeHeader('connection');
  });
  server.setNotFoundHandler((_, reply) => reply.code(404).send({ error: 'there is no such page' }));
  server.setErrorHandler((error: Error & { statusCode?: number; path?: string }, request, reply) => {
    const status = error.statusCode ?? 500;
    // What a page's own errors say is meant for people; what broke is not.
    if (status !== 500) return reply.code(status).send({ error: error.message, path: error.path });
    log(`page: ${request.method} ${request.routeOptions.url}: ${error.message}`);
    return reply.code(500).send({ error: `the ${machine} could not answer` });
  });

  await addLogin(server, {
    documents,
    languageFor,
    password,
    sessions,
    guard,
    cookieName,
    isBearer: (header) => isBearer(join(directory, TOKEN_FILE), header),
    log,
    onSessionsEnded: () => onSessionsEnded?.(),
  });
  options.addRoutes(server, {
    isAllowed: (request) =>
      sessions.isValid(tokenOf(request, { cookieName })) ||
      isBearer(join(directory, TOKEN_FILE), request.headers.authorization),
  });

  const assets = readAssets(pageFolder);
  for (const place of ASSET_ROUTES) {
    server.get(place, async (request, reply) => {
      const asset = assets.get(request.url);
      if (!asset) return reply.code(404).send({ error: 'there is no such file' });
      // Asked for again each time: a machine that was updated shows its new page at once.
      reply.header('cache-control', 'no-cache').header('etag', asset.etag);
      if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
      return reply.type(asset.type).send(asset.body);
    });
  }
  const document = (path: string, name: string, values = () => ({})) =>
    server.get(path, async (request, reply) => html(reply, documents.render(name, languageFor(request), values())));
  document('/', 'index');
  for (const name of options.moreDocuments ?? []) document(`/${name}`, name);
  document('/help', 'help', () => {
    const { authorityPem, authorityFingerprint } = certificate;
    const authorityName = /^CN=(.*)$/m.exec(new X509Certificate(authorityPem).subject)?.[1] ?? 'quietmeter';
    return { authorityName, authorityFingerprint };
  });
  server.get('/ca.crt', async (_, reply) =>
    reply
      .type('application/x-x509-ca-cert')
      .header('content-disposition', 'attachment; filename="quietmeter-ca.crt"')
      .send(certificate.authorityPem),
  );

  // Closing waits for no browser: live streams and idle connections would stay for ever.
  const sockets = new Set<Socket>();
  server.server.maxConnections = MAX_CONNECTIONS;
  server.server.on('secureConnection', (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await server.listen({ port: options.port, host: options.host });
  const renewal = setInterval(() => {
    openServerCertificate({ directory, nowMs: nowMs() })
      .then((renewed) => {
        if (renewed.certificatePem !== certificate.certificatePem) server.server.setSecureContext(secretsOf(renewed));
        certificate = renewed;
      })
      .catch((error: Error) => log(`page: the certificate could not be renewed: ${error.message}`));
  }, CERTIFICATE_CHECK_MS).unref();

  const { port } = server.server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}`,
    ...(first !== undefined && { firstPassword: first }),
    authorityFingerprint: certificate.authorityFingerprint,
    async close() {
      clearInterval(renewal);
      const closed = server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const secretsOf = ({ keyPem, certificatePem }: ServerCertificate) => ({ key: keyPem, cert: certificatePem });
