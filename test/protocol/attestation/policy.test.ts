/**
 * Policies in plain arithmetic. Known answers are from a TPM's trial session; that a TPM agrees in use: test/gateway/tpm/seal.test.ts.
 */
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {
  authorizedBytes,
  counterPolicy,
  isAuthorized,
  NV_INDEX,
  nvName,
  pcrDigest,
  pcrPolicy,
  policyKeyName,
  type ReleaseState,
  releasePolicy,
  replayEvents,
  sealingPolicy,
} from '../../../protocol/attestation/policy.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ZEROS = Buffer.alloc(32);
/** The generator of P-256, compressed. */
const GENERATOR = Buffer.from('036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296', 'hex');

test("a TPM's own trial sessions come to the same", (t) => {
  const pcrs = [8, 9].map((pcr) => ({ pcr, value: ZEROS }));
  t.is(hex(pcrPolicy(pcrs)), 'e2ca6425ece5aaa64a96ea8aff2b96fd2783a74e3358102f5455e275f6b48527');
  t.is(
    hex(releasePolicy({ pcrs, counterIndex: NV_INDEX.version, counterMost: 1000 })),
    '81acc68ff28417b6e8dcbd8bf94ca2b20e7cab6ecc086c090629131a2673b5a0',
  );
  t.is(
    hex(counterPolicy(NV_INDEX.version, 1000, pcrPolicy(pcrs))),
    hex(releasePolicy({ pcrs, counterIndex: NV_INDEX.version, counterMost: 1000 })),
  );
  t.is(hex(sealingPolicy(GENERATOR)), 'f63564e56e78f365a626f9584db8a74fd35ac1605c162cb4bdc3a9a85065b7b3');
  t.is(hex(policyKeyName(GENERATOR)), '000b19366a7e682a0589dc1096b44aab74b7942f84b386b94eab81013d9970daf605');
  t.is(
    hex(nvName(NV_INDEX.version, 'counter')),
    '000b4ac2eac5a9c5b1a313910fe92b4458cf67d3fc173a10b23898ee073e13285c48',
  );
  t.is(hex(pcrDigest(pcrs)), createHash('sha256').update(Buffer.alloc(64)).digest('hex'));
});

const digest32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const pcrs = fc.uniqueArray(fc.record({ pcr: fc.integer({ min: 0, max: 23 }), value: digest32 }), {
  minLength: 1,
  maxLength: 8,
  selector: ({ pcr }) => pcr,
});
const state = fc.record({
  pcrs,
  counterIndex: fc.constantFrom(NV_INDEX.version, NV_INDEX.anchorCount),
  counterMost: fc.integer({ min: 0, max: 2 ** 40 }),
});

test('the order in which PCRs are named does not matter, everything else does', (t) => {
  fc.assert(
    fc.property(state, fc.integer({ min: 0, max: 7 }), (given: ReleaseState, at) => {
      const policy = hex(releasePolicy(given));
      t.is(hex(releasePolicy({ ...given, pcrs: [...given.pcrs].reverse() })), policy);
      const changed = given.pcrs.map((pcr, i) => (i === at % given.pcrs.length ? { ...pcr, value: ZEROS } : pcr));
      const others: ReleaseState[] = [
        { ...given, counterMost: given.counterMost + 1 },
        { ...given, counterIndex: given.counterIndex ^ 1 },
        { ...given, pcrs: given.pcrs.slice(1) },
      ];
      if (hex(given.pcrs[at % given.pcrs.length].value) !== hex(ZEROS)) others.push({ ...given, pcrs: changed });
      for (const other of others) t.not(hex(releasePolicy(other)), policy);
    }),
    { numRuns: 50 },
  );
});

test('what the policy key signed is authorized, in no other state and by no other key', (t) => {
  const [key, other] = [generateSigningKey(), generateSigningKey()];
  const given = { pcrs: [{ pcr: 8, value: randomBytes(32) }], counterIndex: NV_INDEX.version, counterMost: 7 };
  const authorization = { ...given, signature: signP256(key.privateKey, authorizedBytes(given)) };
  t.true(isAuthorized(key.publicKey, authorization));
  t.false(isAuthorized(other.publicKey, authorization));
  t.false(isAuthorized(key.publicKey, { ...authorization, counterMost: 8 }));
  // a signature over the bare policy, as another purpose might have asked for
  t.false(isAuthorized(key.publicKey, { ...given, signature: signP256(key.privateKey, releasePolicy(given)) }));
});

test('an event log is replayed PCR by PCR, in its order', (t) => {
  const [one, two] = [randomBytes(32), randomBytes(32)];
  const extend = (value: Buffer, digest: Buffer): Buffer => createHash('sha256').update(value).update(digest).digest();
  const values = replayEvents([
    { pcr: 8, digest: one, label: 'gateway' },
    { pcr: 9, digest: two, label: 'image' },
    { pcr: 8, digest: two, label: 'gateway again' },
  ]);
  t.deepEqual([...values.keys()], [8, 9]);
  t.is(hex(values.get(8)!), hex(extend(extend(ZEROS, one), two)));
  t.is(hex(values.get(9)!), hex(extend(ZEROS, two)));
  t.is(replayEvents([]).size, 0);
});
