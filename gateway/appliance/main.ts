/**
 * `quietmeter COMMAND`, on the gateway itself:
 *
 *   check [CONFIG]                       what is wrong, in words; ends with 1 where something is
 *   backup FILE [CONFIG]                 the household in one file, under a passphrase
 *   restore FILE [--new-tpm] [CONFIG]    puts it back into an empty data folder; --new-tpm: this is another gateway
 *   password [CONFIG]                    a new password for the page, shown once; the gateway is to be restarted
 *   token [CONFIG]                       a token with which scripts may read /api, shown once, in the place of the last
 *
 * CONFIG is /etc/quietmeter/gateway.json where it is not said. The passphrase is asked for, or read from the file that
 * QUIETMETER_PASSPHRASE_FILE names; it is never an argument, which others could see.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { makeToken } from '../../web/login/bearer.ts';
import { Password } from '../../web/login/password.ts';
import { TOKEN_FILE } from '../../web/server.ts';
import { loadConfig } from '../config.ts';
import { makeBackup, restoreBackup } from './backup.ts';
import { checkGateway, describeFindings } from './check.ts';

const CONFIG = '/etc/quietmeter/gateway.json';
const USAGE =
  'usage: quietmeter check [CONFIG] | backup FILE [CONFIG] | restore FILE [--new-tpm] [CONFIG] | password [CONFIG] | token [CONFIG]';

const [, , command, ...words] = process.argv;
const options = words.filter((word) => word.startsWith('--'));
const names = words.filter((word) => !word.startsWith('--'));

try {
  if (options.some((option) => option !== '--new-tpm' || command !== 'restore')) throw new Error(USAGE);
  if (command === 'check') await check(names[0]);
  else if (command === 'backup' && names[0]) await back(names[0], names[1]);
  else if (command === 'restore' && names[0]) await restore(names[0], names[1]);
  else if (command === 'password') await newPassword(names[0]);
  else if (command === 'token') newToken(names[0]);
  else throw new Error(USAGE);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function check(config = CONFIG): Promise<void> {
  const findings = await checkGateway(config);
  console.log(describeFindings(findings));
  if (findings.some(({ state }) => state === 'wrong')) process.exitCode = 1;
}

async function back(file: string, config = CONFIG): Promise<void> {
  const { dataDir } = loadConfig(config);
  const count = await makeBackup(dataDir, file, await passphrase());
  console.log(`${file}: ${count} files. Keep the passphrase elsewhere: without it nobody can open this.`);
}

async function restore(file: string, config = CONFIG): Promise<void> {
  const { dataDir } = loadConfig(config);
  const withoutTpm = options.includes('--new-tpm');
  const count = await restoreBackup(file, dataDir, await passphrase(), { withoutTpm });
  console.log(`${dataDir}: ${count} files.${withoutTpm ? ' Set the meter up anew on the page.' : ''}`);
}

async function newPassword(config = CONFIG): Promise<void> {
  const { dataDir } = loadConfig(config);
  const file = join(dataDir, 'web', 'password.json');
  rmSync(file, { force: true });
  const { first } = await Password.open(file);
  console.log(`password, shown this once: ${first}\nrestart the gateway: sudo systemctl restart quietmeter`);
}

function newToken(config = CONFIG): void {
  const { dataDir } = loadConfig(config);
  const token = makeToken(join(dataDir, 'web', TOKEN_FILE));
  console.log(
    `token, shown this once: ${token}\ncurl --cacert ca.crt -H 'Authorization: Bearer TOKEN' https://GATEWAY/api/status`,
  );
}

async function passphrase(): Promise<string> {
  const file = process.env.QUIETMETER_PASSPHRASE_FILE;
  if (file !== undefined) {
    if ((statSync(file).mode & 0o077) !== 0) throw new Error(`${file}: others may read it: chmod 600`);
    return readFileSync(file, 'utf8').trim();
  }
  if (!process.stdin.isTTY) throw new Error('no terminal: name a file in QUIETMETER_PASSPHRASE_FILE');
  process.stderr.write('passphrase: ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  const typed = await new Promise<string>((resolve) => lines.question('', resolve));
  lines.close();
  process.stderr.write('\n');
  return typed;
}
