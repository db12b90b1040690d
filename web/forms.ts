/** What a browser sends, decoded: what is malformed is refused with the field's path and a sentence that says what is right. */

/** The request is at fault: answered with 400 and this message. */
export class BadInput extends Error {
  readonly statusCode = 400;
  /** Of the field, such as `personal.pin`, where one is at fault. */
  readonly path: string | undefined;
  constructor(message: string, path?: string) {
    super(message);
    this.path = path;
  }
}

/** The fields of a form, as sent by a browser. Unknown fields are ignored, missing ones empty. */
export function decodeForm<K extends string>(body: unknown, fields: readonly K[]): Record<K, string> {
  if (!(body instanceof URLSearchParams))
    throw new BadInput('body: send the form as application/x-www-form-urlencoded');
  return Object.fromEntries(fields.map((field) => [field, body.get(field) ?? ''])) as Record<K, string>;
}
