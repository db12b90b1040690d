import test from 'ava';
import fc from 'fast-check';
import {
  decodeKept,
  decodeLines,
  encodeKept,
  encodeLines,
  type LedgerLine,
  type LedgerLines,
  LINES_MOST,
} from '../../../protocol/wire/ledger.ts';

const u32 = fc.nat(0xffffffff);
const lines = fc
  .record({
    after: fc.nat(1000),
    more: fc.nat(1000),
    steps: fc.array(
      fc.record({
        step: fc.integer({ min: 1, max: 9 }),
        slot: u32,
        restImportMwh: u32,
        restExportMwh: u32,
        parts: fc.uniqueArray(
          fc.record({
            direction: fc.nat(1),
            purpose: fc.integer({ min: 1, max: 5 }),
            energyMwh: fc.integer({ min: 1, max: 0xffffffff }),
          }),
          { minLength: 1, maxLength: 10, selector: ({ direction, purpose }) => direction * 16 + purpose },
        ),
      }),
      { maxLength: LINES_MOST },
    ),
  })
  .map(({ after, more, steps }): LedgerLines => {
    let number = after;
    const inOrder = steps.map(({ step, ...line }) => {
      number += step;
      return { number, ...line };
    });
    return { after, upTo: after + more, lines: inOrder };
  });

test('known answer', (t) => {
  const line: LedgerLine = {
    number: 0x0102,
    slot: 3,
    restImportMwh: 4,
    restExportMwh: 5,
    parts: [{ direction: 1, purpose: 2, energyMwh: 0x01000006 }],
  };
  t.is(
    Buffer.from(encodeLines({ after: 7, upTo: 9, lines: [line] })).toString('hex'),
    '01' +
      '07000000' +
      '09000000' +
      '01' +
      '02010000' +
      '03000000' +
      '04000000' +
      '05000000' +
      '01' +
      '12' +
      '06000001',
  );
  t.is(Buffer.from(encodeKept(258)).toString('hex'), '0202010000');
});

test('what is written is read again', (t) => {
  fc.assert(
    fc.property(lines, (message) => t.deepEqual(decodeLines(encodeLines(message)), message)),
    { numRuns: 50 },
  );
  fc.assert(fc.property(u32, (number) => t.is(decodeKept(encodeKept(number)), number)));
});

test('whatever else arrives is refused by the name of its field', (t) => {
  const part = { direction: 0, purpose: 1, energyMwh: 1 };
  const line: LedgerLine = { number: 5, slot: 1, restImportMwh: 0, restExportMwh: 0, parts: [part] };
  const refused = (message: LedgerLines, path: string) =>
    t.regex(
      t.throws(() => decodeLines(encodeLines(message))).message,
      new RegExp(`^${path.replace(/[[\].]/g, '\\$&')}`),
    );
  refused({ after: 4, upTo: 3, lines: [] }, 'LINES.upTo');
  refused({ after: 5, upTo: 5, lines: [line] }, 'LINES.lines[0].number');
  refused({ after: 0, upTo: 0, lines: [line, line] }, 'LINES.lines[1].number');
  refused({ after: 0, upTo: 0, lines: [{ ...line, parts: [] }] }, 'LINES.lines[0].parts');
  refused({ after: 0, upTo: 0, lines: [{ ...line, parts: [part, part] }] }, 'LINES.lines[0].parts[1]');
  for (const [wrong, field] of [
    [{ direction: 2 }, 'direction'],
    [{ purpose: 0 }, 'purpose'],
    [{ purpose: 6 }, 'purpose'],
    [{ energyMwh: 0 }, 'energyMwh'],
  ] as const)
    refused(
      { after: 0, upTo: 0, lines: [{ ...line, parts: [{ ...part, ...wrong }] }] },
      `LINES.lines[0].parts[0].${field}`,
    );
  const whole = encodeLines({ after: 0, upTo: 9, lines: [line] });
  for (let length = 0; length < whole.length; length++)
    t.throws(() => decodeLines(whole.subarray(0, length)), { message: /^LINES/ });
  t.throws(() => decodeLines(Buffer.concat([whole, Buffer.of(0)])), { message: /1 bytes more/ });
  t.throws(() => encodeLines({ after: 0, upTo: 0, lines: new Array(LINES_MOST + 1).fill(line) }), {
    message: /LINES\.count/,
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        t.deepEqual(Buffer.from(encodeLines(decodeLines(bytes))), Buffer.from(bytes));
      } catch (error) {
        t.regex((error as Error).message, /^LINES/);
      }
    }),
  );
  for (const bytes of [[], [2, 0, 0, 0], [2, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    t.throws(() => decodeKept(Uint8Array.from(bytes)), { message: /^KEPT/ });
});
