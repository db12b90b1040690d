/**
 * Domain separation: every signature, MAC and HPKE key schedule in this system starts from one of these labels, so that
 * bytes made for one purpose can never be presented for another. All of them stand here, so that two cannot collide.
 */
export const LABELS = {
  /** TPM's pseudonym key over a short-lived reading key (protocol/readings/certificate.ts). */
  readingKey: 'quietmeter/v1/reading-key',
  /** Short-lived reading key over a submission to the collector. */
  submission: 'quietmeter/v1/submission',
  /** Names the provider that a reading is sealed to (protocol/readings/provider.ts). */
  readingProvider: 'quietmeter/v1/reading-provider',
  /** HPKE `info` of a quarter-hour reading, gateway to provider. */
  sealedReading: 'quietmeter/v1/sealed-reading',
  /** Derives a month's MAC key from the one that collector and provider share. */
  batchKey: 'quietmeter/v1/batch-key',
  /** Collector's MAC over a batch to the provider. */
  batch: 'quietmeter/v1/batch',
  /** Provider's MAC over "batch n is on my disk". */
  batchAcknowledged: 'quietmeter/v1/batch-acknowledged',
  /** HMAC chain over what the meter said (protocol/billing/log.ts). */
  log: 'quietmeter/v1/log',
  /** HMAC over the chain's head as it is anchored outside the log. */
  logAnchor: 'quietmeter/v1/log-anchor',
  /** Provider's offline key over a tariff: currency, least price, the key that signs prices. */
  tariff: 'quietmeter/v1/tariff',
  /** Provider's price key over the prices of whole days. */
  prices: 'quietmeter/v1/prices',
  /** Identifier's TPM key over the bill of a month. */
  bill: 'quietmeter/v1/bill',
  /** Derives a month's key for commitments from the household's secret, and the randomness of each from that key
   * (protocol/billing/commitments.ts). */
  commitmentKey: 'quietmeter/v1/commitment-key',
  commitmentRandomness: 'quietmeter/v1/commitment-randomness',
  /** Meter's certified key over a batch of commitments. */
  commitments: 'quietmeter/v1/commitments',
  /** Provider's offline key over a charging policy (protocol/billing/tariff.ts). */
  chargingPolicy: 'quietmeter/v1/charging-policy',
  /** Start of a proof's transcript: the payment of a period (protocol/billing/payment.ts). */
  payment: 'quietmeter/v1/payment',
  /** Start of a proof's transcript: what a customer discloses (protocol/billing/disclosure.ts). */
  disclosure: 'quietmeter/v1/disclosure',
  /** Identifier key over one request to a service (protocol/identity/signed-request.ts). */
  signedRequest: 'quietmeter/v1/signed-request',
  /** HPKE `info` of initialisation's first and third message, gateway to trusted third party (protocol/identity/initialisation.ts). */
  initialisationRequest: 'quietmeter/v1/initialisation-request',
  initialisationAnswer: 'quietmeter/v1/initialisation-answer',
  /** HPKE `info` of a request for the identifier of another provider (protocol/identity/other-provider.ts). */
  otherProvider: 'quietmeter/v1/other-provider',
  /** MAC under the secret that only the endorsement key's TPM could activate. */
  initialisationActivated: 'quietmeter/v1/initialisation-activated',
  /** Derives the key that certificates are encrypted under on their way to that TPM. */
  initialisationCertificates: 'quietmeter/v1/initialisation-certificates',
  /** Trusted third party over a day's pseudonym key (protocol/identity/pseudonym-certificate.ts). */
  pseudonymCertificate: 'quietmeter/v1/pseudonym-certificate',
  /** Trusted third party over what is revoked (protocol/identity/revocation-list.ts). */
  revokedPseudonyms: 'quietmeter/v1/revoked-pseudonyms',
  revokedCertificates: 'quietmeter/v1/revoked-certificates',
  /** Challenge and claims, as the quote carries them (protocol/attestation/evidence.ts). */
  evidence: 'quietmeter/v1/evidence',
  /** What the meter is asked with, derived from the verifier's challenge. */
  meterChallenge: 'quietmeter/v1/meter-challenge',
  /** MAC by which the verifier knows its own challenges again (operator/verifier/challenges.ts). */
  attestationChallenge: 'quietmeter/v1/attestation-challenge',
  /** MAC over what the verifier tells a web hook (operator/verifier/web-hook.ts). */
  webHook: 'quietmeter/v1/web-hook',
  /** What the verifier signs blindly: an attestation pass (protocol/attestation/pass.ts). */
  attestationPass: 'quietmeter/v1/attestation-pass',
  /** Verifier's master key over the keys of the days (protocol/attestation/pass-keys.ts). */
  passKeys: 'quietmeter/v1/pass-keys',
  /** Trusted third party's release key over a manifest (protocol/updates/manifest.ts). */
  manifest: 'quietmeter/v1/manifest',
  /** Trusted third party's policy key over a policy that opens what TPMs have sealed (protocol/attestation/policy.ts). */
  sealingPolicy: 'quietmeter/v1/sealing-policy',
  /** A household's place in a roll-out, from a secret of its own. */
  rollOut: 'quietmeter/v1/roll-out',
  /** Names a provider's control key in topics (protocol/control/topics.ts). */
  controlKey: 'quietmeter/v1/control-key',
  /** Provider's control key over a message to the appliances of an area (protocol/control/message.ts). */
  control: 'quietmeter/v1/control',
  /** Household's TPM key over its registers at an instant, for the grid operator (protocol/grid-fees/register-reading.ts). */
  registerReading: 'quietmeter/v1/register-reading',
  /** What a household's key signs of its meter's calibration. */
  calibration: 'quietmeter/v1/calibration',
  /** Grid operator over an invoice to a provider (protocol/grid-fees/invoice.ts). */
  gridFeeInvoice: 'quietmeter/v1/grid-fee-invoice',
  /** Grid operator over which provider a household has from which slot on (protocol/grid-fees/provider-change.ts). */
  providerChange: 'quietmeter/v1/provider-change',
  /** Grid's offline key over what every gateway's bundle holds (protocol/door/plan.ts). */
  doorPlan: 'quietmeter/v1/door-plan',
  /** HPKE `info` of a cell, gateway to a party through the relay, and what is exported from it (protocol/door/cell.ts). */
  doorCell: 'quietmeter/v1/door-cell',
  doorAnswer: 'quietmeter/v1/door-answer',
  /** Party's key over a list of answers (protocol/door/answer-list.ts). */
  doorList: 'quietmeter/v1/door-list',
  /** What identifies a party's public key, and its master key over all of them (protocol/crypto/keyset.ts). */
  keyId: 'quietmeter/v1/key-id',
  keyset: 'quietmeter/v1/keyset',
  /** Key of a message that the meter itself has sealed to a party (firmware/arithmetic/seal.ts, protocol/crypto/meter-seal.ts). */
  meterSeal: 'quietmeter/v1/meter-seal',
  /** Control centre's announcement key over a month's terms, its weights, an epoch's accepted credentials, a deposit (protocol/selling). */
  sellingTerms: 'quietmeter/v1/selling-terms',
  sellingWeights: 'quietmeter/v1/selling-weights',
  acceptanceList: 'quietmeter/v1/acceptance-list',
  acceptedCredential: 'quietmeter/v1/accepted-credential',
  depositStatement: 'quietmeter/v1/deposit-statement',
  /** Names a panel of report servers; starts of transcripts: a dealing to it, a decryption share (protocol/crypto/pvss.ts). */
  panel: 'quietmeter/v1/panel',
  dealing: 'quietmeter/v1/dealing',
  decryptionShare: 'quietmeter/v1/decryption-share',
  /** Challenges of a ring signature, and the base of its tags (protocol/crypto/ring-signature.ts). */
  ring: 'quietmeter/v1/ring',
  ringSignature: 'quietmeter/v1/ring-signature',
  /** What an issuer signs blindly: the right to one report in a slot (protocol/reporting/token.ts). */
  reportToken: 'quietmeter/v1/report-token',
  reportTokenKeys: 'quietmeter/v1/report-token-keys',
  /** What a ring signs of a report; a report itself; a report server over a roster and over a sum (protocol/reporting). */
  report: 'quietmeter/v1/report',
  roster: 'quietmeter/v1/roster',
  areaSum: 'quietmeter/v1/area-sum',
  /** Grid operator over the tree of areas; provider over a task; task server over the list of a slot (protocol/tasking). */
  areaTree: 'quietmeter/v1/area-tree',
  task: 'quietmeter/v1/task',
  taskList: 'quietmeter/v1/task-list',
  /** Bank's slip for a task's result (protocol/tokens/reward.ts). */
  rewardMeasurement: 'quietmeter/v1/reward-measurement',
  reward: 'quietmeter/v1/reward',
  /** What a provider signs blindly for an energy token; its challenge when it is spent (protocol/tokens/energy-token.ts). */
  energyToken: 'quietmeter/v1/energy-token',
  tokenChallenge: 'quietmeter/v1/token-challenge',
} as const;

export type Label = (typeof LABELS)[keyof typeof LABELS];

const encoder = new TextEncoder();

/** The label's bytes, for where a primitive takes it as a parameter of its own (HPKE's `info`). */
export const labelBytes = (label: Label): Uint8Array => encoder.encode(label);

/**
 * label ‖ 0x00 ‖ parts. No label contains a zero byte, so no label is the beginning of another one's input. The parts are
 * joined as they are: all but the last must be of fixed length or carry their own.
 */
export function labelled(label: Label, ...parts: Uint8Array[]): Uint8Array {
  return Buffer.concat([encoder.encode(`${label}\0`), ...parts]);
}
