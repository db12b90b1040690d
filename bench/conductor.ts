/**
 * The conductor owns time. A step of it:
 *
 *   boards      run their timers to the end of the step, synchronously
 *   services    (trusted third party, grid operator, verifier, provider) hear the time
 *   gateways    take what their meter sent, and settle: everything delivered and acknowledged
 *   relay       shuffles the bundles of all gateways and passes them on
 *   collector   closes the batches that are due; then the provider
 *   boards      get what their gateway answered
 *
 * A step ends half a second past a quarter hour, so that what a meter does at the boundary belongs to it. Faults of the
 * scenario are carried out here: a killed party dies at a random moment *inside* the step that follows, and is started
 * again on what it had on disk; a meter without power stops at once and starts on its flash.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOT_MS, slotEndMs, slotOf } from '../protocol/time/slots.ts';
import type { Household } from './household.ts';
import { type Party, PartyGone } from './party.ts';
import type { FaultEvent } from './scenario.ts';

const PAST_THE_BOUNDARY_MS = 500;
/** The first step after a meter's start, in which HELLO and TIME are exchanged. */
const GREETING_MS = 200;
/** In this a meter answers what it was asked. */
const ANSWER_MS = 1000;
/** Longer than the grace after which the collector closes a slot's batch, and than a meter's longest patience. */
const DRAIN_MS = 400_000;
/** A kill falls this many ms of real time into a step, at most. */
const KILL_WITHIN_MS = 25;

export interface Connected {
  household: Household;
  gateway: Party;
}

export interface Grid {
  broker: Party;
  collector: Party;
  provider: Party;
  /** Where there are several. */
  otherProviders: Party[];
  verifier: Party;
  gridOperator: Party;
  /** Null where nothing leaves a house without a name. */
  relay: Party | null;
  controlCentre: Party | null;
  /** Whom gateways call under their name, while they settle: they hear the time first. */
  services: Party[];
}

/** Something that people do at an instant of the run. */
export interface Happening {
  atMs: number;
  act(): Promise<void> | void;
}

export class Conductor {
  readonly connected: Connected[];
  readonly grid: Grid;
  #nowMs: number;
  #events: (Happening & { planned?: true })[];
  /** Parties that die during the next step. */
  #doomed = new Set<Party>();
  #killed = new Set<Party>();

  constructor(
    connected: Connected[],
    grid: Grid,
    startMs: number,
    { faults, happenings }: { faults: FaultEvent[]; happenings: Happening[] },
  ) {
    this.connected = connected;
    this.grid = grid;
    this.#nowMs = startMs;
    this.#events = happenings.map((one) => ({ ...one, planned: true }));
    for (const fault of faults) this.#plan(fault);
    this.#events.sort((a, b) => a.atMs - b.atMs);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The greeting of meters and gateways, right after the meters' start. */
  async greet(): Promise<void> {
    await this.#step(this.#nowMs + GREETING_MS);
    await this.#step(this.#nowMs + GREETING_MS);
  }

  /** Short steps until `done`, so that meters answer what gateways ask them; at most until `latestMs`. */
  async settleUntil(latestMs: number, done: () => Promise<boolean>): Promise<boolean> {
    while (this.#nowMs < latestMs) {
      if (await done()) return true;
      await this.#step(Math.min(latestMs, this.#nowMs + ANSWER_MS));
    }
    return done();
  }

  /** Runs to `endMs` quarter hour by quarter hour, at most `speed` simulated seconds per second. */
  async runTo(endMs: number, speed: number, progress: (nowMs: number) => void): Promise<void> {
    const startedMs = this.#nowMs;
    const started = performance.now();
    while (this.#nowMs < endMs + PAST_THE_BOUNDARY_MS) {
      const boundary = slotEndMs(slotOf(this.#nowMs - PAST_THE_BOUNDARY_MS)) + PAST_THE_BOUNDARY_MS;
      const longest = this.connected.some(({ gateway }) => gateway.busy) ? ANSWER_MS : Math.max(1000, speed * 1000);
      const target = Math.min(boundary, endMs + PAST_THE_BOUNDARY_MS, this.#nowMs + longest);
      await this.#stepWithEvents(target);
      progress(this.#nowMs);
      if (Number.isFinite(speed)) {
        const ahead = (this.#nowMs - startedMs) / speed - (performance.now() - started);
        if (ahead > 1) await sleep(ahead);
      } else {
        await sleep(0);
      }
    }
  }

  /** Everybody back on their feet, the houses off, everything delivered, the last slot's batch closed. */
  async drain(): Promise<void> {
    for (const event of this.#events.splice(0)) if (!event.planned) await event.act();
    this.#doomed.clear();
    await this.greet();
    await this.#step(this.#nowMs + DRAIN_MS);
    // what the meters sent in it is acknowledged only now
    await this.greet();
  }

  /** Real speed from here on, until `signal` says stop. */
  async runLive(signal: AbortSignal): Promise<void> {
    for (const { household } of this.connected) household.switchOnAgain();
    const offsetMs = this.#nowMs - performance.now();
    while (!signal.aborted) {
      const wait = 1000 - ((performance.now() + offsetMs) % 1000) + 50;
      await sleep(wait, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.#step(Math.floor(performance.now() + offsetMs), false);
    }
  }

  async #stepWithEvents(targetMs: number): Promise<void> {
    while (this.#events.length > 0 && this.#events[0].atMs <= targetMs) {
      const event = this.#events.shift()!;
      if (event.atMs > this.#nowMs) await this.#step(event.atMs);
      await event.act();
    }
    if (targetMs > this.#nowMs) await this.#step(targetMs);
  }

  async #step(toMs: number, deliver = true): Promise<void> {
    this.#nowMs = toMs;
    const sent = this.connected.map(({ household }) => {
      household.advanceTo(toMs);
      return household.board.take();
    });
    const killing = this.#carryOutKills(toMs);
    for (const party of [...this.grid.services, ...this.#providers]) await this.#advance(party, toMs, false);
    const reach = (): boolean => deliver && this.grid.broker.running && this.grid.collector.running;
    await Promise.all(this.connected.map(({ gateway }, index) => this.#advance(gateway, toMs, reach(), sent[index])));
    for (const { household, gateway } of this.connected) {
      for (const bytes of gateway.takeSerial()) if (household.board.running) household.board.receive(bytes);
    }
    const { relay } = this.grid;
    if (relay) await this.#advance(relay, toMs, deliver);
    await this.#advanceOperators(toMs, deliver);
    await killing;
  }

  get #providers(): Party[] {
    return [this.grid.provider, ...this.grid.otherProviders];
  }

  async #advanceOperators(toMs: number, deliver = true): Promise<void> {
    const { broker, collector } = this.grid;
    const providers = this.#providers;
    await this.#advance(collector, toMs, deliver && broker.running && providers.every(({ running }) => running));
    for (const provider of providers) await this.#advance(provider, toMs, deliver && broker.running);
  }

  /** A party that is down, or dies meanwhile by our hand, is passed over. */
  async #advance(party: Party, toMs: number, deliver: boolean, serial?: Uint8Array): Promise<void> {
    if (!party.running) return;
    try {
      await party.advance(toMs, deliver, serial);
    } catch (error) {
      if (!(error instanceof PartyGone && this.#killed.has(party))) throw error;
    }
  }

  /** Kills the doomed at random moments of this step, and tells those who would wait for them not to. */
  async #carryOutKills(toMs: number): Promise<void> {
    const doomed = [...this.#doomed];
    this.#doomed.clear();
    await Promise.all(
      doomed.map(async (party) => {
        await sleep(randomInt(KILL_WITHIN_MS));
        this.#killed.add(party);
        await party.kill();
        const { broker, collector } = this.grid;
        const waiting = party === broker || party === collector ? this.connected.map((c) => c.gateway) : [];
        for (const other of [...waiting, collector]) if (other.waitsFor(toMs)) void this.#advance(other, toMs, false);
      }),
    );
  }

  #plan(fault: FaultEvent): void {
    if (fault.kind === 'kill') {
      const party = this.#partyNamed(fault.target);
      this.#events.push({ atMs: fault.atMs, act: () => void this.#doomed.add(party) });
      this.#events.push({ atMs: fault.untilMs, act: () => this.#revive(party) });
    } else {
      const { household } = this.connected.find((c) => c.household.id === fault.target)!;
      this.#events.push({ atMs: fault.atMs, act: () => household.powerOff() });
      this.#events.push({ atMs: fault.untilMs, act: () => this.#powerOn(household) });
    }
  }

  async #revive(party: Party): Promise<void> {
    this.#doomed.delete(party);
    if (!party.running) await party.start();
    this.#killed.delete(party);
  }

  async #powerOn(household: Household): Promise<void> {
    household.powerOn();
    await this.greet();
  }

  #partyNamed(name: string): Party {
    const { broker, collector } = this.grid;
    return [broker, collector, ...this.#providers, ...this.connected.map((c) => c.gateway)].find(
      (p) => p.name === name,
    )!;
  }
}

/** How many whole quarter hours lie between two instants. */
export const wholeSlotsBetween = (startMs: number, endMs: number): number =>
  Math.max(0, Math.floor(endMs / SLOT_MS) - Math.ceil(startMs / SLOT_MS));
