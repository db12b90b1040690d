/**
 * An updater in a process that a test kills: `node killed-updater.ts FOLDER RELEASES KEY`. TPM and meter are files in FOLDER, so
 * that they outlive it; the meter takes its time, and answers as one that runs what it was given.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../../gateway/update/durable-file.ts';
import type { ImageSender, Program, SenderState } from '../../../gateway/update/image-sender.ts';
import { releasesInFolder } from '../../../gateway/update/release-source.ts';
import { Updater } from '../../../gateway/update/updater.ts';
import { measurementOfImage } from '../../../protocol/updates/measurement.ts';
import { LINK_MEASUREMENT } from '../../../protocol/wire/link-messages.ts';

const [, , folder, releases, key] = process.argv;
const file = (name: string): string => join(folder, name);
const text = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '');
const write = (name: string, content: string): void => writeDurably(file(name), Buffer.from(content), 0o600);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let running: { state: SenderState; reason: string; arrived: number } | null = null;
let program: Program | null = null;
const meter = {
  get sender() {
    return running as ImageSender | null;
  },
  install(next: Program) {
    program = next;
    const sender = { state: 'sending' as SenderState, reason: '', arrived: 0 };
    running = sender;
    void pause(20).then(() => {
      sender.state = text('meter') === String(next.version) ? 'running' : 'complete';
      write('meter', String(next.version));
    });
    return sender as unknown as ImageSender;
  },
  stop() {
    running = null;
  },
  async measure(nonce: Uint8Array) {
    await pause(15);
    const image = program?.bytes ?? readFileSync(join(releases, text('meter'), 'firmware.js'));
    const version = Number(text('meter'));
    return { type: LINK_MEASUREMENT, version, length: image.length, digest: measurementOfImage(nonce, image) } as const;
  },
};

const updater = new Updater({
  folder: file('updates'),
  clock: { nowMs: () => Date.now() },
  source: releasesInFolder(releases),
  releaseKey: Buffer.from(key, 'hex'),
  counter: {
    read: async () => Number(text('counter')),
    raise: async (to) => {
      await pause(5);
      write('counter', String(Math.max(to, Number(text('counter')))));
    },
  },
  measureFirmware: async (digest) => {
    await pause(5);
    const line = Buffer.from(digest).toString('hex');
    if (text('measured').split('\n').at(-2) !== line) appendFileSync(file('measured'), `${line}\n`);
  },
  meter,
  installation: null,
  restart: () => {},
  keepAuthorizations: () => {},
  attest: () => {},
  log: () => {},
});
setInterval(() => {
  updater.tick();
  if (updater.view.version > 0 && updater.view.state === 'idle') {
    write('done', String(updater.view.version));
    process.exit(0);
  }
}, 2);
