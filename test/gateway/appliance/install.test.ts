// The appliance, laid out below a folder: the unit is one that systemd accepts, and what it starts starts.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '../../..');
let root: string;
let unit: string;
let config: string;

test.before(async () => {
  root = mkdtempSync(join(tmpdir(), 'quietmeter-install-'));
  const ca = await GridCa.open(join(root, 'ca'));
  config = join(root, 'gateway.json');
  writeFileSync(
    config,
    JSON.stringify({
      householdId: 'h',
      householdName: 'House',
      dataDir: join(root, 'var/lib/quietmeter'),
      meterLink: 'tcp:127.0.0.1:9',
      tcti: 'swtpm:host=127.0.0.1,port=9',
      area: 'oak-street',
      broker: { url: 'mqtts://localhost:9', caFile: ca.caFile },
      providerPublicKey: '11'.repeat(32),
      web: { port: 0, host: '127.0.0.1' },
    }),
  );
  await run(join(project, 'scripts/install-gateway'), ['--root', root, '--config', config]);
  unit = readFileSync(join(root, 'etc/systemd/system/quietmeter.service'), 'utf8');
});

/** A path of the installed system, below the test's folder. */
const below = (text: string): string => text.replaceAll(/(^|\s)(\/(?:opt|usr|etc|var)\/)/g, `$1${root}$2`);

test('systemd accepts the unit', async (t) => {
  const file = join(root, 'quietmeter.service');
  writeFileSync(file, unit.replace('/opt/quietmeter/node_modules/.bin/node', process.execPath));
  try {
    const { stderr } = await run('systemd-analyze', ['verify', file]);
    t.is(stderr.trim(), '');
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code !== 'ENOENT') return t.fail(stderr);
    t.log('systemd-analyze is not installed: the unit was not verified');
    t.pass();
  }
});

test('the unit’s directives close everything that the gateway does not need', (t) => {
  for (const line of [
    'User=quietmeter',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=yes',
    'DevicePolicy=closed',
    'DeviceAllow=/dev/tpmrm0 rw',
    'CapabilityBoundingSet=',
    'UMask=0077',
    'Restart=always',
  ])
    t.true(unit.split('\n').includes(line), line);
});

test('data and configuration are not for everybody', (t) => {
  t.is(statSync(join(root, 'var/lib/quietmeter')).mode & 0o777, 0o700);
  t.is(statSync(join(root, 'etc/quietmeter/gateway.json')).mode & 0o777, 0o640);
});

test.serial(
  'what the unit starts comes up, says where its page is, tells no password, and ends when it is told to',
  async (t) => {
    const [program, ...args] = /^ExecStart=(.*)$/m.exec(unit)![1].split(' ').map(below);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece: Buffer) => {
        output += piece.toString();
      });
    await new Promise<void>((ready, failed) => {
      child.stdout.on('data', () => {
        if (output.includes('quietmeter password')) ready();
      });
      child.once('exit', (code) => failed(new Error(`ended with ${code}: ${output}`)));
    });
    t.regex(output, /page: https:\/\/localhost:\d+/);
    t.notRegex(output, /shown this once/);
    child.removeAllListeners('exit');
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    t.is(await ended, 0);
  },
);

test.serial('the command says what is wrong, and makes a password', async (t) => {
  const command = below(readFileSync(join(root, 'usr/local/bin/quietmeter'), 'utf8'));
  const file = join(root, 'quietmeter.sh');
  writeFileSync(file, command.replace('#!/bin/sh', `#!/bin/sh\nPATH=/usr/bin:/bin`), { mode: 0o755 });
  const checked = await run('sh', [file, 'check', config]).catch((error) => error);
  t.is(checked.code, 1);
  t.regex(checked.stdout, /✔ configuration/);
  t.regex(checked.stdout, /✘ broker/);
  const { stdout } = await run('sh', [file, 'password', config]);
  t.regex(stdout, /password, shown this once: \S+-\S+/);
  const passphrase = join(root, 'passphrase');
  writeFileSync(passphrase, 'a passphrase of some length', { mode: 0o600 });
  mkdirSync(join(root, 'backups'));
  const env = { ...process.env, QUIETMETER_PASSPHRASE_FILE: passphrase };
  const backup = join(root, 'backups/house.qmb');
  t.regex((await run('sh', [file, 'backup', backup, config], { env })).stdout, /\d+ files/);
  const unknown = await run('sh', [file, 'explode']).catch((error) => error);
  t.regex(unknown.stderr, /usage: quietmeter check/);
});
