// Every command of the README is run here: as it stands, or cut short by further options.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:https';
import { join, resolve } from 'node:path';
import test from 'ava';
import { temporaryFolder, writeScenario } from '../bench/run-quietmeter.ts';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** Command lines of the README's shell blocks, without comments. */
function commands(): string[] {
  return [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '');
}

const hour = {
  seed: 3,
  start: '2024-06-18T11:45:00Z',
  days: 1 / 24,
  area: 'oak-street',
  households: [
    { id: 'roof', preset: 'family', pv: { peakW: 5000 } },
    { id: 'flat', preset: 'flat' },
    { id: 'shop', preset: 'shop' },
  ],
};

interface Ended {
  code: number | null;
  output: string;
}

function shell(command: string, onOutput: (soFar: string, interrupt: () => void) => void = () => {}): Promise<Ended> {
  const child = spawn('bash', ['-c', `exec ${command}`], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const hear = (chunk: Buffer): void => {
    output += chunk;
    onOutput(output, () => child.kill('SIGINT'));
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return new Promise((done) => child.on('close', (code) => done({ code, output })));
}

test('the README names these commands and no others', (t) => {
  t.deepEqual(commands(), [
    './scripts/run',
    './scripts/test',
    './scripts/run --help',
    './scripts/run --households 5 --report result.json',
    './scripts/run --scenario bench/scenarios/faults.json',
    './scripts/run --scenario bench/scenarios/provider-change.json',
    'npm run -s measure -- accuracy',
    'npm run -s measure -- bench',
    'npm run -s measure -- firmware',
  ]);
});

test('the README names only files that are there', (t) => {
  for (const [, path] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) t.true(existsSync(join(root, path)), path);
});

test.serial('./scripts/run: a summary, then the page, until Ctrl-C', async (t) => {
  const folder = temporaryFolder(t);
  const scenario = writeScenario(folder, hour);
  let page: Promise<number> | null = null;
  const { code, output } = await shell(
    `./scripts/run --scenario ${scenario} --state ${folder}/state --port 0`,
    (soFar, interrupt) => {
      const url = /roof: (https:\/\/localhost:\d+)/.exec(soFar)?.[1];
      if (!url || page || !soFar.includes('Ctrl-C')) return;
      page = status(`${url}/login`);
      page.finally(interrupt);
    },
  );
  t.is(await page!, 200, output);
  t.regex(output, /password, shown this once: \S+/);
  t.regex(output, /lost 0, counted twice 0/);
  t.is(code, 0, 'Ctrl-C on the live page is an ordinary end');
});

/** The answer's status, whatever the certificate: trusting it is the page's own tests' business. */
function status(url: string): Promise<number> {
  return new Promise((done, failed) => {
    get(url, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      done(answer.statusCode ?? 0);
    }).on('error', failed);
  });
}

test.serial('./scripts/run --help', async (t) => {
  const { code, output } = await shell('./scripts/run --help');
  t.is(code, 0);
  for (const option of ['scenario', 'households', 'days', 'speed', 'trace', 'seed', 'report'])
    t.true(output.includes(`--${option}`));
});

test.serial('./scripts/run --scenario bench/scenarios/provider-change.json', async (t) => {
  const folder = temporaryFolder(t);
  const { code, output } = await shell(
    `./scripts/run --scenario bench/scenarios/provider-change.json --report ${folder}/result.json --state ${folder}/state`,
  );
  t.is(code, 0, output);
  t.regex(output, /each provider has its own customers’ sums/);
  // three customers for five quarter hours, then two for four; the other way round at the other
  t.like(JSON.parse(readFileSync(`${folder}/result.json`, 'utf8')), {
    sumsAgree: true,
    providers: [
      { name: 'quiet', readings: 23, bills: 1 },
      { name: 'sun', readings: 22, bills: 0 },
    ],
  });
});

test.serial('./scripts/run --households N --report FILE', async (t) => {
  const folder = temporaryFolder(t);
  const scenario = writeScenario(folder, hour);
  const { code, output } = await shell(
    `./scripts/run --households 5 --report ${folder}/result.json --scenario ${scenario} --state ${folder}/state`,
  );
  t.is(code, 0, output);
  t.is(JSON.parse(readFileSync(`${folder}/result.json`, 'utf8')).households.length, 5);
});

test.serial('./scripts/run --scenario bench/scenarios/faults.json', async (t) => {
  const folder = temporaryFolder(t);
  const { code, output } = await shell(
    `./scripts/run --scenario bench/scenarios/faults.json --report ${folder}/result.json --state ${folder}/state`,
  );
  t.is(code, 0, output);
});

test.serial('npm run -s measure -- firmware', async (t) => {
  const { code, output } = await shell('npm run -s measure -- firmware --json');
  t.is(code, 0, output);
  t.true(JSON.parse(output.slice(output.indexOf('{'))).bundleBytes > 0);
});

test.serial('npm run -s measure -- bench', async (t) => {
  const { code, output } = await shell('npm run -s measure -- bench --households 1 --hours 2 --json 2>/dev/null');
  t.is(code, 0, output);
  const { rows } = JSON.parse(output);
  t.is(rows[0].households, 1);
  t.true(rows[0].simulatedSecondsPerSecond > 0 && rows[0].rssMiB > 0);
});

test.serial('npm run -s measure -- accuracy', async (t) => {
  const { code, output } = await shell('npm run -s measure -- accuracy --json --seeds 1 2>/dev/null');
  t.is(code, 0, output);
  const { worstErrorPercent, rows, controls } = JSON.parse(output);
  t.true(worstErrorPercent > 0);
  t.deepEqual(
    rows.filter((row: { errorPercent: number; limitPercent: number }) => row.errorPercent > row.limitPercent),
    [],
  );
  t.true(controls.length >= 4 && controls.every((control: { fails: boolean }) => control.fails));
});
