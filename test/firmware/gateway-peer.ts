import { decodeMessage, encodeMessage } from '../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../protocol/wire/link-frame.ts';
import {
  type GatewayCommand,
  type Hello,
  LINK_ACK,
  LINK_HELLO,
  LINK_LIVE,
  LINK_READ,
  LINK_RECORD,
  LINK_TIME,
  type Live,
  type MeterMessage,
  type MeterRecord,
} from '../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../protocol/wire/node-natives.ts';

export const frameOf = (command: GatewayCommand) =>
  Buffer.from(encodeFrame(encodeMessage(command), nodeNatives), 'latin1');

/**
 * The gateway's end of the line, as small as it can be: takes what comes, keeps records without a gap, answers HELLO, and holds
 * against each message what a meter may never do.
 */
export class GatewayPeer {
  readonly reader = new FrameReader(nodeNatives);
  readonly messages: MeterMessage[] = [];
  readonly records: MeterRecord[] = [];
  hello: Hello | null = null;
  live: Live | null = null;
  lives = 0;

  /** What the meter sent; gives the answer to it at that time (null: the gateway does not know the time). */
  hear(bytes: Uint8Array, unixMs: number | null): Uint8Array {
    const answers: Uint8Array[] = [];
    for (const body of this.reader.push(Buffer.from(bytes).toString('latin1'))) {
      const message = decodeMessage(body) as MeterMessage;
      this.messages.push(message);
      if (message.type === LINK_HELLO) {
        if (this.hello && message.boot < this.hello.boot)
          throw new Error(`boot ${message.boot} after ${this.hello.boot}`);
        this.hello = message;
        if (unixMs !== null) answers.push(frameOf({ type: LINK_TIME, unixMs }));
        answers.push(frameOf({ type: LINK_READ, from: this.records.length + 1 }));
      } else if (message.type === LINK_LIVE) {
        this.#mayNotFall(message, this.live);
        this.live = message;
        this.lives++;
      } else if (message.type === LINK_RECORD) {
        this.#keep(message);
        answers.push(frameOf({ type: LINK_ACK, number: this.records.length }));
      }
    }
    return Buffer.concat(answers);
  }

  #keep(record: MeterRecord) {
    const known = this.records[record.number - 1];
    if (known && JSON.stringify(known) !== JSON.stringify(record)) throw new Error(`two records ${record.number}`);
    if (record.number !== this.records.length + 1) return;
    this.#mayNotFall(record, this.records.at(-1) ?? null);
    const slots = this.records.filter(({ slot }) => slot > 0);
    if (record.slot > 0 && record.slot <= (slots.at(-1)?.slot ?? 0)) throw new Error(`slot ${record.slot} again`);
    this.records.push(record);
  }
  #mayNotFall(next: Live | MeterRecord, before: Live | MeterRecord | null) {
    if (!before) return;
    const order = next.boot - before.boot || next.uptimeMs - before.uptimeMs;
    const fell = next.importMwh < before.importMwh || next.exportMwh < before.exportMwh;
    if (order < 0 || fell) throw new Error(`${JSON.stringify(next)} after ${JSON.stringify(before)}`);
  }
}
