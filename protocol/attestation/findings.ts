/**
 * Everything that can be found wrong with evidence: one code and one plain sentence each, the row of the list at the top of
 * appraisal.ts that asks for it, and what it means in the words of an attestation result (AR4SI, draft-ietf-rats-ar4si,
 * section 2.3: claims of a trustworthiness vector and their values).
 *
 * `{…}` in a sentence is filled in with what was found: names, versions and times only, never keys or nonces.
 */

/** AR4SI: the claims that we make. */
export type TrustClaim = 'instance-identity' | 'configuration' | 'executables' | 'hardware' | 'sourced-data';

/** AR4SI: values that every claim has in common. Others stand where they are used. */
export const CRYPTO_FAILED = 99;
const UNTRUSTWORTHY = 96;
const UNRECOGNIZED_INSTANCE = 97;
const UNRECOGNIZED_EXECUTABLES = 33;
const UNSAFE = 32;
const MISSING = 36;

type About = 'gateway' | 'meter';
interface Entry {
  row: number;
  about: About;
  claim: TrustClaim;
  value: number;
  sentence: string;
}
const entry = (row: number, about: About, claim: TrustClaim, value: number, sentence: string): Entry => ({
  row,
  about,
  claim,
  value,
  sentence,
});
const identity = (row: number, value: number, sentence: string): Entry =>
  entry(row, 'gateway', 'instance-identity', value, sentence);

/** Any of these, and the device is not trusted. */
const REFUSALS = {
  'ek chain': entry(
    1,
    'gateway',
    'hardware',
    UNRECOGNIZED_INSTANCE,
    'The endorsement key is not one of a TPM that is trusted here: {problem}.',
  ),
  'ek unregistered': identity(
    1,
    UNRECOGNIZED_INSTANCE,
    'The grid operator has registered no device with this endorsement key.',
  ),
  'other device': identity(3, UNTRUSTWORTHY, 'The evidence is of another device than the one that sent it.'),
  'ak certificate': identity(
    3,
    UNRECOGNIZED_INSTANCE,
    'The attestation key is not certified by the trusted third party: {problem}.',
  ),
  'ak revoked': identity(16, UNTRUSTWORTHY, "The attestation key's certificate has been revoked."),
  'ak of another ek': identity(
    3,
    UNTRUSTWORTHY,
    'The attestation key was certified for another TPM than the endorsement key is of.',
  ),
  'ak replaced': identity(3, UNTRUSTWORTHY, 'The attestation key was replaced by a newer one of this device.'),
  'ak differs': identity(3, UNTRUSTWORTHY, 'The attestation key that is described is not the one that is certified.'),
  'ak attributes': identity(4, UNTRUSTWORTHY, '{problem}.'),
  signature: identity(5, CRYPTO_FAILED, 'The quote was not signed by the attestation key.'),
  magic: identity(5, CRYPTO_FAILED, 'What was signed does not begin as everything does that a TPM says of itself.'),
  'not a quote': identity(5, CRYPTO_FAILED, '{problem}.'),
  'foreign nonce': identity(6, CRYPTO_FAILED, 'The challenge that is answered was never given to this device.'),
  'nonce expired': identity(6, CRYPTO_FAILED, 'The answer came too late: its challenge had expired.'),
  'nonce used': identity(6, CRYPTO_FAILED, 'The challenge was answered before: this is a replay.'),
  'not this challenge': identity(
    6,
    CRYPTO_FAILED,
    'The quote was made for another challenge, or for other claims than stand beside it.',
  ),
  bank: identity(7, CRYPTO_FAILED, 'The quote is over PCRs of another bank than SHA-256.'),
  'empty selection': identity(7, CRYPTO_FAILED, 'The quote is over no PCR at all.'),
  selection: identity(7, CRYPTO_FAILED, 'The quote is over other PCRs than those of gateway and meter: {problem}.'),
  'pcr values': identity(7, CRYPTO_FAILED, 'The quote is over other values of the PCRs than stand beside it.'),
  'event log': identity(10, CRYPTO_FAILED, 'The log of measurements does not lead to the value of PCR {problem}.'),
  'file list': identity(10, CRYPTO_FAILED, 'The list of files is not the one that was measured.'),
  'gateway unmeasured': entry(
    8,
    'gateway',
    'executables',
    UNTRUSTWORTHY,
    "The gateway's software was not measured since the TPM was started.",
  ),
  'gateway unknown': entry(
    8,
    'gateway',
    'executables',
    UNRECOGNIZED_EXECUTABLES,
    "The gateway's software is none that was released{problem}.",
  ),
  'gateway not yet': entry(
    8,
    'gateway',
    'executables',
    UNRECOGNIZED_EXECUTABLES,
    "The gateway's software is of release {problem}, which is not accepted yet.",
  ),
  'gateway retired': entry(
    8,
    'gateway',
    'executables',
    UNSAFE,
    "The gateway's software is of release {problem}, which is no longer accepted: it has to be updated.",
  ),
  'gateway rolled back': entry(
    8,
    'gateway',
    'executables',
    UNTRUSTWORTHY,
    "The gateway's software went back to an older release ({problem}).",
  ),
  'meter unmeasured': entry(
    12,
    'meter',
    'executables',
    UNTRUSTWORTHY,
    "The meter's image was not measured since the TPM was started.",
  ),
  'meter unknown': entry(
    8,
    'meter',
    'executables',
    UNRECOGNIZED_EXECUTABLES,
    'An image was flashed to the meter that was never released.',
  ),
  'meter not yet': entry(
    8,
    'meter',
    'executables',
    UNRECOGNIZED_EXECUTABLES,
    "The meter's image is of release {problem}, which is not accepted yet.",
  ),
  'meter retired': entry(
    8,
    'meter',
    'executables',
    UNSAFE,
    "The meter's image is of release {problem}, which is no longer accepted: it has to be updated.",
  ),
  'meter rolled back': entry(
    8,
    'meter',
    'executables',
    UNTRUSTWORTHY,
    "The meter's image went back to an older release ({problem}).",
  ),
  'meter silent': entry(12, 'meter', 'executables', MISSING, 'The meter did not answer what image it runs.'),
  'meter differs': entry(
    12,
    'meter',
    'executables',
    UNTRUSTWORTHY,
    'The meter runs another image than the gateway flashed to it.',
  ),
  'meter unreleased': entry(
    12,
    'meter',
    'executables',
    UNRECOGNIZED_EXECUTABLES,
    'The meter runs an image that was never released.',
  ),
  'image missing': entry(
    12,
    'meter',
    'executables',
    MISSING,
    "The verifier does not have the meter's image of release {problem} to compare the answer with.",
  ),
  'older than known': identity(
    13,
    UNTRUSTWORTHY,
    "The TPM's clock or its count of restarts went back: this is older than what was seen before, or of a copy.",
  ),
  revoked: identity(16, UNTRUSTWORTHY, 'The device was revoked: {problem}.'),
  suspended: identity(16, UNTRUSTWORTHY, 'The device is suspended: {problem}.'),
} as const satisfies Record<string, Entry>;

/** Said aloud; the device may be trusted all the same. */
const WARNINGS = {
  'gateway anything': entry(
    11,
    'gateway',
    'configuration',
    UNSAFE,
    "The verifier's policy accepts any software on the gateway: this verdict says nothing about it.",
  ),
  'meter anything': entry(
    11,
    'meter',
    'configuration',
    UNSAFE,
    "The verifier's policy accepts any image on the meter: this verdict says nothing about it.",
  ),
  'meter behind': entry(
    12,
    'meter',
    'executables',
    UNSAFE,
    'A newer image was measured for the meter; until it has started it, the meter runs release {problem}.',
  ),
  'log changed': entry(
    10,
    'gateway',
    'configuration',
    UNSAFE,
    "The household's log was changed: nothing more is chained or billed until the customer has cleared it up.",
  ),
  'log begun anew': entry(
    10,
    'gateway',
    'configuration',
    UNSAFE,
    "The household's log was begun anew after a change ({problem}).",
  ),
  'calibration changed': entry(
    12,
    'meter',
    'configuration',
    UNSAFE,
    'The meter works with another calibration than before, signed by its household ({problem}).',
  ),
  'calibration unknown': entry(
    12,
    'meter',
    'configuration',
    UNSAFE,
    'The meter works with a calibration that its gateway did not write ({problem}).',
  ),
  'challenge unchecked': identity(6, UNSAFE, 'Whether the challenge was fresh was not checked.'),
  restarted: identity(13, UNSAFE, 'The TPM was started again since the last evidence ({problem}).'),
  resumed: identity(13, UNSAFE, 'The TPM was suspended and resumed since the last evidence ({problem}).'),
  'clock unsafe': identity(13, UNSAFE, 'The TPM was stopped uncleanly: its clock may have said this instant before.'),
  'ak new': identity(3, UNSAFE, 'The device was initialised anew: its attestation key is a new one.'),
  advisory: identity(16, UNSAFE, 'There is an advisory on this device: {problem}.'),
} as const satisfies Record<string, Entry>;

export type RefusalCode = keyof typeof REFUSALS;
export type WarningCode = keyof typeof WARNINGS;

/** Warnings that tell of the day and not of a weakness: they do not lower the result. */
const PASSING: ReadonlySet<string> = new Set<WarningCode>([
  'calibration changed',
  'restarted',
  'resumed',
  'clock unsafe',
  'ak new',
  'meter behind',
]);

export interface Finding<Code extends string = string> {
  code: Code;
  /** Of the list in appraisal.ts. */
  row: number;
  about: About;
  claim: TrustClaim;
  /** AR4SI; 0 where it is only told. */
  value: number;
  /** For people. */
  sentence: string;
}

export const refusal = (code: RefusalCode, problem = ''): Finding<RefusalCode> => found(REFUSALS[code], code, problem);
export const warning = (code: WarningCode, problem = ''): Finding<WarningCode> => found(WARNINGS[code], code, problem);

function found<Code extends string>(what: Entry, code: Code, problem: string): Finding<Code> {
  const { row, about, claim, value, sentence } = what;
  return {
    code,
    row,
    about,
    claim,
    value: PASSING.has(code) ? 0 : value,
    sentence: capitalised(sentence.replace('{problem}', () => problem.replace(/\.$/, ''))),
  };
}

const capitalised = (sentence: string): string => sentence[0].toUpperCase() + sentence.slice(1);
