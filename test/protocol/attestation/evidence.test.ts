import test from 'ava';
import fc from 'fast-check';
import { RELEASES } from '../../../bench/attestation/workbench.ts';
import { appraise } from '../../../protocol/attestation/appraisal.ts';
import {
  decodeEvidence,
  EVIDENCE_MOST_BYTES,
  EVIDENCE_VERSION,
  encodeEvidence,
} from '../../../protocol/attestation/evidence.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';
import { workbench } from '../../operator/verifier/bench.ts';

test('evidence comes back as it was, and its encoding is the only one', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const bytes = device.evidence(bench.verifier.challenge(device.ekSerial).nonce, {
    claims: { files: RELEASES[0].files },
  });
  const decoded = decodeEvidence(bytes);
  t.deepEqual(Buffer.from(encodeEvidence(decoded)), Buffer.from(bytes));
  t.true(bytes.length < 5000, `${bytes.length} B`);
});

test('every byte of evidence counts: whichever bit is changed, it is refused', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const { nonce } = bench.verifier.challenge(device.ekSerial);
  const bytes = device.evidence(nonce);
  const isTrusted = (candidate: Uint8Array): boolean => {
    const input = { challenge: 'fresh' as const, sender: device.ekSerial, nowMs: bench.nowMs };
    try {
      return appraise(bench.verifier.inputFor(decodeEvidence(candidate), input)).trusted;
    } catch (error) {
      if (error instanceof MalformedError) return false;
      throw error;
    }
  };
  t.true(isTrusted(bytes));
  // each byte once, each bit somewhere
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] ^= 1 << (i % 8);
    if (isTrusted(changed)) t.fail(`byte ${i} of ${bytes.length} does not count`);
  }
});

test('whatever bytes come, decoding ends with evidence or with the path of a field', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      try {
        decodeEvidence(Buffer.concat([Buffer.of(EVIDENCE_VERSION), noise]));
      } catch (error) {
        return error instanceof MalformedError && error.path.startsWith('evidence');
      }
      return true;
    }),
  );
  t.throws(() => decodeEvidence(new Uint8Array(EVIDENCE_MOST_BYTES + 1)), { instanceOf: MalformedError });
});

test('a calibration that is another one than before shows, and one that the gateway did not write', async (t) => {
  const bench = await workbench(t);
  const device = await bench.device();
  const show = (state: 'known' | 'unknown', byte: number) => {
    const { nonce } = bench.verifier.challenge(device.ekSerial);
    const calibration = { state, digest: new Uint8Array(32).fill(byte) };
    const bytes = device.evidence(nonce, { claims: { calibration } });
    t.deepEqual(Buffer.from(decodeEvidence(bytes).calibration!.digest!), Buffer.alloc(32, byte));
    bench.verifier.receive(device.ekSerial, bytes);
    const [row] = bench.verifier.fleet();
    return { state: row.state, warnings: row.warnings.filter((sentence) => sentence.includes('calibration')) };
  };
  t.deepEqual(show('known', 1), { state: 'trusted', warnings: [] });
  t.deepEqual(show('known', 1), { state: 'trusted', warnings: [] });
  const changed =
    'The meter works with another calibration than before, signed by its household (01010101, now 02020202).';
  t.deepEqual(show('known', 2), { state: 'trusted', warnings: [changed] });
  t.deepEqual(show('known', 2).warnings, []);
  const foreign = 'The meter works with a calibration that its gateway did not write (03030303).';
  t.deepEqual(show('unknown', 3).warnings, [foreign]);
});
