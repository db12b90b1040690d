import {
  type BlindingCase,
  makeBlindingCase,
  type Operation,
  performOnBoard,
  performOnEspruino,
  schoolbookLimbs,
} from '../blinding.ts';
import { espruinoBinary } from '../espruino/process.ts';

/** What the ESP32 build has at most: variables, and bytes each; and a variable of the 64-bit Linux build. */
const BOARD_VARIABLES = 16_383;
const BOARD_VARIABLE_BYTES = 14;
const LINUX_VARIABLE_BYTES = 27;

/** Whoever else computes on this machine makes things slower, never faster: the quickest of several counts. */
const ROUNDS = 6;
const PRODUCTS = 20;
/** In an interpreter, a schoolbook multiplication takes so long that nobody is left alone with the machine: its rows are measured. */
const ROWS = 100;

export interface BlindingMeasurement {
  interpreter: 'espruino' | 'virtual board';
  /** One multiplication modulo 2048 bits, by native convolution and interpreted limb by limb. */
  modmulMs: number;
  naiveModmulMs: number;
  ratio: number;
  blindMs: number;
  /** With the helper's inverse checked and the signature verified. */
  unblindMs: number;
  /** At most in use while it goes on, of the interpreter's own, beyond the program; null on the virtual board, which has none. */
  variables: number | null;
}
type Measured = BlindingMeasurement & { prepareMs: number; exponentiationMs: number };

async function measureBlinding(bits: 2048 | 3072): Promise<Measured> {
  const given = await makeBlindingCase(bits);
  const real = espruinoBinary() !== null;
  const rounds: Operation[] = Array.from({ length: ROUNDS }, (): Operation[] => [
    'schoolbookMultiply',
    ...new Array<Operation>(real ? ROWS : 0).fill('schoolbookRow'),
    ...new Array<Operation>(PRODUCTS).fill('multiply'),
    'blind',
    'unblind',
    'verify',
  ]).flat();
  const before: Operation[] = ['start', 'prepare', 'operands', 'schoolbookOperands'];
  const operations = [...before, ...rounds, 'count', 'blind', 'unblind'] satisfies Operation[];
  const performed = await (real ? performOnEspruino : performOnBoard)(given, operations);
  check(given, performed);
  const quickest = (operation: Operation) =>
    Math.min(...performed.filter((one) => one.operation === operation).map(({ ms }) => ms));
  const modmulMs = quickest('multiply');
  const naiveModmulMs = real ? quickest('schoolbookRow') * schoolbookLimbs(bits / 8) : quickest('schoolbookMultiply');
  const counted = performed.slice(-2).map(({ variables }) => variables);
  return {
    interpreter: real ? 'espruino' : 'virtual board',
    modmulMs,
    naiveModmulMs,
    ratio: naiveModmulMs / modmulMs,
    blindMs: quickest('blind'),
    unblindMs: quickest('unblind'),
    variables: real ? Math.max(...counted) - performed[0].variables : null,
    prepareMs: quickest('prepare'),
    exponentiationMs: quickest('verify'),
  };
}

/** What was computed wrongly is not worth measuring. */
function check(given: BlindingCase, performed: { operation: string; results: string[] }[]): void {
  const expected: Record<string, Uint8Array> = { blind: given.blinded, unblind: given.inverse };
  for (const { operation, results } of performed) {
    const wanted = expected[operation];
    if (wanted && results[0] !== Buffer.from(wanted).toString('base64'))
      throw new Error(`${operation}: the interpreter came to another result`);
  }
}

/** `npm run -s measure -- blinding [--json]` */
export async function run({ json }: { json: boolean; args: string[] }): Promise<number> {
  const measured = await measureBlinding(2048);
  if (json) {
    const { prepareMs, exponentiationMs, ...rest } = measured;
    console.log(JSON.stringify(rest, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value)));
    return 0;
  }
  const longer = await measureBlinding(3072);
  const rows: [string, (m: Measured) => string][] = [
    ['multiplication, ms', ({ modmulMs }) => modmulMs.toFixed(2)],
    ['  schoolbook, ms', ({ naiveModmulMs }) => naiveModmulMs.toFixed(2)],
    ['  schoolbook ÷ ours', ({ ratio }) => ratio.toFixed(1)],
    ['exponentiation, e = 65537, ms', ({ exponentiationMs }) => exponentiationMs.toFixed(1)],
    ['blinding, ms', ({ blindMs }) => blindMs.toFixed(1)],
    ['unblinding, checked, ms', ({ unblindMs }) => unblindMs.toFixed(1)],
    ['making a modulus ready, ms', ({ prepareMs }) => prepareMs.toFixed(1)],
    ['variables', ({ variables }) => (variables === null ? '–' : String(variables))],
    ["  of the ESP32's at most, %", ({ variables }) => (variables === null ? '–' : boardPercent(variables))],
  ];
  console.log(
    `on ${measured.interpreter === 'espruino' ? 'real Espruino' : 'the virtual board: no espruino on the PATH'}`,
  );
  console.log(`${''.padEnd(32)}${'2048 bits'.padStart(12)}${'3072 bits'.padStart(12)}`);
  for (const [name, value] of rows)
    console.log(`${name.padEnd(32)}${value(measured).padStart(12)}${value(longer).padStart(12)}`);
  return 0;
}

/** Bytes fill more of the board's smaller variables. */
const boardPercent = (variables: number): string =>
  ((100 * variables * LINUX_VARIABLE_BYTES) / BOARD_VARIABLE_BYTES / BOARD_VARIABLES).toFixed(1);
