/**
 * A verifier with everything that it believes, on paper: makers of TPMs, a trusted third party, two releases, devices. For tests
 * of the verifier and for `npm run -s measure -- attestation`; the same code as in operation, without network and processes.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Challenges } from '../../operator/verifier/challenges.ts';
import { Releases } from '../../operator/verifier/releases.ts';
import { type Registered, Verifier, type VerifierOptions } from '../../operator/verifier/steps.ts';
import { VerifierStore } from '../../operator/verifier/store.ts';
import type { TrustAnchors } from '../../protocol/attestation/appraisal.ts';
import { type AttestationResult, verifyResult } from '../../protocol/attestation/attestation-result.ts';
import { EkRoots, type EkRootsOptions } from '../../protocol/attestation/ek-chain.ts';
import type { MeasuredFile } from '../../protocol/attestation/evidence.ts';
import { listingDigest, replay } from '../../protocol/attestation/software.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { type Manifest, rawReleaseKey, signManifest } from '../../protocol/updates/manifest.ts';
import { PaperDevice, PaperMaker, PaperThirdParty } from './paper-tpm.ts';

export const MINUTE_MS = 60_000;
export const INTERVAL_MS = 15 * MINUTE_MS;
export const CHALLENGE_LIFE_MS = 20 * MINUTE_MS;
export const RESULT_LIFE_MS = 60 * MINUTE_MS;
/** 2026-06-01, and a day of it for the second release. */
export const START_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 86_400_000;

const digestOf = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const fileOf = (path: string, text: string): MeasuredFile => ({ path, digest: digestOf(Buffer.from(text)) });

/** Two releases: what the gateway's files say, and the meter's image. */
export interface PaperRelease {
  version: number;
  files: MeasuredFile[];
  image: Uint8Array;
}
export const RELEASES: readonly PaperRelease[] = [1, 2].map((version) => ({
  version,
  files: [
    fileOf('gateway/main.ts', `main of release ${version}`),
    fileOf('gateway/uplink/uplink.ts', `uplink of release ${version}`),
    fileOf('protocol/time/slots.ts', 'the same in both'),
  ],
  // as long as a real one
  image: Buffer.alloc(45_000, `image of release ${version};`),
}));

export interface WorkbenchOptions {
  directory: string;
  /** Makers and third party, where several workbenches share them: RSA keys take their time. */
  founders?: Founders;
  /** Certificates of other makers that are pinned beside, PEM. */
  roots?: EkRootsOptions['roots'];
  intermediates?: EkRootsOptions['intermediates'];
  nowMs?: number;
  verifier?: Partial<VerifierOptions>;
  acceptAnything?: { gateway: boolean; meter: boolean };
}

export interface Founders {
  maker: PaperMaker;
  thirdParty: PaperThirdParty;
}
export async function foundAt(nowMs: number): Promise<Founders> {
  const [maker, thirdParty] = await Promise.all([PaperMaker.found(nowMs), PaperThirdParty.found(nowMs)]);
  return { maker, thirdParty };
}

export class Workbench {
  readonly maker: PaperMaker;
  readonly thirdParty: PaperThirdParty;
  readonly trust: TrustAnchors;
  readonly registered = new Map<string, Registered>();
  readonly revokedCertificates = new Set<string>();
  readonly releaseKey: KeyObject;
  readonly store: VerifierStore;
  readonly releases: Releases;
  readonly verifier: Verifier;
  readonly resultKey: Uint8Array;
  nowMs: number;

  private constructor({ maker, thirdParty }: Founders, options: WorkbenchOptions) {
    this.maker = maker;
    this.thirdParty = thirdParty;
    this.nowMs = options.nowMs ?? START_MS;
    this.trust = {
      endorsement: new EkRoots({
        roots: [maker.root, ...(options.roots ?? [])],
        intermediates: [maker.intermediate, ...(options.intermediates ?? [])],
      }),
      holders: new HolderCheck(thirdParty.certificate),
    };
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.releaseKey = privateKey;
    this.store = new VerifierStore(join(options.directory, 'verifier.sqlite'));
    this.releases = new Releases({
      store: this.store,
      releaseKey: rawReleaseKey(publicKey),
      acceptAnything: options.acceptAnything,
      artefacts: {
        image: (digest) => RELEASES.find(({ image }) => Buffer.compare(digestOf(image), digest) === 0)?.image,
        files: (digest) => {
          const release = RELEASES.find(({ files }) => Buffer.compare(listingDigest(files), digest) === 0);
          return release && new Map(release.files.map((file) => [file.path, file.digest]));
        },
      },
    });
    const result = generateSigningKey();
    this.resultKey = result.publicKey;
    this.verifier = new Verifier({
      store: this.store,
      challenges: new Challenges(randomBytes(32), CHALLENGE_LIFE_MS),
      trust: this.trust,
      register: { device: (serial) => this.registered.get(serial), all: () => [...this.registered.values()] },
      references: () => this.releases.references(),
      isCertificateRevoked: (serial) => this.revokedCertificates.has(serial),
      resultKey: result.privateKey,
      intervalMs: INTERVAL_MS,
      resultLifeMs: RESULT_LIFE_MS,
      calendarMs: () => this.nowMs,
      ...options.verifier,
    });
    this.advance(0);
  }

  /** With release 1 out. */
  static async open(options: WorkbenchOptions): Promise<Workbench> {
    const bench = new Workbench(options.founders ?? (await foundAt(options.nowMs ?? START_MS)), options);
    if (bench.store.manifests().length === 0) bench.release(1);
    return bench;
  }

  advance(byMs: number): void {
    this.nowMs += byMs;
    this.verifier.advance(this.nowMs);
  }

  /** Publishes a release; earlier ones are retired a day later. */
  release(version: number, changed: Partial<Manifest> = {}): void {
    this.releases.take(signManifest(this.manifest(version, changed), this.releaseKey), this.nowMs);
  }
  manifest(version: number, changed: Partial<Manifest> = {}): Manifest {
    const { files, image } = RELEASES[version - 1];
    const [gateway, firmware] = [listingDigest(files), digestOf(image)];
    return {
      version,
      gateway: { digest: gateway, length: 1000 },
      firmware: { digest: firmware, length: image.length },
      notBeforeMs: this.nowMs,
      retiresMs: this.nowMs + DAY_MS,
      stages: [],
      accepted: { gateway: [replay([gateway])], meter: [replay([firmware])] },
      notes: `release ${version}`,
      ...changed,
    };
  }

  /** A device in order, with release 1, that the grid operator has installed. */
  async device({ registered = true, expiredMs, maker = this.maker }: DeviceOptions = {}): Promise<PaperDevice> {
    const { files, image } = RELEASES[0];
    const device = await PaperDevice.make(
      maker,
      this.thirdParty,
      { gateway: listingDigest(files), image },
      { expiredMs },
    );
    if (registered) this.register(device.ekSerial);
    return device;
  }
  register(serial: string, state: Registered['state'] = 'installed'): void {
    this.registered.set(serial, { serial, address: 'Lindenweg 4', area: 'north-1', state });
  }

  /** A whole attestation, as an honest gateway does it. */
  attest(device: PaperDevice, how: Parameters<PaperDevice['evidence']>[1] = {}): AttestationResult {
    const { nonce } = this.verifier.challenge(device.ekSerial);
    return this.push(device, device.evidence(nonce, how));
  }
  push(device: PaperDevice, evidence: Uint8Array): AttestationResult {
    const { result } = this.verifier.receive(device.ekSerial, evidence);
    return verifyResult(result, this.resultKey, { device: device.ekSerial, nowMs: this.nowMs });
  }

  close(): void {
    this.store.close();
  }
}

export interface DeviceOptions {
  registered?: boolean;
  /** When its endorsement certificate ended. */
  expiredMs?: number;
  maker?: PaperMaker;
}
