/**
 * What can go wrong with the TPM, and what helps:
 *
 *   no library   tpm2-tss is not installed: install the packages that the message names
 *   unreachable  nothing answers where the TPM should be: check the TCTI string, wait, open again
 *   gone         it answered before and does not now: call again later, the TPM is opened anew by itself
 *   foreign key  the key was made by another TPM, or the TPM was cleared: register anew
 *   refused      the TPM answered and said no: a fault of ours or of its state; the message has its words
 *   closed       called after close(): a fault of the caller
 */
export type TpmTrouble = 'no library' | 'unreachable' | 'gone' | 'foreign key' | 'refused' | 'closed';

export class TpmError extends Error {
  override readonly name = 'TpmError';
  readonly kind: TpmTrouble;
  /** TSS2_RC: the layer in bits 16–23, the TPM's own TPM_RC in the lower ones; 0 where no call gave it. */
  readonly rc: number;
  constructor(kind: TpmTrouble, message: string, rc = 0, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.rc = rc;
  }
}

/** TSS2_TCTI_RC_LAYER (tss2_common.h): the way to the TPM failed, not the TPM. */
const TCTI_LAYER = 0x0a;
/** TPM_RC_INITIALIZE: the TPM was reset and waits for TPM2_Startup; asked for Startup: it has been started already. */
export const TPM_RC_INITIALIZE = 0x100;
/** TPM_RC_REFERENCE_H0 … _S6: what the command names was loaded once and is no more: the TPM was reset meanwhile. */
const REFERENCE_FIRST = 0x910;
const REFERENCE_LAST = 0x91e;

/** Whether this return code means that the connection, or all that was loaded through it, is lost. */
export const isGone = (rc: number): boolean =>
  rc >>> 16 === TCTI_LAYER || rc === TPM_RC_INITIALIZE || (rc >= REFERENCE_FIRST && rc <= REFERENCE_LAST);
