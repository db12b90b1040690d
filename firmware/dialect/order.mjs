// Espruino hoists nothing: a declaration means something from the moment it has run. And the variable in a loop's head
// is one variable: what closes over it sees its last value. JavaScript, the bench and the tests know neither rule, so
// code that depends on them would work everywhere but on the meter.
import { childrenOf, isFunction } from './walk.mjs';

/** Built-in methods that call back before they return. */
const CALLS_BACK = new Set(
  'map forEach filter find findIndex some every reduce sort mapInPlace replace call apply'.split(' '),
);

/**
 * @param {object} ast
 * @param {ReturnType<import('./scopes.mjs').resolveNames>} names
 * @returns {{ at: number, what: string }[]}
 */
export function orderViolations(ast, names) {
  const found = [];
  const { references } = names;
  const bindingOf = new Map(references.map((r) => [r.node, r.binding]));

  for (const { node, binding, owner, ancestors } of references) {
    if (!binding) continue;
    const refuse = (what) => found.push({ at: node.start, what });
    if (binding.owner === owner && node.start < binding.existsAt && !isOwnHead(ancestors, binding))
      refuse(`\`${node.name}\` is used before its declaration has run: nothing is hoisted`);
    else if ((binding.kind === 'var' || binding.kind === 'function') && !ancestors.includes(binding.block))
      refuse(`\`${node.name}\` is declared in a branch that may not have run`);
    if (binding.loop && ancestors.includes(binding.loop) && outlivesIteration(ancestors, binding.loop))
      refuse(`a function keeps the loop's \`${node.name}\`: it would see the last value`);
  }

  // What a function needs from outside when it is called, through everything that it calls in turn.
  const needs = neededBindings(references, bindingOf);
  for (const { node, called } of callsIn(ast, bindingOf)) {
    const owner = ownerOfCall.get(node);
    for (const fn of called) {
      for (const binding of needs(fn)) {
        if (binding.owner !== owner || node.start >= binding.existsAt) continue;
        if (binding.value === fn || bindingOf.get(node.callee)?.name === binding.name) continue; // found above
        found.push({
          at: node.start,
          what: `this call needs \`${binding.name}\`, whose declaration further down has not run yet`,
        });
      }
    }
  }
  return found;
}

/** `for (const x of xs)`: the head writes x before the body runs, wherever it stands. */
const isOwnHead = (ancestors, binding) => binding.loop !== null && ancestors.includes(binding.loop.body);

/** True where a function between the loop and the name may be called after the iteration is over. */
function outlivesIteration(ancestors, loop) {
  for (let i = ancestors.indexOf(loop) + 1; i < ancestors.length; i++) {
    if (isFunction(ancestors[i]) && !isCalledBackAtOnce(ancestors[i], ancestors[i - 1])) return true;
  }
  return false;
}

function isCalledBackAtOnce(fn, parent) {
  if (parent.type !== 'CallExpression') return false;
  if (parent.callee === fn) return true;
  const { callee } = parent;
  return callee.type === 'MemberExpression' && !callee.computed && CALLS_BACK.has(callee.property.name);
}

const ownerOfCall = new WeakMap();

/** Every call in the tree with the functions of the program that it runs, as far as names tell. */
function callsIn(ast, bindingOf) {
  const calls = [];
  const visit = (node, owner) => {
    if (node.type === 'CallExpression' || node.type === 'NewExpression') {
      const called = functionsCalled(node, bindingOf);
      if (called.length) {
        ownerOfCall.set(node, owner);
        calls.push({ node, called });
      }
    }
    for (const child of childrenOf(node)) visit(child, isFunction(node) ? node : owner);
  };
  visit(ast, ast);
  return calls;
}

function functionsCalled(call, bindingOf) {
  const { callee } = call;
  const called = [];
  if (isFunction(callee)) called.push(callee);
  if (callee.type === 'Identifier') called.push(...functionsOf(bindingOf.get(callee)?.value));
  if (callee.type === 'MemberExpression' && callee.object.type === 'Identifier' && !callee.computed) {
    const value = bindingOf.get(callee.object)?.value;
    if (value?.type === 'ObjectExpression')
      called.push(
        ...value.properties.filter((p) => p.key?.name === callee.property.name).flatMap((p) => functionsOf(p.value)),
      );
    if (value && /Class/.test(value.type))
      called.push(
        ...value.body.body.filter((m) => m.static && m.key.name === callee.property.name).map((m) => m.value),
      );
  }
  for (const argument of call.arguments) {
    if (isFunction(argument) && isCalledBackAtOnce(argument, call)) called.push(argument);
    if (argument.type === 'Identifier' && isCalledBackAtOnce(argument, call))
      called.push(...functionsOf(bindingOf.get(argument)?.value));
  }
  return called;
}

/** A function itself; of a class all its methods, since whoever makes an object is about to use it. */
function functionsOf(value) {
  if (!value) return [];
  if (isFunction(value)) return [value];
  if (/Class/.test(value.type)) return value.body.body.filter((m) => !m.static && m.value).map((m) => m.value);
  return [];
}

function neededBindings(references, bindingOf) {
  const outside = new Map();
  for (const { binding, owner } of references) {
    if (!binding || binding.owner === owner || !isFunction(owner)) continue;
    if (!outside.has(owner)) outside.set(owner, new Set());
    outside.get(owner).add(binding);
  }
  const calls = new Map();
  const callsOf = (fn) => {
    if (!calls.has(fn)) {
      const list = [];
      const visit = (node) => {
        if (node.type === 'CallExpression' || node.type === 'NewExpression')
          list.push(...functionsCalled(node, bindingOf));
        if (!isFunction(node)) for (const child of childrenOf(node)) visit(child);
      };
      for (const child of childrenOf(fn)) visit(child);
      calls.set(fn, list);
    }
    return calls.get(fn);
  };
  const known = new Map();
  return (fn) => {
    if (!known.has(fn)) {
      const reached = new Set([fn]);
      for (const f of reached) for (const next of callsOf(f)) reached.add(next);
      const needed = new Set();
      for (const f of reached) for (const binding of outside.get(f) ?? []) needed.add(binding);
      known.set(fn, needed);
    }
    return known.get(fn);
  };
}
