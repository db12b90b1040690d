// npm run build: firmware/main.ts → build/firmware.js, gated by the dialect, and how much of the board it takes.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { inParts } from '../firmware/dialect/parts.mjs';
import { IMAGE_MOST_BYTES } from '../hardware/flash.ts';
import { output, plugins } from '../rollup.config.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../..');

const LOADER_ENTRY = 'firmware/update/loader.ts';
const LOADER_FILE = 'build/boot.js';

/** Stands in firmware/main.ts where the bundle's own digest is to be; the digest is taken while this is still there. */
const _DIGEST_MARK = '%FIRMWAREDIGEST%';

/** @type {Map<string, Promise<import('./build.d.mts').Firmware>>} */
const built = new Map();

/**
 * Builds the firmware in memory, once in the life of the process for each entry.
 * @param {{ entry?: string }} [options] entry: another main file (tests), relative to the project or absolute
 */
export function buildFirmware({ entry = 'firmware/main.ts' } = {}) {
  const input = resolve(root, entry);
  const known = built.get(input) ?? build(input, output);
  built.set(input, known);
  return known;
}

/** The boot loader, wrapped in a function: its names and those of the program that it starts must not meet. */
export function buildLoader() {
  const input = resolve(root, LOADER_ENTRY);
  const known = built.get(input) ?? build(input, { ...output, format: 'iife', file: LOADER_FILE });
  built.set(input, known);
  return known;
}

async function build(input, output) {
  const bundle = await rollup({
    input,
    plugins: plugins(),
    // such as a circular import, which on Espruino breaks
    onwarn(warning) {
      if (warning.code === 'EVAL') return; // the gate refuses it, with its place
      throw new Error(`firmware: ${warning.message}`);
    },
  });
  const { output: chunks } = await bundle.generate({ ...output, file: resolve(root, output.file) });
  await bundle.close();
  const [{ code: whole, map }] = chunks;
  const code = inParts(whole);
  if (code !== whole) map.mappings = `;${map.mappings}`; // a line that says where the parts begin
  const digest = createHash('sha256').update(code).digest('hex');
  // firmware/main.ts says its own digest, taken with this text of equal length in its place
  return { code: code.replace('%FIRMWAREDIGEST%', digest.slice(0, 16)), map: map.toString(), digest };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { code, map, digest } = await buildFirmware();
    const file = resolve(root, output.file);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, code);
    await writeFile(`${file}.map`, map);
    const bytes = Buffer.byteLength(code);
    console.log(
      `${output.file}  ${bytes} bytes, ${((bytes / IMAGE_MOST_BYTES) * 100).toFixed(1)} % of what an update can carry  ${digest.slice(0, 16)}`,
    );
    const loader = await buildLoader();
    await writeFile(resolve(root, LOADER_FILE), loader.code);
    console.log(`${LOADER_FILE}  ${Buffer.byteLength(loader.code)} bytes: the boot loader, for Storage's .bootcde`);
    console.log('variables at run time: npm run -s measure -- firmware');
    if (bytes > IMAGE_MOST_BYTES)
      throw new Error(`more than ${IMAGE_MOST_BYTES} bytes, which is what an update can carry`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
