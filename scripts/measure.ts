/**
 * `npm run -s measure -- NAME [--json] [...]`: prints a table for people, or one JSON object with `--json`.
 * NAME is a file of bench/measure/; each exports `run({json, args})` and gives the exit code.
 */
import { readdirSync } from 'node:fs';

interface Measurement {
  run(options: { json: boolean; args: string[] }): Promise<number>;
}

const folder = new URL('../bench/measure/', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (!name || !names.includes(name)) {
  console.error(`usage: npm run -s measure -- NAME [--json]\nNAME is one of: ${names.join(', ')}`);
  process.exit(2);
}
const measurement = (await import(new URL(`${name}.ts`, folder).href)) as Measurement;
process.exitCode = await measurement.run({
  json: rest.includes('--json'),
  args: rest.filter((argument) => argument !== '--json'),
});
