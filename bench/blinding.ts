/**
 * The meter's arithmetic (firmware/arithmetic) on an interpreter, for tests and measurements: real Espruino or the virtual board run
 * bench/espruino/programs/blinding.ts, with keys and answers of this process.
 */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { invertAll } from '../gateway/helper/inverse.ts';
import {
  type BlindRsaKey,
  blind,
  blindSign,
  finalize,
  generateBlindSigningKey,
  importBlindRsaKey,
} from '../protocol/crypto/blind-rsa.ts';
import { generateMeterSealKey, type MeterSealKey } from '../protocol/crypto/meter-seal.ts';
import { buildFirmware } from '../scripts/build.mjs';
import { VirtualBoard } from './board/virtual-board.ts';
import { MARK, runEspruino } from './espruino/process.ts';

/** Of the schoolbook multiplication that the firmware's is measured against (programs/schoolbook.ts). */
const SCHOOLBOOK_BITS = 15;
/** How many limbs such a number has: so many rows are a multiplication. */
export const schoolbookLimbs = (bytes: number): number => Math.ceil((8 * bytes + 1) / SCHOOLBOOK_BITS);
/** 2^schoolbookBits is the R of its products a · b / R. */
export const schoolbookBits = (bytes: number): number => SCHOOLBOOK_BITS * schoolbookLimbs(bytes);

const PROGRAM = fileURLToPath(new URL('espruino/programs/blinding.ts', import.meta.url));

export type Operation =
  | 'start'
  | 'count'
  | 'prepare'
  | 'operands'
  | 'multiply'
  | 'schoolbookOperands'
  | 'schoolbookMultiply'
  | 'schoolbookRow'
  | 'blind'
  | 'unblind'
  | 'verify'
  | 'seal';

/** Everything that the program is given, and that it has to come to. */
export interface BlindingCase {
  key: BlindRsaKey;
  sealing: MeterSealKey;
  message: Uint8Array;
  factor: Uint8Array;
  mask: Uint8Array;
  /** factor · mask, for the helper. */
  question: Uint8Array;
  answer: Uint8Array;
  blinded: Uint8Array;
  inverse: Uint8Array;
  blindSignature: Uint8Array;
  signature: Uint8Array;
}

export interface Performed {
  operation: string;
  ms: number;
  /** Variables in use, at most, between two steps. */
  variables: number;
  /** Base64, `ready`, `true` or `false`. */
  results: string[];
}

export async function makeBlindingCase(bits: 2048 | 3072): Promise<BlindingCase> {
  const signer = await generateBlindSigningKey(bits);
  const sealing = await generateMeterSealKey(bits);
  const key = importBlindRsaKey(signer.modulus);
  const draw = () => {
    const drawn = randomBytes(bits / 8);
    drawn[0] &= 0x7f; // below both moduli
    return drawn;
  };
  const [message, factor, mask] = [randomBytes(40), draw(), draw()];
  const [{ blinded, inverse }] = blind(key, [message], () => factor);
  const blindSignature = blindSign(signer, blinded);
  const product = (integer(factor) * integer(mask)) % key.n;
  const question = Buffer.from(product.toString(16).padStart(bits / 4, '0'), 'hex');
  const [answer] = invertAll(signer.modulus, [question]);
  const signature = finalize(key, message, blindSignature, inverse);
  return {
    key,
    sealing,
    message,
    factor,
    mask,
    question,
    answer,
    blinded,
    inverse,
    blindSignature,
    signature,
  };
}

/** The operations one after the other on real Espruino, by its own clock. */
export async function performOnEspruino(given: BlindingCase, operations: Operation[]): Promise<Performed[]> {
  const { code } = await buildFirmware({ entry: PROGRAM });
  const lines = await runEspruino(`global.GIVEN=${JSON.stringify(givenText(given, operations))};\n${code}`);
  return performed(lines, operations);
}

/** The same on the virtual board, by this process's clock: the board's own stands still while it computes. */
export async function performOnBoard(given: BlindingCase, operations: Operation[]): Promise<Performed[]> {
  const { code } = await buildFirmware({ entry: PROGRAM });
  const bundle = `global.GIVEN=${JSON.stringify(givenText(given, operations))};\n${code}`;
  const board = new VirtualBoard({ bundle, seed: 1, startMs: 0 });
  board.start();
  const ms = operations.map((_, n) => {
    const begin = performance.now();
    board.advanceTo(2 * n + 1);
    const ms = performance.now() - begin;
    board.advanceTo(2 * n + 2); // tells
    return ms;
  });
  const lines = board.output.map((line) => line.replace(MARK, '')).filter((line) => line !== 'END');
  return performed(lines, operations).map((one, n) => ({ ...one, ms: ms[n] }));
}

function performed(lines: string[], operations: Operation[]): Performed[] {
  const all = lines.map((line) => {
    const [operation, ms, variables, ...results] = line.split(' ');
    return { operation, ms: Number(ms), variables: Number(variables), results };
  });
  const last = all.findIndex(({ operation }, n) => operation !== operations[n]);
  if (last >= 0 || all.length !== operations.length)
    throw new Error(
      `arithmetic: the interpreter stopped after ${all.length} of ${operations.length} operations: ${lines.at(-1)}`,
    );
  return all;
}

function givenText(given: BlindingCase, operations: Operation[]): string {
  const { key, sealing, ...rest } = given;
  const numbers = { ...rest, modulus: key.modulus, sealingModulus: sealing.modulus };
  const texts = Object.entries(numbers).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return JSON.stringify({ ...Object.fromEntries(texts), operations: runLengths(operations) });
}

/** Each name and how many times: a list of some hundred names takes an interpreter's memory. */
function runLengths(operations: Operation[]): string {
  const runs: [Operation, number][] = [];
  for (const operation of operations) {
    const last = runs.at(-1);
    if (last?.[0] === operation) last[1]++;
    else runs.push([operation, 1]);
  }
  return runs.flat().join(' ');
}

const integer = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
