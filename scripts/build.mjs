// npm run build: firmware/main.ts → build/firmware.js, gated and measured.
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { output, plugins } from '../rollup.config.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../..');

/**
 * Builds the firmware in memory.
 * @param {{ entry?: string }} [options] entry: another main file (tests), relative to the project
 * @returns {Promise<{ code: string, map: string, digest: string }>} digest: SHA-256 of the code, hex
 */
export async function buildFirmware({ entry = 'firmware/main.ts' } = {}) {
  const bundle = await rollup({
    input: resolve(root, entry),
    plugins: plugins(),
    onwarn(warning) {
      throw new Error(`${warning.message}`);
    },
  });
  const { output: chunks } = await bundle.generate({ ...output, file: resolve(root, output.file) });
  await bundle.close();
  const [chunk] = chunks;
  return {
    code: chunk.code,
    map: chunk.map.toString(),
    digest: createHash('sha256').update(chunk.code).digest('hex'),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { code, map, digest } = await buildFirmware();
  await mkdir(resolve(root, 'build'), { recursive: true });
  await writeFile(resolve(root, 'build/firmware.js'), code);
  await writeFile(resolve(root, 'build/firmware.js.map'), map);
  console.log(`build/firmware.js  ${code.length} bytes  ${digest.slice(0, 16)}`);
}
