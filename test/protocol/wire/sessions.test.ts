import test from 'ava';
import fc from 'fast-check';
import { LINK_SAY, type Say } from '../../../protocol/wire/link-messages.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../../protocol/wire/sessions.ts';

const split = (session: number, message: number, body: Uint8Array): Say[] =>
  Array.from({ length: partsOf(body.length) }, (_, n) => ({ type: LINK_SAY, ...partOf(session, message, body, n) }));
const bytesOf = (length: number, first = 0) => Uint8Array.from({ length }, (_, n) => first + n * 7);
const anyBody = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 1100 }),
  fc.constantFrom(1, 255, 256, 257, 512, SESSION_MOST_BYTES - 1, SESSION_MOST_BYTES).map((n) => bytesOf(n)),
);
const anyMessages = fc.array(fc.record({ session: fc.nat(9), body: anyBody }), { minLength: 1, maxLength: 5 });

test('known answers: how many parts, and what is in them', (t) => {
  t.deepEqual([1, 256, 257, SESSION_MOST_BYTES].map(partsOf), [1, 1, 2, 64]);
  const parts = split(3, 255, bytesOf(600));
  t.deepEqual(
    parts.map(({ session, message, part, parts, bytes }) => [session, message, part, parts, bytes.length]),
    [
      [3, 255, 0, 3, 256],
      [3, 255, 1, 3, 256],
      [3, 255, 2, 3, 88],
    ],
  );
});

test('what was split comes together again, message by message', (t) => {
  fc.assert(
    fc.property(anyMessages, (messages) => {
      const reader = new SessionReader();
      for (const [n, { session, body }] of messages.entries()) {
        const heard = split(session, n, body).map((part) => reader.push(part));
        t.deepEqual(heard.slice(0, -1), heard.slice(0, -1).fill(null));
        t.deepEqual({ ...heard.at(-1)!, body: [...heard.at(-1)!.body] }, { session, body: [...body] });
      }
      t.is(reader.dropped, 0);
      t.is(reader.messages, messages.length);
    }),
    { numRuns: 30 },
  );
});

test('lost, doubled and mixed parts cost their messages and never make one that was not said', (t) => {
  const fault = fc.record({ at: fc.nat(), kind: fc.constantFrom('lost', 'twice', 'swapped', 'short') });
  fc.assert(
    fc.property(anyMessages, fc.array(fault, { maxLength: 4 }), (messages, faults) => {
      const line = messages.flatMap(({ session, body }, n) => split(session, n, body));
      for (const { at, kind } of faults) {
        const n = at % line.length;
        if (kind === 'lost' && line.length > 1) line.splice(n, 1);
        else if (kind === 'twice') line.splice(n, 0, line[n]);
        else if (kind === 'swapped') line.splice(n, 2, ...line.slice(n, n + 2).reverse());
        else if (line[n].part < line[n].parts - 1) line[n] = { ...line[n], bytes: line[n].bytes.subarray(1) };
      }
      line.push(...split(1, 77, bytesOf(600)));
      const reader = new SessionReader();
      const heard = line.map((part) => reader.push(part)).filter((message) => message !== null);
      const said = [...messages, { session: 1, body: bytesOf(600) }];
      for (const { session, body } of heard)
        t.true(said.some((one) => one.session === session && Buffer.compare(one.body, body) === 0));
      t.like(heard.at(-1), { session: 1 }, 'after any disturbance the next message is heard');
    }),
    { numRuns: 60 },
  );
});

test('whatever comes: memory for one message, and what comes to nothing is counted', (t) => {
  const anyPart = fc.record({
    type: fc.constant<typeof LINK_SAY>(LINK_SAY),
    session: fc.nat(2),
    message: fc.nat(2),
    part: fc.nat(63),
    parts: fc.integer({ min: 1, max: 64 }),
    bytes: fc.constantFrom(1, 255, 256).map((n) => new Uint8Array(n)),
  });
  fc.assert(
    fc.property(fc.array(anyPart, { maxLength: 60 }), (parts) => {
      const reader = new SessionReader();
      let whole = 0;
      for (const part of parts) {
        const message = reader.push(part);
        if (message) whole += partsOf(message.body.length);
        t.true((reader.body?.length ?? 0) <= SESSION_MOST_BYTES);
      }
      t.is(whole + reader.dropped + reader.next, parts.length, 'every part is in a message, dropped, or waiting');
    }),
    { numRuns: 200 },
  );
});
