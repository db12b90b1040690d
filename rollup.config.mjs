// The firmware is the only part of the project that is built. swc writes what Espruino can read in place of what it
// cannot (default values, destructuring, spread, `?.`, `**`, class fields); what is left over,
// firmware/dialect/ refuses with the place in the source.
import { fileURLToPath } from 'node:url';
import swc from '@rollup/plugin-swc';
import { minify } from '@swc/core';
import { espruinoDialect } from './firmware/dialect/gate.mjs';
import { swcHelpers } from './firmware/dialect/helpers.mjs';
import { mangle } from './firmware/dialect/mangle.mjs';

const root = fileURLToPath(new URL('.', import.meta.url));

/**
 * Takes out comments and white space, which the interpreter would have to read again at every call. Expressions stay as they are
 * written, and names until the gate has told them (mangle.mjs).
 */
const shorten = {
  name: 'shorten',
  renderChunk: (code) =>
    minify(code, { compress: false, mangle: false, module: false, sourceMap: true, format: { comments: false } }),
};

export const plugins = () => [
  swc({
    include: /\.ts$/,
    swc: {
      jsc: {
        parser: { syntax: 'typescript' },
        externalHelpers: true,
        loose: true,
        assumptions: { objectRestNoSymbols: true, setSpreadProperties: true, pureGetters: true },
      },
      env: {
        targets: { chrome: '51' },
        loose: true,
        include: ['transform-parameters', 'transform-destructuring', 'transform-spread'],
      },
      sourceMaps: true,
    },
  }),
  swcHelpers({ root }),
  shorten,
  espruinoDialect({ root }),
  mangle(),
];

/** Not strict: Espruino has no strict mode, and what runs in the bench is to be what runs on the board. */
export const output = { format: 'cjs', strict: false, esModule: false, sourcemap: true, file: 'build/firmware.js' };

export default { input: 'firmware/main.ts', output, plugins: plugins() };
