// swc writes some constructs as calls of its helper functions. For a few of them Espruino has something of its own;
// every other one stands for a construct that is outside the dialect, and is refused where it stands in the source.
import { SourceMap } from 'node:module';
import { relative } from 'node:path';
import { isReference, walk } from './walk.mjs';

const HELPERS = {
  _extends: 'export const _ = Object.assign;', // { ...a, b }
};
const REFUSED = {
  _async_to_generator: '`async` does not parse: use promises',
  _object_without_properties_loose: 'the rest of an object does not parse: name what is wanted',
  _tagged_template_literal_loose: 'tagged templates do not parse',
  _class_private_field_loose_base: '`#private` members do not parse',
  _class_private_field_loose_key: '`#private` members do not parse',
};

/**
 * @param {{ root: string }} options root: what the places are told relative to
 * @returns {import('rollup').Plugin}
 */
export const swcHelpers = ({ root }) => ({
  name: 'swc-helpers',
  resolveId: (id) => (id.startsWith('@swc/helpers/_/') ? `\0swc-helper:${id.slice(15)}` : null),
  load: (id) => (id.startsWith('\0swc-helper:') ? HELPERS[id.slice(12)] : null),
  transform(code, id) {
    if (!code.includes('@swc/helpers/_/')) return;
    const locals = new Map();
    walk(this.parse(code), (node, ancestors) => {
      if (node.type === 'ImportDeclaration' && node.source.value.startsWith('@swc/helpers/_/')) {
        const name = node.source.value.slice(15);
        if (!Object.hasOwn(HELPERS, name)) locals.set(node.specifiers[0].local.name, name);
      } else if (locals.has(node.name) && isReference(node, ancestors) && !/^Import/.test(ancestors.at(-1).type)) {
        const helper = locals.get(node.name);
        const before = code.slice(0, node.start).split('\n');
        const entry = new SourceMap(this.getCombinedSourcemap()).findEntry(before.length - 1, before.at(-1).length);
        const where = `${relative(root, id)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
        this.error(`not in Espruino's dialect:\n  ${where}  ${REFUSED[helper] ?? `what swc writes with ${helper}`}`);
      }
    });
  },
});
