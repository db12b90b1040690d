// The firmware's arithmetic where it is interpreted: on the virtual board, and on real Espruino where there is one.
import test from 'ava';
import {
  type BlindingCase,
  makeBlindingCase,
  type Operation,
  type Performed,
  performOnBoard,
  performOnEspruino,
  schoolbookBits,
} from '../../../bench/blinding.ts';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { limbsFor } from '../../../firmware/arithmetic/limbs.ts';
import { LIMB_BITS } from '../../../firmware/arithmetic/natives.ts';
import { openMeterSeal } from '../../../protocol/crypto/meter-seal.ts';
import { integer } from './numbers.ts';

const OPERATIONS: Operation[] = [
  'start',
  'prepare',
  'operands',
  'multiply',
  'blind',
  'unblind',
  'verify',
  'seal',
  'schoolbookOperands',
  'schoolbookMultiply',
];
const cases = { 2048: await makeBlindingCase(2048), 3072: await makeBlindingCase(3072) };

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const resultsOf = (performed: Performed[], operation: Operation): string[] =>
  performed.find((one) => one.operation === operation)!.results;
const numberOf = (performed: Performed[], operation: Operation): bigint =>
  integer(Buffer.from(resultsOf(performed, operation)[0], 'base64'));

function right(
  t: { is(a: unknown, b: unknown): void; deepEqual(a: unknown, b: unknown): void },
  given: BlindingCase,
  performed: Performed[],
) {
  t.deepEqual(resultsOf(performed, 'blind'), [base64(given.blinded), base64(given.question)]);
  t.deepEqual(resultsOf(performed, 'unblind'), [base64(given.inverse), base64(given.signature)]);
  t.deepEqual(resultsOf(performed, 'verify'), ['true']);
  const sealed = Buffer.from(resultsOf(performed, 'seal')[0], 'base64');
  t.is(base64(openMeterSeal(given.sealing, given.mask, sealed)), base64(given.message));
  // both multiplications give a · b / R, for an R each
  const { n } = given.key;
  const product = (integer(given.factor) * integer(given.mask)) % n;
  const { length } = given.key.modulus;
  const rBits = LIMB_BITS * limbsFor(length);
  t.is((numberOf(performed, 'multiply') << BigInt(rBits)) % n, product);
  t.is((numberOf(performed, 'schoolbookMultiply') << BigInt(schoolbookBits(length))) % n, product);
}

for (const bits of [2048, 3072] as const) {
  test(`${bits} bits on the virtual board`, async (t) => {
    right(t, cases[bits], await performOnBoard(cases[bits], OPERATIONS));
  });

  (espruinoBinary() ? test : test.skip)(
    `${bits} bits on real Espruino, and nothing stays behind (skipped where there is none)`,
    async (t) => {
      right(t, cases[bits], await performOnEspruino(cases[bits], OPERATIONS));
      const round: Operation[] = ['blind', 'unblind', 'verify'];
      const rounds: Operation[] = ['start', 'count', 'prepare', ...round, ...round, ...round];
      const performed = await performOnEspruino(cases[bits], rounds);
      for (const operation of ['blind', 'unblind', 'verify']) {
        const used = performed.filter((one) => one.operation === operation).map(({ variables }) => variables);
        t.is(used.length, 3);
        t.deepEqual(used, new Array(3).fill(used[0]), operation);
      }
      // 46 kB at most, of the 229 kB that the board has
      const most = Math.max(...performed.map(({ variables }) => variables)) - performed[0].variables;
      t.true(most < 1700, `${most} variables`);
    },
  );
}
