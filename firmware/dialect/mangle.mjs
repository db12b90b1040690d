// After the gate: names as short as they can be. The interpreter keeps a program's text in flash, but every name that a
// declaration gives takes memory, and looking for it is comparing it.
import { minify } from '@swc/core';
import { violations } from './gate.mjs';

/** Names that are somebody's already, and of the length that is given here: the interpreter's pins, and the bench's prelude. */
const RESERVED = ['$', 'P', 'of', ...Array.from({ length: 40 }, (_, pin) => `D${pin}`)];

/** @returns {import('rollup').Plugin} */
export const mangle = () => ({
  name: 'mangle',
  async generateBundle(options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      const { code, map } = await minify(chunk.code, {
        compress: false,
        mangle: { toplevel: true, reserved: RESERVED },
        module: false,
        format: { comments: false, asciiOnly: true },
        sourceMap: { content: chunk.map.toString() },
      });
      const [wrong] = violations(code);
      if (wrong) this.error(`mangle: what came out is not in Espruino's dialect at ${wrong.at}: ${wrong.what}`);
      chunk.code = code;
      Object.assign(chunk.map, JSON.parse(map));
    }
  },
});
