import test from 'ava';
import { makeChip } from '../../../bench/board/adc-model.ts';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';

/** Runs it as firmware: at the top level, in a timer, on serial data. `escaped(x)` tells whether x is of the host. */
function tryAll(body: string): string[] {
  const board = new VirtualBoard({
    bundle: `
      var hostNames = ['process', 'require', 'Buffer', 'setImmediate', 'queueMicrotask', 'fetch', 'structuredClone'];
      function attempt(where) {
        try {
          var got = (function () { ${body} })();
          print(where, got === undefined || got === null ? 'nothing' : 'GOT ' + typeof got);
        } catch (e) { print(where, 'nothing'); }
      }
      attempt('top');
      setTimeout(function () { attempt('timer'); }, 5);
      Serial2.on('data', function () { attempt('data'); });`,
    seed: 1,
    startMs: 0,
    chip: makeChip(1),
    storage: { a: '1' },
  });
  board.start();
  board.receive(new Uint8Array([1]));
  board.advanceTo(10);
  return board.output;
}
const nothing = ['top nothing', 'data nothing', 'timer nothing'];

const roots: Record<string, string> = {
  'the global object': 'globalThis',
  analogRead: 'analogRead',
  getTime: 'getTime',
  setTimeout: 'setTimeout',
  E: 'E',
  'E.convolve': 'E.convolve',
  Serial2: 'Serial2',
  'Serial2.write': 'Serial2.write',
  'the Flash module': "require('Flash')",
  'Flash.write': "require('Flash').write",
  'what Flash.read gives': "require('Flash').read(4, 0x310000)",
  Storage: "require('Storage')",
  'what Storage gives': "require('Storage').readJSON('a')",
  process: 'process',
  'a promise': 'Promise.resolve(1)',
  'an exception of a native': "(function () { try { require('Flash').erasePage(0); } catch (e) { return e; } })()",
  'an exception of V8': '(function () { try { null.x; } catch (e) { return e; } })()',
  'a stack overflow': '(function () { function f() { f(); } try { f(); } catch (e) { return e; } })()',
};
for (const [name, root] of Object.entries(roots)) {
  test(`no way out through ${name}`, (t) => {
    t.deepEqual(tryAll(`return (${root}).constructor.constructor('return process')().mainModule;`), nothing);
    t.deepEqual(tryAll(`return (${root}).constructor.constructor('return this')().process.env;`), nothing);
  });
}

test('no name of the host is there', (t) => {
  t.deepEqual(
    tryAll(
      "return hostNames.filter(function (n) { return n !== 'process' && n !== 'require' && globalThis[n] !== undefined; })[0];",
    ),
    nothing,
  );
  t.deepEqual(tryAll('return process.env || process.mainModule || process.binding;'), nothing);
  t.deepEqual(tryAll("return require('fs');"), nothing);
});

test('every object in reach is of the realm: no prototype chain ends in another Object', (t) => {
  const [found] = tryAll(`
    var seen = [];
    var strangers = [];
    function look(x, path, depth) {
      if ((typeof x !== 'object' && typeof x !== 'function') || x === null || seen.indexOf(x) >= 0 || depth > 6) return;
      seen.push(x);
      var p = x;
      while (Object.getPrototypeOf(p)) p = Object.getPrototypeOf(p);
      if (p !== Object.prototype) strangers.push(path);
      Object.getOwnPropertyNames(x).forEach(function (n) {
        var d = Object.getOwnPropertyDescriptor(x, n);
        ['value', 'get', 'set'].forEach(function (k) { if (d[k]) look(d[k], path + '.' + n, depth + 1); });
      });
      look(Object.getPrototypeOf(x), path + '.__proto__', depth + 1);
    }
    look(globalThis, 'global', 0);
    if (seen.length < 300) throw new Error('looked at ' + seen.length);
    return strangers.length ? strangers : undefined;`);
  t.is(found, 'top nothing');
});

test('a stack’s call sites show nothing of the host', (t) => {
  t.deepEqual(
    tryAll(`
      try { Error.prepareStackTrace = function (e, sites) { return sites; }; } catch (e) {}
      var sites = new Error('x').stack;
      if (typeof sites === 'string') return undefined;
      return sites;`),
    nothing,
  );
  t.deepEqual(tryAll('var own = attempt.caller; return own && own.caller;'), nothing);
});

test('text never becomes code', (t) => {
  t.deepEqual(tryAll("return (0, eval)('1');"), nothing);
  t.deepEqual(tryAll("return new (function () {}).constructor('return 1')();"), nothing);
  t.deepEqual(tryAll("return setTimeout('print(1)', 1);"), nothing);
  t.throws(() => new VirtualBoard({ bundle: "import('node:fs')", seed: 1, startMs: 0 }), { message: /import\(\)/ });
});

test('two boards share nothing', (t) => {
  const make = () =>
    new VirtualBoard({
      bundle:
        'globalThis.n = (globalThis.n || 0) + 1; Array.prototype.mark = (Array.prototype.mark || 0) + 1; print(n, [].mark);',
      seed: 1,
      startMs: 0,
    });
  const [a, b] = [make(), make()];
  a.start();
  b.start();
  a.start();
  t.deepEqual([...a.output, ...b.output], ['1 1', '1 1', '1 1']);
  t.false('mark' in []);
});
