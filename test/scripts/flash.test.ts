// scripts/flash from end to end: over a pty and a serial server to real Espruino where it is on the PATH, and to an emulated console
// wherever a cable, the power or the flash is to fail at an exact place.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { espruinoBinary } from '../../bench/espruino/process.ts';
import { inParts } from '../../firmware/dialect/parts.mjs';
import { nominalCalibration } from '../../firmware/metering/calibration.ts';
import { IMAGE_MOST_BYTES, UPDATE_LAYOUT } from '../../hardware/flash.ts';
import { BoardConsole } from '../../scripts/flashing/console.ts';
import { PIECE_BYTES } from '../../scripts/flashing/storage.ts';
import { ConsoleBoard } from './console-board.ts';

const folder = () => mkdtempSync(join(tmpdir(), 'quietmeter-flash-'));
const SCRIPT = join(import.meta.dirname, '../../scripts/flash.ts');

interface Ended {
  code: number | null;
  said: string;
}
function flash(args: string[], { env, onSaid }: { env?: NodeJS.ProcessEnv; onSaid?: (text: string) => void } = {}) {
  return new Promise<Ended>((resolve) => {
    const child = spawn(process.execPath, [SCRIPT, ...args], { env: { ...process.env, ...env } });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        said += chunk;
        onSaid?.(said);
      });
    child.on('close', (code) => resolve({ code, said }));
  });
}

/** A program of several pieces that says who it is. */
function programFile(into: string, who: string, bytes: number): string {
  let text = '';
  for (let n = 0; text.length < bytes - 700; n++) text += `function f${n}(){return "${who.repeat(600 / who.length)}"}`;
  const file = join(into, `${who}.js`);
  writeFileSync(file, inParts(`${text}print("${who}");global.who="${who}";`));
  return file;
}
const digestOf = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex');

test('a board is commissioned, and commissioned anew through a cable that is pulled: the old program starts until the new one is whole', async (t) => {
  const dir = folder();
  const [old, next] = [programFile(dir, 'OLD', 70_000), programFile(dir, 'NEXT', 90_000)];
  const calibration = join(dir, 'calibration.json');
  writeFileSync(calibration, JSON.stringify(nominalCalibration(), null, 2));
  const board = new ConsoleBoard();
  for (const { address } of UPDATE_LAYOUT.images) board.pages.set(address, 'an update');
  const port = await board.listen();
  t.teardown(() => board.close());
  const first = await flash(['--port', port, '--skip-espruino', '--program', old, '--calibration', calibration]);
  t.is(first.code, 0, first.said);
  t.deepEqual(board.printed, ['OLD']);
  t.deepEqual([...board.files.keys()].sort(), ['.bootcde', 'calibration', 'firmware']);
  t.deepEqual(JSON.parse(board.files.get('calibration')!), nominalCalibration());
  t.is(board.pages.size, 0, 'what came as an update would be started before it');

  // the cable is pulled in the middle of the new program
  const pieces = Math.ceil(readFileSync(next).length / PIECE_BYTES);
  const stopAt = Math.floor(pieces / 2) * PIECE_BYTES;
  board.beforeWrite = (_name, offset, data) => {
    if (offset === stopAt) board.pull();
    return data;
  };
  const pulled = await flash(['--port', port, '--skip-espruino', '--program', next]);
  t.is(pulled.code, 1);
  t.regex(pulled.said, /what is there is not sent again. Until the new program is whole the old one starts/);
  board.powerOn();
  t.deepEqual(board.printed, ['OLD']);
  t.true(board.files.has('firmware.b'));

  // again, after a power cut that tore nothing: only what is missing is sent
  board.beforeWrite = (_name, _offset, data) => data;
  board.writes.length = 0;
  const again = await flash(['--port', port, '--skip-espruino', '--program', next]);
  t.is(again.code, 0, again.said);
  const there = Math.floor(pieces / 2) + 1;
  t.true(again.said.includes(`${there} of ${pieces} pieces are there already`), again.said);
  t.is(board.writes.length, pieces - there);
  t.deepEqual(board.printed, ['NEXT']);
  t.deepEqual([...board.files.keys()].sort(), ['.bootcde', 'calibration', 'firmware.b']);
  t.is(digestOf(board.files.get('firmware.b')!), digestOf(readFileSync(next, 'latin1')));

  // once more: nothing is sent
  board.writes.length = 0;
  t.is((await flash(['--port', port, '--skip-espruino', '--program', next])).code, 0);
  t.is(board.writes.length, 0);
});

test('a piece that a power cut tore is written anew; flash that keeps nothing is found, and the old program stays', async (t) => {
  const dir = folder();
  const [old, next] = [programFile(dir, 'OLD', 9000), programFile(dir, 'NEXT', 9000)];
  const board = new ConsoleBoard();
  const port = await board.listen();
  t.teardown(() => board.close());
  t.is((await flash(['--port', port, '--skip-espruino', '--program', old])).code, 0);

  board.beforeWrite = (_name, offset, data) => {
    if (offset !== 2 * PIECE_BYTES) return data;
    board.pull();
    return data.slice(0, 100); // the rest never reached the flash
  };
  t.is((await flash(['--port', port, '--skip-espruino', '--program', next])).code, 1);
  board.beforeWrite = (name, offset, data) =>
    name === 'firmware.b' && offset === PIECE_BYTES ? data.replace('NEXT', 'N\0XT') : data;
  const worn = await flash(['--port', port, '--skip-espruino', '--program', next]);
  t.is(worn.code, 1);
  t.regex(worn.said, /firmware\.b: the piece at 2048 reads otherwise.*\n.*worn/);
  t.false(board.files.has('firmware.b'));
  board.powerOn();
  t.deepEqual(board.printed, ['OLD']);

  board.beforeWrite = (_name, _offset, data) => data;
  t.is((await flash(['--port', port, '--skip-espruino', '--program', next])).code, 0);
  t.deepEqual(board.printed, ['NEXT']);
});

test('what a person can get wrong is one sentence', async (t) => {
  const dir = folder();
  const wrong = async (args: string[], sentence: RegExp, env?: NodeJS.ProcessEnv) => {
    const { code, said } = await flash(args, { env });
    t.is(code, 1);
    t.regex(said, sentence);
    t.notRegex(said, /\n {4}at /);
  };
  await wrong(['--skip-espruino'], /--port is missing/);
  await wrong(['--port', 'tcp://host', '--skip-espruino'], /a serial server is tcp:\/\/HOST:PORT/);
  const any = ['--program', programFile(dir, 'ANY', 1000)];
  await wrong(['--port', join(dir, 'nothing'), ...any], /one of --espruino FOLDER and --skip-espruino/);
  await wrong(['--port', join(dir, 'nothing'), '--skip-espruino', ...any], /No such file/);
  const program = programFile(dir, 'LONG', IMAGE_MOST_BYTES + 1000);
  await wrong(
    ['--port', 'x', '--skip-espruino', '--program', program],
    new RegExp(`the program has \\d+ bytes; up to ${IMAGE_MOST_BYTES} can be stored`),
  );
  const calibration = join(dir, 'calibration.json');
  writeFileSync(calibration, '{"format": 1}');
  await wrong(
    ['--port', 'x', '--skip-espruino', ...any, '--calibration', calibration],
    /--calibration: calibration.codeTableUv: a list of 65 is wanted/,
  );
});

test('the interpreter is written by esptool, from files whose digests are right only', async (t) => {
  const dir = folder();
  const names = ['bootloader.bin', 'partitions_espruino.bin', 'espruino_esp32.bin'];
  for (const name of names) writeFileSync(join(dir, name), `this is ${name}`);
  const port = join(dir, 'tty');
  const sums = names.map((name) => `${digestOf(`this is ${name}`)}  ${name}\n`).join('');
  const args = ['--port', port, '--espruino', dir, '--program', programFile(dir, 'ANY', 1000)];
  const noTool = { PATH: dir };
  t.regex((await flash(args, { env: noTool })).said, /there is no file .*SHA256SUMS; make it with sha256sum/);
  writeFileSync(
    join(dir, 'SHA256SUMS'),
    sums.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
  );
  t.regex((await flash(args, { env: noTool })).said, /bootloader.bin has the digest .* nothing was written/);
  writeFileSync(join(dir, 'SHA256SUMS'), sums);
  t.regex((await flash(args, { env: noTool })).said, /neither esptool nor esptool.py is on the PATH. Install it/);
  writeFileSync(join(dir, 'esptool.py'), `#!/bin/sh\necho "$@" > ${join(dir, 'called')}\necho writing\nexit 3\n`);
  chmodSync(join(dir, 'esptool.py'), 0o755);
  const { code, said } = await flash(args, { env: noTool });
  t.is(code, 1);
  t.regex(said, /writing[\s\S]*ended with 3: hold BOOT/);
  const at = ['0x1000', '0x8000', '0x10000'].map((address, n) => `${address} ${join(dir, names[n])}`).join(' ');
  t.is(readFileSync(join(dir, 'called'), 'utf8').trim(), `--chip esp32 --port ${port} --baud 460800 write_flash ${at}`);
});

(espruinoBinary() ? test : test.skip)(
  'real Espruino (needs espruino on the PATH): a pty whose cable is pulled, then a serial server; the program runs',
  async (t) => {
    const dir = folder();
    const [old, next] = [programFile(dir, 'OLD', 3000), programFile(dir, 'NEXT', 70_000)];
    const port = join(dir, 'tty');
    const board = (address: string) => {
      const child = spawn('socat', [address, `EXEC:${espruinoBinary()},pty,raw,echo=0`], { cwd: dir, stdio: 'ignore' });
      const pull = () => interpretersIn(dir).map((pid) => process.kill(pid, 'SIGKILL'));
      t.teardown(() => child.kill() && pull());
      return {
        /** The cable carries the power, too; the interpreter for Linux does not end with its line. */
        async pull() {
          child.kill('SIGKILL');
          for (let pids = interpretersIn(dir); pids.length > 0; pids = interpretersIn(dir)) {
            for (const pid of pids) process.kill(pid, 'SIGKILL');
            await sleep(20);
          }
        },
      };
    };
    const pty = async () => {
      rmSync(port, { force: true });
      const started = board(`PTY,link=${port},raw,echo=0`);
      while (!existsSync(port)) await sleep(20);
      return started;
    };
    const who = async (at: string) => {
      const line = await BoardConsole.open(at);
      const said = await line.evaluate<string>('global.who');
      line.close();
      return said;
    };
    let cable = await pty();
    const first = await flash(['--port', port, '--skip-espruino', '--program', old]);
    t.is(first.code, 0, first.said);
    t.is(await who(port), 'OLD');
    let out: Promise<void> | null = null;
    const pulled = await flash(['--port', port, '--skip-espruino', '--program', next], {
      onSaid: (said) => {
        if (/program[^%]*% {2}\d/.test(said)) out ??= cable.pull();
      },
    });
    t.is(pulled.code, 1, pulled.said);
    await out;
    cable = await pty();
    t.is(await who(port), 'OLD');
    await cable.pull();
    const server = board(`TCP-LISTEN:${await freePort()},reuseaddr`);
    await sleep(300);
    const again = await flash(['--port', `tcp://127.0.0.1:${lastPort}`, '--skip-espruino', '--program', next]);
    t.is(again.code, 0, again.said);
    t.regex(again.said, /[1-9]\d* of \d+ pieces (are there already|there are others, or torn)/, pulled.said);
    await server.pull();
    cable = await pty();
    t.is(await who(port), 'NEXT');
    await cable.pull();
  },
);

/** Processes of the interpreter whose working directory is this one: ours. */
const interpretersIn = (dir: string): number[] =>
  readdirSync('/proc')
    .filter((pid) => {
      try {
        const name = readFileSync(`/proc/${pid}/comm`, 'utf8');
        return name.includes('espruino') && readlinkSync(`/proc/${pid}/cwd`) === dir;
      } catch {
        return false; // not a process, or not ours, or no longer there
      }
    })
    .map(Number);

let lastPort = 0;
async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  lastPort = (server.address() as { port: number }).port;
  await new Promise((closed) => server.close(closed));
  return lastPort;
}
