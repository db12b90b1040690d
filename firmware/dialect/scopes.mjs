// Which declaration each name of the program means.
import { isFunction, isReference, walk } from './walk.mjs';

/**
 * @typedef {object} Binding
 * @property {string} name
 * @property {string} kind var, let, const, function, class, param, catch
 * @property {number} existsAt offset from which on the name means something in Espruino: nothing is hoisted
 * @property {object} block the block, loop or function whose code has to run for the declaration to run
 * @property {object} owner the function (or program) it belongs to
 * @property {object | null} loop the loop in whose head it is declared
 * @property {object | null} value the function, class or object literal it is bound to from the start
 */

const SCOPES = /^(Program|BlockStatement|For\w*Statement|SwitchStatement|CatchClause)$/;

/**
 * @param {object} ast
 * @returns {{ references: { node: object, binding: Binding | null, owner: object, ancestors: object[] }[], free: Set<object> }}
 *   owner: the function (or program) in whose code the name stands
 */
export function resolveNames(ast) {
  /** @type {Map<object, Map<string, Binding>>} */
  const scopes = new Map();
  const declare = (scope, binding) => {
    if (!scopes.has(scope)) scopes.set(scope, new Map());
    const known = scopes.get(scope);
    // a second `var` of the same name means the first one
    if (!known.has(binding.name)) known.set(binding.name, binding);
  };

  walk(ast, (node, ancestors) => {
    const owner = ancestors.findLast((a) => isFunction(a) || a.type === 'Program') ?? ast;
    const block = ancestors.findLast((a) => SCOPES.test(a.type) || isFunction(a)) ?? ast;
    if (node.type === 'VariableDeclaration') {
      const parent = ancestors.at(-1);
      const loop = /^For/.test(parent.type) && parent.body !== node ? parent : null;
      // the head of a loop always runs: a `var` in it belongs to the code around the loop
      const runsWith = loop ? ancestors.slice(0, -1).findLast((a) => SCOPES.test(a.type) || isFunction(a)) : block;
      for (const { id, init, end } of node.declarations) {
        for (const name of namesIn(id)) {
          const scope = node.kind === 'var' ? owner : block;
          declare(scope, {
            name,
            kind: node.kind,
            existsAt: end,
            block: node.kind === 'var' ? runsWith : block,
            owner,
            loop: node.kind === 'var' ? null : loop,
            value: init && /Function|Class|ObjectExpression/.test(init.type) ? init : null,
          });
        }
      }
    }
    const at = { owner, block, loop: null, value: node };
    if (node.type === 'FunctionDeclaration')
      declare(owner, { ...at, name: node.id.name, kind: 'function', existsAt: node.start });
    if (node.type === 'ClassDeclaration')
      declare(block, { ...at, name: node.id.name, kind: 'class', existsAt: node.end });
    if ((node.type === 'FunctionExpression' || node.type === 'ClassExpression') && node.id)
      declare(node, { ...at, name: node.id.name, kind: 'function', existsAt: node.start, owner: node, block: node });
    const inside = { owner: node, block: node, loop: null, value: null, existsAt: node.start };
    if (isFunction(node))
      for (const param of node.params)
        for (const name of namesIn(param)) declare(node, { ...inside, name, kind: 'param' });
    if (node.type === 'CatchClause' && node.param)
      for (const name of namesIn(node.param)) declare(node, { ...inside, owner, name, kind: 'catch' });
  });

  const references = [];
  const free = new Set();
  walk(ast, (node, ancestors) => {
    if (!isReference(node, ancestors)) return;
    let binding = null;
    for (let i = ancestors.length - 1; i >= 0 && !binding; i--) {
      binding = scopes.get(ancestors[i])?.get(node.name) ?? null;
    }
    const owner = ancestors.findLast((a) => isFunction(a) || a.type === 'Program');
    references.push({ node, binding, owner, ancestors: [...ancestors] });
    if (!binding) free.add(node);
  });
  return { references, free };
}

function namesIn(pattern) {
  switch (pattern?.type) {
    case 'Identifier':
      return [pattern.name];
    case 'AssignmentPattern':
      return namesIn(pattern.left);
    case 'RestElement':
      return namesIn(pattern.argument);
    case 'ArrayPattern':
      return pattern.elements.flatMap(namesIn);
    case 'ObjectPattern':
      return pattern.properties.flatMap((p) => namesIn(p.value ?? p.argument));
    default:
      return [];
  }
}
