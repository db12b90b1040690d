/**
 * What an appliance may do now, and why: the customer's own rules, and the provider's control messages within their bounds. Pure.
 *
 * Nothing of it leaves the house: rules would tell how people live.
 *
 *   1  a control message that is in force and forbids (`off`, `limit`) wins over the customer's rules; of several the one that was
 *      issued last counts, of two of one second the stricter; `on` takes back what was issued before it
 *   2  then every rule of the appliance must hold
 *   3  where nothing forbids it, the appliance may run
 *
 * **What is not known forbids nothing**: without a price a rule on prices holds, or a provider that is silent would leave the
 * house without hot water.
 */
import * as v from 'valibot';
import { SLOT_MS, slotOf, slotStartMs } from '../time/slots.ts';
import { type ControlCommand, DEVICE_CLASS_PATTERN, EVERY_CLASS } from './message.ts';

const MINUTES_PER_DAY = 1440;
const MINUTE_MS = 60_000;
/** More is a mistake. */
const RULES_MOST = 8;
const PRICE_MOST = 1_000_000_000;

const minuteOfDay = v.pipe(
  v.number('is missing'),
  v.integer('is no whole number'),
  v.minValue(0, 'is less than 0'),
  v.maxValue(MINUTES_PER_DAY - 1, `is more than ${MINUTES_PER_DAY - 1}`),
);

/** One rule of the customer. Times are minutes after midnight in the household's zone. */
export const RULE = v.variant(
  'kind',
  [
    /** Only while a kWh costs less. */
    v.strictObject({
      kind: v.literal('price'),
      belowMilliCentPerKwh: v.pipe(
        v.number('is missing'),
        v.integer('is no whole number'),
        v.minValue(-PRICE_MOST, 'is too small'),
        v.maxValue(PRICE_MOST, 'is too large'),
      ),
    }),
    /** Only from … to; over midnight where `toMinute` is the smaller one. */
    v.pipe(
      v.strictObject({ kind: v.literal('hours'), fromMinute: minuteOfDay, toMinute: minuteOfDay }),
      v.check(({ fromMinute, toMinute }) => fromMinute !== toMinute, 'has no length: from and to are the same'),
    ),
  ],
  'is no rule that is known',
);
export type Rule = v.InferOutput<typeof RULE>;

/** All of them must hold. */
export const RULES = v.pipe(v.array(RULE, 'are no list'), v.maxLength(RULES_MOST, `are more than ${RULES_MOST}`));

export const APPLIANCE_NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** An appliance that the gateway can reach. */
export const APPLIANCE = v.strictObject({
  /** In topics and addresses: `boiler`. */
  name: v.pipe(v.string('is missing'), v.regex(APPLIANCE_NAME, 'is no name of an appliance')),
  /** For people: `Boiler in the cellar`. */
  label: v.pipe(v.string('is missing'), v.minLength(1, 'is empty'), v.maxLength(100, 'is longer than 100 characters')),
  deviceClass: v.pipe(
    v.string('is missing'),
    v.regex(DEVICE_CLASS_PATTERN, 'is no class of devices'),
    v.check((name) => name !== EVERY_CLASS, 'is every class'),
  ),
  /** What it draws, W: one that can only be switched is off while a limit is lower. */
  ratedW: v.optional(v.pipe(v.number(), v.integer('is no whole number'), v.minValue(1, 'is less than 1'))),
  /** Whether it hangs on the meter's relay: on or off, nothing between. */
  relay: v.optional(v.boolean('is neither true nor false'), false),
});
export type Appliance = v.InferOutput<typeof APPLIANCE>;

/** Of a control message, what matters here. */
export interface InForce {
  deviceClass: string;
  command: ControlCommand;
  limitW: number | null;
  issuedMs: number;
  notBeforeMs: number;
  expiresMs: number;
}

export interface ApplianceState {
  state: 'on' | 'off' | 'limit';
  /** W, for `limit`. */
  limitW: number | null;
  /** In plain words. */
  reason: string;
  source: 'provider' | 'customer' | 'nobody';
  /** It is as it is until then at least: the next edge of a message or rule, or of the quarter hour. */
  untilMs: number;
}

export interface Circumstances {
  nowMs: number;
  /** IANA, such as `Europe/Vienna`. */
  timeZone: string;
  messages: readonly InForce[];
  /** Milli-cent per kWh of a slot, undefined where it is not known (protocol/billing/prices.ts). */
  importPrice(slot: number): number | undefined;
}

export function evaluate(appliance: Appliance, rules: readonly Rule[], now: Circumstances): ApplianceState {
  const { nowMs, messages, timeZone } = now;
  const mine = messages.filter(
    ({ deviceClass }) => deviceClass === EVERY_CLASS || deviceClass === appliance.deviceClass,
  );
  const edges = mine.flatMap(({ notBeforeMs, expiresMs }) => [notBeforeMs, expiresMs]);
  const clock = localMinute(nowMs, timeZone);
  for (const rule of rules) if (rule.kind === 'hours') edges.push(...hourEdges(rule, nowMs, clock));
  const untilMs = Math.min(slotStartMs(slotOf(nowMs)) + SLOT_MS, ...edges.filter((edge) => edge > nowMs));
  const result = (state: Omit<ApplianceState, 'untilMs'>): ApplianceState => ({ ...state, untilMs });

  const order = lastWord(mine.filter(({ notBeforeMs, expiresMs }) => notBeforeMs <= nowMs && nowMs < expiresMs));
  if (order !== undefined && order.command !== 'on') {
    const until = `until ${localTime(order.expiresMs, nowMs, timeZone)}`;
    if (order.command === 'off')
      return result({
        state: 'off',
        limitW: null,
        source: 'provider',
        reason: `the provider has it switched off ${until}`,
      });
    const limitW = order.limitW!;
    const limited = `the provider allows ${limitW} W ${until}`;
    const broken = rules.map((rule) => objection(rule, now, clock)).find((reason) => reason !== null);
    if (broken !== undefined) return result({ state: 'off', limitW: null, source: 'customer', reason: broken! });
    if (!appliance.relay) return result({ state: 'limit', limitW, source: 'provider', reason: limited });
    if (appliance.ratedW !== undefined && appliance.ratedW <= limitW)
      return result({ state: 'on', limitW: null, source: 'provider', reason: `${limited}, and it draws less` });
    return result({
      state: 'off',
      limitW: null,
      source: 'provider',
      reason: `${limited}, and it cannot draw less than all`,
    });
  }
  for (const rule of rules) {
    const reason = objection(rule, now, clock);
    if (reason !== null) return result({ state: 'off', limitW: null, source: 'customer', reason });
  }
  if (order !== undefined)
    return result({ state: 'on', limitW: null, source: 'provider', reason: 'the provider has allowed it again' });
  const reason = rules.length === 0 ? 'nothing forbids it' : rules.map((rule) => consent(rule, now)).join(', and ');
  return result({ state: 'on', limitW: null, source: rules.length === 0 ? 'nobody' : 'customer', reason });
}

/** The message that counts, or undefined. */
function lastWord(inForce: readonly InForce[]): InForce | undefined {
  const strictness = ({ command, limitW }: InForce): number =>
    command === 'off' ? 0 : command === 'limit' ? limitW! : Number.POSITIVE_INFINITY;
  return [...inForce].sort((a, b) => b.issuedMs - a.issuedMs || strictness(a) - strictness(b))[0];
}

/** Why a rule does not hold now, or null. */
function objection(rule: Rule, { nowMs, importPrice }: Circumstances, clock: number): string | null {
  if (rule.kind === 'hours') return isWithin(rule, clock) ? null : `your rule: only ${hoursText(rule)}`;
  const price = importPrice(slotOf(nowMs));
  if (price === undefined || price < rule.belowMilliCentPerKwh) return null;
  return `your rule: only below ${centText(rule.belowMilliCentPerKwh)}; a kWh costs ${centText(price)} now`;
}

function consent(rule: Rule, { nowMs, importPrice }: Circumstances): string {
  if (rule.kind === 'hours') return `it is ${hoursText(rule)}`;
  const price = importPrice(slotOf(nowMs));
  return price === undefined
    ? 'the price is not known, which forbids nothing'
    : `a kWh costs ${centText(price)}, below ${centText(rule.belowMilliCentPerKwh)}`;
}

type Hours = Extract<Rule, { kind: 'hours' }>;
const isWithin = ({ fromMinute, toMinute }: Hours, clock: number): boolean =>
  fromMinute < toMinute ? clock >= fromMinute && clock < toMinute : clock >= fromMinute || clock < toMinute;
/** When the rule begins and ends next. A change of the clocks between shifts them; the next quarter hour sees that. */
const hourEdges = ({ fromMinute, toMinute }: Hours, nowMs: number, clock: number): number[] =>
  [fromMinute, toMinute].map(
    (minute) =>
      Math.floor(nowMs / MINUTE_MS) * MINUTE_MS +
      ((minute - clock + MINUTES_PER_DAY) % MINUTES_PER_DAY || MINUTES_PER_DAY) * MINUTE_MS,
  );

const twoDigits = (value: number): string => String(value).padStart(2, '0');
const minuteText = (minute: number): string => `${twoDigits(Math.floor(minute / 60))}:${twoDigits(minute % 60)}`;
const hoursText = ({ fromMinute, toMinute }: Hours): string =>
  `between ${minuteText(fromMinute)} and ${minuteText(toMinute)}`;
/** `20 ct`, `20.5 ct`. */
const centText = (milliCent: number): string => `${milliCent / 1000} ct`;

const formats = new Map<string, Intl.DateTimeFormat>();
function localMinute(unixMs: number, timeZone: string): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
    formats.set(timeZone, format);
  }
  const [hour, minute] = format.format(unixMs).split(':');
  return Number(hour) * 60 + Number(minute);
}
/** `19:00`, or `19:00 tomorrow`. */
function localTime(unixMs: number, nowMs: number, timeZone: string): string {
  const time = minuteText(localMinute(unixMs, timeZone));
  const sinceMidnightMs = localMinute(nowMs, timeZone) * MINUTE_MS + (nowMs % MINUTE_MS);
  return unixMs - (nowMs - sinceMidnightMs) < MINUTES_PER_DAY * MINUTE_MS ? time : `${time} tomorrow`;
}
