import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type ApplianceRow, Control, type ControlOptions, PolicyError } from '../../../gateway/control/control.ts';
import { startOpenAdrServer } from '../../../gateway/control/openadr-server.ts';
import { ControlStore } from '../../../gateway/control/store.ts';
import {
  type ControlMessage,
  HOUR_MS,
  newControlId,
  PER_HOUR_MOST,
  signControl,
} from '../../../protocol/control/message.ts';
import { toOpenAdr } from '../../../protocol/control/openadr.ts';
import type { Appliance } from '../../../protocol/control/policies.ts';
import { generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import {
  LINK_RELAY,
  RELAY_LEASE_MS,
  RELAY_OFF,
  RELAY_ON,
  type RelayCommand,
} from '../../../protocol/wire/link-messages.ts';

const NOW = Date.UTC(2026, 2, 10, 16);
const key = generateEd25519Key();
const boiler: Appliance = { name: 'boiler', label: 'Boiler', deviceClass: 'boiler', relay: true };
const car: Appliance = { name: 'car', label: 'Car', deviceClass: 'ev-charger', relay: false };
const said = (change: Partial<ControlMessage> = {}): Uint8Array =>
  signControl(
    {
      id: newControlId(),
      area: 'north-1',
      deviceClass: 'all',
      command: 'off',
      limitW: null,
      issuedMs: NOW,
      notBeforeMs: NOW,
      expiresMs: NOW + 2 * HOUR_MS,
      ...change,
    },
    key.privateKey,
  );

class House {
  readonly directory = mkdtempSync(join(tmpdir(), 'quietmeter-control-'));
  readonly clock = new DrivenClock(NOW);
  readonly commands: RelayCommand[] = [];
  readonly changes: (readonly ApplianceRow[])[] = [];
  readonly lines: string[] = [];
  readonly relay = { boot: 1, setRelay: (command: RelayCommand) => void this.commands.push(command) };
  price: number | undefined;
  store!: ControlStore;
  control!: Control;

  constructor(t: ExecutionContext, options: Partial<ControlOptions> = {}) {
    t.teardown(() => {
      this.store.close();
      rmSync(this.directory, { recursive: true });
    });
    this.start(options);
  }
  start(options: Partial<ControlOptions> = {}): void {
    this.store?.close();
    this.store = new ControlStore(this.directory);
    this.control = new Control({
      store: this.store,
      clock: this.clock,
      area: 'north-1',
      controlKey: () => key.publicKey,
      provider: () => null,
      appliances: [boiler, car],
      timeZone: 'UTC',
      importPrice: () => this.price,
      relay: this.relay,
      onChange: (rows) => void this.changes.push(rows),
      log: (line) => void this.lines.push(line),
      ...options,
    });
  }
  at(unixMs: number): this {
    this.clock.advanceTo(unixMs);
    this.control.tick();
    return this;
  }
  get states(): Record<string, string> {
    return Object.fromEntries(this.control.appliances().map(({ name, state }) => [name, state]));
  }
  take(): RelayCommand[] {
    return this.commands.splice(0);
  }
}

test('no car charging until 19:00: obeyed within its bounds, remembered over a restart', (t) => {
  const house = new House(t).at(NOW);
  t.deepEqual(house.states, { boiler: 'on', car: 'on' });
  const bytes = said({ deviceClass: 'ev-charger' });
  t.is(house.control.receive(bytes), null);
  t.deepEqual(house.states, { boiler: 'on', car: 'off' });
  house.start();
  house.at(NOW + HOUR_MS);
  t.deepEqual(house.states, { boiler: 'on', car: 'off' });
  t.regex(house.control.receive(bytes) ?? '', /was seen before/);
  house.at(NOW + 2 * HOUR_MS);
  t.deepEqual(house.states, { boiler: 'on', car: 'on' });
  t.regex(house.control.receive(bytes) ?? '', /has expired/, 'nor later');
  t.is(house.control.messages().length, 1);
});

test('what is not obeyed is kept with its reason, once each, and switches nothing', (t) => {
  const house = new House(t).at(NOW);
  house.control.receive(said({ area: 'south-1' }));
  house.control.receive(said({ area: 'south-1' }));
  house.control.receive(said().subarray(0, -64));
  house.control.receive(new Uint8Array(3));
  const altered = said();
  altered[20] ^= 1;
  house.control.receive(altered);
  t.deepEqual(house.states, { boiler: 'on', car: 'on' });
  const refusals = house.control.refusals();
  t.is(refusals.length, 4);
  t.is(refusals.find(({ reason }) => reason === 'control.area: is south-1; this household is in north-1')?.times, 2);
  t.is(house.lines.length, 5);
  t.is(house.control.messages().length, 0);
});

test('a flood: the first ones are obeyed, the others are refused', (t) => {
  const house = new House(t).at(NOW);
  for (let n = 0; n < PER_HOUR_MOST + 5; n++)
    house.control.receive(said({ issuedMs: NOW, notBeforeMs: NOW + n * 1000 }));
  t.is(house.control.messages().length, PER_HOUR_MOST);
  t.regex(house.control.refusals()[0].reason, /12 messages were taken already/);
  t.is(house.control.refusals()[0].times, 5);
});

test('nobody is listened to without a key, and not before the time is known', (t) => {
  const house = new House(t, { controlKey: () => null }).at(NOW);
  t.is(house.control.receive(said()), 'nobody is listened to yet');
  t.deepEqual(house.states, { boiler: 'on', car: 'on' });
});

test('the relay: told when it changes, again each minute while off, never longer than is known to be right', (t) => {
  const house = new House(t).at(NOW);
  const off = (untilMs: number): RelayCommand => ({ type: LINK_RELAY, state: RELAY_OFF, untilMs });
  const on: RelayCommand = { type: LINK_RELAY, state: RELAY_ON, untilMs: 0 };
  t.deepEqual(house.take(), [on], 'a gateway that starts does not know what was said before');
  house.control.receive(said({ expiresMs: NOW + 40 * 60_000 }));
  t.deepEqual(house.take(), [off(NOW + RELAY_LEASE_MS)]);
  house.at(NOW + 59_000);
  t.deepEqual(house.take(), []);
  house.at(NOW + 60_000);
  t.deepEqual(house.take(), [off(NOW + 60_000 + RELAY_LEASE_MS)]);
  house.at(NOW + 20 * 60_000);
  t.deepEqual(house.take(), [off(NOW + 40 * 60_000)], 'to its end and not beyond');
  house.relay.boot = 2;
  house.at(NOW + 20 * 60_000 + 1000);
  t.deepEqual(house.take(), [off(NOW + 40 * 60_000)], 'a meter that started anew is told at once');
  house.relay.boot = 0;
  house.at(NOW + 30 * 60_000);
  t.deepEqual(house.take(), [], 'no meter');
  house.relay.boot = 2;
  house.at(NOW + 40 * 60_000);
  t.deepEqual(house.take(), [on]);
  house.at(NOW + 3 * HOUR_MS);
  t.deepEqual(house.take(), []);
});

test('a rule that goes on after a message keeps the relay off without a gap', (t) => {
  const house = new House(t).at(NOW);
  house.price = 30_000;
  house.control.setPolicy('boiler', [{ kind: 'price', belowMilliCentPerKwh: 20_000 }]);
  house.take();
  house.control.receive(said({ expiresMs: NOW + 5 * 60_000 }));
  house.at(NOW + 60_000);
  t.deepEqual(house.take(), [{ type: LINK_RELAY, state: RELAY_OFF, untilMs: NOW + 60_000 + RELAY_LEASE_MS }]);
});

test("the customer's rules: set, checked, kept, and followed when a price changes", (t) => {
  const house = new House(t).at(NOW);
  house.price = 25_000;
  house.control.setPolicy('boiler', [{ kind: 'price', belowMilliCentPerKwh: 20_000 }]);
  t.like(house.control.appliances()[0], {
    state: 'off',
    source: 'customer',
    reason: 'your rule: only below 20 ct; a kWh costs 25 ct now',
    rules: [{ kind: 'price', belowMilliCentPerKwh: 20_000 }],
  });
  house.price = 15_000;
  house.start();
  house.at(NOW + 15 * 60_000);
  t.like(house.control.appliances()[0], { state: 'on', reason: 'a kWh costs 15 ct, below 20 ct' });
  const path = (rules: unknown, appliance = 'boiler'): string | undefined =>
    t.throws(() => house.control.setPolicy(appliance, rules), { instanceOf: PolicyError })?.message;
  t.is(path([], 'oven'), 'appliance is none of this household');
  t.is(path([{ kind: 'price', belowMilliCentPerKwh: 0.5 }]), 'rules.0.belowMilliCentPerKwh is no whole number');
  t.is(path([{ kind: 'hours', fromMinute: 60, toMinute: 60 }]), 'rules.0 has no length: from and to are the same');
  t.is(path('none'), 'rules are no list');
  t.is(house.control.appliances()[0].rules.length, 1, 'what is refused changes nothing');
});

test('appliances of the home read what is in force as OpenADR events', async (t) => {
  const house = new House(t).at(NOW);
  house.control.receive(said({ deviceClass: 'ev-charger', command: 'limit', limitW: 4200 }));
  const server = await startOpenAdrServer({ host: '127.0.0.1', port: 0 }, () => house.control.unexpired());
  t.teardown(() => server.close());
  const get = async (path: string): Promise<unknown> => (await fetch(`${server.url}/openadr3/3.0.1${path}`)).json();
  const [event] = house.control.unexpired().map(toOpenAdr);
  t.deepEqual(await get('/events'), [event] as unknown[]);
  t.deepEqual(await get('/events?programID=other'), []);
  t.deepEqual(await get(`/events/${event.id}`), event as unknown);
  t.is((await fetch(`${server.url}/openadr3/3.0.1/events/none`)).status, 404);
  house.at(NOW + 2 * HOUR_MS);
  t.deepEqual(await get('/events'), []);
});
