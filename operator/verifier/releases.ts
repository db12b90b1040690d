/**
 * Which releases are accepted when, from the manifests that the trusted third party signed. One is retired at the instant that a
 * later one names; until then both are accepted, which is what a staged roll-out needs.
 *
 * The images themselves come beside the manifests (`Artefacts`): without a meter's image nobody can judge its answer.
 */
import { createHash } from 'node:crypto';
import type { AcceptedValue, ReferenceValues } from '../../protocol/attestation/reference-values.ts';
import { type Manifest, ManifestError, openManifest } from '../../protocol/updates/manifest.ts';
import { Refusal } from '../shared/service.ts';
import type { FleetRow } from './steps.ts';
import type { VerifierStore } from './store.ts';

/** What was released, by digest. Whoever gives it need not be trusted: digests are compared. */
export interface Artefacts {
  image(digest: Uint8Array): Uint8Array | undefined;
  /** Path → SHA-256 of the gateway's files; to name a file that differs. */
  files(digest: Uint8Array): ReadonlyMap<string, Uint8Array> | undefined;
}

/** Where a roll-out is: how many devices run each release, and what is accepted now. */
export interface RollOut {
  version: number;
  accepted: boolean;
  fromMs: number;
  untilMs: number | null;
  notes: string;
  /** Devices whose last trusted evidence showed it. */
  gateways: number;
  meters: number;
}

export interface ReleasesOptions {
  store: VerifierStore;
  /** The trusted third party's release key, Ed25519, 32 B; pinned. */
  releaseKey: Uint8Array;
  artefacts: Artefacts;
  /** For a workbench: accept whatever runs, with a warning in every verdict. */
  acceptAnything?: { gateway: boolean; meter: boolean };
}

export class Releases {
  readonly #options: ReleasesOptions;
  #manifests: Manifest[] = [];
  #references: ReferenceValues | undefined;

  constructor(options: ReleasesOptions) {
    this.#options = options;
    // signatures are checked again: a file on a disk proves nothing
    this.#manifests = options.store.manifests().map(({ bytes }) => openManifest(bytes, options.releaseKey));
  }

  /** The same again changes nothing. @throws Refusal */
  take(bytes: Uint8Array, nowMs: number): { version: number } {
    let manifest: Manifest;
    try {
      manifest = openManifest(bytes, this.#options.releaseKey);
    } catch (error) {
      if (error instanceof ManifestError)
        throw new Refusal(error.trouble, error.message, 'final', { path: 'manifest' });
      throw error;
    }
    const { version } = manifest;
    const known = this.#options.store.manifests().find((kept) => kept.version === version);
    if (known && Buffer.compare(known.bytes, bytes) !== 0)
      throw new Refusal('other manifest', `another manifest of release ${version} is known already`, 'final');
    const newest = this.#manifests.at(-1)?.version ?? 0;
    if (!known && version < newest)
      throw new Refusal('older', `release ${version} is older than release ${newest}, which is known`, 'final');
    if (!known) {
      this.#options.store.addManifest(version, bytes, nowMs);
      this.#manifests.push(manifest);
      this.#references = undefined;
    }
    return { version };
  }

  references(): ReferenceValues {
    const { artefacts, acceptAnything } = this.#options;
    this.#references ??= referencesOf(this.#manifests, artefacts, acceptAnything);
    return this.#references;
  }

  rollOut(fleet: readonly FleetRow[], nowMs: number): RollOut[] {
    return this.#manifests.map(({ version, notes, notBeforeMs }, i) => {
      const untilMs = retiredMs(this.#manifests, i);
      return {
        version,
        accepted: nowMs >= notBeforeMs && (untilMs === null || nowMs < untilMs),
        fromMs: notBeforeMs,
        untilMs,
        notes,
        gateways: fleet.filter((row) => row.gatewayVersion === version).length,
        meters: fleet.filter((row) => row.meterVersion === version).length,
      };
    });
  }
}

/** What these manifests, in the order of their versions, accept and when. */
export function referencesOf(
  manifests: readonly Manifest[],
  artefacts: Artefacts,
  acceptAnything?: { gateway: boolean; meter: boolean },
): ReferenceValues {
  const values = (part: 'gateway' | 'firmware'): AcceptedValue[] =>
    manifests.map((manifest, i) => ({
      digest: manifest[part].digest,
      version: manifest.version,
      fromMs: manifest.notBeforeMs,
      untilMs: retiredMs(manifests, i),
    }));
  const images = new Map<string, Uint8Array>();
  return {
    policyId: `policy://quietmeter/releases/${manifests.map(({ version }) => version).join('+') || 'none'}`,
    gateway: acceptAnything?.gateway ? 'anything' : values('gateway'),
    meter: acceptAnything?.meter ? 'anything' : values('firmware'),
    meterMayBeUnmeasured: manifests.some(({ accepted }) =>
      accepted.meter.some((pcr) => pcr.every((byte) => byte === 0)),
    ),
    imageOf(digest) {
      const name = Buffer.from(digest).toString('hex');
      const known = images.get(name);
      if (known) return known;
      const image = artefacts.image(digest);
      if (!image || Buffer.compare(createHash('sha256').update(image).digest(), digest) !== 0) return undefined;
      images.set(name, image);
      return image;
    },
    filesOf: (digest) => artefacts.files(digest),
  };
}

/** By the earliest word of any later release. */
function retiredMs(manifests: readonly Manifest[], index: number): number | null {
  const later = manifests.slice(index + 1).map((manifest) => manifest.retiresMs);
  return later.length > 0 ? Math.min(...later) : null;
}
