// What Espruino has, read from the declarations the firmware is checked against (firmware/lib/*.d.ts): one list for the
// type checker and for the gate.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';

const folder = fileURLToPath(new URL('../lib/', import.meta.url));

/** Declared only to please the type checker; the interpreter has no such name. */
const NOT_THERE = ['Symbol'];

/** globals: names that exist; members: of a global, the names it has itself (`Math` → `abs` …), by its type's interface. */
function readLibrary() {
  const globals = new Set();
  const typeOf = new Map();
  const interfaces = new Map();
  const nameOf = (key) => (key?.type === 'Identifier' ? key.value : undefined);
  const memberNames = (members) => members.map((m) => nameOf(m.key)).filter((name) => name !== undefined);
  for (const file of readdirSync(folder)) {
    const { body } = parseSync(readFileSync(folder + file, 'utf8'), { syntax: 'typescript', target: 'esnext' });
    for (const item of body) {
      if (item.type === 'FunctionDeclaration') globals.add(item.identifier.value);
      if (item.type === 'VariableDeclaration') {
        for (const { id } of item.declarations) {
          globals.add(id.value);
          const type = id.typeAnnotation?.typeAnnotation;
          if (type?.type === 'TsTypeReference') typeOf.set(id.value, type.typeName.value);
          if (type?.type === 'TsTypeLiteral') interfaces.set(`${id.value}:`, new Set(memberNames(type.members)));
          if (type?.type === 'TsTypeLiteral') typeOf.set(id.value, `${id.value}:`);
        }
      }
      if (item.type === 'TsInterfaceDeclaration') {
        const known = interfaces.get(item.id.value) ?? new Set();
        for (const name of memberNames(item.body.body)) known.add(name);
        interfaces.set(item.id.value, known);
      }
    }
  }
  for (const name of NOT_THERE) globals.delete(name);
  for (const name of ['undefined', 'globalThis', 'global']) globals.add(name);
  const members = new Map();
  for (const [name, type] of typeOf) if (globals.has(name)) members.set(name, interfaces.get(type) ?? new Set());
  return { globals, members, types: typeOf, interfaces };
}

export const library = readLibrary();
