/**
 * `quietmeter check`: looks at everything that the gateway needs before and while it runs, and says in words what is wrong
 * and what helps. Nothing is changed.
 */
import { accessSync, constants, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { type GatewayConfig, loadConfig } from '../config.ts';
import { RECOVERY, TpmError } from '../tpm/error.ts';
import { Tpm } from '../tpm/tpm.ts';

export interface Finding {
  what: string;
  /** `warning`: it runs, but something should be done. */
  state: 'ok' | 'warning' | 'wrong';
  says: string;
  /** What to do; where it is not ok. */
  help?: string;
}

const NODE_MAJOR = 24;
const FREE_BYTES_LEAST = 200_000_000;
const CLOCK_OFF_MS = 60_000;
const ANSWER_MS = 5000;

/** Everything, in the order in which the gateway needs it. A configuration that cannot be read ends it. */
export async function checkGateway(configFile: string): Promise<Finding[]> {
  const findings: Finding[] = [checkNode()];
  let config: GatewayConfig;
  try {
    config = loadConfig(configFile);
    findings.push({ what: 'configuration', state: 'ok', says: configFile });
  } catch (error) {
    findings.push({
      what: 'configuration',
      state: 'wrong',
      says: (error as Error).message,
      help: 'Correct the field that is named; gateway/config.ts describes each.',
    });
    return findings;
  }
  findings.push(...checkData(config.dataDir));
  findings.push(await checkTpm(config.tcti));
  findings.push(await checkMeter(config.meterLink));
  findings.push(await checkBroker(config.broker));
  for (const [name, address] of services(config)) findings.push(await checkService(name, address));
  if (config.web) findings.push(await checkPort(config.web.host, config.web.port));
  return findings;
}

function checkNode(): Finding {
  const what = 'Node.js';
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= NODE_MAJOR) return { what, state: 'ok', says: process.version };
  return {
    what,
    state: 'wrong',
    says: `${process.version} is too old`,
    help: `Use Node.js ${NODE_MAJOR} or newer; npm installs it beside the gateway (node_modules/.bin/node).`,
  };
}

/** The folder is ours alone, can be written, and has room. */
function checkData(dataDir: string): Finding[] {
  const what = 'data folder';
  let mode: number;
  try {
    mode = statSync(dataDir).mode;
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return [
      {
        what,
        state: 'wrong',
        says: missing ? `${dataDir} does not exist` : `${dataDir} cannot be written by this user`,
        help: missing ? `mkdir -m 700 ${dataDir}` : `chown -R quietmeter: ${dataDir}`,
      },
    ];
  }
  const findings: Finding[] = [];
  const open = readableByOthers(dataDir);
  if (mode & 0o077)
    findings.push({ what, state: 'wrong', says: `others may look into ${dataDir}`, help: `chmod 700 ${dataDir}` });
  else if (open.length > 0)
    findings.push({ what, state: 'wrong', says: `others may read ${open[0]}`, help: `chmod 600 ${open.join(' ')}` });
  else findings.push({ what, state: 'ok', says: dataDir });
  const { bavail, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const megabytes = `${Math.floor(free / 1e6).toLocaleString('en-US')} MB free`;
  findings.push(
    free >= FREE_BYTES_LEAST
      ? { what: 'disk', state: 'ok', says: megabytes }
      : { what: 'disk', state: 'warning', says: megabytes, help: 'Make room: readings are kept before they are sent.' },
  );
  return findings;
}

/** Key files and stores that are not the owner's alone. Certificates (`.crt`, `.pem`) may be read by anybody. */
function readableByOthers(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(db|key|json|bin)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => (statSync(file).mode & 0o077) !== 0);
}

async function checkTpm(tcti: string): Promise<Finding> {
  const what = 'TPM';
  let tpm: Tpm | null = null;
  try {
    tpm = await Tpm.open(tcti);
    const { locked } = await tpm.lockout();
    if (locked) return { what, state: 'warning', says: 'it is in lockout', help: RECOVERY.lockout };
    return { what, state: 'ok', says: tcti };
  } catch (error) {
    const help = error instanceof TpmError ? RECOVERY[error.kind] : 'Report it: this should not happen.';
    const device = /^device:(.+)$/.exec(tcti)?.[1];
    return {
      what,
      state: 'wrong',
      says: (error as Error).message,
      help: device && !mayUse(device) ? `${device}: this user may not use it: sudo usermod -aG tss quietmeter` : help,
    };
  } finally {
    await tpm?.close();
  }
}

const mayUse = (device: string): boolean => {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
};

async function checkMeter(meterLink: string): Promise<Finding> {
  const what = 'meter';
  const [kind, ...rest] = meterLink.split(':');
  const address = rest.join(':');
  if (kind === 'conductor') return { what, state: 'ok', says: 'simulated' };
  if (kind === 'serial') {
    try {
      accessSync(address, constants.R_OK | constants.W_OK);
      return { what, state: 'ok', says: address };
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return {
        what,
        state: 'wrong',
        says: missing ? `${address} is not there` : `this user may not use ${address}`,
        help: missing
          ? 'Is the cable in? On a Pi’s own pins: enable_uart=1, and no console on it (raspi-config).'
          : 'sudo usermod -aG dialout quietmeter',
      };
    }
  }
  const at = address.lastIndexOf(':');
  const [host, port] = [address.slice(0, at), Number(address.slice(at + 1))];
  const reached = await new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
  return reached
    ? { what, state: 'ok', says: address }
    : { what, state: 'wrong', says: `${address} does not answer`, help: 'Is the serial server on?' };
}

/** A TLS handshake under the configured authority: no login, no message. */
async function checkBroker({ url, caFile }: { url: string; caFile: string }): Promise<Finding> {
  const what = 'broker';
  try {
    const ca = readFileSync(caFile);
    const { hostname, port } = new URL(url);
    await new Promise<void>((resolve, reject) => {
      const socket = connectTls({
        host: hostname,
        port: Number(port || 8883),
        ca,
        servername: hostname,
        minVersion: 'TLSv1.2',
      });
      socket.setTimeout(ANSWER_MS, () => reject(new Error('no answer')));
      socket.once('secureConnect', () => {
        socket.end();
        resolve();
      });
      socket.once('error', reject);
    });
    return { what, state: 'ok', says: url };
  } catch (error) {
    return { what, state: 'wrong', says: `${url}: ${reasonOf(error)}`, help: NETWORK_HELP };
  }
}

const NETWORK_HELP =
  'Is the network up, is the clock right, and is the authority’s file the one that the grid operator gave out? What is not delivered is kept and sent later.';

const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'nobody listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name is not known';
  if (code === 'ENOENT') return message;
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired (or this clock is wrong)';
  if (code === 'SELF_SIGNED_CERT_IN_CHAIN' || code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    return 'its certificate is of another authority';
  return message;
};

interface Address {
  url: string;
  caFile: string;
}
const isAddress = (value: unknown): value is Address =>
  typeof value === 'object' && value !== null && 'url' in value && 'caFile' in value;

/** Every service that the configuration names, wherever it stands in it. */
function services(config: GatewayConfig): [name: string, address: Address][] {
  const found: [string, Address][] = [];
  const look = (name: string, value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (isAddress(value) && value.url.startsWith('https:')) found.push([name, value]);
    for (const [key, inner] of Object.entries(value)) look(name === '' ? key : `${name}.${key}`, inner);
  };
  look('', config);
  return found;
}

/** GET /health under the pinned authority; what it says of the time is compared with ours. */
async function checkService(what: string, { url, caFile }: Address): Promise<Finding> {
  try {
    const ca = readFileSync(caFile);
    const date = await new Promise<string | undefined>((resolve, reject) => {
      const call = request(
        `${url}/health`,
        { ca, minVersion: 'TLSv1.3', timeout: ANSWER_MS, agent: false },
        (answer) => {
          answer.resume();
          resolve(answer.headers.date);
        },
      );
      call.once('timeout', () => call.destroy(new Error('no answer')));
      call.once('error', reject);
      call.end();
    });
    const off = date === undefined ? 0 : Date.now() - Date.parse(date);
    if (Math.abs(off) > CLOCK_OFF_MS)
      return {
        what,
        state: 'wrong',
        says: `${url} has another time: this clock is ${Math.round(Math.abs(off) / 1000)} s ${off > 0 ? 'ahead' : 'behind'}`,
        help: 'timedatectl set-ntp true; readings of a wrong clock are refused.',
      };
    return { what, state: 'ok', says: url };
  } catch (error) {
    return { what, state: 'wrong', says: `${url}: ${reasonOf(error)}`, help: NETWORK_HELP };
  }
}

async function checkPort(host: string, port: number): Promise<Finding> {
  const what = 'page';
  const says = `port ${port}`;
  if (port === 0) return { what, state: 'ok', says: 'any free port' };
  const taken = await new Promise<boolean>((resolve) => {
    const socket = connect({
      host: host === '::' || host === '0.0.0.0' ? 'localhost' : host,
      port,
      timeout: ANSWER_MS,
    });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
  return taken
    ? {
        what,
        state: 'warning',
        says: `${says} is in use`,
        help: 'Right while the gateway runs; else another program has it.',
      }
    : { what, state: 'ok', says: `${says} is free` };
}

/** For a terminal: one line each, and the advice below it. */
export function describeFindings(findings: readonly Finding[]): string {
  const mark = { ok: '✔', warning: '!', wrong: '✘' };
  const width = Math.max(...findings.map(({ what }) => what.length));
  return findings
    .map(({ what, state, says, help }) => {
      const line = `${mark[state]} ${what.padEnd(width)}  ${says}`;
      return state === 'ok' ? line : `${line}\n  ${' '.repeat(width)}  → ${help}`;
    })
    .join('\n');
}
