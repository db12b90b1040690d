/**
 * The command table against tss2_esys.h: a wrong line is a segmentation fault in the gateway. The header comes with
 * Debian's libtss2-dev, which only developers need.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { COMMANDS, ESYS_TR } from '../../../gateway/tpm/esys.ts';

const INCLUDE = '/usr/include/tss2';
const present = existsSync(`${INCLUDE}/tss2_esys.h`);
const withHeader = present ? test : test.skip;
const why = present ? '' : ' (SKIPPED: no tss2_esys.h; apt install libtss2-dev)';

const read = (name: string): string => readFileSync(`${INCLUDE}/${name}`, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');

/** C's word for a type, through all typedefs: `TPM2_SU` → `UINT16`. */
function resolver(): (type: string) => string {
  const typedefs = new Map<string, string>();
  for (const header of ['tss2_common.h', 'tss2_tpm2_types.h', 'tss2_esys.h'])
    for (const [, from, to] of read(header).matchAll(/^\s*typedef\s+(\w+)\s+(\w+)\s*;/gm)) typedefs.set(to, from);
  return (type) => {
    let resolved = type;
    while (typedefs.has(resolved)) resolved = typedefs.get(resolved)!;
    return resolved;
  };
}

const WIDTHS: Record<string, string[]> = {
  u8: ['uint8_t'],
  u16: ['uint16_t'],
  u32: ['uint32_t'],
  i32: ['int32_t'],
  h: ['uint32_t'],
};

/** What is wrong with a line, or null. */
function mismatch(name: string, line: string): string | null {
  const declared = new RegExp(`\\bEsys_${name}\\s*\\(([^;]*)\\);`).exec(read('tss2_esys.h'));
  if (!declared) return 'is not in the header';
  const parameters = declared[1].replace(/\s+/g, ' ').split(',').slice(1); // the first is the context
  const words = line.split(' ').flatMap((word) => (word === 'S' ? ['h', 'h', 'h'] : [word]));
  if (words.length !== parameters.length) return `has ${words.length} parameters, the header ${parameters.length}`;
  const resolve = resolver();
  for (const [i, word] of words.entries()) {
    const [, type, stars] = /^ ?(?:const )?(\w+) ?(?:const )?(\**) ?\w+ ?$/.exec(parameters[i]) ?? [];
    const expected =
      word === 'H' || word === 'C'
        ? type === 'ESYS_TR' && stars === '*'
        : word === '>_'
          ? stars === '**'
          : word in WIDTHS
            ? stars === '' && WIDTHS[word].includes(resolve(type))
            : word.slice(1) in WIDTHS && word[0] === '>'
              ? stars === '*' && WIDTHS[word.slice(1)].includes(resolve(type))
              : word[0] === '>'
                ? type === word.slice(1) && stars === '**'
                : type === word && stars === '*';
    if (!expected) return `parameter ${i + 1} is ${word} here and "${parameters[i].trim()}" in the header`;
  }
  return null;
}

withHeader(`every line of the command table is as the header has it${why}`, (t) => {
  for (const [name, line] of Object.entries(COMMANDS)) t.is(mismatch(name, line), null, `Esys_${name}`);
});

withHeader(`the check finds a wrong line${why}`, (t) => {
  t.is(mismatch('Sing', 'h'), 'is not in the header');
  t.regex(mismatch('Sign', COMMANDS.Sign.replace(' TPMT_SIG_SCHEME', ''))!, /has 7 parameters, the header 8/);
  t.regex(mismatch('Sign', COMMANDS.Sign.replace('TPM2B_DIGEST', 'TPM2B_DATA'))!, /parameter 5 is TPM2B_DATA/);
  t.regex(mismatch('GetRandom', 'S u32 >TPM2B_DIGEST')!, /parameter 4 is u32/);
  t.regex(mismatch('GetRandom', 'S u16 TPM2B_DIGEST')!, /parameter 5 is TPM2B_DIGEST/);
});

withHeader(`the handles that are always there have the header's numbers${why}`, (t) => {
  const number = (name: string): number =>
    Number(new RegExp(`#define\\s+${name}\\s+(0x[0-9a-fA-F]+|\\d+)U?`).exec(read('tss2_esys.h'))?.[1]);
  t.deepEqual(ESYS_TR, {
    PCR0: number('ESYS_TR_PCR0'),
    NONE: number('ESYS_TR_NONE'),
    PASSWORD: number('ESYS_TR_PASSWORD'),
    OWNER: number('ESYS_TR_RH_OWNER'),
    LOCKOUT: number('ESYS_TR_RH_LOCKOUT'),
    ENDORSEMENT: number('ESYS_TR_RH_ENDORSEMENT'),
  });
});
