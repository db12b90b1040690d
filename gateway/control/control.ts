/**
 * The household's appliances: what the provider's messages and the customer's rules let them do, and who is told.
 *
 *   Provider ── control message ──► Gateway: check · remember ─┐
 *   customer's rules, prices ──────────────────────────────────┴─► state of each appliance ──► relay on the meter,
 *                                                                              home's MQTT broker, OpenADR events
 *
 * Nothing leaves the house: neither whether a message was heard, nor what was switched, nor any rule.
 * The relay is told again and again while it is off, and never for longer than is known to be right: a gateway that dies, or a
 * provider that is silent, leaves the load with power.
 */
import * as v from 'valibot';
import { ControlError, checkControl, openControl } from '../../protocol/control/message.ts';
import { type Appliance, type ApplianceState, evaluate, RULES, type Rule } from '../../protocol/control/policies.ts';
import { controlMessagesCall } from '../../protocol/control/services.ts';
import { fitting, ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import {
  LINK_RELAY,
  RELAY_LEASE_MS,
  RELAY_OFF,
  RELAY_ON,
  type RelayCommand,
} from '../../protocol/wire/link-messages.ts';
import { callService, type ServiceAddress } from '../services/client.ts';
import type { ControlStore, RefusedControl, TakenMessage } from './store.ts';

/** While the relay is off it is said again, and at once where the meter has started anew. */
const REPEAT_MS = 60_000;
/** Real time after a question that failed: doubled up to the most. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MOST_MS = 60_000;
const LISTED_MOST = 100;

/** An appliance as it is now. */
export interface ApplianceRow extends ApplianceState {
  name: string;
  label: string;
  deviceClass: string;
  relay: boolean;
  rules: Rule[];
}

/** The meter's relay, as MeterLink has it. */
export interface RelayLine {
  /** Which start of the meter is heard now; 0 where none is. */
  readonly boot: number;
  setRelay(command: RelayCommand): void;
}

export interface ControlOptions {
  store: ControlStore;
  clock: Clock;
  area: string;
  /** The provider's, Ed25519; null: nobody outside has a say. A function where the provider may change. */
  controlKey: () => Uint8Array | null;
  /** Who is asked for what was missed; null: nobody. */
  provider(): ServiceAddress | null;
  appliances: readonly Appliance[];
  timeZone: string;
  /** Milli-cent per kWh, undefined where it is not known. */
  importPrice(slot: number): number | undefined;
  relay: RelayLine;
  /** Something has changed, for whoever passes it on. */
  onChange?(appliances: readonly ApplianceRow[]): void;
  log(line: string): void;
}

/** A policy that is not taken. `path` names the field. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path} ${problem}`);
    this.path = path;
  }
}

export class Control {
  readonly #options: ControlOptions;
  #rows: ApplianceRow[] = [];
  #dueMs = 0;
  #changed = true;
  #told: { off: boolean; boot: number; atMs: number } | null = null;
  #asking: Promise<void> | null = null;
  #askedSlot = -1;
  #notBefore = 0;
  #failures = 0;
  #trouble: string | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  // ── what comes in ──

  /** A message from anywhere. @returns why it is not obeyed, or null; what was known before is neither obeyed nor refused again */
  receive(bytes: Uint8Array): string | null {
    const { store, clock, area, controlKey, log } = this.#options;
    const key = controlKey();
    const nowMs = clock.nowMs();
    if (key === null || nowMs === 0) return 'nobody is listened to yet';
    try {
      const message = openControl(bytes, key);
      checkControl(message, store, area, nowMs);
      store.add({ ...message, receivedMs: nowMs });
      this.#changed = true;
      this.tick();
      return null;
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      // the broker and the provider's service say everything twice: a replay is nothing that a person has to see
      if (error.refusal !== 'replayed') {
        store.refuse(error.message, nowMs);
        log(`a control message was refused: ${error.message}`);
      }
      return error.message;
    }
  }

  /** Asks the provider for what was missed. */
  ask(): void {
    this.#notBefore = 0;
    this.#askedSlot = -1;
    this.#askWhereDue();
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs === 0) return; // nobody has told the time yet
    this.#askWhereDue();
    if (this.#changed || nowMs >= this.#dueMs) this.#evaluate(nowMs);
    this.#tellRelay(nowMs);
  }

  /** Resolves when no question is under way. */
  async idle(): Promise<void> {
    await this.#asking;
  }

  // ── what is shown, and set by the customer ──

  appliances(): ApplianceRow[] {
    return this.#rows;
  }
  /** Newest first. */
  messages(): TakenMessage[] {
    return this.#options.store.list(LISTED_MOST);
  }
  /** In force or to come, oldest first. */
  unexpired(): TakenMessage[] {
    return this.#options.store.unexpired(this.#options.clock.nowMs());
  }
  refusals(): RefusedControl[] {
    return this.#options.store.refusals();
  }
  /** Why the provider cannot be asked, in words; null where it can. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Replaces an appliance's rules. @throws PolicyError */
  setPolicy(appliance: string, rules: unknown): void {
    if (!this.#options.appliances.some(({ name }) => name === appliance))
      throw new PolicyError('appliance', 'is none of this household');
    const read = fitting(v.object({ rules: RULES }), { rules });
    if (!('value' in read)) throw new PolicyError(read.path, read.problem);
    this.#options.store.setRules(appliance, read.value.rules);
    this.#changed = true;
    this.tick();
  }

  // ── inside ──

  #stateOf(
    appliance: Appliance,
    rules: readonly Rule[],
    messages: readonly TakenMessage[],
    nowMs: number,
  ): ApplianceState {
    const { timeZone, importPrice } = this.#options;
    return evaluate(appliance, rules, { nowMs, timeZone, messages, importPrice });
  }

  #evaluate(nowMs: number): void {
    const { store, appliances, onChange } = this.#options;
    const messages = store.unexpired(nowMs);
    const rows = appliances.map((appliance) => {
      const rules = store.rules(appliance.name);
      const { name, label, deviceClass, relay } = appliance;
      return { name, label, deviceClass, relay, rules, ...this.#stateOf(appliance, rules, messages, nowMs) };
    });
    this.#dueMs = Math.min(...rows.map(({ untilMs }) => untilMs));
    const before = this.#rows;
    this.#rows = rows;
    if (this.#changed || JSON.stringify(before) !== JSON.stringify(rows)) onChange?.(rows);
    this.#changed = false;
  }

  /** The relay has power while every appliance on it may run. */
  #tellRelay(nowMs: number): void {
    const { relay } = this.#options;
    const rows = this.#rows.filter((row) => row.relay);
    if (rows.length === 0 || relay.boot === 0) return;
    const off = rows.some(({ state }) => state === 'off');
    const told = this.#told;
    const known = told !== null && told.off === off && told.boot === relay.boot;
    if (known && (!off || (nowMs - told.atMs < REPEAT_MS && nowMs >= told.atMs))) return;
    relay.setRelay(
      off
        ? { type: LINK_RELAY, state: RELAY_OFF, untilMs: this.#offUntil(nowMs) }
        : { type: LINK_RELAY, state: RELAY_ON, untilMs: 0 },
    );
    this.#told = { off, boot: relay.boot, atMs: nowMs };
  }

  /** The first instant at which all on the relay may run, as far as is known now; never later than the meter would believe. */
  #offUntil(nowMs: number): number {
    const { store, appliances } = this.#options;
    const messages = store.unexpired(nowMs);
    const lastMs = nowMs + RELAY_LEASE_MS;
    let atMs = nowMs;
    while (atMs < lastMs) {
      const states = appliances
        .filter(({ relay }) => relay)
        .map((appliance) => this.#stateOf(appliance, store.rules(appliance.name), messages, atMs));
      if (!states.some(({ state }) => state === 'off')) return atMs;
      atMs = Math.min(...states.map(({ untilMs }) => untilMs));
    }
    return lastMs;
  }

  #askWhereDue(): void {
    const { clock, controlKey } = this.#options;
    const provider = this.#options.provider();
    const slot = slotOf(clock.nowMs());
    if (provider === null || controlKey() === null || slot === 0 || slot === this.#askedSlot) return;
    if (this.#asking !== null || performance.now() < this.#notBefore) return;
    this.#asking = this.#askProvider(provider, slot).finally(() => {
      this.#asking = null;
    });
  }

  async #askProvider(provider: ServiceAddress, slot: number): Promise<void> {
    const { area, log } = this.#options;
    try {
      const { path, answer } = controlMessagesCall;
      const { messages } = await callService({ ...provider, path, body: { area }, answer });
      for (const bytes of messages) this.receive(bytes);
      if (this.#trouble !== null) log('the provider answers about control again');
      this.#trouble = null;
      this.#failures = 0;
      this.#askedSlot = slot;
    } catch (error) {
      if (!(error instanceof ServiceError || error instanceof MalformedError)) throw error;
      if (error.message !== this.#trouble) log(`control: ${error.message}`);
      this.#trouble = error.message;
      this.#notBefore = performance.now() + Math.min(AGAIN_FIRST_MS * 2 ** this.#failures++, AGAIN_MOST_MS);
    }
  }
}
