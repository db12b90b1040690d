/**
 * What can go wrong with the TPM, and what helps. Each error says its kind; `RECOVERY` has the words for people.
 */
export type TpmTrouble =
  /** tpm2-tss is not installed. */
  | 'no library'
  /** Nothing answers where the TPM should be. */
  | 'unreachable'
  /** It answered before and does not now. */
  | 'gone'
  /** It was started anew in the middle of a measurement: its PCRs have forgotten what was in them. */
  | 'reset'
  /** It has counted too many wrong guesses at passwords, and refuses what is protected by one. */
  | 'lockout'
  /** Its self-test failed: it does nothing more until it is started anew. */
  | 'failed'
  /** The key or sealed secret was made by another TPM, or the TPM was cleared. */
  | 'foreign key'
  /** The credential was made for another endorsement key or another attestation key. */
  | 'foreign credential'
  /** What is sealed was not released for what runs now: other software, or no signature of the vendor's over it. */
  | 'not released'
  /** The release is older than one that has been installed: the TPM's counter is past it. */
  | 'rolled back'
  /** It answered and said no, for another reason: a fault of ours or of its state. */
  | 'refused'
  /** Called after close(): a fault of the caller. */
  | 'closed';

/** For page and console: what happens now, or what to do. */
export const RECOVERY: Readonly<Record<TpmTrouble, string>> = {
  'no library': 'Install the packages that the message names.',
  unreachable: 'Check where the gateway is told to look for its TPM; it looks again by itself.',
  gone: 'The gateway looks for its TPM again by itself; nothing is lost.',
  reset: 'Restart the gateway: it measures itself and the meter again.',
  lockout: 'It ends by itself after some time without wrong guesses; what the meter needs goes on meanwhile.',
  failed: 'Switch the gateway off and on again; if that does not help, its TPM has to be replaced.',
  'foreign key': 'Initialise the gateway anew: its keys are of another TPM.',
  'foreign credential': 'Ask the trusted third party again: it answered another TPM.',
  'not released': 'Install released software; nothing is lost, it opens again then.',
  'rolled back': 'Install the newest release; nothing is lost, it opens again then.',
  refused: 'Report it: this should not happen.',
  closed: 'Report it: this should not happen.',
};

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

/** What went wrong, and what helps where it was the TPM: for page and console. */
export const withRecovery = (error: Error): string =>
  error instanceof TpmError ? `${error.message}. ${RECOVERY[error.kind]}` : error.message;

/** TSS2_TCTI_RC_LAYER (tss2_common.h): the way to the TPM failed, not the TPM. */
const TCTI_LAYER = 0x0a;
/** TPM_RC (Part 2, 6.6.3): the TPM was reset and waits for TPM2_Startup; asked for Startup: it has been started already. */
export const TPM_RC_INITIALIZE = 0x100;
const TPM_RC_FAILURE = 0x101;
const TPM_RC_LOCKOUT = 0x921;
/** TPM_RC_REFERENCE_H0 … _S6: what the command names was loaded once and is no more: the TPM was reset meanwhile. */
const REFERENCE_FIRST = 0x910;
const REFERENCE_LAST = 0x91e;

/** What a command's return code means, as far as any command may give it. */
export function troubleOf(rc: number): 'gone' | 'failed' | 'lockout' | 'refused' {
  if (rc >>> 16 === TCTI_LAYER || rc === TPM_RC_INITIALIZE) return 'gone';
  if (rc >= REFERENCE_FIRST && rc <= REFERENCE_LAST) return 'gone';
  if (rc === TPM_RC_FAILURE) return 'failed';
  return rc === TPM_RC_LOCKOUT ? 'lockout' : 'refused';
}

/**
 * The error's number within its format (Part 2, 6.6.2): without the parameter, session or handle that it is about, 0x80 and
 * more; of the older format 0x100 and more.
 */
export const errorNumber = (rc: number): number => (rc & 0x80 ? rc & 0xbf : rc & 0xfff);
