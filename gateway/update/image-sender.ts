/**
 * Carries a program to the meter, over a line that loses, doubles and damages, to a meter that may lose its power at any
 * moment. Pure: what the meter says in, commands out. The meter keeps what has arrived; nothing here has to be kept.
 *
 *   BEGIN ─► the meter says which byte it wants next, and up to where it has erased flash
 *   DATA × n ─► … END ─► complete: the meter has checked the digest, and starts the program at the end of its netting block
 *
 * Not more than WINDOW_CHUNKS are under way: 3 kB, which fit into the input buffer of a meter that is just measuring (4 kB).
 */
import {
  type GatewayCommand,
  IMAGE_CHUNK_BYTES,
  IMAGE_COMPLETE,
  IMAGE_DIFFERS,
  IMAGE_NO_ROOM,
  IMAGE_OLDER,
  IMAGE_ON_TRIAL,
  IMAGE_RECEIVING,
  IMAGE_REJECTED,
  IMAGE_WORN,
  type ImageState,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_DATA,
  LINK_IMAGE_END,
  REFUSED_NOT_KEPT,
  REFUSED_UNKNOWN,
  type Refused,
} from '../../protocol/wire/link-messages.ts';

const WINDOW_CHUNKS = 8;
/** A meter that says nothing for so long is asked how far it has got. */
const SILENT_MS = 5000;
/** What was under way when chunks were sent again has arrived by then. */
const RESEND_MS = 1000;
/** A program on trial proves itself within a minute, or is given up within an hour. */
const TRIAL_RETRY_MS = 60_000;
/** So often an image that arrived with another digest is sent again. */
const ATTEMPTS = 3;

export interface Program {
  version: number;
  /** 32 B: digestOfImage. */
  digest: Uint8Array;
  bytes: Uint8Array;
}
/**
 *   sending   it is under way
 *   complete  the meter has it, checked, and will start it
 *   running   the meter runs this version already
 *   failed    it will not get there; `reason` says why
 */
export type SenderState = 'sending' | 'complete' | 'running' | 'failed';

export class ImageSender {
  state: SenderState = 'sending';
  /** In words, where it failed. */
  reason = '';
  /** Bytes that the meter has said it has. */
  arrived = 0;
  readonly #program: Program;
  #room = 0;
  #sentTo = 0;
  /** The meter wants a chunk that was sent. */
  #complained = false;
  /** When chunks were sent again from `arrived` on: not for every complaint of one loss. */
  #resentMs = Number.NEGATIVE_INFINITY;
  #attempts = 1;
  #beginAtMs = 0;
  #wantsEnd = false;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(program: Program) {
    this.#program = program;
  }

  /** The meter has started anew: what was under way is lost. */
  meterRestarted(): void {
    this.#beginAtMs = 0;
    this.#heardMs = Number.NEGATIVE_INFINITY;
  }

  receiveState(message: ImageState, nowMs: number): void {
    if (this.state !== 'sending' || (message.version !== this.#program.version && message.version !== 0)) return;
    this.#heardMs = nowMs;
    switch (message.state) {
      case IMAGE_RECEIVING:
        this.#goOn(message);
        break;
      case IMAGE_COMPLETE:
        this.arrived = this.#program.bytes.length;
        this.state = 'complete';
        break;
      case IMAGE_DIFFERS:
        if (this.#attempts === ATTEMPTS) this.#fail('what arrives at the meter has another digest each time');
        this.#attempts++;
        this.meterRestarted();
        break;
      case IMAGE_ON_TRIAL:
        this.#beginAtMs = nowMs + TRIAL_RETRY_MS;
        break;
      case IMAGE_OLDER:
        if (message.running === this.#program.version) this.state = 'running';
        else this.#fail(`the meter runs version ${message.running}, which is newer`);
        break;
      case IMAGE_REJECTED:
        this.#fail(
          `the meter has started version ${this.#program.version} and it did not prove itself; version ${message.running} runs`,
        );
        break;
      case IMAGE_WORN:
        this.#fail("the meter's flash does not keep what is written");
        break;
      case IMAGE_NO_ROOM:
        this.#fail('the meter has no room for a second program of this length');
        break;
      default:
        this.meterRestarted();
    }
  }

  receiveRefusal({ reason }: Refused, nowMs: number): void {
    if (this.state !== 'sending') return;
    this.#heardMs = nowMs;
    if (reason === REFUSED_NOT_KEPT)
      this.#fail('the meter has no boot loader: its program is replaced over the console');
    else if (reason === REFUSED_UNKNOWN) this.#fail("the meter's program is too old to take updates over the line");
    else this.meterRestarted();
  }

  /** What is to be sent now. To be called after each message and about once a second. */
  take(nowMs: number): GatewayCommand[] {
    if (this.state !== 'sending') return [];
    const { version, digest, bytes } = this.#program;
    if (nowMs >= this.#beginAtMs && nowMs - this.#heardMs >= SILENT_MS) {
      this.#beginAtMs = nowMs + SILENT_MS;
      this.#sentTo = this.arrived;
      return [{ type: LINK_IMAGE_BEGIN, version, length: bytes.length, digest }];
    }
    if (this.#complained && nowMs - this.#resentMs >= RESEND_MS) {
      this.#sentTo = this.arrived;
      this.#resentMs = nowMs;
      this.#complained = false;
    }
    const commands: GatewayCommand[] = [];
    const until = Math.min(this.#room, this.arrived + WINDOW_CHUNKS * IMAGE_CHUNK_BYTES);
    while (this.#sentTo < until) {
      const offset = this.#sentTo;
      const chunk = bytes.subarray(offset, offset + IMAGE_CHUNK_BYTES);
      commands.push({ type: LINK_IMAGE_DATA, offset, bytes: chunk });
      this.#sentTo += chunk.length;
    }
    if (this.#wantsEnd) commands.push({ type: LINK_IMAGE_END });
    this.#wantsEnd = false;
    return commands;
  }

  #goOn({ offset, room }: ImageState): void {
    const { length } = this.#program.bytes;
    if (offset > length || room > length) return; // no state of a meter that was told the length
    const again = offset === this.arrived && room === this.#room && this.#sentTo > offset;
    this.#complained = again || (this.#complained && offset === this.arrived);
    if (offset < this.arrived || offset > this.#sentTo) this.#sentTo = offset;
    this.arrived = offset;
    this.#room = room;
    this.#wantsEnd = offset === length;
  }

  #fail(reason: string): void {
    this.state = 'failed';
    this.reason = reason;
  }
}
