/**
 * Domain separation: every signature, MAC and HPKE key schedule in this system starts from one of these labels, so that
 * bytes made for one purpose can never be presented for another. All of them stand here, so that two cannot collide.
 */
export const LABELS = {
  /** TPM's pseudonym key over a short-lived reading key (protocol/readings/certificate.ts). */
  readingKey: 'quietmeter/v1/reading-key',
  /** Short-lived reading key over a submission to the collector. */
  submission: 'quietmeter/v1/submission',
  /** HPKE `info` of a quarter-hour reading, gateway to provider. */
  sealedReading: 'quietmeter/v1/sealed-reading',
  /** Derives a month's MAC key from the one that collector and provider share. */
  batchKey: 'quietmeter/v1/batch-key',
  /** Collector's MAC over a batch to the provider. */
  batch: 'quietmeter/v1/batch',
  /** Provider's MAC over "batch n is on my disk". */
  batchAcknowledged: 'quietmeter/v1/batch-acknowledged',
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
