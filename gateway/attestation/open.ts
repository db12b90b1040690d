/**
 * Attestation as the gateway runs it: the agent, and the passes that follow from being trusted, with the household's TPM and names.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CalibrationClaim, LogClaim } from '../../protocol/attestation/evidence.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import type { ImageCommand } from '../../protocol/wire/link-messages.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import { callService } from '../services/client.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { type AgentStore, AttestationAgent, type AttestationIdentity, type CallVerifier } from './agent.ts';
import { MeterQuestion } from './ask-meter.ts';
import type { AttestationConfig } from './config.ts';
import { MeasuredBoot } from './measured-boot.ts';
import { openPasses } from './open-passes.ts';
import type { PassKeeper } from './passes.ts';
import { measureSoftware } from './software.ts';

/** The service's role: requests are signed for it. */
const AUDIENCE = 'verifier';
/** Where an update leaves the digest of the image that it flashed, hexadecimal. */
export const METER_IMAGE = 'meter.image';

export interface OpenAttestationOptions {
  config: AttestationConfig;
  dataDir: string;
  store: AgentStore;
  /** Opens the TPM where it is not open. @throws TpmError */
  tpm: () => Promise<Tpm>;
  household: Pick<HouseholdIdentity, 'requestIdentity' | 'attestation' | 'pseudonymOf'>;
  /** How the household's log is; absent: it keeps none. */
  logClaim?(): LogClaim;
  /** What the meter is calibrated with. */
  calibrationClaim?(): CalibrationClaim;
  /** To the meter; it answers with `heard`. */
  sendToMeter(command: ImageCommand): void;
  clock: Clock;
  log(line: string): void;
}

export interface Attestation {
  readonly agent: AttestationAgent;
  readonly passes: PassKeeper;
  /** The meter's MEASUREMENT. */
  heard(digest: Uint8Array): void;
  tick(): void;
  idle(): Promise<void>;
  close(): Promise<void>;
}

export function openAttestation(options: OpenAttestationOptions): Attestation {
  const { config, dataDir, store, tpm, household, sendToMeter, clock, log } = options;
  const question = new MeterQuestion(sendToMeter, clock);
  const address = { url: config.url, ca: readFileSync(config.caFile, 'utf8') };
  const call: CallVerifier = async (path, body, answer) => {
    const identity = household.requestIdentity('household', AUDIENCE);
    if (!identity) throw new ServiceError('unreachable', 'the household has no name yet', 'again');
    return callService({ ...address, path, body, answer, identity });
  };
  const masterKey = Buffer.from(config.passMasterKey, 'hex');
  const passes = openPasses({ dataDir, clock, verifier: address, masterKey, identity: household, log });
  const delivered = config.meterImageFile
    ? createHash('sha256').update(readFileSync(config.meterImageFile)).digest()
    : null;
  let ekCertificate: Uint8Array | null = null;
  const certificateOf = async (opened: Tpm): Promise<Uint8Array> => {
    // once: a real TPM takes seconds to find its endorsement key
    ekCertificate ??= (await opened.endorsement()).certificate;
    return ekCertificate;
  };
  const agent = new AttestationAgent({
    clock,
    store,
    boot: new MeasuredBoot(tpm, dataDir),
    identity: () => identityOf(household, tpm, certificateOf),
    call,
    verifierKey: Buffer.from(config.resultKey, 'hex'),
    measureMeter: (nonce) => question.ask(nonce),
    meterImage: () => {
      const flashed = store.meta(METER_IMAGE);
      return flashed ? Buffer.from(flashed, 'hex') : delivered;
    },
    software: measureSoftware(),
    logClaim: options.logClaim,
    calibrationClaim: options.calibrationClaim,
    onTrusted: () => passes.wake(),
    log,
  });
  return {
    agent,
    passes,
    heard: (digest) => question.heard(digest),
    tick() {
      question.tick();
      agent.tick();
      passes.tick();
    },
    async idle() {
      await agent.idle();
      await passes.settled();
    },
    async close() {
      await agent.close();
      await passes.close();
    },
  };
}

/** Null before the household was initialised. */
async function identityOf(
  household: OpenAttestationOptions['household'],
  openTpm: () => Promise<Tpm>,
  certificateOf: (tpm: Tpm) => Promise<Uint8Array>,
): Promise<AttestationIdentity | null> {
  const attestation = await household.attestation();
  if (!attestation) return null;
  const tpm = await openTpm();
  const certificate = await certificateOf(tpm);
  const { key } = attestation;
  return {
    ekSerial: ekSerialIn(attestation.certificate),
    ekCertificate: certificate,
    akCertificate: attestation.certificate,
    akPublic: key.blob.publicBlob,
    quote: (pcrs, extraData) => tpm.quote(key, extraData, pcrs),
  };
}

/** As the third party, which knows the TPM's maker, named the device. */
const ekSerialIn = (certificate: Uint8Array): string =>
  /^serialNumber=([0-9a-f]+)$/m.exec(new X509Certificate(certificate).subject)?.[1] ?? '';
