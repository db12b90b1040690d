/**
 * The meter's half of the serial line: what it says by itself, and its answer to each command (protocol/wire/link-messages.ts
 * has the words and the flow). (Espruino dialect)
 *
 * What it may say: only what is in flash. Registers come from the journal, never from the running sum.
 * What it believes: a command that is whole and in range. Anything else from the gateway's side is answered with REFUSED and
 * changes nothing; noise, and the meter's own words reflected by an open line, are passed over.
 */
import { decodeMessage, encodeMessage, isLinkError } from '../../protocol/wire/link-codec.ts';
import type { FrameNatives } from '../../protocol/wire/link-frame.ts';
import { encodeFrame, FrameReader } from '../../protocol/wire/link-frame.ts';
import type {
  Clamp,
  GatewayCommand,
  ImageCommand,
  Live,
  MeterMessage,
  RelayState,
} from '../../protocol/wire/link-messages.ts';
import {
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_HELLO,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_DATA,
  LINK_IMAGE_END,
  LINK_MEASURE,
  LINK_READ,
  LINK_REFUSED,
  LINK_RELAY,
  LINK_STATUS,
  LINK_TELL,
  LINK_TIME,
  REFUSED_NO_CLOCK,
  REFUSED_NOT_KEPT,
} from '../../protocol/wire/link-messages.ts';
import { SessionHub } from '../session/hub.ts';
import type { ImageReceiver } from '../update/image-receiver.ts';
import type { Journal } from '../wallet/journal.ts';
import { FIRST_RETRY_MS, LAST_RETRY_MS, RecordSender } from './record-sender.ts';

/** Message types from here on are commands. */
const COMMANDS = 0x80;

export interface LinkPort {
  write(text: string): void;
}
/** What commands do to the rest of the meter. */
export interface CommandHandlers {
  setTime(unixMs: number, uptimeMs: number): void;
  checkClamp(): Clamp;
  /** Undefined where the time is not known. */
  setRelay(on: boolean, untilMs: number, uptimeMs: number): RelayState | undefined;
}
export interface MeterIdentity {
  /** 16 hex digits each. */
  meterId: string;
  firmware: string;
}

export class MeterLink {
  port: LinkPort;
  natives: FrameNatives;
  journal: Journal;
  identity: MeterIdentity;
  handlers: CommandHandlers;
  /** Takes new programs and says which one runs; null where no boot loader started this one. */
  images: ImageReceiver | null = null;
  /** The other protocols' way over this line. */
  sessions: SessionHub;
  reader: FrameReader;
  sender: RecordSender;
  /** Whether the gateway has answered a HELLO with the time. */
  greeted = false;
  helloAtMs = 0;
  helloRetryMs = FIRST_RETRY_MS;
  /** Records up to this one were found damaged. */
  damaged = 0;

  /** @param complain hears what went wrong in a session */
  constructor(
    port: LinkPort,
    natives: FrameNatives,
    journal: Journal,
    identity: MeterIdentity,
    handlers: CommandHandlers,
    complain: (what: string) => void,
  ) {
    this.port = port;
    this.natives = natives;
    this.journal = journal;
    this.identity = identity;
    this.handlers = handlers;
    this.sessions = new SessionHub((part) => this.send(part), complain);
    this.reader = new FrameReader(natives);
    this.sender = new RecordSender(journal.newestRecord());
  }

  /** The first word of a start. The newline ends whatever the line carried while nobody spoke. */
  start(uptimeMs: number): void {
    this.port.write('\n');
    this.sendHello(uptimeMs);
  }

  /** Once a second: the live value, records that are due, HELLO while it is unanswered. */
  tick(live: Live, uptimeMs: number): void {
    this.send(live);
    if (!this.greeted && uptimeMs >= this.helloAtMs) {
      this.helloRetryMs = Math.min(2 * this.helloRetryMs, LAST_RETRY_MS);
      this.sendHello(uptimeMs);
    }
    this.sendRecords(uptimeMs);
  }

  /**
   * Once a second, after the window: what takes its time, and may erase a page of flash.
   * @param unixMs 0: the time is not known
   */
  afterWindow(unixMs: number, uptimeMs: number, mayErase: boolean): void {
    this.sessions.tick(unixMs, uptimeMs);
    if (!this.images) return;
    for (const message of this.images.tick(uptimeMs, this.greeted, mayErase)) this.send(message);
  }

  /** Bytes from the gateway, in pieces of any size. */
  receive(piece: string, uptimeMs: number): void {
    for (const body of this.reader.push(piece)) {
      if (body[0] >= COMMANDS) this.obey(body, uptimeMs);
    }
  }

  obey(body: Uint8Array, uptimeMs: number): void {
    let command: GatewayCommand;
    try {
      command = decodeMessage(body) as GatewayCommand;
    } catch (error) {
      if (!isLinkError(error)) throw error;
      this.send({ type: LINK_REFUSED, command: error.messageType, reason: error.reason });
      return;
    }
    if (command.type === LINK_TIME) {
      this.greeted = true;
      this.handlers.setTime(command.unixMs, uptimeMs);
    } else if (command.type === LINK_ACK) {
      this.sender.acknowledge(command.number, this.journal.newestRecord());
    } else if (command.type === LINK_READ) {
      if (this.isKept(command.from)) this.sender.restart(command.from);
      else this.send({ type: LINK_REFUSED, command: LINK_READ, reason: REFUSED_NOT_KEPT });
    } else if (command.type === LINK_STATUS) {
      this.sendHello(uptimeMs);
    } else if (command.type === LINK_CHECK_CLAMP) {
      this.send(this.handlers.checkClamp());
    } else if (command.type === LINK_RELAY) {
      const state = this.handlers.setRelay(command.state > 0, command.untilMs, uptimeMs);
      this.send(state || { type: LINK_REFUSED, command: LINK_RELAY, reason: REFUSED_NO_CLOCK });
    } else if (command.type === LINK_TELL) {
      this.sessions.receive(command, uptimeMs);
    } else {
      this.obeyImageCommand(command);
    }
  }

  obeyImageCommand(command: ImageCommand): void {
    const images = this.images;
    if (!images) this.send({ type: LINK_REFUSED, command: command.type, reason: REFUSED_NOT_KEPT });
    else if (command.type === LINK_IMAGE_BEGIN) this.send(images.begin(command));
    else if (command.type === LINK_IMAGE_DATA) this.send(images.data(command));
    else if (command.type === LINK_IMAGE_END) this.send(images.end());
    else if (command.type === LINK_MEASURE) images.measure(command);
  }

  sendRecords(uptimeMs: number): void {
    const count = this.sender.due(uptimeMs, this.journal.newestRecord());
    for (let i = 0; i < count; i++) {
      const number = this.sender.next;
      this.sender.next++;
      const record = this.journal.record(number);
      if (!record) {
        this.damaged = number;
      } else {
        // The gateway waits for numbers without a gap: it has to hear that there is one.
        if (this.damaged === number - 1 && this.damaged > 0) this.sendHello(uptimeMs);
        this.send(record);
      }
    }
  }

  sendHello(uptimeMs: number): void {
    this.helloAtMs = uptimeMs + this.helloRetryMs;
    this.send({
      type: LINK_HELLO,
      meterId: this.identity.meterId,
      boot: this.journal.boot,
      uptimeMs: uptimeMs,
      oldestRecord: this.oldestRecord(),
      newestRecord: this.journal.newestRecord(),
      firmware: this.identity.firmware,
    });
  }

  oldestRecord(): number {
    const oldest = this.journal.oldestRecord();
    return this.damaged >= oldest && this.damaged > 0 ? this.damaged + 1 : oldest;
  }
  /** The number after the newest one may be asked for: nothing is sent until it is there. */
  isKept(number: number): boolean {
    return number >= this.oldestRecord() && number <= this.journal.newestRecord() + 1;
  }
  send(message: MeterMessage): void {
    this.port.write(encodeFrame(encodeMessage(message), this.natives));
  }
}
