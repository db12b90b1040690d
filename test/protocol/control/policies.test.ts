import test from 'ava';
import fc from 'fast-check';
import * as v from 'valibot';
import {
  type Appliance,
  type Circumstances,
  evaluate,
  type InForce,
  RULES,
  type Rule,
} from '../../../protocol/control/policies.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';

const ZONE = 'Europe/Vienna';
/** 10 March 2026, an hour before summer time is near: UTC + 1. */
const at = (hour: number, minute = 0): number => Date.UTC(2026, 2, 10, hour - 1, minute);
const boiler: Appliance = { name: 'boiler', label: 'Boiler', deviceClass: 'boiler', ratedW: 2000, relay: true };
const car: Appliance = { name: 'car', label: 'Car', deviceClass: 'ev-charger', relay: false };
const below20: Rule = { kind: 'price', belowMilliCentPerKwh: 20_000 };
const byNight: Rule = { kind: 'hours', fromMinute: 22 * 60, toMinute: 6 * 60 };
const now = (nowMs: number, price?: number, ...messages: InForce[]): Circumstances => ({
  nowMs,
  timeZone: ZONE,
  messages,
  importPrice: () => price,
});
const message = (change: Partial<InForce> = {}): InForce => ({
  deviceClass: 'ev-charger',
  command: 'off',
  limitW: null,
  issuedMs: at(16),
  notBeforeMs: at(17),
  expiresMs: at(19),
  ...change,
});
const on = (reason: string, source = 'customer') => ({ state: 'on', reason, source });
const off = (reason: string, source = 'customer') => ({ state: 'off', reason, source });

test('known answers: the boiler only below 20 ct', (t) => {
  const state = (price?: number) => evaluate(boiler, [below20], now(at(12), price));
  t.like(state(19_999), on('a kWh costs 19.999 ct, below 20 ct'));
  t.like(state(20_000), off('your rule: only below 20 ct; a kWh costs 20 ct now'));
  t.like(state(-500), on('a kWh costs -0.5 ct, below 20 ct'));
  t.like(state(undefined), on('the price is not known, which forbids nothing'));
});

test('known answers: the car between 22:00 and 06:00, by the clock on the wall', (t) => {
  const state = (unixMs: number) => evaluate(car, [byNight], now(unixMs));
  t.like(state(at(22)), on('it is between 22:00 and 06:00'));
  t.like(state(at(21, 59)), off('your rule: only between 22:00 and 06:00'));
  t.is(state(at(5, 59)).state, 'on');
  t.is(state(at(6)).state, 'off');
  // in July the same instant of UTC is an hour later on the wall
  t.is(state(Date.UTC(2026, 6, 1, 20)).state, 'on');
  t.is(state(Date.UTC(2026, 6, 1, 4)).state, 'off');
  t.is(state(at(21, 50)).untilMs, at(22));
});

test('several rules: all of them; none: nothing forbids it', (t) => {
  t.like(
    evaluate(car, [below20, byNight], now(at(23), 30_000)),
    off('your rule: only below 20 ct; a kWh costs 30 ct now'),
  );
  t.like(
    evaluate(car, [below20, byNight], now(at(23), 10_000)),
    on('a kWh costs 10 ct, below 20 ct, and it is between 22:00 and 06:00'),
  );
  t.like(evaluate(car, [], now(at(12))), on('nothing forbids it', 'nobody'));
});

test('no car charging until 19:00: within its bounds the message wins', (t) => {
  const state = (unixMs: number, appliance = car) => evaluate(appliance, [], now(unixMs, undefined, message()));
  t.is(state(at(16, 59)).state, 'on');
  t.is(state(at(16, 50)).untilMs, at(17));
  t.like(state(at(17)), off('the provider has it switched off until 19:00', 'provider'));
  t.is(state(at(18, 59)).state, 'off');
  t.is(state(at(19)).state, 'on');
  t.like(state(at(18), boiler), on('nothing forbids it', 'nobody'));
  t.is(evaluate(boiler, [], now(at(18), undefined, message({ deviceClass: 'all' }))).state, 'off');
  const overMidnight = message({ expiresMs: at(25) });
  t.is(
    evaluate(car, [byNight], now(at(23), undefined, overMidnight)).reason,
    'the provider has it switched off until 01:00 tomorrow',
  );
});

test('a limit: who can throttle does, a relay is on or off, the own rules hold beside it', (t) => {
  const limit = (limitW: number) => message({ deviceClass: 'all', command: 'limit', limitW });
  t.like(evaluate(car, [], now(at(18), undefined, limit(4200))), {
    state: 'limit',
    limitW: 4200,
    reason: 'the provider allows 4200 W until 19:00',
  });
  t.like(
    evaluate(boiler, [], now(at(18), undefined, limit(2000))),
    on('the provider allows 2000 W until 19:00, and it draws less', 'provider'),
  );
  t.like(
    evaluate(boiler, [], now(at(18), undefined, limit(1999))),
    off('the provider allows 1999 W until 19:00, and it cannot draw less than all', 'provider'),
  );
  t.like(
    evaluate(boiler, [below20], now(at(18), 25_000, limit(2000))),
    off('your rule: only below 20 ct; a kWh costs 25 ct now'),
  );
});

test('the message that was issued last counts; of one second the stricter; "on" takes back, and forces nothing', (t) => {
  const first = message();
  const lifted = message({ command: 'on', issuedMs: at(17, 30), notBeforeMs: at(17, 30) });
  t.like(evaluate(car, [], now(at(18), undefined, lifted, first)), on('the provider has allowed it again', 'provider'));
  t.like(
    evaluate(car, [byNight], now(at(18), undefined, first, lifted)),
    off('your rule: only between 22:00 and 06:00'),
    'a provider makes nobody draw power',
  );
  const strict = message({ command: 'limit', limitW: 1000, issuedMs: at(17, 30) });
  for (const messages of [
    [lifted, strict],
    [strict, lifted],
  ])
    t.is(evaluate(car, [], now(at(18), undefined, ...messages)).state, 'limit');
});

test('until its time has come a state does not change', (t) => {
  const minute = fc.integer({ min: 0, max: 1439 });
  const arbitraryMessage = fc.record({
    deviceClass: fc.constantFrom('all', 'ev-charger', 'boiler'),
    command: fc.constantFrom('on' as const, 'off' as const),
    limitW: fc.constant(null),
    issuedMs: minute.map((m) => at(0) + m * 60_000),
    notBeforeMs: minute.map((m) => at(0) + m * 60_000),
    expiresMs: minute.map((m) => at(0) + m * 60_000),
  });
  fc.assert(
    fc.property(
      minute,
      minute,
      minute,
      fc.array(arbitraryMessage, { maxLength: 4 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (m, fromMinute, toMinute, messages, part) => {
        fc.pre(fromMinute !== toMinute);
        const rules: Rule[] = [{ kind: 'hours', fromMinute, toMinute }, below20];
        const price = (slot: number): number => ((slot * 7919) % 40) * 1000;
        const state = (nowMs: number) => evaluate(car, rules, { nowMs, timeZone: ZONE, messages, importPrice: price });
        const begin = at(0) + m * 60_000;
        const first = state(begin);
        t.true(first.untilMs > begin && first.untilMs <= begin + SLOT_MS);
        const later = state(Math.floor(begin + part * (first.untilMs - begin)));
        t.is(later.state, first.state);
      },
    ),
    { numRuns: 300 },
  );
});

test('rules from the page are checked', (t) => {
  t.true(v.is(RULES, [below20, byNight]));
  t.false(v.is(RULES, [{ kind: 'hours', fromMinute: 60, toMinute: 60 }]));
  t.false(v.is(RULES, [{ kind: 'hours', fromMinute: 0, toMinute: 1440 }]));
  t.false(v.is(RULES, [{ kind: 'price', belowMilliCentPerKwh: 0.5 }]));
  t.false(v.is(RULES, [{ kind: 'moon' }]));
  t.false(v.is(RULES, Array(9).fill(below20)));
});
