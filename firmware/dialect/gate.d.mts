import type { Plugin } from 'rollup';
/** Everything in a whole program that is outside the dialect, in the order of the text; `at` is an offset. */
export function violations(code: string): { at: number; what: string }[];
export function espruinoDialect(options: { root: string }): Plugin;
