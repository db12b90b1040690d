/**
 * Starts the gateway, again and again: `node launcher.ts ROOT CONFIG.json`, by the machine's service manager. The gateway's boot
 * loader, so to speak: it is copied to where it runs when the gateway is installed, and no update replaces it.
 *
 * A release that is new gets STARTS_MOST starts to come up (`Installation.confirm`); after that the one before is linked again.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Installation, STARTS_MOST } from './installation.ts';

/** A gateway ends with this where it wants to be started anew at once, into another release. */
export const RESTART_CODE = 75;
/** … and with this where the machine is to be: the launcher hands it on to the service manager (docs/provision-a-pi.md). */
export const RESTART_MACHINE_CODE = 76;
const PAUSE_MS = 1000;

/** Which release is to be started now; counts a start that is a trial. */
export function nextStart(installation: Installation): number | null {
  const trial = installation.trial();
  if (trial && trial.version !== installation.current() && trial.starts === 0) {
    installation.confirm(); // cut between trial and link: the switch has not happened
  } else if (trial && trial.starts >= STARTS_MOST) {
    installation.giveUp(trial);
  } else if (trial) {
    installation.writeTrial({ ...trial, starts: trial.starts + 1 });
  }
  return installation.current();
}

async function launch(root: string, args: string[]): Promise<void> {
  const installation = new Installation(root);
  let child: ReturnType<typeof spawn> | null = null;
  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      stopping = true;
      child?.kill(signal);
    });
  while (!stopping) {
    const version = nextStart(installation);
    if (version === null) throw new Error(`${root} holds no gateway: ${join(root, 'current')} is no link to a release`);
    child = spawn(process.execPath, [join(installation.folder(version), 'gateway/main.ts'), ...args], {
      stdio: 'inherit',
    });
    const code = await new Promise<number | null>((ended) => child!.once('close', ended));
    if (code === RESTART_MACHINE_CODE) process.exit(code);
    if (!stopping && code !== RESTART_CODE) await new Promise((waited) => setTimeout(waited, PAUSE_MS));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , root, ...args] = process.argv;
  if (!root) throw new Error('usage: node launcher.ts ROOT CONFIG.json');
  await launch(root, args);
}
