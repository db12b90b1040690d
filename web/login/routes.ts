/**
 * Logging in and out and changing the password, with plain forms that work without scripts. Also the two rules for every
 * other route: a session (or, for reading, a script's token) is needed unless the route stands in OPEN_ROUTES, and what changes something must come from a
 * document of this very origin (SameSite alone does not tell ports of one host apart).
 */
import cookie from '@fastify/cookie';
import { ASSET_ROUTES, type Documents } from '../assets.ts';
import { decodeForm } from '../forms.ts';
import type { PageReply, PageRequest, PageServer } from '../page-server.ts';
import type { LoginGuard } from './guard.ts';
import { MAX_PASSWORD_LETTERS, MIN_PASSWORD_LETTERS, type Password } from './password.ts';
import { SESSION_DAYS, type Sessions } from './sessions.ts';

/** What anyone who reaches the port may see. Everything else is refused without a session, unknown paths too. */
const OPEN_ROUTES = new Set(['/login', '/help', '/ca.crt', ...ASSET_ROUTES]);

export interface Login {
  documents: Documents;
  /** The language of an answer. */
  languageFor: (request: PageRequest) => string;
  password: Password;
  sessions: Sessions;
  guard: LoginGuard;
  /** Cookies do not tell ports of one host apart: each machine has a name of its own. */
  cookieName: string;
  /** Whether a header `Authorization` is one that may read (login/bearer.ts). */
  isBearer: (header: string | undefined) => boolean;
  log: (line: string) => void;
  /** Sessions have ended: what they hold open is to be closed. */
  onSessionsEnded: () => void;
}

export async function addLogin(server: PageServer, login: Login): Promise<void> {
  const { documents, languageFor, password, sessions, guard, log } = login;
  await server.register(cookie);
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    async (_: unknown, body: string | Buffer) => new URLSearchParams(String(body)),
  );

  server.addHook('onRequest', async (request, reply) => {
    const open = OPEN_ROUTES.has(request.routeOptions.url ?? '');
    const reads = request.method === 'GET' && request.url.startsWith('/api/');
    const allowed =
      sessions.isValid(tokenOf(request, login)) || (reads && login.isBearer(request.headers.authorization));
    if (!open && !allowed) {
      if (request.url.startsWith('/api/')) return reply.code(401).send({ error: 'log in first' });
      return reply.redirect('/login', 303);
    }
    if (request.method !== 'GET' && !isOwnOrigin(request)) {
      return reply.code(403).send({ error: 'refused: the request does not come from this page' });
    }
  });

  /** A document with a message on it, in the reader's language. */
  const answer = (name: string, request: PageRequest, reply: PageReply, message?: Message) => {
    const language = languageFor(request);
    const text = message ? documents.text(message.key, language, message.values) : '';
    return html(reply, documents.render(name, language, { message: text, minimum: MIN_PASSWORD_LETTERS }));
  };

  server.get('/login', async (request, reply) => {
    if (sessions.isValid(tokenOf(request, login))) return reply.redirect('/', 303);
    return answer('login', request, reply);
  });

  server.post('/login', async (request, reply) => {
    const form = decodeForm(request.body, ['password']);
    const waitMs = guard.begin(request.ip);
    if (waitMs > 0) return answer('login', request, retryLater(reply, waitMs), tooMany(waitMs));
    if (!(await password.matches(form.password))) {
      log(`login refused: wrong password from ${request.ip}`);
      return answer('login', request, reply.code(403), { key: 'login.wrong' });
    }
    guard.succeeded(request.ip);
    setSession(reply, login, sessions.begin());
    return reply.redirect('/', 303);
  });

  server.post('/logout', async (request, reply) => {
    sessions.end(tokenOf(request, login) ?? '');
    login.onSessionsEnded();
    reply.clearCookie(login.cookieName, COOKIE_OPTIONS);
    return reply.redirect('/login', 303);
  });

  server.get('/password', async (request, reply) => answer('password', request, reply));

  server.post('/password', async (request, reply) => {
    const form = decodeForm(request.body, ['current', 'next', 'again']);
    const fault = faultOf(form.next, form.again);
    if (fault) return answer('password', request, reply.code(400), fault);
    const waitMs = guard.begin(request.ip);
    if (waitMs > 0) return answer('password', request, retryLater(reply, waitMs), tooMany(waitMs));
    if (!(await password.matches(form.current)))
      return answer('password', request, reply.code(403), { key: 'password.wrong' });
    guard.succeeded(request.ip);
    await password.change(form.next);
    sessions.endAll();
    setSession(reply, login, sessions.begin());
    login.onSessionsEnded();
    log('password changed');
    return reply.redirect('/', 303);
  });
}

/** The session's token in the request's cookie. */
export const tokenOf = (request: PageRequest, { cookieName }: Pick<Login, 'cookieName'>): string | undefined =>
  request.cookies[cookieName];

export const html = (reply: PageReply, text: string): PageReply => reply.type('text/html; charset=utf-8').send(text);

/** `__Host-` (in the name) makes browsers insist on Secure, this very host and the whole path. */
const COOKIE_OPTIONS = { path: '/', secure: true, httpOnly: true, sameSite: 'strict' as const };

function setSession(reply: PageReply, { cookieName }: Login, token: string): void {
  reply.setCookie(cookieName, token, { ...COOKIE_OPTIONS, maxAge: SESSION_DAYS * 86_400 });
}

function isOwnOrigin(request: PageRequest): boolean {
  return request.headers.origin === `https://${request.host}`;
}

/** What is said on a document: a text of the reader's language, with its values. */
interface Message {
  key: string;
  values?: { [key: string]: number };
}

const retryLater = (reply: PageReply, waitMs: number): PageReply =>
  reply.code(429).header('retry-after', String(Math.ceil(waitMs / 1000)));

function tooMany(waitMs: number): Message {
  const seconds = Math.ceil(waitMs / 1000);
  if (seconds < 90) return { key: 'login.waitSeconds', values: { seconds } };
  return { key: 'login.waitMinutes', values: { minutes: Math.ceil(seconds / 60) } };
}

function faultOf(next: string, again: string): Message | null {
  if ([...next.trim()].length < MIN_PASSWORD_LETTERS)
    return { key: 'password.tooShort', values: { minimum: MIN_PASSWORD_LETTERS } };
  if (next.length > MAX_PASSWORD_LETTERS) return { key: 'password.tooLong', values: { maximum: MAX_PASSWORD_LETTERS } };
  if (next !== again) return { key: 'password.differ' };
  return null;
}
