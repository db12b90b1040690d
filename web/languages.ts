/**
 * Which language a reader is answered in: the one chosen by the link at the foot of every document, else the first of the
 * browser's own that there is, else the first that is offered. What is chosen stays in a cookie of the browser; nothing is kept here.
 */
import type { PageReply, PageRequest } from './page-server.ts';

/** Cookies do not tell ports of one host apart: who chose German on one page of a host gets it on all that speak it. */
const COOKIE = '__Host-quietmeter-language';
/** Browsers keep none for longer. */
const KEPT_SECONDS = 400 * 86_400;
const MAX_HEADER_LETTERS = 500;

export function languageOf({ cookies, headers }: PageRequest, offered: readonly string[]): string {
  const chosen = cookies[COOKIE];
  if (chosen !== undefined && offered.includes(chosen)) return chosen;
  return preferred(headers['accept-language'] ?? '', offered) ?? offered[0];
}

/** The first of `Accept-Language` (RFC 9110 §12.5.4) that is offered; `de-AT` is content with `de`. */
export function preferred(header: string, offered: readonly string[]): string | undefined {
  const wishes = header
    .slice(0, MAX_HEADER_LETTERS)
    .split(',')
    .map((wish) => {
      const [tag, ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='));
      return { language: tag.split('-')[0], weight: weight === undefined ? 1 : Number(weight.slice(2)) || 0 };
    })
    .filter(({ language, weight }) => weight > 0 && offered.includes(language));
  // sorting keeps the order of what is wished for equally
  return wishes.sort((a, b) => b.weight - a.weight)[0]?.language;
}

/** Answers `?language=de` on a document: keeps the choice, and leads back to the same document. False: nothing was chosen. */
export function keepsChoice(request: PageRequest, reply: PageReply, offered: readonly string[]): boolean {
  const { language } = request.query as { language?: unknown };
  if (typeof language !== 'string' || !offered.includes(language)) return false;
  const cookie = { path: '/', secure: true, httpOnly: true, sameSite: 'lax' as const, maxAge: KEPT_SECONDS };
  reply.setCookie(COOKIE, language, cookie).redirect(request.url.split('?')[0], 303);
  return true;
}

/** A language's name in itself, as its own readers look for it. */
export const nameOf = (language: string): string =>
  new Intl.DisplayNames(language, { type: 'language' }).of(language) ?? language;
