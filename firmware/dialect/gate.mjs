// The gate: a rollup plugin that reads the finished firmware and refuses what real Espruino would not parse or would
// silently run differently. It names the place in the source, through the bundle's map.
import { SourceMap } from 'node:module';
import { isAbsolute, relative, resolve } from 'node:path';
import { parseAst } from 'rollup/parseAst';
import { orderViolations } from './order.mjs';
import { resolveNames } from './scopes.mjs';
import { syntaxViolations } from './syntax.mjs';

/**
 * Everything in `code` that is outside the dialect, in the order of the text.
 * @param {string} code a whole program, plain JavaScript
 * @returns {{ at: number, what: string }[]}
 */
export function violations(code) {
  const ast = parseAst(code);
  const names = resolveNames(ast);
  const found = [...syntaxViolations(ast, names.free), ...orderViolations(ast, names)];
  found.sort((a, b) => a.at - b.at);
  return found.filter((v, i) => i === 0 || v.at !== found[i - 1].at || v.what !== found[i - 1].what);
}

/**
 * @param {{ root: string }} options root: what the places are told relative to
 * @returns {import('rollup').Plugin}
 */
export const espruinoDialect = ({ root }) => ({
  name: 'espruino-dialect',
  generateBundle(options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      const found = violations(chunk.code);
      if (found.length === 0) continue;
      const folder = options.file ? resolve(options.file, '..') : process.cwd();
      const where = placesIn(chunk, folder, root);
      const lines = found.map(({ at, what }) => `  ${where(at)}  ${what}`);
      this.error(`not in Espruino's dialect:\n${lines.join('\n')}`);
    }
  },
});

/** From an offset in the chunk to `file:line:column` of the source. */
function placesIn(chunk, folder, root) {
  const map = new SourceMap(chunk.map);
  const lineStarts = [0];
  for (let i = 0; i < chunk.code.length; i++) if (chunk.code[i] === '\n') lineStarts.push(i + 1);
  return (at) => {
    const line = lineStarts.findLastIndex((start) => start <= at);
    const entry = map.findEntry(line, at - lineStarts[line]);
    if (!entry.originalSource) return `${chunk.fileName}:${line + 1}`;
    const path = isAbsolute(entry.originalSource) ? entry.originalSource : resolve(folder, entry.originalSource);
    return `${relative(root, path)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
}
