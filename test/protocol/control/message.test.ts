import test from 'ava';
import fc from 'fast-check';
import {
  CONTROL_COMMANDS,
  ControlError,
  type ControlMemory,
  type ControlMessage,
  type ControlRefusal,
  checkControl,
  HOUR_MS,
  openControl,
  PER_HOUR_MOST,
  signControl,
} from '../../../protocol/control/message.ts';
import { controlTopic, parseControlTopic } from '../../../protocol/control/topics.ts';
import { generateEd25519Key, verifyEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { LABELS, labelled } from '../../../protocol/crypto/labels.ts';

const NOW = Date.UTC(2026, 2, 10, 17);
const key = generateEd25519Key();
const noCars: ControlMessage = {
  id: Buffer.alloc(16, 0xa5),
  area: 'north-1',
  deviceClass: 'ev-charger',
  command: 'off',
  limitW: null,
  issuedMs: NOW - 60_000,
  notBeforeMs: NOW - 60_000,
  expiresMs: NOW + 2 * HOUR_MS,
};

class Memory implements ControlMemory {
  readonly taken: ControlMessage[] = [];
  has(id: Uint8Array): boolean {
    return this.taken.some((message) => Buffer.compare(message.id, id) === 0);
  }
  countIssued(fromMs: number, toMs: number): number {
    return this.taken.filter(({ issuedMs }) => issuedMs >= fromMs && issuedMs < toMs).length;
  }
}
const take = (bytes: Uint8Array, memory = new Memory(), area = 'north-1', nowMs = NOW): ControlMessage => {
  const message = openControl(bytes, key.publicKey);
  checkControl(message, memory, area, nowMs);
  memory.taken.push(message);
  return message;
};
const refused = (work: () => unknown): { refusal: ControlRefusal; message: string } => {
  try {
    work();
  } catch (error) {
    if (error instanceof ControlError) return { refusal: error.refusal, message: error.message };
    throw error;
  }
  throw new Error('it was taken');
};

test('the layout: no car charging until 19:00', (t) => {
  const bytes = signControl(noCars, key.privateKey);
  const seconds = (unixMs: number): string => (unixMs / 1000).toString(16).padStart(8, '0');
  const body = Buffer.concat([
    Buffer.from(`01${'a5'.repeat(16)}07`, 'hex'),
    Buffer.from('north-1'),
    Buffer.from([10]),
    Buffer.from('ev-charger'),
    Buffer.from(`0000000000${seconds(NOW - 60_000)}${seconds(NOW - 60_000)}${seconds(NOW + 2 * HOUR_MS)}`, 'hex'),
  ]);
  t.deepEqual(Buffer.from(bytes.subarray(0, -64)), body);
  t.true(verifyEd25519(key.publicKey, labelled(LABELS.control, body), bytes.subarray(-64)));
  t.deepEqual(take(bytes), noCars);
  t.deepEqual(signControl(noCars, key.privateKey), bytes, 'one message, one signature');
});

test('every message comes back as it was said', (t) => {
  const start = fc.integer({ min: 1_500_000_000, max: 4_000_000_000 });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/),
      fc.constantFrom(...CONTROL_COMMANDS),
      fc.integer({ min: 1, max: 70_000 }),
      start,
      fc.integer({ min: 0, max: 86_400 }),
      fc.integer({ min: 1, max: 86_400 }),
      (id, deviceClass, command, limitW, issued, ahead, length) => {
        const message: ControlMessage = {
          id: Buffer.from(id),
          area: 'a-1',
          deviceClass,
          command,
          limitW: command === 'limit' ? limitW : null,
          issuedMs: issued * 1000,
          notBeforeMs: (issued + ahead) * 1000,
          expiresMs: (issued + ahead + length) * 1000,
        };
        t.deepEqual(openControl(signControl(message, key.privateKey), key.publicKey), message);
      },
    ),
    { numRuns: 100 },
  );
});

test('refused, each with its own sentence', (t) => {
  const bytes = signControl(noCars, key.privateKey);
  const unsigned = refused(() => take(bytes.subarray(0, -64)));
  t.deepEqual(unsigned, { refusal: 'unsigned', message: 'control.signature: is missing' });

  const foreign = refused(() => take(signControl(noCars, generateEd25519Key().privateKey)));
  t.is(foreign.refusal, 'forged');
  t.regex(foreign.message, /was not made by this household's provider/);

  const elsewhere = refused(() => take(signControl({ ...noCars, area: 'south-2' }, key.privateKey)));
  t.deepEqual(elsewhere, {
    refusal: 'other area',
    message: 'control.area: is south-2; this household is in north-1',
  });

  const old = refused(() => take(bytes, new Memory(), 'north-1', noCars.expiresMs));
  t.deepEqual(old, {
    refusal: 'expired',
    message: 'control.expires: was 2026-03-10T19:00:00Z: it has expired',
  });

  const memory = new Memory();
  take(bytes, memory);
  t.deepEqual(
    refused(() => take(bytes, memory)),
    { refusal: 'replayed', message: 'control.id: was seen before: it is obeyed once' },
  );

  const early = refused(() =>
    take(
      signControl(
        { ...noCars, issuedMs: NOW + HOUR_MS, notBeforeMs: NOW + HOUR_MS, expiresMs: NOW + 3 * HOUR_MS },
        key.privateKey,
      ),
    ),
  );
  t.deepEqual(early, { refusal: 'early', message: 'control.issued: lies in the future: is a clock wrong?' });
});

test('one altered bit anywhere, a byte more or less: refused', (t) => {
  const bytes = signControl(noCars, key.privateKey);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const altered = Buffer.from(bytes);
    altered[bit >> 3] ^= 1 << (bit & 7);
    t.true(['forged', 'malformed'].includes(refused(() => take(altered)).refusal), `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++)
    t.true(['unsigned', 'malformed'].includes(refused(() => take(bytes.subarray(0, length))).refusal));
  t.is(refused(() => take(Buffer.concat([bytes, Buffer.alloc(1)]))).refusal, 'malformed');
});

test('bounds hold for who signs and for who takes', (t) => {
  const tooLong = { ...noCars, expiresMs: noCars.notBeforeMs + 24 * HOUR_MS + 1000 };
  const sentence = 'control.expires: is more than 24 hours after its beginning';
  t.is(refused(() => signControl(tooLong, key.privateKey)).message, sentence);
  for (const [change, message] of [
    [{ expiresMs: noCars.notBeforeMs }, 'control.expires: is not after its beginning'],
    [{ notBeforeMs: noCars.issuedMs - 1000 }, 'control.notBefore: is before its issue'],
    [{ command: 'limit' }, 'control.limitW: is no whole number from 1 to 70000'],
    [{ command: 'limit', limitW: 70_001 }, 'control.limitW: is no whole number from 1 to 70000'],
    [{ limitW: 100 }, 'control.limitW: is given for off'],
    [
      { notBeforeMs: noCars.issuedMs + 24 * HOUR_MS + 1000, expiresMs: noCars.issuedMs + 25 * HOUR_MS },
      'control.notBefore: is more than 24 hours after its issue',
    ],
  ] as const) {
    t.deepEqual(
      refused(() => signControl({ ...noCars, ...change } as ControlMessage, key.privateKey)),
      { refusal: 'bounds', message },
    );
  }
});

test('a flood: so many of one hour of issue are taken, the others are refused; the next hour has its own', (t) => {
  const memory = new Memory();
  const numbered = (n: number, issuedMs: number): Uint8Array => {
    const id = Buffer.alloc(16);
    id.writeUInt32BE(n);
    return signControl(
      { ...noCars, id, issuedMs, notBeforeMs: issuedMs, expiresMs: issuedMs + HOUR_MS },
      key.privateKey,
    );
  };
  for (let n = 0; n < PER_HOUR_MOST; n++) take(numbered(n, NOW - 1000 * n - 1000), memory);
  t.deepEqual(
    refused(() => take(numbered(99, NOW - 1000), memory)),
    {
      refusal: 'flood',
      message: 'control.issued: is in an hour of which 12 messages were taken already: more are not obeyed',
    },
  );
  t.notThrows(() => take(numbered(100, NOW), memory));
});

test('topics', (t) => {
  const topic = controlTopic('north-1', new Uint8Array(32));
  t.regex(topic, /^quietmeter\/control\/north-1\/[0-9a-f]{16}$/);
  t.not(controlTopic('north-1', new Uint8Array(32).fill(1)), topic, 'another provider, another topic');
  t.is(parseControlTopic(topic), 'north-1');
  for (const topic of [
    'quietmeter/control/+/+',
    'quietmeter/control/',
    'quietmeter/control/a',
    'quietmeter/control/a/b',
  ])
    t.is(parseControlTopic(topic), undefined, topic);
});
