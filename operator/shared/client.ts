/** A party's calls to another party's service: TLS 1.3 both ways, its client certificate's common name says who it is. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import * as v from 'valibot';
import { BODY_MOST_BYTES, encodeBody, readAnswer, ServiceError } from '../../protocol/services/call.ts';

const TIMEOUT_MS = 20_000;

/** What a configuration says of another party's service. */
export const serviceOf = v.strictObject({
  url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
  /** The grid's authority, PEM. */
  caFile: v.string(),
  certFile: v.string(),
  keyFile: v.string(),
});
export type ServiceOf = v.InferOutput<typeof serviceOf>;

export interface PartyCall<S extends v.GenericSchema> {
  url: string;
  caFile: string;
  path: string;
  /** GET where there is none. */
  body?: object;
  answer: S;
  timeoutMs?: number;
}

/** @throws ServiceError */
export async function callAs<S extends v.GenericSchema>(
  { certFile, keyFile }: { certFile: string; keyFile: string },
  { url, caFile, path, body, answer, timeoutMs = TIMEOUT_MS }: PartyCall<S>,
): Promise<v.InferOutput<S>> {
  const bytes = body === undefined ? undefined : encodeBody(body);
  const { status, received } = await new Promise<{ status: number; received: Buffer }>((resolve, reject) => {
    const fail = ({ message }: Error): void => reject(new ServiceError('unreachable', `${url}: ${message}`, 'again'));
    const outgoing = request(
      new URL(path, url),
      {
        method: bytes ? 'POST' : 'GET',
        headers: bytes ? { 'content-type': 'application/json', 'content-length': bytes.length } : {},
        ca: readFileSync(caFile),
        cert: readFileSync(certFile),
        key: readFileSync(keyFile),
        minVersion: 'TLSv1.3',
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (incoming) => {
        const parts: Buffer[] = [];
        let length = 0;
        incoming.on('data', (part: Buffer) => {
          length += part.length;
          if (length > BODY_MOST_BYTES) outgoing.destroy(new Error(`answered more than ${BODY_MOST_BYTES} bytes`));
          else parts.push(part);
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode!, received: Buffer.concat(parts) }));
        incoming.on('error', fail);
      },
    );
    outgoing.on('error', fail);
    outgoing.end(bytes);
  });
  return readAnswer(status, received, answer);
}
