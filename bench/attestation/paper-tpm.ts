/**
 * A TPM on paper: what a program without a TPM can make that looks like one, byte by byte. The verifier's tests and measurements
 * need thousands of devices, and attackers forge; a real TPM does neither. Where the makers and the trusted third party of this
 * file are pinned, what it makes is good evidence; whatever is then changed in it has to be found.
 */
import 'reflect-metadata';
import { createHash, type KeyObject, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { MAKER_ID_BYTES } from '../../protocol/attestation/ek-chain.ts';
import {
  bindingOf,
  type Claims,
  type Evidence,
  encodeClaims,
  encodeEvidence,
  type MeasuredEvent,
  type MeasuredFile,
  meterNonceOf,
  PCR_GATEWAY,
  PCR_METER,
} from '../../protocol/attestation/evidence.ts';
import { listingDigest, replay } from '../../protocol/attestation/software.ts';
import {
  EMPTY,
  OBJECT,
  sized,
  TPM_ALG,
  TPM_ECC_NIST_P256,
  TPM_GENERATED,
  TPM_ST,
  u8,
  u16,
  u32,
} from '../../protocol/attestation/tpm-wire.ts';
import { generateSigningKey, signP256, uncompressPublicKey } from '../../protocol/crypto/p256.ts';
import { issueHolderCertificate } from '../../protocol/identity/certificates.ts';
import { measurementOfImage } from '../../protocol/updates/measurement.ts';

type CryptoKey = webcrypto.CryptoKey;
interface Keys {
  publicKey: CryptoKey;
  privateKey: CryptoKey;
}
const { subtle } = webcrypto;
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: Buffer.of(1, 0, 1), modulusLength: 2048 };
const DAY_MS = 86_400_000;
/** tcg-kp-EKCertificate. */
const EK_USAGE = '2.23.133.8.1';

const validity = (notBeforeMs: number, notAfterMs: number) => ({
  notBefore: new Date(notBeforeMs),
  notAfter: new Date(notAfterMs),
});
const serialNumber = (): string => {
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  return serial.toString('hex');
};

/** As protocol/attestation/ek-chain.ts names the authority that issued an endorsement certificate. */
const makerIdOf = (authority: string): string =>
  createHash('sha256')
    .update(new NodeCertificate(authority).publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
    .slice(0, 2 * MAKER_ID_BYTES);

/** A maker of TPMs: a root and the intermediate that signs endorsement certificates, RSA-2048 as most makers have. */
export class PaperMaker {
  readonly root: string;
  readonly intermediate: string;
  readonly #keys: Keys;
  readonly #name: string;
  readonly #ek: Keys;
  readonly #nowMs: number;

  private constructor(root: string, intermediate: string, keys: Keys, name: string, ek: Keys, nowMs: number) {
    this.root = root;
    this.intermediate = intermediate;
    this.#keys = keys;
    this.#name = name;
    this.#ek = ek;
    this.#nowMs = nowMs;
  }

  static async found(nowMs: number): Promise<PaperMaker> {
    const rootKeys = (await subtle.generateKey(RSA, true, ['sign', 'verify'])) as Keys;
    const keys = (await subtle.generateKey(RSA, true, ['sign', 'verify'])) as Keys;
    // one key for all of its TPMs: what is measured and tested is in the certificates, and RSA keys take their time
    const ek = (await subtle.generateKey(RSA, true, ['sign', 'verify'])) as Keys;
    const names = [`CN=paper TPMs root ${serialNumber().slice(0, 8)}`, `CN=paper TPMs ${serialNumber().slice(0, 8)}`];
    const authority = (pathLength: number | undefined) => [
      new BasicConstraintsExtension(true, pathLength, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ];
    const lives = validity(nowMs - 1000 * DAY_MS, nowMs + 10_000 * DAY_MS);
    const root = await X509CertificateGenerator.createSelfSigned(
      {
        ...lives,
        serialNumber: serialNumber(),
        name: names[0],
        keys: rootKeys,
        signingAlgorithm: RSA,
        extensions: authority(1),
      },
      webcrypto,
    );
    const intermediate = await X509CertificateGenerator.create(
      {
        ...lives,
        serialNumber: serialNumber(),
        subject: names[1],
        issuer: names[0],
        publicKey: keys.publicKey,
        signingKey: rootKeys.privateKey,
        signingAlgorithm: RSA,
        extensions: authority(0),
      },
      webcrypto,
    );
    return new PaperMaker(root.toString('pem'), intermediate.toString('pem'), keys, names[1], ek, nowMs);
  }

  /** @returns DER and maker and serial number, by which devices are known */
  async endorse({ expiredMs }: { expiredMs?: number } = {}): Promise<{ certificate: Uint8Array; ekSerial: string }> {
    const serial = serialNumber();
    const certificate = await X509CertificateGenerator.create(
      {
        ...validity(this.#nowMs - 500 * DAY_MS, expiredMs ?? this.#nowMs + 5000 * DAY_MS),
        serialNumber: serial,
        issuer: this.#name,
        publicKey: this.#ek.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: RSA,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.keyEncipherment, true),
          new ExtendedKeyUsageExtension([EK_USAGE]),
          // tpmManufacturer, tpmModel, tpmVersion (EK Credential Profile, 3.2.9)
          new SubjectAlternativeNameExtension(
            [{ type: 'dn', value: '2.23.133.2.1=id:50415045+2.23.133.2.2=paper+2.23.133.2.3=id:00000001' }],
            true,
          ),
        ],
      },
      webcrypto,
    );
    return { certificate: new Uint8Array(certificate.rawData), ekSerial: makerIdOf(this.intermediate) + serial };
  }
}

/** The trusted third party, as far as it certifies attestation keys. */
export class PaperThirdParty {
  readonly certificate: string;
  readonly #privateKey: CryptoKey;
  readonly #nowMs: number;

  private constructor(certificate: string, privateKey: CryptoKey, nowMs: number) {
    this.certificate = certificate;
    this.#privateKey = privateKey;
    this.#nowMs = nowMs;
  }

  static async found(nowMs: number): Promise<PaperThirdParty> {
    const keys = (await subtle.generateKey(P256, true, ['sign', 'verify'])) as Keys;
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        ...validity(nowMs - 100 * DAY_MS, nowMs + 4000 * DAY_MS),
        serialNumber: serialNumber(),
        name: 'CN=paper third party',
        keys,
        signingAlgorithm: P256,
        extensions: [
          new BasicConstraintsExtension(true, 0, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        ],
      },
      webcrypto,
    );
    return new PaperThirdParty(certificate.toString('pem'), keys.privateKey, nowMs);
  }

  certify(
    publicKey: Uint8Array,
    ekSerial: string,
    {
      notAfterMs = this.#nowMs + 1000 * DAY_MS,
      serial = randomBytes(16),
    }: { notAfterMs?: number; serial?: Uint8Array } = {},
  ): Promise<Uint8Array> {
    return issueHolderCertificate(
      { kind: 'attestation', ekSerial, area: 'north-1', address: 'Lindenweg 4' },
      publicKey,
      {
        issuer: { certificate: this.certificate, privateKey: this.#privateKey },
        notBeforeMs: this.#nowMs - 50 * DAY_MS,
        notAfterMs,
        serialNumber: serial,
      },
    );
  }
}

/** What an attestation key may do when all is well. */
export const ATTESTATION_ATTRIBUTES =
  OBJECT.fixedTPM |
  OBJECT.fixedParent |
  OBJECT.sensitiveDataOrigin |
  OBJECT.userWithAuth |
  OBJECT.noDA |
  OBJECT.restricted |
  OBJECT.sign;

export interface QuoteFields {
  magic?: number;
  type?: number;
  extraData: Uint8Array;
  clockMs: number;
  resetCount: number;
  restartCount: number;
  safe?: boolean;
  /** By bank: TPM_ALG_ID and the PCRs. */
  selections?: readonly { bank: number; pcrs: readonly number[] }[];
  pcrDigest: Uint8Array;
}

/** TPMS_ATTEST of type quote (TCG Part 2, 10.12.12). */
export function writeQuote(fields: QuoteFields): Uint8Array {
  const {
    magic = TPM_GENERATED,
    type = TPM_ST.ATTEST_QUOTE,
    extraData,
    clockMs,
    resetCount,
    restartCount,
    safe = true,
  } = fields;
  const selections = fields.selections ?? [{ bank: TPM_ALG.SHA256, pcrs: [PCR_GATEWAY, PCR_METER] }];
  const clock = Buffer.alloc(8);
  clock.writeBigUInt64BE(BigInt(clockMs));
  const selected = selections.map(({ bank, pcrs }) => {
    const bits = Buffer.alloc(3);
    for (const pcr of pcrs) bits[pcr >> 3] |= 1 << (pcr & 7);
    return Buffer.concat([u16(bank), u8(bits.length), bits]);
  });
  return Buffer.concat([
    u32(magic),
    u16(type),
    sized(Buffer.alloc(34, 0x0b)), // qualifiedSigner
    sized(extraData),
    clock,
    u32(resetCount),
    u32(restartCount),
    u8(safe ? 1 : 0),
    Buffer.alloc(8, 1), // firmwareVersion
    ...(type === TPM_ST.ATTEST_CERTIFY
      ? [sized(Buffer.alloc(34, 0x0b)), sized(Buffer.alloc(34, 0x0b))] // name and qualified name of a key
      : [u32(selected.length), ...selected, sized(fields.pcrDigest)]),
  ]);
}

/** A gateway with such a TPM, its software and its meter. */
export class PaperDevice {
  readonly ekSerial: string;
  readonly ekCertificate: Uint8Array;
  akCertificate: Uint8Array;
  readonly akPublicKey: Uint8Array;
  readonly #akKey: KeyObject;
  attributes = ATTESTATION_ATTRIBUTES;
  events: MeasuredEvent[];
  files: MeasuredFile[] = [];
  image: Uint8Array;
  clockMs = 1_000_000;
  resetCount = 1;
  restartCount = 0;

  private constructor(
    endorsed: { certificate: Uint8Array; ekSerial: string },
    key: { publicKey: Uint8Array; privateKey: KeyObject },
    akCertificate: Uint8Array,
    state: { gateway: Uint8Array; image: Uint8Array },
  ) {
    this.ekSerial = endorsed.ekSerial;
    this.ekCertificate = endorsed.certificate;
    this.akPublicKey = key.publicKey;
    this.#akKey = key.privateKey;
    this.akCertificate = akCertificate;
    this.image = state.image;
    this.events = [
      { pcr: PCR_GATEWAY, digest: state.gateway },
      { pcr: PCR_METER, digest: createHash('sha256').update(state.image).digest() },
    ];
  }

  /** @param state the gateway's digest and the image that its meter runs */
  static async make(
    maker: PaperMaker,
    thirdParty: PaperThirdParty,
    state: { gateway: Uint8Array; image: Uint8Array },
    { expiredMs }: { expiredMs?: number } = {},
  ): Promise<PaperDevice> {
    const endorsed = await maker.endorse({ expiredMs });
    const key = generateSigningKey();
    return new PaperDevice(endorsed, key, await thirdParty.certify(key.publicKey, endorsed.ekSerial), state);
  }

  get akPublic(): Uint8Array {
    return writePublic(this.akPublicKey, this.attributes);
  }
  sign(message: Uint8Array): Uint8Array {
    return signP256(this.#akKey, message);
  }

  /** What it would claim; `changed` instead of what is true. */
  claims(nonce: Uint8Array, changed: Partial<Claims> = {}): Claims {
    const pcrValue = (pcr: number): Uint8Array => replay(this.events.filter((e) => e.pcr === pcr).map((e) => e.digest));
    return {
      ekCertificate: this.ekCertificate,
      akCertificate: this.akCertificate,
      akPublic: this.akPublic,
      pcrs: [PCR_GATEWAY, PCR_METER].map((pcr) => ({ pcr, value: pcrValue(pcr) })),
      events: this.events,
      files: this.files,
      measurement: measurementOfImage(meterNonceOf(nonce), this.image),
      log: { state: 'good', begunAnew: 0 },
      ...changed,
    };
  }

  /** Evidence for a challenge; `forge` changes what the quote says before it is signed. */
  evidence(
    nonce: Uint8Array,
    { claims: changed = {}, forge = {} }: { claims?: Partial<Claims>; forge?: Partial<QuoteFields> } = {},
  ): Uint8Array {
    return encodeEvidence(this.parts(nonce, { claims: changed, forge }));
  }
  parts(
    nonce: Uint8Array,
    { claims: changed = {}, forge = {} }: { claims?: Partial<Claims>; forge?: Partial<QuoteFields> } = {},
  ): Evidence {
    const claims = this.claims(nonce, changed);
    const { clockMs, resetCount, restartCount } = this;
    this.clockMs += 1000;
    const quote = writeQuote({
      extraData: bindingOf(nonce, encodeClaims(claims)),
      clockMs,
      resetCount,
      restartCount,
      pcrDigest: createHash('sha256')
        .update(Buffer.concat(claims.pcrs.map(({ value }) => value)))
        .digest(),
      ...forge,
    });
    return { ...claims, nonce, quote, signature: this.sign(quote) };
  }

  /** As a power cut leaves it: measured anew, from zero. */
  restart(): void {
    this.resetCount++;
    this.clockMs = 0;
    const last = (pcr: number): MeasuredEvent => this.events.filter((event) => event.pcr === pcr).at(-1)!;
    this.events = [last(PCR_GATEWAY), last(PCR_METER)];
  }
  /** Measured and flashed, as an update is. */
  flash(image: Uint8Array): void {
    this.image = image;
    this.events = [...this.events, { pcr: PCR_METER, digest: createHash('sha256').update(image).digest() }];
  }
  runSoftware(files: MeasuredFile[]): void {
    this.files = files;
    this.events = [...this.events, { pcr: PCR_GATEWAY, digest: listingDigest(files) }];
  }
}

/** TPM2B_PUBLIC of a P-256 key that signs with ECDSA and SHA-256. */
export function writePublic(publicKey: Uint8Array, attributes: number): Uint8Array {
  const point = uncompressPublicKey(publicKey);
  return sized(
    u16(TPM_ALG.ECC),
    u16(TPM_ALG.SHA256),
    u32(attributes),
    EMPTY,
    u16(TPM_ALG.NULL),
    u16(TPM_ALG.ECDSA),
    u16(TPM_ALG.SHA256),
    u16(TPM_ECC_NIST_P256),
    u16(TPM_ALG.NULL),
    sized(point.subarray(1, 33)),
    sized(point.subarray(33)),
  );
}
