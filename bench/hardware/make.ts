/** scripts/hardware: writes what is made from the circuit. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { circuitDocuments, responseDocuments } from './documents.ts';
import { BOARDS, simulate } from './response.ts';

const root = resolve(import.meta.dirname, '../..');
try {
  for (const [path, text] of Object.entries({ ...circuitDocuments(), ...responseDocuments(await simulate(BOARDS)) })) {
    const file = resolve(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    console.log(path);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
