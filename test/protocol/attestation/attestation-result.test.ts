import test from 'ava';
import fc from 'fast-check';
import {
  type AttestationResult,
  AttestationResultError,
  signResult,
  vectorsOf,
  verifyResult,
} from '../../../protocol/attestation/attestation-result.ts';
import { refusal, warning } from '../../../protocol/attestation/findings.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';

const key = generateSigningKey();
const result = (changed: Partial<AttestationResult> = {}): AttestationResult => ({
  device: '0a1b',
  issuedMs: 1_790_000_000_000,
  expiresMs: 1_790_003_600_000,
  nonce: Buffer.alloc(32, 1),
  evidence: Buffer.alloc(32, 2),
  policyId: 'policy://quietmeter/releases/1',
  trusted: true,
  refusals: [],
  warnings: [],
  vectors: vectorsOf([]),
  ...changed,
});
const expected = { device: '0a1b', nowMs: 1_790_000_000_000 };
const claimsOf = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString());

test('an EAR as the drafts have it, and it comes back as it was', (t) => {
  const jwt = signResult(result(), key.privateKey);
  t.deepEqual(JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url').toString()), { alg: 'ES256', typ: 'eat+jwt' });
  t.deepEqual(claimsOf(jwt), {
    eat_profile: 'tag:github.com,2023:veraison/ear',
    iat: 1_790_000_000,
    exp: 1_790_003_600,
    sub: '0a1b',
    eat_nonce: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE',
    'ear.verifier-id': { developer: 'quietmeter', build: 'operator/verifier' },
    submods: {
      gateway: {
        'ear.status': 'affirming',
        'ear.trustworthiness-vector': { 'instance-identity': 2, configuration: 2, executables: 3, hardware: 2 },
        'ear.appraisal-policy-id': 'policy://quietmeter/releases/1',
      },
      meter: {
        'ear.status': 'affirming',
        'ear.trustworthiness-vector': { configuration: 2, executables: 2, 'sourced-data': 2 },
        'ear.appraisal-policy-id': 'policy://quietmeter/releases/1',
      },
    },
    quietmeter: { evidence: 'AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI', refusals: [], warnings: [] },
  });
  t.deepEqual(verifyResult(jwt, key.publicKey, expected), result());
});

test('the status of a part is its worst claim; who is not believed says nothing of its parts', (t) => {
  const statuses = (...findings: Parameters<typeof vectorsOf>[0]) => {
    const { submods } = claimsOf(signResult(result({ vectors: vectorsOf(findings) }), key.privateKey));
    return [submods.gateway['ear.status'], submods.meter['ear.status']];
  };
  t.deepEqual(statuses(refusal('meter retired', '1')), ['affirming', 'warning']);
  t.deepEqual(statuses(refusal('meter differs')), ['affirming', 'contraindicated']);
  t.deepEqual(statuses(warning('gateway anything')), ['warning', 'affirming']);
  t.deepEqual(statuses(warning('restarted', 'once')), ['affirming', 'affirming']);
  t.deepEqual(statuses(refusal('signature')), ['contraindicated', 'none']);
});

test('a result with a refusal is never trusted, whatever its vectors say', (t) => {
  const { code, sentence } = refusal('gateway retired', '1');
  const jwt = signResult(result({ refusals: [{ code, sentence }] }), key.privateKey);
  t.false(verifyResult(jwt, key.publicKey, expected).trusted);
});

test('refused: expired, another device, another verifier, another algorithm', (t) => {
  const jwt = signResult(result(), key.privateKey);
  const said = (candidate: string, publicKey = key.publicKey, against = expected): string =>
    t.throws(() => verifyResult(candidate, publicKey, against), { instanceOf: AttestationResultError }).message;
  t.is(said(jwt, key.publicKey, { ...expected, nowMs: 1_790_003_600_000 }), 'result.exp has passed: it has expired');
  t.is(said(jwt, key.publicKey, { ...expected, device: '0a1c' }), 'result.sub names another device');
  t.is(said(jwt, generateSigningKey().publicKey), 'result.signature was not made by the verifier');
  const [, payload, signature] = jwt.split('.');
  for (const alg of ['none', 'HS256', 'es256']) {
    const header = Buffer.from(JSON.stringify({ alg, typ: 'eat+jwt' })).toString('base64url');
    t.is(said(`${header}.${payload}.${signature}`), 'result.header is not that of an ES256 attestation result');
  }
  t.is(said('a.b'), 'result is no JWT');
  t.is(said(`${jwt}${'A'.repeat(30_000)}`), 'result is too long');
});

test('every character of a result counts', (t) => {
  const jwt = signResult(result(), key.privateKey);
  fc.assert(
    fc.property(fc.nat(jwt.length - 1), fc.constantFrom('A', 'b', '0', '_', '.'), (at, character) => {
      if (jwt[at] === character) return;
      const changed = jwt.slice(0, at) + character + jwt.slice(at + 1);
      t.throws(() => verifyResult(changed, key.publicKey, expected), { instanceOf: AttestationResultError });
    }),
  );
});
