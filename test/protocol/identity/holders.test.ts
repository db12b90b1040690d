// The X.509 certificates of a household, and requests that are signed under them.
import { randomBytes, X509Certificate } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { HolderCheck, HolderError } from '../../../protocol/identity/certificates.ts';
import {
  PROOF_HEADER,
  type ProofCheck,
  RequestProofError,
  type ServiceRequest,
  signRequest,
  verifyRequest,
  WINDOW_MS,
} from '../../../protocol/identity/signed-request.ts';
import { DAY_MS, makeHolder, makeIssuer, NOW_MS } from './certificates.ts';

const issuer = await makeIssuer();
const holder = await makeHolder({ kind: 'household', ekSerial: '0a1b', area: 'north-1' }, issuer);
const check = new HolderCheck(issuer.certificate);
const PERSON = { kind: 'identifier', name: 'Erika Mustermann', provider: 'provider', customerNumber: 'C-1' } as const;
const HOUSEHOLD = { kind: 'household', ekSerial: '0a1b', area: 'north-1' } as const;
const ATTESTATION = { kind: 'attestation', ekSerial: '0a1b', area: 'north-1', address: 'Weg 5, Ort' } as const;

test('each kind says what it is for, and nothing more', async (t) => {
  for (const subject of [PERSON, HOUSEHOLD, ATTESTATION]) {
    const { certificate, publicKey } = await makeHolder(subject, issuer);
    const holder = check.check(certificate, [subject.kind], NOW_MS);
    const { publicKey: certified, serialNumber, notAfterMs, ...said } = holder;
    t.deepEqual(said, subject);
    t.deepEqual(Buffer.from(certified), Buffer.from(publicKey));
    t.regex(serialNumber, /^[4-7][0-9a-f]{31}$/);
    t.is(notAfterMs, NOW_MS + DAY_MS);
  }
  const person = await makeHolder(PERSON, issuer);
  const household = await makeHolder(HOUSEHOLD, issuer);
  t.false(Buffer.from(household.certificate).includes('Mustermann'));
  t.false(new X509Certificate(person.certificate).subject.includes('north-1'));
});

test('whatever a customer is called, the name comes back as it is, and no other field with it', async (t) => {
  const name = fc.oneof(
    fc.constantFrom('O=other,OU=household', '"quoted"', '#0401', 'a+b=c', '\\,;<>', 'Ünï çødé', ' x ', '漢字'),
    fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }),
  );
  await fc.assert(
    fc.asyncProperty(name, async (typed) => {
      const { certificate } = await makeHolder({ ...PERSON, name: typed }, issuer);
      t.like(check.check(certificate, ['identifier'], NOW_MS), { ...PERSON, name: typed });
    }),
    { numRuns: 60 },
  );
});

test('certificates that are not believed, each for its own reason', async (t) => {
  const { certificate } = await makeHolder(PERSON, issuer);
  const foreign = await makeHolder(PERSON, await makeIssuer());
  const other = await makeHolder(PERSON, await makeIssuer('CN=somebody else'));
  const flipped = Buffer.from(certificate);
  flipped[flipped.length - 5] ^= 1;
  const authority = new X509Certificate(issuer.certificate).raw;
  const no = (
    der: Uint8Array,
    message: RegExp,
    kinds: ('identifier' | 'household')[] = ['identifier'],
    nowMs = NOW_MS,
  ) => t.throws(() => check.check(der, kinds, nowMs), { instanceOf: HolderError, message });
  no(foreign.certificate, /was not issued by the trusted third party/);
  no(other.certificate, /was not issued by the trusted third party/);
  no(flipped, /was not issued by the trusted third party|is no X\.509/);
  no(authority, /is an authority's/);
  no(randomBytes(300), /is no X\.509 certificate/);
  no(certificate, /is of kind identifier, not household/, ['household']);
  no(certificate, /has expired/, ['identifier'], NOW_MS + DAY_MS + 1);
  no(certificate, /is not valid yet/, ['identifier'], NOW_MS - 2000);
  t.throws(() => new HolderCheck(certificate as never), { message: /is no certificate of an authority/ });
  await t.throwsAsync(makeHolder({ ...PERSON, name: '' }, issuer), { message: 'subject.name is empty' });
});

const REQUEST: ServiceRequest = {
  audience: 'verifier',
  method: 'POST',
  path: '/evidence?x=1',
  body: Buffer.from('{}'),
};
const seen = (): Pick<ProofCheck, 'remember'> => {
  const nonces = new Set<string>();
  return {
    remember: (nonce) => {
      const size = nonces.size;
      return nonces.add(Buffer.from(nonce).toString('hex')).size > size;
    },
  };
};
const against = (more: Partial<ProofCheck> = {}): ProofCheck => ({
  holders: check,
  nowMs: NOW_MS,
  isRevoked: () => false,
  ...seen(),
  ...more,
});
const signed = (nonce = randomBytes(16), timestampMs = NOW_MS) => signRequest(REQUEST, holder, { timestampMs, nonce });

test('a signed request says whose it is, once', async (t) => {
  const headers = await signed();
  const proof = against();
  t.like(verifyRequest(REQUEST, headers, proof), HOUSEHOLD);
  t.throws(() => verifyRequest(REQUEST, headers, proof), {
    instanceOf: RequestProofError,
    message: 'proof.nonce was used before',
  });
});

test('the layout of a proof', async (t) => {
  const headers = await signed(Buffer.alloc(16, 7), 0x0102030405);
  const bytes = Buffer.from(headers[PROOF_HEADER], 'base64url');
  t.is(bytes.length, 89);
  t.is(bytes.subarray(0, 25).toString('hex'), `010000000102030405${'07'.repeat(16)}`);
});

test('a request is good for what was signed only, in its time, under a certificate that holds', async (t) => {
  const headers = await signed();
  const no = (message: RegExp, request: Partial<ServiceRequest>, more: Partial<ProofCheck> = {}, h: object = headers) =>
    t.throws(() => verifyRequest({ ...REQUEST, ...request }, h as never, against(more)), {
      instanceOf: RequestProofError,
      message,
    });
  for (const change of [
    { audience: 'provider' },
    { method: 'PUT' },
    { path: '/evidence?x=2' },
    { body: Buffer.from('{ }') },
  ])
    no(/proof.signature was not made by the certified key over this request/, change);
  no(/30 minutes off/, {}, { nowMs: NOW_MS + WINDOW_MS + 1 });
  no(/30 minutes off/, {}, { nowMs: NOW_MS - WINDOW_MS - 1 });
  no(/has been revoked/, {}, { isRevoked: () => true });
  no(/does not stand among the headers once/, {}, {}, {});
  no(/is no base64url/, {}, {}, { ...headers, [PROOF_HEADER]: '+/=' });
  no(/proof.nonce needs 16 bytes/, {}, {}, { ...headers, [PROOF_HEADER]: Buffer.alloc(12, 1).toString('base64url') });
  const attestation = await makeHolder(ATTESTATION, issuer);
  const other = await signRequest(REQUEST, attestation, { timestampMs: NOW_MS, nonce: randomBytes(16) });
  no(/is of kind attestation, not identifier or household/, {}, {}, other);
  const thief = await signRequest(
    REQUEST,
    { ...attestation, certificate: holder.certificate },
    { timestampMs: NOW_MS, nonce: randomBytes(16) },
  );
  no(/proof.signature was not made/, {}, {}, thief);
});
