/** A household that takes releases: a meter with a boot loader on the virtual board, its line, and the gateway's updater. */

import { createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeChip } from '../../../bench/board/adc-model.ts';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import type { Installation } from '../../../gateway/update/installation.ts';
import { MeterImages } from '../../../gateway/update/meter-images.ts';
import { type ReleaseSource, releasesInFolder } from '../../../gateway/update/release-source.ts';
import { Updater, type UpdaterOptions } from '../../../gateway/update/updater.ts';
import { UPDATE_LAYOUT } from '../../../hardware/flash.ts';
import type { ArchivedFile } from '../../../protocol/updates/archive.ts';
import { openManifest, rawReleaseKey } from '../../../protocol/updates/manifest.ts';
import { decodeMessage } from '../../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../../protocol/wire/link-frame.ts';
import {
  type Hello,
  LINK_HELLO,
  LINK_IMAGE_STATE,
  LINK_MEASUREMENT,
  LINK_REFUSED,
  type MeterMessage,
} from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import { buildFirmware, buildLoader } from '../../../scripts/build.mjs';
import { makeKeys, makeRelease, putRelease, type ReleaseKeys, readKeys } from '../../../scripts/release.ts';
import { frameOf, GatewayPeer } from '../../firmware/gateway-peer.ts';
import { mains } from '../../firmware/mains.ts';

export const START_MS = Date.UTC(2026, 1, 3, 10);
const DAY_MS = 86_400_000;
const folderOf = (name: string): string => mkdtempSync(join(tmpdir(), `quietmeter-${name}-`));

const keysFolder = folderOf('release-keys');
makeKeys(keysFolder);
export const keys: ReleaseKeys = readKeys(keysFolder);
export const releaseKey = rawReleaseKey(createPublicKey(keys.release));

export const gatewayFiles = (version: number): ArchivedFile[] => [
  { path: 'gateway/main.ts', bytes: Buffer.from(`console.log('gateway ${version}');\n`) },
  { path: 'package-lock.json', bytes: Buffer.from('{}\n') },
];
export async function firmwareOf(version: number): Promise<Buffer> {
  const { code } = await buildFirmware();
  return Buffer.from(`${code.trimEnd()}\n// release ${version}\n`, 'latin1');
}

/** A folder of releases, as the trusted third party serves it. */
export class ReleaseFolder {
  readonly folder = folderOf('releases');
  async put(
    version: number,
    {
      firmware,
      signer = keys,
      notBeforeMs = START_MS,
    }: { firmware?: Buffer; signer?: ReleaseKeys; notBeforeMs?: number } = {},
  ): Promise<void> {
    const image = firmware ?? (await firmwareOf(version));
    const files = gatewayFiles(version);
    const previous = version > 1 && signer === keys ? this.#manifest(version - 1) : null;
    const release = makeRelease(
      { version, firmware: image, files, previous, notBeforeMs, retiresMs: notBeforeMs + DAY_MS },
      signer,
    );
    putRelease(this.folder, version, { ...release, firmware: image });
  }
  #manifest(version: number) {
    try {
      return openManifest(readFileSync(join(this.folder, String(version), 'manifest.bin')), releaseKey);
    } catch {
      return null;
    }
  }
}

export class UpdatingHome {
  readonly board: VirtualBoard;
  readonly peer = new GatewayPeer();
  readonly folder = folderOf('updater');
  readonly releases: ReleaseFolder;
  nowMs = START_MS;
  /** The TPM, as far as updates go. */
  counter = 0;
  readonly measured: string[] = [];
  attested = 0;
  restarts = 0;
  readonly log: string[] = [];
  authorizations = 0;
  source: ReleaseSource;
  installation: Installation | null = null;
  /** In place of what stands in for the TPM. */
  parts: Partial<UpdaterOptions> = {};
  images!: MeterImages;
  updater!: Updater;
  /** Between meter and gateway: a test may change what the meter says. */
  onTheLine: (message: MeterMessage) => MeterMessage = (message) => message;
  readonly #reader = new FrameReader(nodeNatives);
  #outgoing: Buffer[] = [];
  #hello: Hello | null = null;

  private constructor(loader: string, firmware: string, releases: ReleaseFolder) {
    this.releases = releases;
    this.source = releasesInFolder(releases.folder);
    const options = { bundle: loader, storage: { firmware }, layout: UPDATE_LAYOUT, seed: 6, chip: makeChip(6) };
    this.board = new VirtualBoard({ ...options, startMs: START_MS });
    this.board.setMains(mains(8));
    this.board.start();
    this.startGateway();
  }
  static async build(releases = new ReleaseFolder()): Promise<UpdatingHome> {
    return new UpdatingHome((await buildLoader()).code, (await buildFirmware()).code, releases);
  }

  /** As kill -9 leaves it. What this process does cannot be stopped in its middle: test/gateway/main kills real ones. */
  async killGateway(): Promise<void> {
    this.images.close();
    await this.updater.close();
    this.startGateway();
  }
  /** A new process on what is on the disk. */
  startGateway(): void {
    this.#outgoing = [];
    const clock = { nowMs: () => this.nowMs };
    this.images = new MeterImages({
      clock,
      send: (command) => this.#outgoing.push(frameOf(command)),
      connected: () => this.board.running && this.#hello !== null,
    });
    this.updater = new Updater({
      folder: this.folder,
      clock,
      source: this.source,
      releaseKey,
      counter: {
        read: async () => this.counter,
        raise: async (to) => {
          this.counter = Math.max(this.counter, to);
        },
      },
      measureFirmware: async (digest) => {
        const text = Buffer.from(digest).toString('hex');
        if (this.measured.at(-1) !== text) this.measured.push(text);
      },
      meter: this.images,
      installation: this.installation,
      restart: () => {
        this.restarts++;
      },
      keepAuthorizations: (list) => {
        this.authorizations = list.length;
      },
      attest: () => {
        this.attested++;
      },
      log: (line) => this.log.push(line),
      ...this.parts,
    });
  }

  async step(ms = 1000): Promise<void> {
    this.nowMs += ms;
    this.board.advanceTo(this.nowMs);
    const bytes = this.board.take();
    const answers = this.peer.hear(bytes, this.nowMs);
    for (const body of this.#reader.push(Buffer.from(bytes).toString('latin1'))) {
      const message = this.onTheLine(decodeMessage(body) as MeterMessage);
      if (message.type === LINK_HELLO) this.#hello = message;
      if (
        message.type === LINK_HELLO ||
        message.type === LINK_IMAGE_STATE ||
        message.type === LINK_MEASUREMENT ||
        message.type === LINK_REFUSED
      )
        this.images.receive(message);
    }
    this.images.tick();
    this.updater.tick();
    // what needs neither time nor the meter goes on at once
    await Promise.race([this.updater.idle(), new Promise((resolve) => setTimeout(resolve, 4))]);
    if (this.board.running) this.board.receive(Buffer.concat([answers, ...this.#outgoing.splice(0)]));
  }
  /** Until the updater says so, or so many seconds have gone. */
  async until(done: () => boolean, limitS = 400, each?: () => void): Promise<boolean> {
    for (let second = 0; second < limitS && !done(); second++) {
      await this.step();
      each?.();
    }
    return done();
  }
}
