/** A board with a boot loader, and the gateway's end of its line: what tests of updates share. */
import { makeChip } from '../../../bench/board/adc-model.ts';
import { regionsOf, VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { ImageSender, type Program } from '../../../gateway/update/image-sender.ts';
import { UPDATE_LAYOUT } from '../../../hardware/flash.ts';
import { digestOfImage } from '../../../protocol/updates/measurement.ts';
import { decodeMessage } from '../../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../../protocol/wire/link-frame.ts';
import {
  type GatewayCommand,
  type Hello,
  LINK_HELLO,
  LINK_IMAGE_STATE,
  LINK_MEASUREMENT,
  LINK_REFUSED,
  type Measurement,
  type MeterMessage,
} from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import { buildFirmware, buildLoader } from '../../../scripts/build.mjs';
import { frameOf, GatewayPeer } from '../gateway-peer.ts';
import { mains } from '../mains.ts';

export const START_MS = Date.UTC(2026, 1, 3, 10);
export const FLASH_BYTES = regionsOf(UPDATE_LAYOUT).reduce((sum, { length }) => sum + length, 0);

export const programOf = (version: number, code: string): Program => {
  const bytes = Buffer.from(code, 'latin1');
  return { version, bytes, digest: digestOfImage(bytes) };
};
/** The firmware, told apart from others by a comment at its end. */
export async function firmwareProgram(version: number): Promise<Program> {
  const { code } = await buildFirmware();
  return programOf(version, `${code.trimEnd()}\n// release ${version}\n`);
}

export class UpdateBench {
  readonly board: VirtualBoard;
  peer = new GatewayPeer();
  nowMs = START_MS;
  sender: ImageSender | null = null;
  readonly measurements: Measurement[] = [];
  readonly states: MeterMessage[] = [];
  hellos: Hello[] = [];
  /** Messages on their way to the meter; a test may lose or change them. */
  onTheLine: (command: GatewayCommand) => GatewayCommand | null = (command) => command;
  readonly #reader = new FrameReader(nodeNatives);

  constructor(loader: string, firmware: string, flash?: Uint8Array) {
    this.board = new VirtualBoard({
      bundle: loader,
      storage: { firmware },
      layout: UPDATE_LAYOUT,
      seed: 5,
      chip: makeChip(5),
      startMs: START_MS,
      flash,
    });
    this.board.setMains(mains(10));
  }

  static async withFirmware(flash?: Uint8Array): Promise<UpdateBench> {
    const bench = new UpdateBench((await buildLoader()).code, (await buildFirmware()).code, flash);
    bench.board.start();
    bench.step(200);
    return bench;
  }

  /** Time passes; the gateway hears and answers. */
  step(ms: number, gateway: 'there' | 'away' = 'there'): void {
    this.nowMs += ms;
    this.board.advanceTo(this.nowMs);
    const bytes = this.board.take();
    if (gateway === 'away') return;
    const answers = [this.peer.hear(bytes, this.nowMs)];
    for (const body of this.#reader.push(Buffer.from(bytes).toString('latin1')))
      this.#receive(decodeMessage(body) as MeterMessage);
    for (const command of this.sender?.take(this.nowMs) ?? []) {
      const sent = this.onTheLine(command);
      if (sent) answers.push(frameOf(sent));
    }
    if (this.board.running) this.board.receive(Buffer.concat(answers));
  }
  seconds(count: number): void {
    for (let i = 0; i < count; i++) this.step(1000);
  }
  /** Until the meter has the program or refuses it; the seconds that took. */
  send(program: Program, limitS = 600): number {
    this.sender = new ImageSender(program);
    const fromMs = this.nowMs;
    while (this.sender.state === 'sending' && this.nowMs - fromMs < limitS * 1000) this.step(500);
    return (this.nowMs - fromMs) / 1000;
  }
  say(command: GatewayCommand): void {
    this.board.receive(frameOf(command));
  }

  #receive(message: MeterMessage): void {
    if (message.type === LINK_IMAGE_STATE) {
      this.states.push(message);
      this.sender?.receiveState(message, this.nowMs);
    } else if (message.type === LINK_REFUSED) {
      this.sender?.receiveRefusal(message, this.nowMs);
    } else if (message.type === LINK_MEASUREMENT) {
      this.measurements.push(message);
    } else if (message.type === LINK_HELLO) {
      if (this.hellos.length > 0 && this.hellos.at(-1)!.boot !== message.boot) this.sender?.meterRestarted();
      this.hellos.push(message);
    }
  }
}
