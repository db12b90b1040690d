/**
 * The signed states in which this household's TPM opens what is sealed (protocol/attestation/policy.ts), as they came with the
 * releases: a JSON file, an array of
 *
 *   {"pcrs": [{"pcr": 8, "value": hex}], "counterIndex": …, "counterMost": …, "signature": hex}
 *
 * Nothing in it is secret, and nothing in it is believed: the TPM checks every signature.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { ReleaseAuthorization } from '../../protocol/attestation/policy.ts';

const hex = (bytes: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `is not ${2 * bytes} lower-case hexadecimal digits`),
    v.transform((text): Uint8Array => Buffer.from(text, 'hex')),
  );
const number = v.pipe(v.number(), v.integer(), v.minValue(0));
const schema = v.array(
  v.object({
    pcrs: v.array(v.object({ pcr: number, value: hex(32) })),
    counterIndex: number,
    counterMost: number,
    signature: hex(64),
  }),
);

/** None where there is no such file. @throws Error that names the field */
export function readAuthorizations(file: string): ReleaseAuthorization[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const result = v.safeParse(schema, JSON.parse(text));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Error(`${file}: ${v.getDotPath(issue) ?? ''}: ${issue.message}`);
}

export const authorizationsText = (authorizations: readonly ReleaseAuthorization[]): string =>
  `${JSON.stringify(
    authorizations.map(({ pcrs, counterIndex, counterMost, signature }) => ({
      pcrs: pcrs.map(({ pcr, value }) => ({ pcr, value: Buffer.from(value).toString('hex') })),
      counterIndex,
      counterMost,
      signature: Buffer.from(signature).toString('hex'),
    })),
    null,
    1,
  )}\n`;
