/**
 * A JSON document that the grid operator signs, for people and programs alike:
 *
 *   {"document": {…}, "signature": base64url of Ed25519 over label ‖ 00 ‖ JSON.stringify(document)}
 *
 * The fields stand in the order of their schema, so that who reads the document can write the signed bytes again.
 */
import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { signEd25519, verifyEd25519 } from '../crypto/ed25519.ts';
import { type Label, labelled } from '../crypto/labels.ts';
import { fitting } from '../services/call.ts';
import { MalformedError } from '../wire/bytes.ts';

/** Not signed by who should have. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

const signed = v.strictObject({ document: v.unknown(), signature: v.string('is missing') });
const message = (label: Label, document: unknown): Uint8Array => labelled(label, Buffer.from(JSON.stringify(document)));

/** @throws MalformedError where the document does not fit */
export function signDocument<S extends v.GenericSchema>(
  label: Label,
  schema: S,
  document: v.InferInput<S>,
  key: KeyObject,
): string {
  const value = read('document', schema, document);
  const signature = Buffer.from(signEd25519(key, message(label, value))).toString('base64url');
  return JSON.stringify({ document: value, signature });
}

/** @throws MalformedError, DocumentError */
export function openDocument<S extends v.GenericSchema>(
  label: Label,
  schema: S,
  text: string,
  publicKey: Uint8Array,
  signer: string,
): v.InferOutput<S> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new MalformedError('document', 'is no JSON');
  }
  const { document, signature } = read('', signed, parsed);
  const value = read('document', schema, document);
  if (!verifyEd25519(publicKey, message(label, value), Buffer.from(signature, 'base64url')))
    throw new DocumentError('signature', `was not made by ${signer} over this document`);
  return value;
}

function read<S extends v.GenericSchema>(at: string, schema: S, value: unknown): v.InferOutput<S> {
  const result = fitting(schema, value);
  if ('value' in result) return result.value;
  throw new MalformedError([at, result.path].filter((part) => part !== '').join('.') || 'document', result.problem);
}
