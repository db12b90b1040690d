/**
 * Attacks on attestation, each really run against a verifier of its own kind: what an owner with a serial cable, a stolen gateway,
 * a neighbour or somebody on the line could try. `run` gives the sentence that it was refused with, or null where it got through.
 *
 * Tests hold each to its sentence; `npm run -s measure -- attestation` prints the table.
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { Refusal } from '../../operator/shared/service.ts';
import { AttestationResultError, verifyResult } from '../../protocol/attestation/attestation-result.ts';
import { decodeEvidence, encodeEvidence, PCR_GATEWAY, PCR_METER } from '../../protocol/attestation/evidence.ts';
import { listingDigest, replay } from '../../protocol/attestation/software.ts';
import { OBJECT, TPM_ALG, TPM_ST } from '../../protocol/attestation/tpm-wire.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';
import { signManifest } from '../../protocol/updates/manifest.ts';
import { ATTESTATION_ATTRIBUTES, PaperDevice, PaperMaker, writePublic } from './paper-tpm.ts';
import { CHALLENGE_LIFE_MS, MINUTE_MS, RELEASES, RESULT_LIFE_MS, type Workbench } from './workbench.ts';

const DAY_MS = 86_400_000;

export interface Attack {
  name: string;
  /** Begins what the refusal must say. */
  expected: string;
  /** The refusal's sentence; null where it was not refused. */
  run(bench: Workbench): Promise<string | null>;
}

/** What the verifier said to one evidence. */
function said(bench: Workbench, device: PaperDevice, evidence: Uint8Array): string | null {
  try {
    const { trusted, refusals } = bench.push(device, evidence);
    return trusted ? null : refusals.map(({ sentence }) => sentence).join(' ');
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}
type How = Parameters<PaperDevice['evidence']>[1];
function attested(bench: Workbench, device: PaperDevice, how: How = {}): string | null {
  const { nonce } = bench.verifier.challenge(device.ekSerial);
  return said(bench, device, device.evidence(nonce, how));
}
/** A device that was trusted a moment ago. */
async function trusted(bench: Workbench): Promise<PaperDevice> {
  const device = await bench.device();
  const refused = attested(bench, device);
  if (refused !== null) throw new Error(`an honest device was refused: ${refused}`);
  bench.advance(MINUTE_MS);
  return device;
}

const oneByteOff = (bytes: Uint8Array): Uint8Array => {
  const changed = Buffer.from(bytes);
  changed[Math.floor(changed.length / 2)] ^= 1;
  return changed;
};

export const ATTACKS: readonly Attack[] = [
  {
    name: 'an endorsement key that the grid operator never registered',
    expected: 'The grid operator has registered no device',
    run: async (bench) => attested(bench, await bench.device({ registered: false })),
  },
  {
    name: 'an endorsement certificate that has expired',
    expected: 'The endorsement key is not one of a TPM that is trusted here',
    run: async (bench) => attested(bench, await bench.device({ expiredMs: bench.nowMs - DAY_MS })),
  },
  {
    name: 'a TPM of a maker that is not pinned',
    expected: 'The endorsement key is not one of a TPM that is trusted here',
    run: async (bench) => attested(bench, await bench.device({ maker: await PaperMaker.found(bench.nowMs) })),
  },
  {
    name: 'a device that the grid operator took out of its register',
    expected: 'The device was revoked',
    run: async (bench) => {
      const device = await trusted(bench);
      bench.register(device.ekSerial, 'revoked');
      return attested(bench, device);
    },
  },
  {
    name: 'a device that was revoked at the verifier',
    expected: 'The device was revoked: stolen from the cellar.',
    run: async (bench) => {
      const device = await trusted(bench);
      bench.verifier.revoke(device.ekSerial, 'revoked', 'stolen from the cellar');
      return attested(bench, device);
    },
  },
  {
    name: 'an attestation key whose certificate was revoked',
    expected: "The attestation key's certificate has been revoked",
    run: async (bench) => {
      const device = await trusted(bench);
      const serialNumber = bench.trust.holders.check(device.akCertificate, ['attestation'], bench.nowMs).serialNumber;
      bench.revokedCertificates.add(serialNumber);
      return attested(bench, device);
    },
  },
  {
    name: 'an attestation certificate that has expired',
    expected: 'The attestation key is not certified by the trusted third party: certificate has expired',
    run: async (bench) => {
      const device = await bench.device();
      const notAfterMs = bench.nowMs - DAY_MS;
      device.akCertificate = await bench.thirdParty.certify(device.akPublicKey, device.ekSerial, { notAfterMs });
      return attested(bench, device);
    },
  },
  {
    name: 'a software key said to be in the TPM',
    expected: 'The attestation key that is described is not the one that is certified',
    run: async (bench) => {
      const device = await bench.device();
      const akPublic = writePublic(generateSigningKey().publicKey, ATTESTATION_ATTRIBUTES);
      return attested(bench, device, { claims: { akPublic } });
    },
  },
  {
    name: "another TPM's attestation key",
    expected: 'The attestation key was certified for another TPM',
    run: async (bench) => {
      const [device, other] = [await bench.device(), await bench.device()];
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      return said(bench, device, other.evidence(nonce, { claims: { ekCertificate: device.ekCertificate } }));
    },
  },
  {
    name: 'an attestation key that is not restricted',
    expected: 'The attestation key is unfit: it is not restricted',
    run: async (bench) => {
      const device = await bench.device();
      device.attributes &= ~OBJECT.restricted;
      return attested(bench, device);
    },
  },
  {
    name: 'an attestation key that could leave its TPM',
    expected: 'The attestation key is unfit: it could be moved to another TPM',
    run: async (bench) => {
      const device = await bench.device();
      device.attributes &= ~OBJECT.fixedTPM;
      return attested(bench, device);
    },
  },
  {
    name: 'an attestation key of before the household was initialised anew',
    expected: 'The attestation key was replaced by a newer one',
    run: async (bench) => {
      const device = await trusted(bench);
      const renewed = await trustedAnew(bench, device);
      if (attested(bench, renewed) !== null) throw new Error('an honest device was refused');
      return attested(bench, device);
    },
  },
  {
    name: 'a quote that another key signed',
    expected: 'The quote was not signed by the attestation key',
    run: async (bench) => {
      const device = await bench.device();
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      const other = await bench.device();
      const parts = device.parts(nonce);
      return said(bench, device, encodeEvidence({ ...parts, signature: other.sign(parts.quote) }));
    },
  },
  {
    name: 'something signed that a TPM never says of itself (forged magic)',
    expected: 'What was signed does not begin as everything does that a TPM says of itself',
    run: async (bench) => attested(bench, await bench.device(), { forge: { magic: 0x12345678 } }),
  },
  {
    name: 'another attestation than a quote',
    expected: 'What was signed is the certification of a key, not a quote',
    run: async (bench) => attested(bench, await bench.device(), { forge: { type: TPM_ST.ATTEST_CERTIFY } }),
  },
  {
    name: 'a quote of yesterday (delayed)',
    expected: 'The answer came too late',
    run: async (bench) => {
      const device = await bench.device();
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      const evidence = device.evidence(nonce);
      bench.advance(CHALLENGE_LIFE_MS);
      return said(bench, device, evidence);
    },
  },
  {
    name: 'a challenge answered a second time (replay)',
    expected: 'The challenge was answered before: this is a replay',
    run: async (bench) => {
      const device = await bench.device();
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      bench.push(device, device.evidence(nonce));
      return said(bench, device, device.evidence(nonce));
    },
  },
  {
    name: 'an old quote under a fresh challenge',
    expected: 'The quote was made for another challenge',
    run: async (bench) => {
      const device = await bench.device();
      const old = device.parts(bench.verifier.challenge(device.ekSerial).nonce);
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      return said(bench, device, encodeEvidence({ ...old, nonce }));
    },
  },
  {
    name: 'a challenge that was given to a neighbour',
    expected: 'The challenge that is answered was never given to this device',
    run: async (bench) => {
      const [device, neighbour] = [await bench.device(), await bench.device()];
      return said(bench, device, device.evidence(bench.verifier.challenge(neighbour.ekSerial).nonce));
    },
  },
  {
    name: "a neighbour's evidence",
    expected: 'The evidence is of another device than the one that sent it',
    run: async (bench) => {
      const [device, neighbour] = [await bench.device(), await bench.device()];
      return said(bench, device, neighbour.evidence(bench.verifier.challenge(neighbour.ekSerial).nonce));
    },
  },
  {
    name: 'a quote over no PCR at all (empty selection)',
    expected: 'The quote is over no PCR at all',
    run: async (bench) => {
      const selections = [{ bank: TPM_ALG.SHA256, pcrs: [] }];
      const pcrDigest = createHash('sha256').digest();
      return attested(bench, await bench.device(), { forge: { selections, pcrDigest } });
    },
  },
  {
    name: 'a quote over PCRs that anybody can reset',
    expected: 'The quote is over other PCRs than those of gateway and meter',
    run: async (bench) =>
      attested(bench, await bench.device(), { forge: { selections: [{ bank: TPM_ALG.SHA256, pcrs: [16, 23] }] } }),
  },
  {
    name: 'a quote over the bank of SHA-1',
    expected: 'The quote is over PCRs of another bank than SHA-256',
    run: async (bench) =>
      attested(bench, await bench.device(), {
        forge: { selections: [{ bank: 0x0004, pcrs: [PCR_GATEWAY, PCR_METER] }] },
      }),
  },
  {
    name: 'PCR values beside the quote that are not the quoted ones',
    expected: 'The quote is over other values of the PCRs',
    run: async (bench) => {
      const device = await bench.device();
      return attested(bench, device, { forge: { pcrDigest: createHash('sha256').update('others').digest() } });
    },
  },
  {
    name: 'a log of measurements that leaves one out',
    expected: 'The log of measurements does not lead to the value of PCR 9',
    run: async (bench) => {
      const device = await bench.device();
      const honest = device.events;
      device.flash(oneByteOff(device.image));
      const pcrs = [PCR_GATEWAY, PCR_METER].map((pcr) => ({
        pcr,
        value: replay(device.events.filter((event) => event.pcr === pcr).map(({ digest }) => digest)),
      }));
      return attested(bench, device, { claims: { events: honest, pcrs } });
    },
  },
  {
    name: 'a list of files that is not the measured one',
    expected: 'The list of files is not the one that was measured',
    run: async (bench) => {
      const device = await bench.device();
      device.runSoftware(changedFiles());
      return attested(bench, device, { claims: { files: RELEASES[0].files } });
    },
  },
  {
    name: "the gateway's software changed",
    expected: "The gateway's software is none that was released: gateway/uplink/uplink.ts was changed",
    run: async (bench) => {
      const device = await trusted(bench);
      device.runSoftware(changedFiles());
      return attested(bench, device);
    },
  },
  {
    name: "the meter's image changed by one byte, and flashed",
    expected: 'An image was flashed to the meter that was never released',
    run: async (bench) => {
      const device = await trusted(bench);
      device.flash(oneByteOff(device.image));
      return attested(bench, device);
    },
  },
  {
    name: "the meter's image changed by one byte behind the gateway's back",
    expected: 'The meter runs another image than the gateway flashed to it',
    run: async (bench) => {
      const device = await trusted(bench);
      device.image = oneByteOff(device.image);
      return attested(bench, device);
    },
  },
  {
    name: 'a meter that does not answer',
    expected: 'The meter did not answer what image it runs',
    run: async (bench) => attested(bench, await trusted(bench), { claims: { measurement: null } }),
  },
  {
    name: 'a gateway that measured nothing',
    expected: "The gateway's software was not measured",
    run: async (bench) => {
      const device = await bench.device();
      device.events = [];
      return attested(bench, device);
    },
  },
  {
    name: 'a rolled-back version, which is accepted elsewhere still',
    expected: "The meter's image went back to an older release (from 2 to 1)",
    run: async (bench) => {
      const device = await trusted(bench);
      bench.release(2);
      device.flash(RELEASES[1].image);
      if (attested(bench, device) !== null) throw new Error('an honest update was refused');
      device.flash(RELEASES[0].image);
      return attested(bench, device);
    },
  },
  {
    name: 'a release that was retired',
    expected: "The gateway's software is of release 1, which is no longer accepted",
    run: async (bench) => {
      const device = await trusted(bench);
      bench.release(2);
      bench.advance(DAY_MS);
      return attested(bench, device);
    },
  },
  {
    name: 'a copy of the TPM, or evidence of the past',
    expected: "The TPM's clock or its count of restarts went back",
    run: async (bench) => {
      const device = await bench.device();
      device.restart();
      if (attested(bench, device) !== null) throw new Error('an honest device was refused');
      device.resetCount--;
      return attested(bench, device);
    },
  },
  {
    name: 'a manifest that was signed by another key',
    expected: 'the manifest was signed by another key',
    run: async (bench) => {
      const foreign = generateKeyPairSync('ed25519').privateKey;
      return refusedManifest(bench, signManifest(bench.manifest(2), foreign));
    },
  },
  {
    name: 'a manifest that was altered',
    expected: 'the manifest was changed after it was signed',
    run: async (bench) => {
      const altered = Buffer.from(signManifest(bench.manifest(2), bench.releaseKey));
      altered[10] ^= 1;
      return refusedManifest(bench, altered);
    },
  },
  {
    name: 'a result that has expired, shown once more',
    expected: 'result.exp has passed: it has expired',
    run: async (bench) => {
      const device = await bench.device();
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      const { result } = bench.verifier.receive(device.ekSerial, device.evidence(nonce));
      bench.advance(RESULT_LIFE_MS);
      return refusedResult(result, bench, device.ekSerial);
    },
  },
  {
    name: "a neighbour's result",
    expected: 'result.sub names another device',
    run: async (bench) => {
      const [device, neighbour] = [await bench.device(), await bench.device()];
      const { nonce } = bench.verifier.challenge(neighbour.ekSerial);
      const { result } = bench.verifier.receive(neighbour.ekSerial, neighbour.evidence(nonce));
      return refusedResult(result, bench, device.ekSerial);
    },
  },
  {
    name: 'a result that signs itself with no algorithm',
    expected: 'result.header is not that of an ES256 attestation result',
    run: async (bench) => {
      const device = await bench.device();
      const { nonce } = bench.verifier.challenge(device.ekSerial);
      const { result } = bench.verifier.receive(device.ekSerial, device.evidence(nonce));
      const header = Buffer.from('{"alg":"none","typ":"eat+jwt"}').toString('base64url');
      return refusedResult(result.replace(/^[^.]+/, header), bench, device.ekSerial);
    },
  },
  {
    name: 'evidence that is cut short',
    expected: 'evidence.',
    run: async (bench) => {
      const device = await bench.device();
      const evidence = device.evidence(bench.verifier.challenge(device.ekSerial).nonce);
      decodeEvidence(evidence);
      return said(bench, device, evidence.subarray(0, evidence.length - 1));
    },
  },
];

function refusedManifest(bench: Workbench, bytes: Uint8Array): string | null {
  try {
    bench.releases.take(bytes, bench.nowMs);
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}
function refusedResult(jwt: string, bench: Workbench, device: string): string | null {
  try {
    verifyResult(jwt, bench.resultKey, { device, nowMs: bench.nowMs });
    return null;
  } catch (error) {
    if (error instanceof AttestationResultError) return error.message;
    throw error;
  }
}

/** Release 1 with one file changed. */
function changedFiles(): (typeof RELEASES)[number]['files'] {
  return RELEASES[0].files.map((file) =>
    file.path === 'gateway/uplink/uplink.ts' ? { ...file, digest: createHash('sha256').update('spy').digest() } : file,
  );
}

/** The same TPM with a new attestation key, as after another visit to the page. */
async function trustedAnew(bench: Workbench, device: PaperDevice): Promise<PaperDevice> {
  const renewed = await PaperDevice.make(bench.maker, bench.thirdParty, {
    gateway: listingDigest(RELEASES[0].files),
    image: RELEASES[0].image,
  });
  const notAfterMs = bench.nowMs + 2000 * DAY_MS;
  const akCertificate = await bench.thirdParty.certify(renewed.akPublicKey, device.ekSerial, { notAfterMs });
  return Object.assign(renewed, { akCertificate, ekCertificate: device.ekCertificate, ekSerial: device.ekSerial });
}
