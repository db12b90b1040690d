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

const SHARED = join(import.meta.dirname, 'page');

/** By path on the server, such as `/page/main.ts`. @param own the server's own folder */
export function readAssets(own: string): Map<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const [folder, place] of [
    [own, '/page'],
    [SHARED, '/web/page'],
  ]) {
    for (const name of readdirSync(folder)) {
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

/** HTML with `{{name}}` where a value goes, always escaped, and `{{>name}}` where another document stands. */
export class Documents {
  readonly #own: string;
  readonly #common: Values;
  readonly #read = new Map<string, string>();

  /** @param common values that every document may use */
  constructor(own: string, common: Values) {
    this.#own = own;
    this.#common = common;
  }

  render(name: string, values: Values = {}): string {
    const known: Values = { ...this.#common, ...values };
    return this.#source(name).replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
      if (known[key] === undefined) throw new Error(`${name}.html: no value for ${key}`);
      return escapeHtml(String(known[key]));
    });
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
