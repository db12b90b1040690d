// A household that sells: the meter's half on flash in memory, the gateway's half, and a control centre, in one process.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import * as v from 'valibot';
import { Moduli } from '../../firmware/arithmetic/moduli.ts';
import { Worker } from '../../firmware/arithmetic/worker.ts';
import { SealedValues } from '../../firmware/session/sealed-values.ts';
import { SellingSession } from '../../firmware/session/selling.ts';
import { Credentials } from '../../firmware/wallet/credentials.ts';
import { AllocationLedger } from '../../firmware/wallet/ledger.ts';
import { Sealer } from '../../firmware/wallet/sealed.ts';
import type { Vault } from '../../firmware/wallet/vault.ts';
import type { HeardList } from '../../gateway/door/door.ts';
import { SealedValuesStore } from '../../gateway/meter/sealed-values.ts';
import type { CentreCall } from '../../gateway/selling/centre.ts';
import { HouseholdSelling } from '../../gateway/selling/selling.ts';
import type { RequestIdentity } from '../../gateway/services/client.ts';
import type { CentreSettings } from '../../operator/control-centre/centre.ts';
import { centreRoutes } from '../../operator/control-centre/service.ts';
import { nodeNatives as sellingNatives } from '../../protocol/selling/node-natives.ts';
import { encodeBody, ServiceError } from '../../protocol/services/call.ts';
import { DrivenClock } from '../../protocol/time/clock.ts';
import { monthStartMs } from '../../protocol/time/months.ts';
import { SLOT_MS, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { DIRECTION_EXPORT, PURPOSE_CENTRE } from '../../protocol/wire/ledger.ts';
import { SESSION_SELLING, SESSION_STORE } from '../../protocol/wire/sessions.ts';
import { nodeNatives as arithmeticNatives } from '../firmware/arithmetic/natives.ts';
import { FakeRecords } from '../firmware/wallet/fake-records.ts';
import { MemoryFlash, PowerFailed } from '../firmware/wallet/memory-flash.ts';
import { openVault, rememberingNatives, vaultNatives } from '../firmware/wallet/vault-natives.ts';
import { IdentifierIssuer } from '../gateway/billing/identifiers.ts';
import { MONTH, master, type Rig, settings, startCentre } from '../operator/control-centre/rig.ts';

const CUSTOMER = { provider: 'Quiet Power', customerNumber: '4711' };
const TICKS_A_SLOT = 12;

/** What the line does with a message. */
export type Line = (from: 'meter' | 'gateway', session: number, body: Uint8Array) => Uint8Array[];
const honest: Line = (_from, _session, body) => [body];
const STEPS_MOST = 20_000;

/** A start of the meter's half: everything but flash is gone with it. */
class MeterStart {
  readonly session: SellingSession;
  readonly store: SealedValues;
  readonly credentials: Credentials;
  readonly ledger: AllocationLedger;
  readonly complaints: string[] = [];
  readonly vault: Vault;
  #work: (() => void)[] = [];

  readonly #house: House;
  constructor(house: House) {
    this.#house = house;
    this.vault = openVault(house.flash, house.natives);
    this.credentials = new Credentials(this.vault);
    this.ledger = new AllocationLedger(this.vault, house.records);
    const say = (session: number) => (body: Uint8Array) => {
      house.toGateway.push({ session, body: Uint8Array.from(body) });
      house.said.push(Uint8Array.from(body));
      return true;
    };
    this.store = new SealedValues(new Sealer(this.vault), say(SESSION_STORE));
    this.session = new SellingSession({
      natives: sellingNatives,
      cipher: vaultNatives,
      worker: new Worker({
        uptimeMs: () => house.uptimeMs,
        msToNextTick: () => 1000,
        later: (run) => this.#work.push(run),
      }),
      moduli: new Moduli(arithmeticNatives),
      store: this.store,
      ledger: this.ledger,
      credentials: this.credentials,
      random: (length) => house.random(length),
      meterId: new Uint8Array(8).fill(7),
      say: say(SESSION_SELLING),
      complain: (what) => this.complaints.push(what),
    });
  }
  tick(unixMs: number, uptimeMs: number): void {
    this.#house.played.push({ tick: [unixMs, uptimeMs] });
    this.session.tick(unixMs, uptimeMs);
    this.store.tick(unixMs, uptimeMs);
    for (let steps = 0; this.#work.length > 0; steps++) {
      if (steps > STEPS_MOST) throw new Error('the meter computes without an end');
      this.#work.shift()!();
    }
    this.vault.tidy();
  }
  hear(session: number, body: Uint8Array): void {
    this.#house.played.push({ hear: [session, Buffer.from(body).toString('base64')] });
    if (session === SESSION_STORE) this.store.receive(body);
    else this.session.receive(body);
  }
}

/** Registration is made up for in the month's last hours. */
const SLOTS_LEFT = 40;
const LATE_SLOTS = 8;
export const AMOUNT = 24;
export const SUNNY_SLOTS = 20;
/** What a sunny slot exports: no whole number of credentials. */
const SUNNY_MWH = 47_311;

export const withTerms = (
  terms: Partial<CentreSettings['terms']>,
  more: Partial<CentreSettings> = {},
): CentreSettings => ({
  ...settings,
  ...more,
  terms: { ...settings.terms, amount: AMOUNT, ...terms },
});

/** A household whose registration has just closed, the first hours of it sunny: nothing of them is sold. */
export async function registeredHouse(
  t: ExecutionContext,
  chosen: CentreSettings = withTerms({}),
  more: { enabled?: boolean; prepare?: (house: House) => void; slots?: number; lateSlots?: number } = {},
): Promise<House> {
  const house = await House.open(t, {
    with: { ...chosen, lateRegistrationMs: (more.lateSlots ?? LATE_SLOTS) * SLOT_MS },
    atMs: monthStartMs(MONTH + 1) - SLOTS_LEFT * SLOT_MS,
    ...more,
  });
  more.prepare?.(house);
  for (let i = 0; i < (more.slots ?? LATE_SLOTS); i++) await house.passSlot(SUNNY_MWH);
  return house;
}
/** Sun, night, the month's end, and as many slots more as it takes to be paid. */
export async function runOut(house: House, most = 60): Promise<void> {
  for (let i = LATE_SLOTS; i < SLOTS_LEFT; i++) await house.passSlot(i < LATE_SLOTS + SUNNY_SLOTS ? SUNNY_MWH : 0);
  for (let i = 0; i < most && house.gateway.view().months[0]?.stage !== 'over'; i++) await house.passSlot();
}
/** mWh that the meter's ledger has for the centre. */
export const exportsOf = (house: House): number =>
  [...house.centreExports(0, Number.MAX_SAFE_INTEGER).values()].reduce((sum, mwh) => sum + mwh, 0);

export class House {
  readonly rig: Rig;
  readonly clock: DrivenClock;
  readonly natives = rememberingNatives();
  readonly flash = new MemoryFlash(48);
  readonly records = new FakeRecords();
  readonly log: string[] = [];
  readonly alarms = new Map<number, string | null>();
  gateway!: HouseholdSelling;
  sealed!: SealedValuesStore;
  meter!: MeterStart;
  line: Line = honest;
  random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  /** Everything that the meter is told and that happens to it, for who plays it to another one. */
  readonly played: ({ tick: [number, number] } | { hear: [number, string] } | { slot: [number, number] })[] = [];
  /** All that it says. */
  readonly said: Uint8Array[] = [];
  uptimeMs = 0;
  toGateway: { session: number; body: Uint8Array }[] = [];
  toMeter: { session: number; body: Uint8Array }[] = [];
  /** Calls to the centre, by path. */
  readonly calls: string[] = [];
  /** Slots whose answers are lost by the door. */
  losesAnswers: (slot: number) => boolean = () => false;
  readonly #directory: string;
  readonly #identity: RequestIdentity;
  readonly #enabled: boolean;
  #sinceSlot = 0;
  #doorQueue = new Map<string, { id: Uint8Array; message: Uint8Array }>();
  #answers: ((list: HeardList) => void) | null = null;
  #handlers = new Map<number, (body: Uint8Array) => void | Promise<void>>();
  #lists = 0;

  private constructor(rig: Rig, directory: string, identity: RequestIdentity, atMs: number, enabled: boolean) {
    this.rig = rig;
    this.clock = new DrivenClock(atMs);
    this.#directory = directory;
    this.#identity = identity;
    this.#enabled = enabled;
    this.startGateway();
    this.startMeter();
  }

  static async open(
    t: ExecutionContext,
    options: Parameters<typeof startCentre>[1] & {
      atMs: number;
      enabled?: boolean;
      prepare?: unknown;
      slots?: unknown;
    },
  ): Promise<House> {
    const rig: Rig = await startCentre(t, {
      verifyOpenedSum: (opened) => rig.centre.exports.verify(opened),
      ...options,
    });
    const directory = mkdtempSync(join(tmpdir(), 'quietmeter-selling-'));
    const issuer = await IdentifierIssuer.open(directory);
    const { certificate, publicKey, sign } = await issuer.issue(CUSTOMER);
    const identity = { audience: 'control-centre', certificate, sign, nowMs: () => options.atMs };
    const house = new House(rig, directory, identity as RequestIdentity, options.atMs, options.enabled ?? true);
    house.#publicKey = publicKey;
    t.teardown(() => {
      house.gateway.close();
      house.sealed.close();
      rmSync(directory, { recursive: true, force: true });
    });
    return house;
  }
  #publicKey: Uint8Array = new Uint8Array(0);

  /** mWh of a slot that have no purpose. */
  left(slot: number): number {
    const parts = this.meter.ledger.parts(slot)!;
    return parts.exportMwh - parts.parts.reduce((sum, { energyMwh }) => sum + energyMwh, 0);
  }
  get customer(): string {
    return `${CUSTOMER.provider}/${CUSTOMER.customerNumber}`;
  }
  get slot(): number {
    return slotOf(this.clock.nowMs());
  }

  startMeter(): void {
    this.toMeter = [];
    this.toGateway = [];
    this.meter = new MeterStart(this);
  }
  restartGateway(): void {
    this.gateway.close();
    this.sealed.close();
    this.#handlers.clear();
    this.startGateway();
  }
  startGateway(): void {
    const sessions = {
      on: (session: number, handler: (body: Uint8Array) => void | Promise<void>) =>
        void this.#handlers.set(session, handler),
      tell: (session: number, body: Uint8Array) => {
        this.toMeter.push({ session, body: Uint8Array.from(body) });
        return true;
      },
      setAlarm: (session: number, text: string | null) => void this.alarms.set(session, text),
    };
    this.sealed = new SealedValuesStore(this.#directory, sessions);
    this.gateway = new HouseholdSelling({
      enabled: this.#enabled,
      masterKey: master.publicKey,
      dataDir: this.#directory,
      call: this.#call,
      identity: () => this.#identity,
      sessions,
      door: {
        post: (_destination, message) => {
          const id = createHash('sha256').update(message).digest().subarray(0, 16);
          this.#doorQueue.set(id.toString('hex'), { id, message });
          return id;
        },
        withdraw: (id) => void this.#doorQueue.delete(Buffer.from(id).toString('hex')),
        onAnswers: (_destination, handler) => {
          this.#answers = handler;
        },
      },
      ledger: this.#ledger,
      sealed: this.sealed,
      sinceSlot: () => this.#sinceSlot,
      clock: this.clock,
      log: (line) => this.log.push(line),
    });
  }

  readonly #ledger = ((house: House) => ({
    get finalSlot(): number {
      return house.records.newestSlot() - 16;
    },
    centreExports: (from: number, to: number) => house.centreExports(from, to),
  }))(this);

  /** What the meter's ledger has for the control centre. */
  centreExports(from: number, to: number): Map<number, number> {
    return new Map([...this.#exports].filter(([slot]) => slot >= from && slot < to));
  }
  /** The ledger looks at its last records only. */
  #noteExports(): void {
    for (let slot = this.slot - 16; slot < this.slot; slot++)
      for (const part of this.meter.ledger.parts(slot)?.parts ?? [])
        if (part.purpose === PURPOSE_CENTRE && part.direction === DIRECTION_EXPORT)
          this.#exports.set(slot, part.energyMwh);
  }
  readonly #exports = new Map<number, number>();

  /** A slot passes: ticks and talk, then its record, then the door's turn. */
  async passSlot(exportMwh = 0): Promise<void> {
    const slot = this.slot;
    if (this.#sinceSlot === 0) this.#sinceSlot = slot;
    await this.talk(TICKS_A_SLOT);
    this.clock.advanceTo(slotStartMs(slot + 1));
    this.records.add(slot, 0, exportMwh);
    this.played.push({ slot: [slot, exportMwh] });
    this.meter.session.record();
    await this.rig.centre.advance(this.clock.nowMs());
    await this.talk(2);
    this.#noteExports();
    await this.#doorTurn();
  }
  async talk(ticks: number): Promise<void> {
    for (let i = 0; i < ticks; i++) {
      this.uptimeMs += Math.floor(SLOT_MS / (TICKS_A_SLOT + 2));
      this.#meterRuns(() => this.meter.tick(this.clock.nowMs(), this.uptimeMs));
      await this.#deliver('gateway');
      this.gateway.tick();
      await this.gateway.idle();
      await this.#deliver('meter');
    }
  }
  /** Power may fail in it: what was said until then is on the line, what the meter did from then on never happened. */
  #meterRuns(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof PowerFailed)) throw error;
    }
    while (this.failedAt !== null) {
      const said = this.toGateway.slice(0, this.failedAt);
      this.failedAt = null;
      try {
        this.startMeter();
      } catch (error) {
        if (!(error instanceof PowerFailed)) throw error;
      }
      this.toGateway = said;
    }
  }
  /** To be called in a flash operation. @throws PowerFailed */
  powerFails(): never {
    this.failedAt ??= this.toGateway.length;
    throw new PowerFailed();
  }
  /** How much had been said; null: there is power. */
  failedAt: number | null = null;
  async #deliver(to: 'meter' | 'gateway'): Promise<void> {
    const messages = to === 'meter' ? this.toMeter.splice(0) : this.toGateway.splice(0);
    const from = to === 'meter' ? 'gateway' : 'meter';
    for (const { session, body } of messages)
      for (const one of this.line(from, session, body)) {
        if (to === 'meter') this.#meterRuns(() => this.meter.hear(session, one));
        else await this.#hand(session, one);
      }
  }

  /** As gateway/meter/sessions.ts does. */
  async #hand(session: number, body: Uint8Array): Promise<void> {
    try {
      await this.#handlers.get(session)?.(body);
    } catch (error) {
      this.refused.push((error as Error).message);
    }
  }
  readonly refused: string[] = [];

  async #doorTurn(): Promise<void> {
    const answers = [];
    for (const { id, message } of this.#doorQueue.values()) {
      const answer = await this.rig.centre.handle(message);
      if (answer && !this.losesAnswers(this.slot)) answers.push({ id, message, answer });
    }
    const notice = this.rig.centre.announcements.list(null)?.bytes ?? new Uint8Array();
    this.#lists++;
    this.#answers?.({
      ...{ destination: 'control-centre', number: this.#lists, slot: this.slot, notice, entries: [], answers },
    } as HeardList);
    for (const { id } of answers) this.#doorQueue.delete(Buffer.from(id).toString('hex'));
  }

  #call: CentreCall = async (path, body, answer) => {
    this.calls.push(path);
    const route = centreRoutes(this.rig.centre).find((one) => one.path === path)!;
    const request = route.body && v.parse(route.body, JSON.parse(Buffer.from(encodeBody(body)).toString()));
    const caller = { kind: 'identifier', ...CUSTOMER, publicKey: this.#publicKey };
    try {
      const result = await route.handle(request as never, caller as never);
      return v.parse(answer, JSON.parse(Buffer.from(encodeBody(result)).toString()));
    } catch (error) {
      const { message, code, recovery } = error as ServiceError;
      if ((error as Error).name !== 'Refusal') throw error;
      throw new ServiceError('refused', message, recovery, { code });
    }
  };
}
