// After the gate: names as short as they can be. The interpreter keeps a program's text in flash, but the name of every variable,
// method and property takes memory wherever there is one of it: four characters are free, each ten more cost a block.
import { readdirSync, readFileSync } from 'node:fs';
import { minify } from '@swc/core';
import { parseAst } from 'rollup/parseAst';
import { nominalCalibration } from '../metering/calibration.ts';
import { violations } from './gate.mjs';
import { walk } from './walk.mjs';

/** Variables that are somebody's already, and short: the interpreter's pins, and the bench's prelude. */
const VARIABLES = ['$', 'P', 'of', ...Array.from({ length: 40 }, (_, pin) => `D${pin}`)];
const KEYWORDS = ['as', 'do', 'if', 'in', 'is', 'of'];
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** @returns {import('rollup').Plugin} */
export const mangle = () => ({
  name: 'mangle',
  async generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      const { code, map } = await minify(shortProperties(chunk.code), {
        compress: false,
        mangle: { toplevel: true, reserved: VARIABLES },
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

/**
 * Short names for properties and methods, each followed by as many spaces as it lost: every place stays where it was, for the map.
 * Names that others know stay: the interpreter's, globals, what Storage's files say, and whatever the program also has as a text (as the
 * link's codec has its fields). A program that reads or writes JSON keeps all of them.
 * @param {string} code
 */
function shortProperties(code) {
  if (/\bJSON\./.test(code)) return code;
  const kept = new Set(KNOWN);
  /** @type {Map<string, number[]>} */
  const places = new Map();
  walk(parseAst(code), (node) => {
    if (node.type === 'Literal' && typeof node.value === 'string') kept.add(node.value);
    const property =
      node.type === 'MemberExpression'
        ? node.property
        : /^(Property|MethodDefinition)/.test(node.type)
          ? node.key
          : null;
    if (property === null || node.computed || property.type !== 'Identifier') return;
    const isGlobal = node.object?.type === 'Identifier' && node.object.name === 'global';
    if (node.shorthand || node.kind === 'constructor' || isGlobal) kept.add(property.name);
    else places.set(property.name, [...(places.get(property.name) ?? []), property.start]);
  });
  const names = [...places].filter(([name]) => name.length > 2 && !kept.has(name));
  names.sort((a, b) => b[1].length - a[1].length);
  const taken = new Set([...kept, ...places.keys(), ...KEYWORDS]);
  const next = shortNames(taken);
  const text = [...code];
  for (const [name, starts] of names) {
    const short = next().padEnd(name.length);
    for (const start of starts) for (let i = 0; i < name.length; i++) text[start + i] = short[i];
  }
  return text.join('');
}

/** a, b … Z, aa, ab …, without those that are taken. */
function shortNames(taken) {
  let n = 0;
  const name = (number) =>
    number < LETTERS.length
      ? LETTERS[number]
      : LETTERS[Math.floor(number / LETTERS.length) - 1] + LETTERS[number % LETTERS.length];
  return () => {
    while (taken.has(name(n))) n++;
    return name(n++);
  };
}

const KNOWN = [...namesOfInterpreter(), ...keysOf(nominalCalibration()), 'generator', 'phases'];

/** Every word of the declarations: a few too many do no harm. */
function namesOfInterpreter() {
  const folder = new URL('../lib/', import.meta.url);
  const texts = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), 'utf8'));
  return texts.flatMap((text) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').match(/[A-Za-z_]\w*/g) ?? []);
}
function keysOf(value) {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...keysOf(inner)]);
}
