import test from 'ava';
import fc from 'fast-check';
import {
  decodeAcknowledgement,
  encodeAcknowledgement,
  recoveryOf,
  VERDICTS,
  type Verdict,
} from '../../../protocol/readings/acknowledgement.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const verdicts = Object.keys(VERDICTS) as Verdict[];

test('the layout is the one in the comment', (t) => {
  const bytes = encodeAcknowledgement({ verdict: 'conflict', digest: new Uint8Array(32).fill(0xdd) });
  t.is(Buffer.from(bytes).toString('hex'), `0109${'dd'.repeat(32)}`);
});

test('every verdict has a byte of its own and comes back', (t) => {
  t.is(new Set(verdicts.map((verdict) => VERDICTS[verdict].byte)).size, verdicts.length);
  const digest = new Uint8Array(32).fill(7);
  for (const verdict of verdicts) {
    const decoded = decodeAcknowledgement(encodeAcknowledgement({ verdict, digest }));
    t.is(decoded.verdict, verdict);
    t.deepEqual([...decoded.digest], [...digest]);
  }
});

test('only what is on disk is done; what may pass is said again', (t) => {
  t.deepEqual(
    verdicts.filter((verdict) => recoveryOf(verdict) === 'done'),
    ['stored'],
  );
  t.deepEqual(
    verdicts.filter((verdict) => recoveryOf(verdict) === 'again'),
    ['tooEarly', 'passKeyMissing', 'unknownProvider'],
  );
});

test('bytes that are no acknowledgement are refused by field, and never otherwise', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        decodeAcknowledgement(bytes);
      } catch (error) {
        t.true(error instanceof MalformedError);
        t.regex((error as MalformedError).path, /^acknowledgement(\.(version|status|digest))?$/);
      }
    }),
  );
});
