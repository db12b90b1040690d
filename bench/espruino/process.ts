import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * Real Espruino for Linux: what `$ESPRUINO` names, or else `espruino` on the PATH; null where there is none.
 * The npm package of the same name is an uploader and puts a script called `espruino` on the PATH: scripts are passed over.
 */
export function espruinoBinary(env: NodeJS.ProcessEnv = process.env): string | null {
  if (env.ESPRUINO) return env.ESPRUINO;
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const file = join(folder, 'espruino');
    if (folder !== '' && existsSync(file) && !isScript(file)) return file;
  }
  return null;
}

function isScript(file: string): boolean {
  const start = Buffer.alloc(2);
  const handle = openSync(file, 'r');
  try {
    readSync(handle, start, 0, 2, 0);
  } finally {
    closeSync(handle);
  }
  return start.toString('latin1') === '#!';
}

/** What a line of output that is ours begins with; the interpreter adds a banner and prompts. */
export const MARK = '\x02';
/** The marked line after which nothing more is wanted. */
export const END = 'END';

/**
 * Runs a program on real Espruino and gives its marked lines, without the mark. The interpreter does not know when it is done:
 * the run is over with the marked line `END`, or when the interpreter ends because no timer is left.
 * @param files further files in the program's folder, by name (latin-1)
 */
export async function runEspruino(
  program: string,
  { timeoutMs = 60_000, files = {} }: { timeoutMs?: number; files?: Record<string, string> } = {},
): Promise<string[]> {
  const binary = espruinoBinary();
  if (!binary) throw new Error('no espruino binary on the PATH');
  const folder = mkdtempSync(join(tmpdir(), 'espruino-'));
  try {
    const file = join(folder, 'program.js');
    writeFileSync(file, program, 'latin1');
    for (const name in files) writeFileSync(join(folder, name), files[name], 'latin1');
    return await new Promise<string[]>((resolve, reject) => {
      const child = spawn(binary, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`espruino did not end within ${timeoutMs} ms`));
      }, timeoutMs);
      let rest = '';
      const lines: string[] = [];
      child.stdout.setEncoding('latin1');
      child.stdout.on('data', (text: string) => {
        const parts = (rest + text).split(/\r?\n/);
        rest = parts.pop()!;
        for (const part of parts) {
          if (lines.at(-1) === END) break;
          const at = part.indexOf(MARK);
          const uncaught = part.indexOf('Uncaught ');
          if (at >= 0) lines.push(part.slice(at + 1));
          else if (uncaught >= 0) lines.push(part.slice(uncaught));
        }
        if (lines.at(-1) === END) child.kill('SIGKILL');
      });
      child.on('error', reject);
      child.on('close', () => {
        clearTimeout(timer);
        if (lines.at(-1) === END) lines.pop();
        resolve(lines);
      });
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
