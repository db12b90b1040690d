import test from 'ava';
import fc from 'fast-check';
import {
  decodeLine,
  encodeFrame,
  FrameReader,
  MAX_BODY_BYTES,
  MAX_LINE_CHARS,
} from '../../../protocol/wire/link-frame.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';

const frame = (body: Uint8Array) => encodeFrame(body, nodeNatives);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const reader = () => new FrameReader(nodeNatives);

test('known answers: CRC-32 of the check string, and a frame by hand', (t) => {
  const check = Buffer.from('123456789', 'latin1');
  t.is(nodeNatives.crc32(check), 0xcbf43926); // the check value of CRC-32/ISO-HDLC
  t.is(frame(check), `${Buffer.from('3132333435363738392639f4cb', 'hex').toString('base64')}\n`);
});

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: MAX_BODY_BYTES }), { maxLength: 12 });

test('property: bodies arrive in order however the bytes are cut into pieces', (t) => {
  fc.assert(
    fc.property(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 150 })), (sent, sizes) => {
      const text = sent.map(frame).join('');
      const link = reader();
      const got: Uint8Array[] = [];
      for (let at = 0; at < text.length; ) {
        const size = sizes.next().value as number;
        got.push(...link.push(text.substring(at, at + size)));
        at += size;
      }
      t.deepEqual(got.map(hex), sent.map(hex));
      t.is(link.frames, sent.length);
      t.is(link.damaged + link.oversize, 0);
    }),
  );
});

test('property: noise costs the lines that it touches; what is taken was sent', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          body: fc.uint8Array({ minLength: 1, maxLength: 60 }),
          fault: fc.constantFrom(
            'none',
            'flip',
            'cut head',
            'cut tail',
            'lost newline',
            'twice',
            'noise before',
            'noise lines',
          ),
          at: fc.nat(200),
          noise: fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
        }),
        { maxLength: 20 },
      ),
      (steps) => {
        const expected: string[] = [];
        let text = '';
        let joined = false; // the line before lost its newline
        for (const { body, fault, at, noise } of steps) {
          const line = frame(body);
          const cut = 1 + (at % (line.length - 2));
          const clean = joined ? [] : [hex(body)];
          joined = false;
          if (fault === 'none') expected.push(...clean);
          if (fault === 'twice') expected.push(...clean, hex(body));
          if (fault === 'noise lines') expected.push(...clean);
          if (fault === 'lost newline') joined = true;
          text += {
            none: line,
            twice: line + line,
            flip: `${line.substring(0, cut)}${String.fromCharCode(line.charCodeAt(cut) ^ 0x80)}${line.substring(cut + 1)}`,
            'cut head': line.substring(cut),
            'cut tail': `${line.substring(0, cut)}\n`,
            'lost newline': line.trimEnd(),
            'noise before': `!${noise.replaceAll('\n', '')}${line}`,
            'noise lines': `${line}?${noise.replaceAll('\n', '?\n?')}?\n`,
          }[fault];
        }
        const link = reader();
        const got = link.push(text).map(hex);
        // A flip may leave the bytes as they are (a lenient decoder, unused bits): then the body is right, and may be taken.
        const sent = steps.map((step) => hex(step.body));
        t.true(got.every((body) => sent.includes(body)));
        let next = 0;
        for (const body of got) if (next < expected.length && body === expected[next]) next++;
        t.is(next, expected.length, 'every untouched frame came through, in order');
      },
    ),
    { numRuns: 300 },
  );
});

test('every flipped bit and every cut of a frame is noticed', (t) => {
  const body = Uint8Array.from({ length: 57 }, (_, i) => i * 7);
  const line = frame(body).trimEnd();
  for (let at = 0; at < line.length; at++) {
    t.is(decodeLine(line.substring(0, at), nodeNatives), null);
    for (let bit = 0; bit < 7; bit++) {
      const flipped =
        line.substring(0, at) + String.fromCharCode(line.charCodeAt(at) ^ (1 << bit)) + line.substring(at + 1);
      const got = decodeLine(flipped, nodeNatives);
      t.true(got === null || hex(got) === hex(body), `bit ${bit} of character ${at}`);
    }
  }
  t.is(decodeLine(line + line, nodeNatives), null, 'two frames that ran together');
});

test('a line that never ends is dropped as it comes, counted once, and the next one is read', (t) => {
  const link = reader();
  for (let i = 0; i < 1000; i++) {
    t.deepEqual(link.push('A'.repeat(100)), []);
    t.true(link.partial.length <= MAX_LINE_CHARS, 'memory is bounded');
  }
  t.is(link.oversize, 1);
  t.deepEqual(link.push(`AAAA\n${frame(Uint8Array.of(1, 2, 3))}`).map(hex), ['010203']);
  t.deepEqual(link.push(`${'B'.repeat(MAX_LINE_CHARS + 1)}\n\n\n${frame(Uint8Array.of(4))}`).map(hex), ['04']);
  t.like(link, { frames: 2, damaged: 0, oversize: 2 });
});

test('the longest body fits and one byte more does not', (t) => {
  t.deepEqual(decodeLine(frame(new Uint8Array(MAX_BODY_BYTES)).trimEnd(), nodeNatives), Buffer.alloc(MAX_BODY_BYTES));
  t.is(reader().push(frame(new Uint8Array(MAX_BODY_BYTES + 1))).length, 0);
  t.is(reader().push(frame(new Uint8Array(0))).length, 0, 'an empty body is none');
});
