/**
 * What a request to a service looks like and what its answer means, without the transport (named phases, protocols.md
 * section 0): HTTPS with TLS 1.3, JSON bodies, bytes as base64url.
 *
 *   answer   200 and the result, or an error's status and {"error": {"code", "message", "recovery", "path"?, "requestId"}}
 *
 * `message` is a plain sentence that may be shown to people and holds no secret.
 */
import * as v from 'valibot';

/** What helps after a refusal:
 *
 *   again       nothing is wrong with the request: send it again later
 *   correct     something in it is wrong: correct the field that `path` names, then send it
 *   start over  the phase has moved on or ended: begin it anew
 *   final       no repetition helps: a person has to act
 */
export const RECOVERIES = ['again', 'correct', 'start over', 'final'] as const;
export type Recovery = (typeof RECOVERIES)[number];

/** No body is longer, in either direction. */
export const BODY_MOST_BYTES = 65_536;

const errorBody = v.object({
  error: v.object({
    code: v.pipe(v.string(), v.maxLength(64)),
    message: v.pipe(v.string(), v.maxLength(1000)),
    recovery: v.picklist(RECOVERIES),
    path: v.optional(v.pipe(v.string(), v.maxLength(200))),
    requestId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  }),
});

/**
 * Why a call gave no result:
 *
 *   unreachable  nobody answered in time, or not by this protocol       recovery `again`
 *   untrusted    who answered could not prove to be the service         recovery `final` (or wait for a new certificate)
 *   refused      the service said no; `code` is its word for it         recovery as the service says
 *   malformed    the answer is none that this service gives              recovery `again`
 */
export type ServiceTrouble = 'unreachable' | 'untrusted' | 'refused' | 'malformed';

export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly kind: ServiceTrouble;
  readonly recovery: Recovery;
  /** The service's word, such as `wrong pin`; empty where it said none. */
  readonly code: string;
  /** The field of the request that was wrong, where one was. */
  readonly path: string | undefined;
  readonly requestId: string | undefined;
  constructor(
    kind: ServiceTrouble,
    message: string,
    recovery: Recovery,
    { code = '', path, requestId }: { code?: string; path?: string; requestId?: string } = {},
  ) {
    super(message);
    this.kind = kind;
    this.recovery = recovery;
    this.code = code;
    this.path = path;
    this.requestId = requestId;
  }
}

/** A value that travels: bytes anywhere in it become base64url. */
export const encodeBody = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(textual(value)));

function textual(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url');
  if (Array.isArray(value)) return value.map(textual);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, textual(field)]));
}

/** Schema of bytes in a body: base64url without padding, `least` to `most` bytes; the output is a Uint8Array. */
export const bytes = (least: number, most = least) =>
  v.pipe(
    v.string('is no text'),
    v.maxLength(Math.ceil((most * 4) / 3), `is longer than ${most} bytes`),
    v.regex(/^[A-Za-z0-9_-]*$/, 'is no base64url'),
    v.transform((text): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'))),
    v.check(
      ({ length }) => length >= least && length <= most,
      least === most ? `is not ${least} bytes long` : `is not ${least} to ${most} bytes long`,
    ),
  );

/** A value that fits, or the path of the first field that does not and what is wrong with it. */
export function fitting<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
): { value: v.InferOutput<S> } | { path: string; problem: string } {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return { value: result.output };
  const [issue] = result.issues;
  // valibot's own words quote what it received; ours do not
  const problem = issue.message.startsWith('Invalid') ? 'is missing, unknown or of the wrong kind' : issue.message;
  return { path: v.getDotPath(issue) ?? '', problem };
}

/** The result that an answer holds. @throws ServiceError */
export function readAnswer<S extends v.GenericSchema>(status: number, body: Uint8Array, schema: S): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    throw new ServiceError('malformed', `the service answered ${status} and no JSON`, 'again');
  }
  if (status === 200) {
    const answer = fitting(schema, value);
    if ('value' in answer) return answer.value;
    throw new ServiceError('malformed', `the service's answer: ${answer.path} ${answer.problem}`, 'again');
  }
  const refusal = v.safeParse(errorBody, value);
  if (!refusal.success) throw new ServiceError('malformed', `the service answered ${status} without a reason`, 'again');
  const { message, recovery, ...rest } = refusal.output.error;
  throw new ServiceError('refused', message, recovery, rest);
}
