/**
 * The page's files, read once at the start and served by exact name from memory: no path from outside ever reaches the
 * file system. Scripts are TypeScript whose types are blanked out; line numbers stay.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
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

const folder = join(import.meta.dirname, 'page');

/** By path on the server, such as `/page/style.css`. */
export function readAssets(): Map<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)];
    if (!type) continue;
    const source = readFileSync(join(folder, name), 'utf8');
    const body = name.endsWith('.ts') ? withoutTypes(source) : source;
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    assets.set(`/page/${name}`, { type, body, etag });
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

/** The documents: HTML with `{{name}}` where a value goes, always escaped. */
export type Document = 'index' | 'login' | 'password' | 'help';

const documents = new Map<Document, string>();

export function renderDocument(name: Document, values: { [key: string]: string | number }): string {
  let html = documents.get(name);
  if (html === undefined) {
    html = readFileSync(join(folder, `${name}.html`), 'utf8');
    documents.set(name, html);
  }
  return html.replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
    if (values[key] === undefined) throw new Error(`${name}.html: no value for ${key}`);
    return escapeHtml(String(values[key]));
  });
}

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
