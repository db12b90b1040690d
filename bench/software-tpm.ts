/**
 * Software TPMs (swtpm) for the bench's households and for tests: made like real ones, with endorsement and platform
 * certificates from a certification authority of the project's own, and kept between runs.
 *
 *   state/          one directory per TPM: its NV memory, that is, its identity
 *   ca/             swtpm_localca's keys, certificates and configuration; made with the first TPM
 *
 * Each swtpm serves one client at a time on 127.0.0.1. Whoever reaches its port can use the TPM: fit for a bench.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const PACKAGES = 'swtpm swtpm-tools gnutls-bin';
/** Where libtpms keeps a TPM 2.0's NV memory. */
const STATE_FILE = 'tpm2-00.permall';
const PID_FILE = 'swtpm.pid';

/** A software TPM could not be set up or started; the message says what to do. */
export class SoftwareTpmError extends Error {
  override readonly name = 'SoftwareTpmError';
}

export interface RunningTpm {
  /** What `Tpm.open` takes. */
  tcti: string;
  /** Commands; the control channel is one above. */
  port: number;
  pid: number;
  /** Lets it write its state and end. */
  stop(): Promise<void>;
  /** SIGKILL: the power cut of a TPM. */
  kill(): Promise<void>;
  /** As by its reset pin: what was loaded is gone, PCRs begin anew, and it waits for TPM2_Startup. */
  reset(): Promise<void>;
}

/** Makes the TPM that lives in `stateDir`, where there is none yet. Takes about a second. */
export async function setUpTpm(stateDir: string, { ca }: { ca: string }): Promise<void> {
  if (existsSync(join(stateDir, STATE_FILE))) return;
  const configuration = await configureAuthority(resolve(ca));
  const fresh = `${resolve(stateDir)}.new`; // renamed when complete: no half TPM survives an interruption
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  const setup = [
    '--tpm2',
    '--create-ek-cert',
    '--create-platform-cert',
    '--config',
    configuration,
    '--tpmstate',
    fresh,
  ];
  try {
    await promisify(execFile)(findTool('swtpm_setup'), setup, { timeout: 60_000 });
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    throw new SoftwareTpmError(`swtpm_setup failed: ${tail(stdout, stderr) || message}`);
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  await rename(join(fresh, STATE_FILE), join(stateDir, STATE_FILE));
  await rm(fresh, { recursive: true, force: true });
}

/** Many at once, as many at a time as there are cores. The first one alone: it makes the authority. */
export async function setUpTpms(
  stateDirs: string[],
  { ca, onProgress }: { ca: string; onProgress?: (ready: number, all: number) => void },
): Promise<void> {
  let ready = 0;
  const one = async (stateDir: string): Promise<void> => {
    await setUpTpm(stateDir, { ca });
    ready++;
    onProgress?.(ready, stateDirs.length);
  };
  const waiting = [...stateDirs];
  if (waiting.length > 0) await one(waiting.shift()!);
  const worker = async (): Promise<void> => {
    for (let stateDir = waiting.shift(); stateDir !== undefined; stateDir = waiting.shift()) await one(stateDir);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/**
 * A copy of a TPM that is not running, for tests: in a few ms instead of a second. Two copies have the same endorsement
 * key and load each other's keys; they are one TPM in two places.
 */
export async function cloneTpm(stateDir: string, newDir: string): Promise<void> {
  await mkdir(newDir, { recursive: true, mode: 0o700 });
  await cp(join(stateDir, STATE_FILE), join(newDir, STATE_FILE));
}

/**
 * Starts swtpm on the state in `directory` and waits until it answers. A swtpm that an earlier run left there is ended
 * first. It does not outlive this process, unless that is killed.
 * @param port fixed port for commands (port + 1 must be free too), to come back where it was; otherwise a free pair
 */
export async function startTpm(directory: string, { port }: { port?: number } = {}): Promise<RunningTpm> {
  const stateDir = resolve(directory);
  if (!existsSync(join(stateDir, STATE_FILE))) throw new SoftwareTpmError(`${stateDir} holds no TPM: set one up first`);
  await endLeftover(stateDir);
  let failure = '';
  for (let attempt = 0; attempt < 10; attempt++) {
    const at = port ?? (await freePair());
    const child = await spawnTpm(stateDir, at);
    const { error } = await answers(child, stateDir, at + 1);
    if (!error) return running(child, at);
    child.kill('SIGKILL');
    failure = error;
    if (port !== undefined || !/address already in use|bind|listen/i.test(error)) break; // else: lost a race for the port
  }
  throw new SoftwareTpmError(`swtpm in ${stateDir} does not start: ${failure}`);
}

/** Children end with this process. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill();
});

/**
 * `disconnect`: swtpm closes the connection after each answer. tpm2-tss opens one per command, without close-on-exec: a
 * child that is started meanwhile inherits it, and swtpm, which serves one at a time, would wait for that child for ever.
 */
async function spawnTpm(stateDir: string, port: number): Promise<ChildProcess> {
  const child = spawn(
    findTool('swtpm'),
    [
      ['socket', '--tpm2'],
      ['--tpmstate', `dir=${stateDir}`],
      ['--server', `type=tcp,port=${port},bindaddr=127.0.0.1,disconnect`],
      ['--ctrl', `type=tcp,port=${port + 1},bindaddr=127.0.0.1`],
      ['--flags', 'not-need-init,startup-clear'],
      ['--pid', `file=${join(stateDir, PID_FILE)}`],
    ].flat(),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.on('error', () => {}); // it has an exit, too
  child.unref();
  return child;
}

function running(child: ChildProcess, port: number): RunningTpm {
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.ref();
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(force);
  };
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    port,
    pid: child.pid!,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async reset() {
      await promisify(execFile)(findTool('swtpm_ioctl'), ['--tcp', `127.0.0.1:${port + 1}`, '-i']);
    },
  };
}

/** CMD_GET_CAPABILITY of swtpm's control channel (swtpm, tpm_ioctl.h): answered as soon as the TPM works. */
const GET_CAPABILITY = Buffer.of(0, 0, 0, 1);

/**
 * Waits until it has its ports, when it writes its pid (before that, another swtpm may be answering there), and answers on
 * the control channel. `error` says why it never will.
 */
async function answers(child: ChildProcess, stateDir: string, controlPort: number): Promise<{ error?: string }> {
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-2000);
  });
  (child.stderr as unknown as { unref(): void }).unref();
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      await sleep(20); // its last words
      return { error: tail(stderr) || `ended with ${child.exitCode ?? child.signalCode}` };
    }
    if ((await readPid(stateDir)) === child.pid && (await asks(controlPort))) return {};
    await sleep(5);
  }
  return { error: `no answer within 10 s. ${tail(stderr)}` };
}

const asks = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(GET_CAPABILITY));
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', () => {
      done(true);
      socket.destroy();
    });
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
  });

/** Two free neighbouring ports, below those that Linux gives to outgoing connections (from 32768 on). */
async function freePair(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + 2 * Math.floor(Math.random() * 6_000);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
  throw new SoftwareTpmError('no two free neighbouring ports between 20000 and 32000');
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });

/** 0 where there is none. */
const readPid = async (stateDir: string): Promise<number> =>
  Number(await readFile(join(stateDir, PID_FILE), 'utf8').catch(() => 0));

/** Ends the swtpm that a killed run left on this state; it would keep it locked. */
async function endLeftover(stateDir: string): Promise<void> {
  const pid = await readPid(stateDir);
  const serves = async (): Promise<boolean> => {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return commandLine.includes(`\0dir=${stateDir}\0`); // the number may be somebody else's by now
  };
  for (let attempt = 0; (await serves()) && attempt < 100; attempt++) {
    process.kill(pid, attempt < 50 ? 'SIGTERM' : 'SIGKILL');
    await sleep(20);
  }
  await rm(join(stateDir, PID_FILE), { force: true });
}

/** Writes the authority's configuration; its keys and certificates are swtpm_localca's to make. */
async function configureAuthority(ca: string): Promise<string> {
  await mkdir(ca, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(ca, name);
  const settings = {
    'localca.conf': {
      statedir: ca,
      signingkey: file('signkey.pem'),
      issuercert: file('issuercert.pem'),
      certserial: file('certserial'),
    },
    'setup.conf': {
      create_certs_tool: findTool('swtpm_localca'),
      create_certs_tool_config: file('localca.conf'),
      create_certs_tool_options: file('localca.options'),
      active_pcr_banks: 'sha256',
    },
  };
  for (const [name, entries] of Object.entries(settings)) {
    const lines = Object.entries(entries).map(([key, value]) => `${key} = ${value}\n`);
    await writeFile(file(name), lines.join(''));
  }
  await writeFile(
    file('localca.options'),
    '--platform-manufacturer quietmeter\n--platform-version 1\n--platform-model gateway\n',
  );
  return file('setup.conf');
}

/** The absolute path of a program. @throws SoftwareTpmError that says what to install */
export function findTool(name: string, searchPath = process.env.PATH ?? ''): string {
  for (const directory of searchPath.split(delimiter)) {
    const path = resolve(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  throw new SoftwareTpmError(`${name} is not installed: apt install ${PACKAGES}`);
}

const tail = (...texts: (string | undefined)[]): string => texts.filter(Boolean).join('\n').trim().slice(-1000);
