/**
 * A meter made of messages: it ticks once a second, keeps its records and answers commands as link-messages.ts says, with
 * the codec that the real one uses, and nothing of its measuring. Power is what the test says it is.
 */
import { SLOT_MS, slotOf } from '../../../protocol/time/slots.ts';
import { decodeMessage, encodeMessage } from '../../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../../protocol/wire/link-frame.ts';
import {
  CLAMP_RIGHT,
  FLAG_NO_CLOCK,
  type GatewayCommand,
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_LIVE,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_STATUS,
  LINK_TIME,
  type MeterMessage,
  type MeterRecord,
  REFUSED_NOT_KEPT,
} from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';

export const METER_ID = '24a160fffe00c0de';

const REPEAT_MS = 5000;

export function frameOf(message: MeterMessage | GatewayCommand): string {
  return encodeFrame(encodeMessage(message), nodeNatives);
}

export class ScriptedMeter {
  readonly meterId: string;
  readonly records: MeterRecord[] = [];
  readonly heard: GatewayCommand[] = [];
  boot = 0;
  running = false;
  importMwh = 0;
  exportMwh = 0;
  acked = 0;
  /** Import +, export −; a multiple of 3600 keeps every second a whole number of mWh. */
  powerMw = 3_600_000;
  #nowMs = 0;
  #bootedMs = 0;
  /** True wall time minus what the meter believes; null while it has no clock. */
  #clockErrorMs: number | null = null;
  #repeatedMs = 0;
  #written: string[] = [];
  readonly #reader = new FrameReader(nodeNatives);

  constructor(meterId = METER_ID) {
    this.meterId = meterId;
  }

  get uptimeMs(): number {
    return this.#nowMs - this.#bootedMs;
  }

  powerOn(unixMs: number): void {
    this.boot++;
    this.running = true;
    this.#bootedMs = unixMs;
    this.#nowMs = unixMs;
    this.#clockErrorMs = null;
    this.hello();
  }

  powerOff(): void {
    this.running = false;
  }

  hello(): void {
    this.say({
      type: LINK_HELLO,
      meterId: this.meterId,
      boot: this.boot,
      uptimeMs: this.uptimeMs,
      oldestRecord: this.records[0]?.number ?? 0,
      newestRecord: this.records.at(-1)?.number ?? 0,
      firmware: '0123456789abcdef',
    });
  }

  /** Runs to `toMs`: a live value at each whole second, a record at each quarter hour (of uptime, without a clock). */
  advanceTo(toMs: number): void {
    while (this.running) {
      const base = this.#clockErrorMs === null ? this.#bootedMs : 0;
      const next = base + (Math.floor((this.#nowMs - base) / 1000) + 1) * 1000;
      if (next > toMs) break;
      this.#nowMs = next;
      if (this.powerMw > 0) this.importMwh += this.powerMw / 3600;
      else this.exportMwh -= this.powerMw / 3600;
      if ((next - base) % SLOT_MS === 0) this.#record(next);
      this.live();
      this.#repeat();
    }
    this.#nowMs = Math.max(this.#nowMs, toMs);
  }

  live(): void {
    this.say({
      type: LINK_LIVE,
      boot: this.boot,
      uptimeMs: this.uptimeMs,
      powerMw: this.powerMw,
      reactiveMvar: 0,
      apparentMva: Math.abs(this.powerMw),
      voltageMv: 230_000,
      currentMa: Math.round(Math.abs(this.powerMw) / 230),
      powerFactorE4: this.powerMw < 0 ? -10_000 : 10_000,
      frequencyMhz: 50_000,
      importMwh: this.importMwh,
      exportMwh: this.exportMwh,
      flags: this.#clockErrorMs === null ? FLAG_NO_CLOCK : 0,
    });
  }

  #record(unixMs: number): void {
    const record: MeterRecord = {
      type: LINK_RECORD,
      number: (this.records.at(-1)?.number ?? 0) + 1,
      boot: this.boot,
      uptimeMs: this.uptimeMs,
      slot: this.#clockErrorMs === null ? 0 : slotOf(unixMs) - 1,
      importMwh: this.importMwh,
      exportMwh: this.exportMwh,
      flags: this.#clockErrorMs === null ? FLAG_NO_CLOCK : 0,
    };
    this.records.push(record);
    this.say(record);
  }

  /** A record is sent again until it is acknowledged. */
  #repeat(): void {
    if (this.#nowMs - this.#repeatedMs < REPEAT_MS) return;
    this.#repeatedMs = this.#nowMs;
    const waiting = this.records.find(({ number }) => number > this.acked);
    if (waiting) this.say(waiting);
  }

  say(message: MeterMessage): void {
    this.#written.push(frameOf(message));
  }

  /** What it wrote since the last call. */
  take(): Uint8Array {
    return Buffer.from(this.#written.splice(0).join(''), 'latin1');
  }

  receive(bytes: Uint8Array): void {
    if (!this.running) return;
    for (const body of this.#reader.push(Buffer.from(bytes).toString('latin1'))) {
      this.#obey(decodeMessage(body) as GatewayCommand);
    }
  }

  #obey(command: GatewayCommand): void {
    this.heard.push(command);
    if (command.type === LINK_TIME) this.#clockErrorMs = 0;
    else if (command.type === LINK_ACK) this.acked = Math.max(this.acked, command.number);
    else if (command.type === LINK_STATUS) this.hello();
    else if (command.type === LINK_CHECK_CLAMP) {
      this.say({ type: LINK_CLAMP, verdict: CLAMP_RIGHT, powerMw: this.powerMw, powerFactorE4: 9_990 });
    } else if (command.type === LINK_READ) {
      const from = this.records.findIndex(({ number }) => number === command.from);
      if (from < 0) this.say({ type: LINK_REFUSED, command: LINK_READ, reason: REFUSED_NOT_KEPT });
      else for (const record of this.records.slice(from)) this.say(record);
    }
  }
}
