/**
 * A gateway's attestation on a real TPM (software or not), against a verifier in the same process: everything but the network. The
 * trusted third party is on paper: initialisation has tests and measurements of its own.
 */

import { createHash } from 'node:crypto';
import { AttestationAgent, type AttestationIdentity, type CallVerifier } from '../../gateway/attestation/agent.ts';
import { MeasuredBoot } from '../../gateway/attestation/measured-boot.ts';
import type { TpmKey } from '../../gateway/tpm/keys.ts';
import type { Tpm } from '../../gateway/tpm/tpm.ts';
import { Refusal } from '../../operator/shared/service.ts';
import type { MeasuredFile } from '../../protocol/attestation/evidence.ts';
import { CHALLENGE_PATH, EVIDENCE_PATH } from '../../protocol/attestation/exchange.ts';
import { encodeBody, readAnswer, ServiceError } from '../../protocol/services/call.ts';
import { measurementOfImage } from '../../protocol/updates/measurement.ts';
import { RELEASES, type Workbench } from './workbench.ts';

export interface RigOptions {
  tpm: Tpm;
  bench: Workbench;
  dataDir: string;
  /** Default: release 1. */
  software?: readonly MeasuredFile[];
}

export class Rig {
  readonly bench: Workbench;
  readonly tpm: Tpm;
  readonly device: AttestationIdentity;
  readonly agent: AttestationAgent;
  readonly meta = new Map<string, string>();
  readonly lines: string[] = [];
  /** What the meter runs, and what the gateway believes it flashed. */
  image = RELEASES[0].image;
  flashed = RELEASES[0].image;
  meterAnswers = true;
  verifierReachable = true;
  /** Of the agent's pauses. */
  realMs = 0;

  private constructor({ tpm, bench, dataDir, software = RELEASES[0].files }: RigOptions, device: AttestationIdentity) {
    this.tpm = tpm;
    this.bench = bench;
    this.device = device;
    this.agent = new AttestationAgent({
      clock: { nowMs: () => bench.nowMs },
      store: { meta: (key) => this.meta.get(key) ?? null, setMeta: (key, value) => void this.meta.set(key, value) },
      boot: new MeasuredBoot(async () => tpm, dataDir),
      identity: async () => device,
      call: this.#call,
      verifierKey: bench.resultKey,
      measureMeter: async (nonce) => {
        if (!this.meterAnswers) throw new Error('the meter does not answer');
        return measurementOfImage(nonce, this.image);
      },
      meterImage: () => createHash('sha256').update(this.flashed).digest(),
      software,
      log: (line) => this.lines.push(line),
      nowMs: () => this.realMs,
    });
  }

  /** Makes an attestation key in the TPM and has it certified; the TPM's maker must be pinned by the workbench. */
  static async build(options: RigOptions): Promise<Rig> {
    const { tpm, bench } = options;
    const { certificate } = await tpm.endorsement();
    const key = await tpm.loadKey(await tpm.createAttestationKey());
    const { ekSerial } = bench.trust.endorsement.check(certificate, Date.now());
    bench.register(ekSerial);
    const akCertificate = await bench.thirdParty.certify(key.publicKey, ekSerial);
    return new Rig(options, identityOf(tpm, key, { ekSerial, ekCertificate: certificate, akCertificate }));
  }

  /** Until a result is there, or something keeps it. */
  async attest(): Promise<void> {
    const pushes = this.agent.pushes;
    this.agent.attestNow();
    for (let i = 0; i < 50 && this.agent.pushes === pushes; i++) {
      await this.agent.idle();
      if (this.agent.view().trouble) return;
      await new Promise((done) => setImmediate(done));
      this.agent.tick();
    }
  }

  /** As the service would answer. */
  readonly #call: CallVerifier = async (path, body, answer) => {
    if (!this.verifierReachable) throw new ServiceError('unreachable', 'verifier: no answer', 'again');
    const { verifier } = this.bench;
    try {
      const result =
        path === CHALLENGE_PATH
          ? verifier.challenge(this.device.ekSerial)
          : path === EVIDENCE_PATH &&
            verifier.receive(this.device.ekSerial, (body as { evidence: Uint8Array }).evidence);
      return readAnswer(200, encodeBody(result), answer);
    } catch (error) {
      if (error instanceof Refusal) throw new ServiceError('refused', error.message, error.recovery);
      throw error;
    }
  };
}

const identityOf = (
  tpm: Tpm,
  key: TpmKey,
  certificates: Pick<AttestationIdentity, 'ekSerial' | 'ekCertificate' | 'akCertificate'>,
): AttestationIdentity => ({
  ...certificates,
  akPublic: key.blob.publicBlob,
  quote: (pcrs, extraData) => tpm.quote(key, extraData, pcrs),
});
