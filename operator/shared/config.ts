/**
 * A party is started with one JSON file. Paths in it are relative to it. Every mistake is an error that names the field:
 * `collector.json: broker.url: …`.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Such as `broker.url`; empty where the file as a whole is wrong. */
  readonly path: string;
  constructor(file: string, path: string, problem: string) {
    super(`${file}: ${path ? `${path}: ` : ''}${problem}`);
    this.path = path;
  }
}

export const count = v.pipe(v.number(), v.integer(), v.minValue(1));
export const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));
/** Protocol time comes from the conductor of a bench, or from the machine. */
export const clockKind = v.optional(v.picklist(['conductor', 'system']), 'system');

/** How a party reaches the broker: TLS both ways, `certFile` says by its common name which party it is. */
export const brokerAccess = v.strictObject({
  /** `mqtts://host:port` of the listener for parties. */
  url: v.pipe(v.string(), v.regex(/^mqtts:\/\/[^/]+$/, 'is not of the form mqtts://host:port')),
  /** The grid's CA, PEM. */
  caFile: v.string(),
  certFile: v.string(),
  keyFile: v.string(),
});
export type BrokerAccess = v.InferOutput<typeof brokerAccess>;

/** Checks `value` and names what is wrong as `file: field.path: problem`. @throws ConfigError */
export function checkedJson<S extends v.GenericSchema>(file: string, schema: S): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(file, '', (error as Error).message);
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new ConfigError(file, v.getDotPath(issue) ?? '', issue.message);
}

/** Reads a party's configuration and makes the paths in it absolute: every text field whose name ends in `File` or `Dir`. */
export function loadConfig<S extends v.GenericSchema>(file: string, schema: S): v.InferOutput<S> {
  return withAbsolutePaths(checkedJson(file, schema), dirname(resolve(file)));
}

function withAbsolutePaths<T>(value: T, base: string): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const [name, field] of Object.entries(value)) {
    if (typeof field === 'string' && /(File|Dir)$/.test(name)) Object.assign(value, { [name]: resolve(base, field) });
    else withAbsolutePaths(field, base);
  }
  return value;
}

/**
 * A secret key from a file of hexadecimal digits that nobody but its owner may read.
 * @throws ConfigError; the message never holds any of the content
 */
export function readSecretKey(file: string, bytes: number): Uint8Array {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new ConfigError(file, '', 'is not there');
  if ((mode & 0o077) !== 0) throw new ConfigError(file, '', 'others than its owner may read it (chmod 600)');
  const text = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f]*$/.test(text) || text.length !== 2 * bytes)
    throw new ConfigError(file, '', `does not hold ${2 * bytes} lower-case hexadecimal digits`);
  return Buffer.from(text, 'hex');
}
