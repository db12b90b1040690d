import test from 'ava';
import fc from 'fast-check';
import { decodeMessage, encodeMessage, isLinkError, type LinkError } from '../../../protocol/wire/link-codec.ts';
import { MAX_BODY_BYTES } from '../../../protocol/wire/link-frame.ts';
import {
  type GatewayCommand,
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_DATA,
  LINK_IMAGE_END,
  LINK_IMAGE_STATE,
  LINK_LIVE,
  LINK_MEASURE,
  LINK_MEASUREMENT,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_RELAY,
  LINK_RELAY_STATE,
  LINK_SAY,
  LINK_STATUS,
  LINK_TELL,
  LINK_TIME,
  type MeterMessage,
  REFUSED_MALFORMED,
  REFUSED_UNKNOWN,
  type Say,
  type Tell,
} from '../../../protocol/wire/link-messages.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fault = (action: () => unknown): LinkError => {
  try {
    action();
  } catch (error) {
    if (isLinkError(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

test('known answers: the layout of the comment, byte by byte', (t) => {
  t.is(
    hex(
      encodeMessage({
        type: LINK_RECORD,
        number: 1,
        boot: 2,
        uptimeMs: 0x010203040506,
        slot: 0x001abbcc,
        importMwh: 2 ** 53 - 1,
        exportMwh: 2 ** 32,
        flags: 0x0104,
      }),
    ),
    `03 01000000 02000000 0605040302010000 ccbb1a00 ffffffffffff1f00 0000000001000000 0401`.replaceAll(' ', ''),
  );
  t.is(hex(encodeMessage({ type: LINK_TIME, unixMs: 1_700_000_000_000 })), '810068e5cf8b010000');
  t.is(
    hex(encodeMessage({ type: LINK_CLAMP, verdict: 1, powerMw: -500_000, powerFactorE4: -9991 })),
    '0401e05ef8fff9d8',
  );
  t.is(hex(encodeMessage({ type: LINK_STATUS })), '84');
  t.is(hex(encodeMessage({ type: LINK_RELAY, state: 0, untilMs: 1_700_000_000_000 })), '8a000068e5cf8b010000');
  t.is(
    hex(encodeMessage({ type: LINK_IMAGE_STATE, state: 1, version: 3, offset: 0x0100, room: 0x1000, running: 2 })),
    '06 01 03000000 00010000 00100000 02000000'.replaceAll(' ', ''),
  );
  const digest = new Uint8Array(32).fill(0xd1);
  t.is(
    hex(encodeMessage({ type: LINK_IMAGE_BEGIN, version: 3, length: 43_000, digest })),
    `86 03000000 f8a70000 ${'d1'.repeat(32)}`.replaceAll(' ', ''),
  );
  t.is(
    hex(encodeMessage({ type: LINK_IMAGE_DATA, offset: 0x0200, bytes: Uint8Array.of(7, 8, 9) })),
    '87 00020000 070809'.replaceAll(' ', ''),
  );
  const part = { session: 3, message: 0xfe, part: 1, parts: 2, bytes: Uint8Array.of(7, 8, 9) };
  t.is(hex(encodeMessage({ type: LINK_SAY, ...part })), '09 03 fe 01 02 070809'.replaceAll(' ', ''));
  t.is(hex(encodeMessage({ type: LINK_TELL, ...part })), '8b 03 fe 01 02 070809'.replaceAll(' ', ''));
  t.is(
    hex(
      encodeMessage({
        type: LINK_HELLO,
        meterId: '00a1b2c3d4e5f607',
        boot: 7,
        uptimeMs: 1000,
        oldestRecord: 0,
        newestRecord: 0,
        firmware: 'ffeeddccbbaa9988',
      }),
    ),
    '01 00a1b2c3d4e5f607 07000000 e803000000000000 00000000 00000000 ffeeddccbbaa9988'.replaceAll(' ', ''),
  );
});

const u = (max: number) => fc.integer({ min: 0, max });
const u32 = u(2 ** 32 - 1);
const b32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const count = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const exact = fc.maxSafeNat();
const hex8 = fc.stringMatching(/^[0-9a-f]{16}$/);
const powerFactorE4 = fc.integer({ min: -10_000, max: 10_000 });
const is = <T extends number>(type: T) => fc.constant(type);
const anyMessage: fc.Arbitrary<MeterMessage | GatewayCommand> = fc.oneof(
  fc.record({
    type: is(LINK_HELLO),
    meterId: hex8,
    boot: count,
    uptimeMs: exact,
    oldestRecord: u(2 ** 32 - 1),
    newestRecord: u(2 ** 32 - 1),
    firmware: hex8,
  }),
  fc.record({
    type: is(LINK_LIVE),
    boot: count,
    uptimeMs: exact,
    powerMw: i32,
    reactiveMvar: i32,
    apparentMva: u(2 ** 32 - 1),
    voltageMv: u(2 ** 32 - 1),
    currentMa: u(2 ** 32 - 1),
    powerFactorE4,
    frequencyMhz: u(2 ** 32 - 1),
    importMwh: exact,
    exportMwh: exact,
    flags: u(65_535),
  }),
  fc.record({
    type: is(LINK_RECORD),
    number: count,
    boot: count,
    uptimeMs: exact,
    slot: u(2 ** 32 - 1),
    importMwh: exact,
    exportMwh: exact,
    flags: u(65_535),
  }),
  fc.record({ type: is(LINK_CLAMP), verdict: u(2), powerMw: i32, powerFactorE4 }),
  fc.record({ type: is(LINK_REFUSED), command: u(255), reason: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ type: is(LINK_RELAY_STATE), state: fc.constantFrom(0 as const, 1 as const), untilMs: exact }),
  fc.record({ type: is(LINK_RELAY), state: fc.constantFrom(0 as const, 1 as const), untilMs: exact }),
  fc.record({ type: is(LINK_TIME), unixMs: fc.integer({ min: 946_684_800_000, max: 4_102_444_799_999 }) }),
  fc.record({ type: is(LINK_ACK), number: u(2 ** 32 - 1) }),
  fc.record({ type: is(LINK_READ), from: count }),
  fc.record({ type: is(LINK_STATUS) }),
  fc.record({ type: is(LINK_CHECK_CLAMP) }),
  fc.record({ type: is(LINK_IMAGE_STATE), state: u(8), version: u32, offset: u32, room: u32, running: u32 }),
  fc.record({ type: is(LINK_MEASUREMENT), version: u32, length: u32, digest: b32 }),
  fc.record({ type: is(LINK_IMAGE_BEGIN), version: count, length: count, digest: b32 }),
  fc.record({ type: is(LINK_IMAGE_DATA), offset: u32, bytes: fc.uint8Array({ minLength: 1, maxLength: 256 }) }),
  fc.record({ type: is(LINK_IMAGE_END) }),
  fc.record({
    type: fc.constantFrom(LINK_SAY as typeof LINK_SAY, LINK_TELL as typeof LINK_TELL),
    session: u(255),
    message: u(255),
    part: u(63),
    parts: fc.integer({ min: 1, max: 64 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 256 }),
  }) as fc.Arbitrary<Say | Tell>,
  fc.record({ type: is(LINK_MEASURE), nonce: b32 }),
);

test('property: every message comes back as it was, also from the middle of a larger buffer', (t) => {
  fc.assert(
    fc.property(anyMessage, u(9), (message, offset) => {
      const body = encodeMessage(message);
      const around = new Uint8Array(body.length + offset + 3);
      around.set(body, offset);
      t.true(body.length <= MAX_BODY_BYTES);
      t.deepEqual({ ...decodeMessage(around.subarray(offset, offset + body.length)) }, { ...message });
    }),
    { numRuns: 500 },
  );
});

test('property: bytes that are no message are refused with the field, and nothing else is thrown', (t) => {
  let refused = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.option(anyMessage), (noise, message) => {
      const body = message ? encodeMessage(message) : noise;
      if (message && noise.length > 1) body[noise[0] % body.length] = noise[1];
      try {
        const decoded = decodeMessage(body);
        t.deepEqual(hex(encodeMessage(decoded)), hex(body)); // what is taken has one form only
      } catch (error) {
        if (!isLinkError(error)) throw error;
        refused++;
        t.truthy(error.field);
        t.is(error.messageType, body.length > 0 ? body[0] : 0);
      }
    }),
    { numRuns: 2000 },
  );
  t.true(refused > 100);
});

test('what is refused names its field and says which answer fits', (t) => {
  const of = (body: number[]) => fault(() => decodeMessage(Uint8Array.from(body)));
  t.like(of([]), { field: 'type', reason: REFUSED_UNKNOWN, messageType: 0 });
  t.like(of([0x77, 1, 2]), { field: 'type', reason: REFUSED_UNKNOWN, messageType: 0x77 });
  t.like(of([LINK_ACK, 1, 2]), { field: 'ACK', reason: REFUSED_MALFORMED, messageType: LINK_ACK });
  t.like(of([LINK_STATUS, 0]), { field: 'STATUS', reason: REFUSED_MALFORMED });
  t.like(of([LINK_IMAGE_DATA, 0, 0, 0, 0]), { field: 'IMAGE_DATA', reason: REFUSED_MALFORMED });
  t.like(of([LINK_IMAGE_DATA, 0, 0, 0, 0, ...Array(257).fill(1)]), { field: 'IMAGE_DATA', reason: REFUSED_MALFORMED });
  t.like(of([LINK_IMAGE_BEGIN, 0, 0, 0, 0, ...Array(36).fill(1)]), { field: 'IMAGE_BEGIN.version' });
  t.like(of([LINK_MEASURE, ...Array(31).fill(1)]), { field: 'MEASURE', reason: REFUSED_MALFORMED });
  t.like(of([LINK_READ, 0, 0, 0, 0]), { field: 'READ.from', reason: REFUSED_MALFORMED });
  t.like(of([LINK_TIME, 0, 0, 0, 0, 0, 0, 0, 0]), { field: 'TIME.unixMs', reason: REFUSED_MALFORMED });
  t.like(of([LINK_TIME, 0, 0, 0, 0, 0, 0, 0x20, 0]), { field: 'TIME.unixMs', reason: REFUSED_MALFORMED });
  t.like(of([LINK_REFUSED, 0x82, 9]), { field: 'REFUSED.reason', reason: REFUSED_MALFORMED });
  t.regex(of([LINK_TIME, 0, 0, 0, 0, 0, 0, 0, 0]).message, /^TIME\.unixMs: 0 is not an integer from/);
});

test('what cannot be written is refused before it leaves', (t) => {
  t.like(
    fault(() => encodeMessage({ type: LINK_TIME, unixMs: 1.7e12 + 0.5 })),
    { field: 'TIME.unixMs' },
  );
  t.like(
    fault(() => encodeMessage({ type: LINK_MEASURE, nonce: new Uint8Array(31) })),
    { field: 'MEASURE.nonce' },
  );
  t.like(
    fault(() => encodeMessage({ type: LINK_IMAGE_DATA, offset: 0, bytes: new Uint8Array(257) })),
    { field: 'IMAGE_DATA.bytes' },
  );
  t.like(
    fault(() => encodeMessage({ type: LINK_ACK, number: -1 })),
    { field: 'ACK.number' },
  );
  t.like(
    fault(() => encodeMessage({ type: LINK_ACK, number: Number.NaN })),
    { field: 'ACK.number' },
  );
  t.like(
    fault(() => encodeMessage({ type: LINK_ACK } as unknown as GatewayCommand)),
    { field: 'ACK.number' },
  );
  const hello = { type: LINK_HELLO, boot: 1, uptimeMs: 0, oldestRecord: 0, newestRecord: 0 } as const;
  t.like(
    fault(() => encodeMessage({ ...hello, meterId: '00A1B2C3D4E5F607', firmware: '0000000000000000' })),
    { field: 'HELLO.meterId' },
  );
  t.like(
    fault(() => encodeMessage({ ...hello, meterId: '0000000000000000', firmware: 'ff' })),
    { field: 'HELLO.firmware' },
  );
});
