// What Espruino 2v29 cannot parse, does not have, or does differently without saying so, as far as one node of the
// program shows it. What takes a view of the whole (order of declarations, closures in loops) is in order.mjs.
// Every rule here has its snippet in test/espruino/cases/, run on the real interpreter.
import { library } from './library.mjs';
import { walk } from './walk.mjs';

const REFUSED_NODES = {
  RestElement: 'rest parameters do not parse',
  SpreadElement: 'spread does not parse',
  AssignmentPattern: 'default values do not parse',
  ObjectPattern: 'destructuring does not parse',
  ArrayPattern: 'destructuring does not parse',
  LabeledStatement: 'labels do not parse',
  ChainExpression: '`?.` does not parse',
  AwaitExpression: '`await` does not parse',
  YieldExpression: 'generators do not parse',
  TaggedTemplateExpression: 'tagged templates do not parse',
  PrivateIdentifier: '`#private` members do not parse',
  PropertyDefinition:
    'class fields are made once and shared by all instances, or do not parse: assign in the constructor',
  StaticBlock: 'static blocks do not parse',
  MetaProperty: '`new.target` and `import.meta` do not exist',
  ImportExpression: '`import()` does not exist',
  ImportDeclaration: 'modules have to be bundled',
  ExportNamedDeclaration: 'modules have to be bundled',
  ExportDefaultDeclaration: 'modules have to be bundled',
  ExportAllDeclaration: 'modules have to be bundled',
  WithStatement: '`with` does not parse',
  DebuggerStatement: '`debugger` stops the meter',
};

/** Names that exist and must not be used. */
const FORBIDDEN_NAMES = {
  arguments: 'counts declared parameters that were not passed: name them',
  eval: 'runs what is not in the build',
  Function: 'runs what is not in the build',
  Date: 'prints and parses in its own ways: time is a number here',
};
const FORBIDDEN_MEMBERS = {
  'Math.random': 'is one generator with a fixed seed on the ESP32: take firmware/board/random',
  'Math.randInt': 'is one generator with a fixed seed on the ESP32: take firmware/board/random',
  'E.hwRand': 'is the same fixed-seed generator as Math.random on the ESP32: take firmware/board/random',
  'E.srand': 'there is no generator worth seeding',
};

/** What JavaScript's strings, arrays, numbers, promises … have and Espruino's have not. */
const MISSING_METHODS = new Set(
  (
    'at codePointAt copyWithin entries findLast findLastIndex flat flatMap finally getBigInt64 getBigUint64 isWellFormed ' +
    'keys values localeCompare lastIndexOf matchAll normalize reduceRight search toExponential toFixed toLocaleString toPrecision ' +
    'toReversed toSorted toSpliced trimStart trimEnd trimLeft trimRight isPrototypeOf propertyIsEnumerable ' +
    'setBigInt64 setBigUint64 toLocaleLowerCase toLocaleUpperCase'
  ).split(' '),
);
/** Words that the interpreter reserves and JavaScript does not. */
const RESERVED = new Set(['of', 'static']);

const REGEX_REFUSED = [
  [/\(\?/, 'regular expressions have no `(?` groups or lookahead'],
  [/(^|[^\\])(\\\\)*\{/, 'regular expressions have no `{n,m}`'],
  [/(^|[^\\])(\\\\)*\?/, 'regular expressions have no `?`, and no lazy quantifiers'],
  [/\\[1-9bBkpPu]/, 'regular expressions have no back references, `\\b` or `\\p`'],
];

/**
 * @param {object} ast of the whole program
 * @param {Set<object>} free identifiers that no declaration of the program binds (scopes.mjs)
 * @returns {{ at: number, what: string }[]} `at`: offset in the program
 */
export function syntaxViolations(ast, free) {
  const found = [];
  const refuse = (node, what) => found.push({ at: node.start, what });
  const own = ownNames(ast);
  const classes = classesByName(ast);

  walk(ast, (node, ancestors) => {
    if (REFUSED_NODES[node.type]) refuse(node, REFUSED_NODES[node.type]);
    if (node.async) refuse(node, '`async` does not parse: use promises');
    if (node.generator) refuse(node, 'generators do not parse');
    if (node.computed && (node.type === 'Property' || node.type === 'MethodDefinition'))
      refuse(node, 'computed names do not parse');
    if (node.type === 'ForOfStatement' && node.await) refuse(node, '`for await` does not parse');
    if ((node.type === 'BinaryExpression' && node.operator === '**') || node.operator === '**=')
      refuse(node, '`**` does not parse: use Math.pow');
    if (['??=', '||=', '&&='].includes(node.operator)) refuse(node, `\`${node.operator}\` does not parse`);
    if (node.type === 'Identifier') identifier(node, ancestors);
    if (node.type === 'Literal') literal(node, ancestors);
    if (node.type === 'SwitchStatement') {
      const at = node.cases.findIndex((c) => c.test === null);
      if (at >= 0 && at < node.cases.length - 1) refuse(node.cases[at + 1], '`case` after `default` does not parse');
    }
    if (node.directive === 'use strict') refuse(node, 'there is no strict mode');
    if (node.type === 'MemberExpression') member(node);
    if (node.type === 'CallExpression') call(node);
    if (node.type === 'ObjectExpression') numericKeys(node);
    if (node.type === 'AssignmentExpression' || node.type === 'UpdateExpression') {
      const target = node.left ?? node.argument;
      if (target.type === 'MemberExpression' && !target.computed && target.property.name === 'length')
        refuse(node, '`length` cannot be assigned: it throws');
      if (target.type === 'MemberExpression' && builtInPrototype(target.object))
        refuse(node, 'built-in types cannot be extended');
    }
    if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') heritage(node);
    if (node.type === 'Super') superUse(node, ancestors);
  });
  return found;

  function identifier(node, ancestors) {
    if (/[^\x20-\x7e]/.test(node.name)) refuse(node, 'names have to be ASCII');
    if (!free.has(node)) {
      if (RESERVED.has(node.name) && !isPropertyName(node, ancestors)) refuse(node, `\`${node.name}\` is reserved`);
      return;
    }
    if (Object.hasOwn(FORBIDDEN_NAMES, node.name)) refuse(node, `\`${node.name}\`: ${FORBIDDEN_NAMES[node.name]}`);
    else if (!library.globals.has(node.name)) {
      const parent = ancestors.at(-1);
      if (parent.type === 'UnaryExpression' && parent.operator === 'typeof') return; // asking is allowed
      refuse(node, `\`${node.name}\` does not exist in Espruino (firmware/lib/)`);
    }
  }

  function literal(node, ancestors) {
    if (node.bigint) refuse(node, 'BigInt does not exist');
    if (node.regex) {
      for (const [pattern, what] of REGEX_REFUSED) if (pattern.test(node.regex.pattern)) refuse(node, what);
      if (/[^gi]/.test(node.regex.flags)) refuse(node, 'regular expressions have the flags `g` and `i` only');
    }
    if (typeof node.value === 'number') {
      const digits = node.raw.replace(/_/g, '');
      if (Number.isInteger(node.value) && Math.abs(node.value) > Number.MAX_SAFE_INTEGER && !/e/i.test(digits))
        refuse(node, 'an integer beyond 2^53 is not read exactly');
      const significant = digits.replace(/e.*$/i, '').replace('.', '').replace(/^0+/, '');
      if (!Number.isInteger(node.value) && significant.length > 15)
        refuse(node, 'more than 15 digits are not read exactly');
      const parent = ancestors.at(-1);
      if (node.value === 0 && parent.type === 'UnaryExpression' && parent.operator === '-')
        refuse(node, 'there is no negative zero');
    }
  }

  function member(node) {
    if (builtInPrototype(node))
      refuse(node, `\`${node.object.name}.prototype\` has no readable methods: use \`[].slice.call\``);
    const { object } = node;
    const name = node.computed ? undefined : node.property.name;
    if (name === undefined) return;
    if (object.type === 'Identifier' && free.has(object) && library.members.has(object.name)) {
      const full = `${object.name}.${name}`;
      if (FORBIDDEN_MEMBERS[full]) refuse(node, `\`${full}\` ${FORBIDDEN_MEMBERS[full]}`);
      else if (!library.members.get(object.name).has(name) && !['prototype', 'call', 'apply', 'bind'].includes(name))
        refuse(node, `\`${full}\` does not exist in Espruino (firmware/lib/)`);
      return;
    }
    if (MISSING_METHODS.has(name) && !own.has(name) && object.type !== 'Super')
      refuse(
        node,
        `\`.${name}\` does not exist in Espruino${name === 'lastIndexOf' ? ' (strings have it, arrays do not)' : ''}`,
      );
    const inherited = object.type === 'Identifier' && classes.get(object.name);
    if (inherited && !inherited.statics.has(name)) {
      for (let up = classes.get(inherited.superName); up; up = classes.get(up.superName)) {
        if (up.statics.has(name)) refuse(node, `static \`${name}\` is not inherited: name the class that has it`);
      }
    }
  }

  function call(node) {
    const { callee } = node;
    if (callee.type !== 'MemberExpression' || callee.computed) return;
    const object = callee.object.type === 'Identifier' && free.has(callee.object) ? callee.object.name : '';
    const name = callee.property.name;
    if (object === 'JSON' && node.arguments.length > 1)
      refuse(node, `JSON.${name} takes one argument: replacers, revivers and indents are passed over`);
    if (object === 'Object' && name === 'defineProperty' && /enumerable|writable/.test(keysOf(node.arguments[2])))
      refuse(node, '`enumerable` and `writable` are passed over');
    if (name === 'split' && node.arguments.length > 1) refuse(node, "split's limit is passed over");
  }

  /** `{ b: 1, 2: 1 }`: JavaScript lists whole numbers first and in order, Espruino as written. */
  function numericKeys(node) {
    let last = -1;
    let others = false;
    for (const { key } of node.properties) {
      if (!key || typeof key.value !== 'number') others = true;
      else {
        if (others || key.value < last)
          refuse(key, 'numeric keys come out in another order: put them first, ascending');
        last = key.value;
      }
    }
  }

  function heritage(node) {
    const { superClass } = node;
    if (!superClass) return;
    if (superClass.type !== 'Identifier') refuse(superClass, 'only a named class can be extended');
    else if (free.has(superClass)) refuse(superClass, `\`${superClass.name}\` cannot be extended`);
  }

  /** `super.m()` finds the parent of the object's class, not of the method's: one level works, two call themselves. */
  function superUse(node, ancestors) {
    if (ancestors.at(-1).type !== 'MemberExpression') return;
    const inner = ancestors.findLastIndex((a) => a.type === 'MethodDefinition');
    if (ancestors.slice(inner + 2).some((a) => /Function/.test(a.type))) {
      refuse(node, '`super` does not parse in a function inside a method');
      return;
    }
    const home = ancestors.findLast((a) => a.type === 'ClassDeclaration' || a.type === 'ClassExpression');
    const parent = home?.superClass && classes.get(home.superClass.name);
    if (parent?.superName) refuse(node, '`super.` works one level deep only: this class is the third');
    const method = ancestors[inner];
    if (method?.static) refuse(node, '`super` does not work in static methods');
  }

  function builtInPrototype(node) {
    return (
      node.type === 'MemberExpression' &&
      !node.computed &&
      node.property.name === 'prototype' &&
      node.object.type === 'Identifier' &&
      free.has(node.object)
    );
  }
}

const keysOf = (node) =>
  node?.type === 'ObjectExpression' ? node.properties.map((p) => p.key?.name ?? p.key?.value).join(' ') : '';

const isPropertyName = (node, ancestors) => {
  const parent = ancestors.at(-1);
  return (
    (parent.type === 'MemberExpression' && parent.property === node && !parent.computed) ||
    ((parent.type === 'Property' || parent.type === 'MethodDefinition') && parent.key === node && !parent.shorthand)
  );
};

/** Names that the program itself gives to methods and properties: those are its own, whatever they are called. */
function ownNames(ast) {
  const names = new Set();
  walk(ast, (node) => {
    if (node.type === 'MethodDefinition' || node.type === 'Property') names.add(node.key.name ?? node.key.value);
    if (node.type === 'AssignmentExpression' && node.left.type === 'MemberExpression' && !node.left.computed)
      names.add(node.left.property.name);
  });
  return names;
}

function classesByName(ast) {
  const classes = new Map();
  walk(ast, (node, ancestors) => {
    if (node.type !== 'ClassDeclaration' && node.type !== 'ClassExpression') return;
    const parent = ancestors.at(-1);
    const name = node.id?.name ?? (parent.type === 'VariableDeclarator' ? parent.id.name : undefined);
    if (!name) return;
    const statics = new Set(node.body.body.filter((m) => m.static && m.key).map((m) => m.key.name));
    classes.set(name, { statics, superName: node.superClass?.name });
  });
  return classes;
}
