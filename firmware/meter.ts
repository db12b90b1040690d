/**
 * The meter: measuring, keeping and telling, in one tick a second. (Espruino dialect; everything it needs is passed in)
 *
 *   a tick    integrate the last window's power over the time that has really passed
 *             → the netting block ends? close it, registers to flash
 *             → the quarter hour ends? record to flash
 *             → the block has ended and a new program waits? start it: all is in flash
 *             → measure a new window
 *             → tell the gateway (only what is in flash), erase a page ahead if one will be needed
 *
 * Ticks lie on whole seconds of the wall clock, blocks and quarter hours on its multiples of 10 s (as the journal allows) and
 * 900 s; until the time is known, of uptime. An instant is taken for the whole second that is nearest.
 * A clock that steps ends the block at once; the quarter hour then ends at the next boundary of the new time, and its record says
 * FLAG_CLOCK_STEP. A boundary that lies before the last recorded one (the clock went back) is recorded without a slot.
 */
import type { Clamp, Live, RelayState } from '../protocol/wire/link-messages.ts';
import {
  FLAG_CLOCK_STEP,
  FLAG_NO_CLOCK,
  FLAG_REVERSED,
  LINK_CLAMP,
  LINK_LIVE,
  LINK_PHASES,
  LINK_RELAY_STATE,
  RELAY_OFF,
  RELAY_ON,
} from '../protocol/wire/link-messages.ts';
import type { MeterLink } from './link/meter-link.ts';
import type { WallClock } from './link/wall-clock.ts';
import type { Measurement, Metering } from './metering/meter.ts';
import type { Phases } from './metering/phases.ts';
import type { EnergyRegisters } from './metering/registers.ts';
import type { ReversedClamp } from './metering/reversed-clamp.ts';
import { checkClamp } from './metering/reversed-clamp.ts';
import type { Relay } from './relay.ts';
import type { Journal } from './wallet/journal.ts';
import type { Vault } from './wallet/vault.ts';

const SECOND_MS = 1000;
const QUARTER_HOUR_S = 900;

/** Where windows come from. */
export interface Sampler {
  raw: Uint16Array;
  /** Fills `raw`, and says how long that took, s. */
  read(): number;
}

export class Meter {
  sampler: Sampler;
  metering: Pick<Metering, 'window' | 'measurement'>;
  /** Where there are three: told beside their sum. */
  phases: Phases | null = null;
  registers: EnergyRegisters;
  reversed: ReversedClamp;
  journal: Journal;
  clock: WallClock;
  relay: Relay;
  /** Set before `start`: it needs this as its handlers. */
  link: MeterLink | null = null;
  /** Erases pages ahead too, once it is open. */
  vault: Vault | null = null;
  /** Starts the board anew, which ends this program; null where it cannot. */
  restart: (() => void) | null = null;
  /** It is to start anew at the end of the netting block. */
  restartWanted = false;
  /** The last window, which stands for the time since it was taken. */
  measured: Measurement;
  integratedToMs = 0;
  /** Whole second of wall time, block and quarter hour of the last tick. */
  second = 0;
  block = 0;
  quarterHour = 0;
  /** What happened in this quarter hour. */
  flags = 0;

  constructor(
    sampler: Sampler,
    metering: Pick<Metering, 'window' | 'measurement'>,
    registers: EnergyRegisters,
    reversed: ReversedClamp,
    journal: Journal,
    clock: WallClock,
    relay: Relay,
  ) {
    this.sampler = sampler;
    this.metering = metering;
    this.registers = registers;
    this.reversed = reversed;
    this.journal = journal;
    this.clock = clock;
    this.relay = relay;
    this.measured = metering.measurement;
  }

  start(uptimeMs: number): void {
    this.integratedToMs = uptimeMs;
    this.relay.start();
    this.align(uptimeMs);
    this.measure();
    this.link!.start(uptimeMs);
  }

  /** How long it is to the whole second after the last tick. */
  msToNextTick(uptimeMs: number): number {
    return Math.max(1, (this.second + 1) * SECOND_MS - this.clock.unixMs(uptimeMs));
  }

  tick(uptimeMs: number): void {
    this.integrate(uptimeMs);
    this.clock.tick();
    this.second = Math.round(this.clock.unixMs(uptimeMs) / SECOND_MS);
    const block = this.blockOf(this.second);
    const blockHasEnded = block !== this.block;
    if (blockHasEnded) {
      this.block = block;
      this.closeBlock(uptimeMs);
    }
    const quarterHour = Math.floor(this.second / QUARTER_HOUR_S);
    if (quarterHour !== this.quarterHour) {
      this.quarterHour = quarterHour;
      this.journal.appendRecord(uptimeMs, this.clock.known ? quarterHour - 1 : 0, this.flags);
      this.flags = 0;
      const record = this.journal.record(this.journal.newestRecord());
      if (record) this.link!.sessions.record(record);
    }
    const images = this.link!.images;
    const restarts = this.restartWanted || (images !== null && images.restartIsDue());
    if (blockHasEnded && restarts && this.restart) {
      this.restart();
      return;
    }
    this.measure();
    this.link!.tick(this.live(uptimeMs), uptimeMs);
    const phases = this.phases;
    if (phases) this.link!.send({ type: LINK_PHASES, boot: this.journal.boot, uptimeMs: uptimeMs, bytes: phases.each });
    if (this.relay.tick(uptimeMs)) this.link!.send(this.relayState());
    this.link!.afterWindow(this.clock.known ? this.clock.unixMs(uptimeMs) : 0, uptimeMs, !this.tidy());
  }

  /** At most one erase. Whether there was one. */
  tidy(): boolean {
    const vault = this.vault;
    return this.journal.tidy() || (vault !== null && vault.log !== null && vault.tidy());
  }

  /** TIME from the gateway. */
  setTime(unixMs: number, uptimeMs: number): void {
    const wasKnown = this.clock.known;
    if (!this.clock.set(unixMs, uptimeMs)) return;
    this.integrate(uptimeMs);
    this.closeBlock(uptimeMs);
    this.align(uptimeMs);
    if (wasKnown) this.flags |= FLAG_CLOCK_STEP;
  }

  /** The guided check of the clamp: the answer to CHECK_CLAMP. */
  checkClamp(): Clamp {
    const m = this.measured;
    return { type: LINK_CLAMP, verdict: checkClamp(m), powerMw: m.powerMw, powerFactorE4: m.powerFactorE4 };
  }

  /** RELAY from the gateway. */
  setRelay(on: boolean, untilMs: number, uptimeMs: number): RelayState | undefined {
    if (!this.clock.known) return undefined;
    this.relay.command(on, untilMs, this.clock.unixMs(uptimeMs), uptimeMs);
    return this.relayState();
  }
  relayState(): RelayState {
    const state = this.relay.on ? RELAY_ON : RELAY_OFF;
    return { type: LINK_RELAY_STATE, state: state, untilMs: this.relay.untilMs };
  }

  /** Takes the second, block and quarter hour that now is as begun already. */
  align(uptimeMs: number): void {
    this.second = Math.floor(this.clock.unixMs(uptimeMs) / SECOND_MS);
    this.block = this.blockOf(this.second);
    this.quarterHour = Math.floor(this.second / QUARTER_HOUR_S);
  }
  blockOf(second: number): number {
    return Math.floor((second * SECOND_MS) / this.journal.checkpointMs);
  }
  integrate(uptimeMs: number): void {
    const elapsedMs = uptimeMs - this.integratedToMs;
    this.integratedToMs = uptimeMs;
    this.registers.integrate(this.measured.powerMw, elapsedMs);
    this.reversed.observe(this.measured, elapsedMs);
  }
  closeBlock(uptimeMs: number): void {
    this.registers.closeBlock();
    this.reversed.closeBlock();
    this.journal.checkpoint(this.registers.importMwh, this.registers.exportMwh, uptimeMs);
  }
  measure(): void {
    this.measured = this.metering.window(this.sampler.raw, this.sampler.read());
    this.flags |= this.measured.flags | (this.reversed.suspected ? FLAG_REVERSED : 0);
  }
  live(uptimeMs: number): Live {
    const m = this.measured;
    const reversed = this.reversed.suspected ? FLAG_REVERSED : 0;
    const noClock = this.clock.known ? 0 : FLAG_NO_CLOCK;
    return {
      type: LINK_LIVE,
      boot: this.journal.boot,
      uptimeMs: uptimeMs,
      powerMw: m.powerMw,
      reactiveMvar: m.reactiveMvar,
      apparentMva: m.apparentMva,
      voltageMv: m.voltageMv,
      currentMa: m.currentMa,
      powerFactorE4: m.powerFactorE4,
      frequencyMhz: m.frequencyMhz,
      importMwh: this.journal.importMwh,
      exportMwh: this.journal.exportMwh,
      flags: m.flags | reversed | noClock,
    };
  }
}
