/** Runs `bench/main.ts` as `scripts/run` does, in a state folder of its own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { RunReport } from '../../bench/report.ts';

const main = resolve(import.meta.dirname, '../../bench/main.ts');

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The report, where one was written. */
  report: RunReport | null;
}

/** A folder that goes with the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'quietmeter-run-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeScenario(folder: string, content: object): string {
  const file = join(folder, 'scenario.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
}

export async function runQuietmeter(folder: string, ...args: string[]): Promise<Outcome> {
  const reportFile = join(folder, 'report.json');
  rmSync(reportFile, { force: true });
  const child = spawn(process.execPath, [main, '--state', join(folder, 'state'), '--report', reportFile, ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((done) => child.on('close', done));
  let report: RunReport | null = null;
  try {
    report = JSON.parse(readFileSync(reportFile, 'utf8'));
  } catch {
    // refused before it began
  }
  return { code, stdout, stderr, report };
}
