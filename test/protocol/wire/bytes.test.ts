import test from 'ava';
import fc from 'fast-check';
import { ByteReader, ByteWriter, MalformedError } from '../../../protocol/wire/bytes.ts';

const NAME = /^[a-z]{0,9}$/;

test('numbers are big-endian, text has its length before it', (t) => {
  const bytes = new ByteWriter('m')
    .u8('a', 0x12)
    .u16('b', 0x3456)
    .u32('c', 0x789abcde)
    .text('d', 'ok', NAME)
    .bytes('e', Buffer.from('f0', 'hex'), 1)
    .finish();
  t.is(Buffer.from(bytes).toString('hex'), '123456789abcde026f6bf0');
});

test('what was written is read', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 65535 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.stringMatching(NAME),
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      (a, b, c, d, e) => {
        const bytes = new ByteWriter('m')
          .u8('a', a)
          .u16('b', b)
          .u32('c', c)
          .text('d', d, NAME)
          .bytes('e', e, 5)
          .finish();
        const reader = new ByteReader('m', bytes);
        t.deepEqual([reader.u8('a'), reader.u16('b'), reader.u32('c'), reader.text('d', NAME)], [a, b, c, d]);
        t.deepEqual([...reader.bytes('e', 5)], [...e]);
        t.is(reader.at, bytes.length);
        reader.end();
      },
    ),
  );
});

test('an error names the field, on both sides', (t) => {
  const path = (work: () => unknown): string => t.throws(work, { instanceOf: MalformedError })!.path;
  t.is(
    path(() => new ByteWriter('m').u8('a', 256)),
    'm.a',
  );
  t.is(
    path(() => new ByteWriter('m').u32('a', -1)),
    'm.a',
  );
  t.is(
    path(() => new ByteWriter('m').u32('a', 1.5)),
    'm.a',
  );
  t.is(
    path(() => new ByteWriter('m').u16('a', Number.NaN)),
    'm.a',
  );
  t.is(
    path(() => new ByteWriter('m').text('a', 'A', NAME)),
    'm.a',
  );
  t.is(
    path(() => new ByteWriter('m').bytes('a', new Uint8Array(3), 4)),
    'm.a',
  );
  t.is(
    path(() => new ByteReader('m', new Uint8Array(3)).u32('a')),
    'm.a',
  );
  t.is(
    path(() => new ByteReader('m', Buffer.from([5, 97])).text('a', NAME)),
    'm.a',
  );
  t.is(
    path(() => new ByteReader('m', Buffer.from([1, 65])).text('a', NAME)),
    'm.a',
  );
  t.is(
    path(() => new ByteReader('m', Buffer.from([2])).constant('version', 1)),
    'm.version',
  );
  t.is(
    path(() => new ByteReader('m', Buffer.from([2])).end()),
    'm',
  );
});

test('what was read does not change with the buffer it came from', (t) => {
  const buffer = Buffer.from([1, 2]);
  const read = new ByteReader('m', buffer).bytes('a', 2);
  buffer.fill(0);
  t.deepEqual([...read], [1, 2]);
});
