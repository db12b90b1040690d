/** A folder for the stores of one run, gone after it: in memory where the machine has such a place, since nobody pulls a plug here. */
import { accessSync, constants, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';

export function scratchFolder(): string {
  let where = tmpdir();
  try {
    accessSync(MEMORY, constants.W_OK);
    where = MEMORY;
  } catch {
    // not on this machine
  }
  return mkdtempSync(join(where, 'quietmeter-game-'));
}
