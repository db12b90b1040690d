/**
 * A TPM behind a path, as `/dev/tpmrm0` is on a Raspberry Pi: a pseudo-terminal, joined by socat to the bus (bus.ts). tpm2-tss's
 * own device driver opens it; it is a byte stream that never closes, as a character device.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Bus } from './bus.ts';

export const hasSocat = spawnSync('socat', ['-V']).status === 0;

export interface Device {
  tcti: string;
  unplug(): Promise<void>;
  plugIn(): Promise<void>;
}

export async function deviceOn(t: ExecutionContext, bus: Bus, directory: string): Promise<Device> {
  const path = join(directory, 'tpm0');
  let socat: ChildProcess;
  let held: FileHandle; // or the line would end when its last user closes it
  const plugIn = async (): Promise<void> => {
    socat = spawn('socat', [`pty,rawer,link=${path}`, `tcp:127.0.0.1:${bus.port}`], { stdio: 'ignore' });
    while (!existsSync(path)) await sleep(5);
    held = await open(path, 'r+');
  };
  const unplug = async (): Promise<void> => {
    if (socat.exitCode === null && socat.signalCode === null) {
      const ended = once(socat, 'exit');
      socat.kill();
      await ended;
    }
    await held.close().catch(() => {});
    await rm(path, { force: true });
  };
  await plugIn();
  t.teardown(unplug);
  return { tcti: `device:${path}`, plugIn, unplug };
}
