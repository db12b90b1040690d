// The firmware is the only part of the project that is built. What Espruino cannot run, firmware/dialect/gate.mjs
// refuses; what TypeScript writes and Espruino cannot read (parameters with defaults, destructuring, spread, `?.`, `**`)
// swc turns into what it can.
import swc from '@rollup/plugin-swc';
import { espruinoDialect } from './firmware/dialect/gate.mjs';

export const plugins = () => [
  swc({
    include: /\.ts$/,
    swc: {
      jsc: {
        parser: { syntax: 'typescript' },
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
  espruinoDialect(),
];

/** Not strict: Espruino has no strict mode, and what runs in the bench is to be what runs on the board. */
export const output = { format: 'cjs', strict: false, esModule: false, sourcemap: true };

export default {
  input: 'firmware/main.ts',
  output: { ...output, file: 'build/firmware.js' },
  plugins: plugins(),
};
