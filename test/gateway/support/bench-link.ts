/** A meter link over the conductor's channel with a store of its own: a test gives it a meter and time. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConductorChannel } from '../../../gateway/meter/channel.ts';
import { MeterLink } from '../../../gateway/meter/link.ts';
import { GatewayStore, type TimedLive } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { ScriptedMeter } from './scripted-meter.ts';

export const freshDir = (): string => mkdtempSync(join(tmpdir(), 'quietmeter-gateway-'));

export class BenchLink {
  readonly dataDir: string;
  readonly clock: DrivenClock;
  readonly meter: ScriptedMeter;
  store!: GatewayStore;
  link!: MeterLink;
  channel!: ConductorChannel;
  readonly lives: TimedLive[] = [];
  readonly log: string[] = [];

  constructor(startMs: number, meter = new ScriptedMeter(), dataDir = freshDir()) {
    this.dataDir = dataDir;
    this.clock = new DrivenClock(startMs);
    this.meter = meter;
    this.open();
  }

  open(): void {
    this.store = new GatewayStore(this.dataDir);
    this.channel = new ConductorChannel();
    this.link = new MeterLink({
      channel: this.channel,
      store: this.store,
      clock: this.clock,
      resolutionWh: 50,
      onLives: (lives) => this.lives.push(...lives),
      onReports: () => {},
      log: (line) => this.log.push(line),
    });
    this.link.start();
  }

  /** The gateway ends and starts again on what it had on its disk. */
  restart(): void {
    this.store.close();
    this.open();
  }

  /** Time passes; `onTheLine` is what happens to the meter's bytes on their way. Returns what the gateway said. */
  step(toMs: number, onTheLine: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): void {
    this.meter.advanceTo(toMs);
    this.clock.advanceTo(toMs);
    const bytes = onTheLine(this.meter.take());
    if (bytes.length > 0) this.channel.deliver(bytes);
    this.link.tick();
    this.meter.receive(this.channel.take());
  }

  /** HELLO and TIME are exchanged. */
  greet(): void {
    this.step(this.clock.nowMs() + 200);
    this.step(this.clock.nowMs() + 200);
  }

  get alarms(): string[] {
    return this.link.alarms;
  }
  get slots(): number[] {
    return this.store.quarterHours(0, Number.MAX_SAFE_INTEGER).map(({ slot }) => slot);
  }
}
