/**
 * Endorsement certificates of makers made up here; a real swtpm's with its own maker: test/gateway/tpm/endorsement.test.ts.
 */
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';
import test from 'ava';
import { EkChainError, EkRoots, type EkTrouble } from '../../../protocol/attestation/ek-chain.ts';

const { subtle } = webcrypto;
type Keys = webcrypto.CryptoKeyPair;
const ec = (namedCurve = 'P-256'): Promise<Keys> =>
  subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']) as Promise<Keys>;
const rsa = (modulusLength = 2048): Promise<Keys> =>
  subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: Buffer.of(1, 0, 1), modulusLength },
    true,
    ['sign', 'verify'],
  ) as Promise<Keys>;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const serial = (): string => `40${randomBytes(8).toString('hex')}`;
/** Keys are made once: RSA takes its time. */
const KEYS = { root: await ec('P-384'), between: await rsa(), below: await ec(), ek: await rsa(), foreign: await ec() };

interface Made {
  subject?: string;
  keys?: Keys;
  issuer?: { name: string; keys: Keys };
  fromMs?: number;
  untilMs?: number;
  serialNumber?: string;
  extensions?: Extension[];
  hash?: string;
}
const ROOT = 'CN=root of a maker';
const BETWEEN = 'CN=intermediate of a maker';
const AUTHORITY_USAGE = new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true);
const authority = (pathLength?: number, usage = AUTHORITY_USAGE): Extension[] => [
  new BasicConstraintsExtension(true, pathLength, true),
  usage,
];
const EK_USAGE = new ExtendedKeyUsageExtension(['2.23.133.8.1']);
const NO_AUTHORITY = new BasicConstraintsExtension(false, undefined, true);
const ENCIPHERS = new KeyUsagesExtension(KeyUsageFlags.keyEncipherment, true);
const named = (manufacturer: string): Extension =>
  new SubjectAlternativeNameExtension(
    [{ type: 'dn', value: `2.23.133.2.1=${manufacturer}, 2.23.133.2.2=SLB9670, 2.23.133.2.3=id:00070055` }],
    true,
  );

async function make(made: Made) {
  const { keys = KEYS.ek, issuer = { name: BETWEEN, keys: KEYS.between }, hash = 'SHA-256' } = made;
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: made.serialNumber ?? serial(),
      subject: made.subject ?? '',
      issuer: issuer.name,
      notBefore: new Date(made.fromMs ?? NOW - 100 * DAY_MS),
      notAfter: new Date(made.untilMs ?? NOW + 1000 * DAY_MS),
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: { ...issuer.keys.privateKey.algorithm, hash } as webcrypto.EcdsaParams,
      extensions: made.extensions ?? [NO_AUTHORITY, EK_USAGE, ENCIPHERS, named('id:49465800')],
    },
    webcrypto,
  );
  return { der: new Uint8Array(certificate.rawData), pem: certificate.toString('pem') };
}
const rooted = { name: ROOT, keys: KEYS.root };
const makeRoot = (made: Made = {}) =>
  make({ subject: ROOT, keys: KEYS.root, issuer: rooted, extensions: authority(), ...made });
const makeBetween = (made: Made = {}) =>
  make({ subject: BETWEEN, keys: KEYS.between, issuer: rooted, extensions: authority(0), ...made });

const ROOT_PEM = (await makeRoot()).pem;
const BETWEEN_CERTIFICATE = await makeBetween();
const MAKERS = { roots: [ROOT_PEM], intermediates: [BETWEEN_CERTIFICATE.pem] };
const makerOf = async ({ publicKey }: Keys): Promise<string> =>
  createHash('sha256')
    .update(new Uint8Array(await subtle.exportKey('spki', publicKey)))
    .digest('hex')
    .slice(0, 16);
const MAKER = await makerOf(KEYS.between);
const troubleOf = (f: () => unknown): EkTrouble | null => {
  try {
    f();
    return null;
  } catch (error) {
    if (error instanceof EkChainError) return error.code;
    throw error;
  }
};

test('two makers may give the same serial number: they are two devices', async (t) => {
  const roots = new EkRoots(MAKERS);
  const [one, other] = [await make({ serialNumber: '4711' }), await make({ serialNumber: '4711', issuer: rooted })];
  t.is(roots.check(one.der, NOW).ekSerial, `${MAKER}4711`);
  t.is(roots.check(other.der, NOW).ekSerial, `${await makerOf(KEYS.root)}4711`);
});

test('over an intermediate to the root: the serial number and the maker', async (t) => {
  const roots = new EkRoots(MAKERS);
  const { der } = await make({ serialNumber: '00c0ffee' });
  for (let i = 0; i < 2; i++)
    t.deepEqual(roots.check(der, NOW), { ekSerial: `${MAKER}c0ffee`, manufacturer: 'IFX', revocationsStale: false });
  const direct = await make({ issuer: rooted });
  t.is(
    troubleOf(() => roots.check(direct.der, NOW)),
    null,
    'issued by the root itself',
  );
  const inDer = new EkRoots({ roots: [(await makeRoot()).der], intermediates: [BETWEEN_CERTIFICATE.der] });
  t.is(
    troubleOf(() => inDer.check(der, NOW)),
    null,
  );
  const bundle = new EkRoots({
    roots: [`# two in one file\n${(await makeRoot({ subject: 'CN=another' })).pem}\n${ROOT_PEM}`],
    intermediates: MAKERS.intermediates,
  });
  t.is(
    troubleOf(() => bundle.check(der, NOW)),
    null,
  );
});

test('keys of every kind that TPMs have', async (t) => {
  const roots = new EkRoots(MAKERS);
  const agrees = new KeyUsagesExtension(KeyUsageFlags.keyAgreement, true);
  for (const curve of ['P-256', 'P-384']) {
    const keys = await ec(curve);
    const { der } = await make({ keys, extensions: [NO_AUTHORITY, EK_USAGE, agrees] });
    t.like(roots.check(der, NOW), { manufacturer: null });
    const enciphers = await make({ keys, extensions: [NO_AUTHORITY, EK_USAGE, ENCIPHERS] });
    t.is(
      troubleOf(() => roots.check(enciphers.der, NOW)),
      'usage',
    );
  }
});

test('what is refused, each by its own sentence', async (t) => {
  const roots = new EkRoots(MAKERS);
  const signs = new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true);
  const serverAuth = new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']);
  const unknown = new Extension('1.2.3.4', true, Buffer.of(5, 0));
  const elsewhere = { name: BETWEEN, keys: KEYS.foreign };
  const cases: [Made, EkTrouble, string][] = [
    [{ untilMs: NOW - 1000 }, 'expired', 'the certificate has expired'],
    [{ fromMs: NOW + 1000 }, 'not yet', 'the certificate is not valid yet'],
    [
      { issuer: { name: 'CN=foreign', keys: KEYS.foreign } },
      'issuer',
      'its certificate was not issued by a maker of TPMs that is pinned here',
    ],
    [{ issuer: elsewhere }, 'issuer', 'its certificate was not issued by a maker of TPMs that is pinned here'],
    [{ extensions: [NO_AUTHORITY, ENCIPHERS] }, 'usage', 'the certificate is not one of an endorsement key'],
    [{ extensions: [NO_AUTHORITY, serverAuth] }, 'usage', 'the certificate is not one of an endorsement key'],
    [
      { extensions: [NO_AUTHORITY, EK_USAGE, signs] },
      'usage',
      'the certificate is of a key that may not open credentials',
    ],
    [{ extensions: [...authority(), EK_USAGE] }, 'authority', "the certificate is an authority's, not a TPM's"],
    [{ extensions: [EK_USAGE, unknown] }, 'critical', 'the certificate demands 1.2.3.4, which is not understood here'],
    [
      { extensions: [EK_USAGE, named('IFX')] },
      'manufacturer',
      "the certificate does not say its TPM's maker as it should",
    ],
    [
      { keys: await rsa(1024) },
      'algorithm',
      'the key of the certificate is too weak, or of a kind that is not taken here',
    ],
    [{ issuer: rooted, hash: 'SHA-1' }, 'algorithm', 'the certificate is signed over a weak digest'],
  ];
  for (const [made, code, message] of cases) {
    const { der } = await make(made);
    const error = t.throws(() => roots.check(der, NOW), { instanceOf: EkChainError, message });
    t.is(error.code, code);
  }
  t.is(
    troubleOf(() => roots.check(randomBytes(300), NOW)),
    'malformed',
  );
  const { der } = await make({});
  t.is(
    troubleOf(() => roots.check(der.subarray(0, -1), NOW)),
    'malformed',
  );
  const altered = Uint8Array.from(der, (byte, i) => (i === der.length - 1 ? byte ^ 1 : byte));
  t.is(
    troubleOf(() => roots.check(altered, NOW)),
    'issuer',
    'the signature',
  );
});

test('time is looked at each time, of the whole way', async (t) => {
  const short = await makeBetween({ untilMs: NOW + 10 * DAY_MS });
  const roots = new EkRoots({ ...MAKERS, intermediates: [short.pem] });
  const { der } = await make({ untilMs: NOW + 5 * DAY_MS });
  const long = await make({});
  t.is(
    troubleOf(() => roots.check(der, NOW)),
    null,
  );
  t.throws(() => roots.check(der, NOW + 6 * DAY_MS), { message: 'the certificate has expired' });
  t.is(
    troubleOf(() => roots.check(long.der, NOW + 6 * DAY_MS)),
    null,
  );
  t.throws(() => roots.check(long.der, NOW + 11 * DAY_MS), { message: 'intermediate 1 has expired' });
  t.throws(() => roots.check(long.der, NOW + 2000 * DAY_MS), { message: 'the certificate has expired' });
});

test('path lengths are kept', async (t) => {
  const BELOW = 'CN=below the intermediate';
  const below = await make({ subject: BELOW, keys: KEYS.below, extensions: authority() });
  const leaf = await make({ issuer: { name: BELOW, keys: KEYS.below } });
  const way = (root: string, between: string) => () =>
    new EkRoots({ roots: [root], intermediates: [below.pem, between] }).check(leaf.der, NOW);
  t.is(troubleOf(way(ROOT_PEM, (await makeBetween({ extensions: authority(1) })).pem)), null);
  t.is(troubleOf(way(ROOT_PEM, (await makeBetween({ extensions: authority() })).pem)), null);
  t.is(troubleOf(way(ROOT_PEM, BETWEEN_CERTIFICATE.pem)), 'issuer', 'the intermediate allows none below it');
  const tight = await makeRoot({ extensions: authority(1) });
  const free = await makeBetween({ extensions: authority() });
  t.is(troubleOf(way(tight.pem, free.pem)), 'issuer', 'the root allows one');
});

test('a configuration that leads nowhere is told at once', async (t) => {
  const signs = new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true);
  const wrong = (options: ConstructorParameters<typeof EkRoots>[0]) => troubleOf(() => new EkRoots(options));
  t.is(wrong({ roots: [] }), 'authority');
  t.is(wrong({ roots: ['no certificate'] }), 'malformed');
  t.is(wrong({ roots: [(await make({})).pem] }), 'authority', 'an endorsement certificate is no root');
  t.is(wrong({ ...MAKERS, roots: [(await makeRoot({ extensions: authority(undefined, signs) })).pem] }), 'usage');
  const foreign = { name: 'CN=foreign', keys: KEYS.foreign };
  t.is(wrong({ ...MAKERS, intermediates: [(await makeBetween({ issuer: foreign })).pem] }), 'issuer');
  t.is(
    wrong({ ...MAKERS, intermediates: [(await makeBetween({ issuer: { ...foreign, name: ROOT } })).pem] }),
    'issuer',
  );
});

test('what the maker revoked, a TPM or an intermediate, is refused', async (t) => {
  const list = async (
    serialNumber: string,
    { issuer = { name: BETWEEN, keys: KEYS.between }, untilMs = NOW + DAY_MS } = {},
  ) =>
    (
      await X509CrlGenerator.create(
        {
          issuer: issuer.name,
          thisUpdate: new Date(NOW - DAY_MS),
          nextUpdate: new Date(untilMs),
          entries: [{ serialNumber, revocationDate: new Date(NOW - DAY_MS) }],
          signingKey: issuer.keys.privateKey,
          signingAlgorithm: { ...issuer.keys.privateKey.algorithm, hash: 'SHA-256' } as webcrypto.EcdsaParams,
        },
        webcrypto,
      )
    ).rawData;
  const [bad, good] = [await make({ serialNumber: '4bad' }), await make({ serialNumber: '4600d0' })];
  const roots = new EkRoots({ ...MAKERS, revocations: [new Uint8Array(await list('4bad'))] });
  t.throws(() => roots.check(bad.der, NOW), { message: "the certificate was revoked by the TPM's maker" });
  t.like(roots.check(good.der, NOW), { ekSerial: `${MAKER}4600d0`, revocationsStale: false });
  t.like(roots.check(good.der, NOW + 2 * DAY_MS), { revocationsStale: true });
  t.is(
    troubleOf(() => roots.check(bad.der, NOW + 2 * DAY_MS)),
    'revoked',
    'also when the list is old',
  );

  const between = await makeBetween({ serialNumber: '4be7' });
  const ofRoot = new Uint8Array(await list('4be7', { issuer: rooted }));
  const without = new EkRoots({ roots: [ROOT_PEM], intermediates: [between.pem], revocations: [ofRoot] });
  t.throws(() => without.check(good.der, NOW), { message: "intermediate 1 was revoked by the TPM's maker" });
  const forged = new Uint8Array(await list('4600d0', { issuer: { name: BETWEEN, keys: KEYS.foreign } }));
  t.is(
    troubleOf(() => new EkRoots({ ...MAKERS, revocations: [forged] })),
    'issuer',
    'not the maker said so',
  );
  t.is(
    troubleOf(() => new EkRoots({ ...MAKERS, revocations: [randomBytes(100)] })),
    'malformed',
  );
});
