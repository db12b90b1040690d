/**
 * A page's files, read once at the start and served by exact name from memory: no path from outside ever reaches the
 * file system. Scripts are TypeScript whose types are blanked out; line numbers stay.
 *
 * A server's own files stand at `/page/…`, those that every server shares (web/page) at `/web/page/…`: the address at
 * which `../../../web/page/dom.ts`, imported by `/page/main.ts`, arrives in a browser, since nothing is above the root.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { extname, join } from 'node:path';
import { nameOf } from './languages.ts';
import { DOCUMENT_TEXTS } from './texts/texts.ts';
import type { Texts, TextsByLanguage } from './texts/types.ts';

export interface Asset {
  type: string;
  body: string;
  /** For `If-None-Match`. */
  etag: string;
}

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
};

/** Where they are, as the router names it: not a folder's every depth, but what there is. */
export const ASSET_ROUTES = ['/page/:name', '/page/texts/:name', '/page/texts/:language/:name', '/web/page/:name'];

const SHARED = join(import.meta.dirname, 'page');

/** By path on the server, such as `/page/main.ts`. @param own the server's own folder */
export function readAssets(own: string): Map<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const [folder, place] of [
    [own, '/page'],
    [SHARED, '/web/page'],
  ]) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const type = TYPES[extname(name)];
      if (!type) continue;
      const source = readFileSync(join(folder, name), 'utf8');
      const body = name.endsWith('.ts') ? withoutTypes(source) : source;
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      assets.set(`${place}/${name}`, { type, body, etag });
    }
  }
  return assets;
}

/** Node runs our TypeScript by the same stripping, but warns when it is called as a function: not on the customer's terminal. */
function withoutTypes(source: string): string {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = warn;
  }
}

type Values = { [key: string]: string | number };

/**
 * HTML with `{{name}}` where a value goes, always escaped, `{{t:key}}` where a text of the reader's language goes (HTML of our
 * own, which may hold values again), `{{>name}}` where another document stands, and `{{languages}}` for the links between languages.
 */
export class Documents {
  readonly #own: string;
  readonly #common: Values;
  readonly #texts: Map<string, Texts>;
  readonly #read = new Map<string, string>();
  readonly #written = new Map<string, string>();

  /**
   * @param common values that every document may use
   * @param texts of the own documents, in every language that they speak; what all servers share is there already
   */
  constructor(own: string, common: Values, texts: TextsByLanguage = { en: {} }) {
    this.#own = own;
    this.#common = common;
    this.#texts = new Map(Object.entries(texts).map(([tag, ours]) => [tag, { ...DOCUMENT_TEXTS[tag], ...ours }]));
  }

  /** Tags of the languages, the one for everybody else first. */
  get languages(): string[] {
    return [...this.#texts.keys()];
  }

  render(name: string, language: string, values: Values = {}): string {
    return this.#fill(this.#inLanguage(name, language), { ...this.#common, ...values });
  }

  /** One text of a language, with its values, for what is written into a document. */
  text(key: string, language: string, values: Values = {}): string {
    return this.#textOf(key, language).replace(/\{\{(\w+)\}\}/g, (_, value: string) => String(values[value]));
  }

  #fill(html: string, known: Values): string {
    return html.replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
      if (known[key] === undefined) throw new Error(`there is no value for ${key}`);
      return escapeHtml(String(known[key]));
    });
  }

  #inLanguage(name: string, language: string): string {
    const place = `${language}/${name}`;
    let html = this.#written.get(place);
    if (html === undefined) {
      html = this.#source(name)
        .replace(/\{\{languages\}\}/g, () => this.#switch(language))
        .replace(/\{\{language\}\}/g, language)
        .replace(/\{\{t:([\w.-]+)\}\}/g, (_, key: string) => this.#textOf(key, language));
      this.#written.set(place, html);
    }
    return html;
  }

  #textOf(key: string, language: string): string {
    const text = this.#texts.get(language)?.[key];
    if (text === undefined) throw new Error(`there is no text ${key} in ${language}`);
    return text;
  }

  /** Plain links: they work before the login and without scripts. Nothing where there is one language only. */
  #switch(language: string): string {
    if (this.#texts.size < 2) return '';
    const links = this.languages.map((tag) => {
      const current = tag === language ? ' aria-current="true"' : '';
      return `<a href="?language=${tag}" lang="${tag}" hreflang="${tag}"${current}>${escapeHtml(nameOf(tag))}</a>`;
    });
    return `<span class="languages" role="group" aria-label="${this.#textOf('language', language)}">${links.join(' ')}</span>`;
  }

  #source(name: string): string {
    let html = this.#read.get(name);
    if (html === undefined) {
      const own = join(this.#own, `${name}.html`);
      html = readFileSync(existsSync(own) ? own : join(SHARED, `${name}.html`), 'utf8').replace(
        /\{\{>(\w+)\}\}\n?/g,
        (_, part: string) => this.#source(part),
      );
      this.#read.set(name, html);
    }
    return html;
  }
}

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
