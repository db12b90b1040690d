/**
 * Espruino itself, onto the chip: three files as its releases for the ESP32 have them, each compared with its digest, written by Espressif's
 * own tool.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where each belongs, as the partition table of Espruino 2v29 for the ESP32 has it. */
const FILES = [
  { name: 'bootloader.bin', at: '0x1000' },
  { name: 'partitions_espruino.bin', at: '0x8000' },
  { name: 'espruino_esp32.bin', at: '0x10000' },
];
const TOOLS = ['esptool', 'esptool.py'];
const BAUD_RATE = '460800';

/** What to install, in words. */
export const NO_TOOL = `neither esptool nor esptool.py is on the PATH. Install it (apt-get install esptool, or pipx install esptool), or put Espruino
on the board in another way and say --skip-espruino`;

export interface Interpreter {
  files: { path: string; at: string; digest: string }[];
}

/**
 * @param folder with the three files
 * @param sums a file of lines `digest  name`, as sha256sum writes them
 * @throws Error in plain words: a file or its digest is missing, or they do not fit
 */
export function readInterpreter(folder: string, sums: string): Interpreter {
  if (!existsSync(sums))
    throw new Error(`--sums: there is no file ${sums}; make it with sha256sum from where you trust the image`);
  const expected = new Map(
    [...readFileSync(sums, 'utf8').matchAll(/^([0-9a-f]{64}) [ *](?:.*\/)?([^\s/]+)$/gm)].map(([, digest, name]) => [
      name,
      digest,
    ]),
  );
  const files = FILES.map(({ name, at }) => {
    const path = join(folder, name);
    if (!existsSync(path)) throw new Error(`--espruino: there is no ${name} in ${folder}`);
    const wanted = expected.get(name);
    if (!wanted) throw new Error(`--sums: ${sums} has no digest of ${name}`);
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    if (digest !== wanted)
      throw new Error(`--espruino: ${name} has the digest ${digest}, not ${wanted}: nothing was written`);
    return { path, at, digest };
  });
  return { files };
}

/** Null where it is not installed. */
export function findTool(path = process.env.PATH ?? ''): string | null {
  for (const tool of TOOLS)
    for (const folder of path.split(delimiter)) if (folder && existsSync(join(folder, tool))) return join(folder, tool);
  return null;
}

/** Writes and verifies; what the tool prints is shown as it comes. @throws Error */
export function writeInterpreter(
  tool: string,
  port: string,
  { files }: Interpreter,
  show: (line: string) => void,
): Promise<void> {
  const args = ['--chip', 'esp32', '--port', port, '--baud', BAUD_RATE, 'write_flash'];
  for (const { path, at } of files) args.push(at, path);
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        for (const line of text.split(/[\r\n]+/)) if (line.trim()) show(line.trim());
      });
    }
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new Error(
              `${tool} ended with ${code}: hold BOOT while it connects, or try a lower speed, and run this again`,
            ),
          ),
    );
  });
}
