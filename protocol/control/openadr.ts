/**
 * Control messages as OpenADR 3 events (OpenADR 3.0.1, "User Guide" and the published OpenAPI model), for appliances that speak it
 * and for providers whose own systems do.
 *
 *   control message            event
 *   id                         id, eventName; 32 hexadecimal digits
 *   area                       targets: SERVICE_AREA
 *   device class               targets: GROUP
 *   notBefore, expires         intervalPeriod: start, duration
 *   issued                     createdDateTime
 *   off                        IMPORT_CAPACITY_LIMIT 0 kW          (in: ALERT_GRID_EMERGENCY, too)
 *   limit                      IMPORT_CAPACITY_LIMIT in kW
 *   on                         SIMPLE 0, "normal operation": what was forbidden is allowed again
 *
 * An event has no signature: whoever takes one believes the connection that it came by. So it ends where trust by keys begins: the
 * provider's service signs what its own people hand in, the gateway hands out what it has checked.
 */
import * as v from 'valibot';
import { fitting } from '../services/call.ts';
import { MalformedError } from '../wire/bytes.ts';
import type { ControlCommand, ControlMessage } from './message.ts';
import { CONTROL_ORDER, type ControlOrder } from './services.ts';

/** The program that all of them belong to. */
export const PROGRAM_ID = 'quietmeter-control';
const LIMIT = 'IMPORT_CAPACITY_LIMIT';
const EMERGENCY = 'ALERT_GRID_EMERGENCY';
const SIMPLE = 'SIMPLE';
const NORMAL_OPERATION = 0;
const AREA_TARGET = 'SERVICE_AREA';
const CLASS_TARGET = 'GROUP';

const text = v.pipe(v.string('is missing'), v.maxLength(128, 'is longer than 128 characters'));
const dateTime = v.pipe(text, v.isoTimestamp('is no date and time with its zone'));
/** The part of ISO 8601 that has one length whatever the calendar. */
const DURATION = /^P(?:(\d{1,3})D)?(?:T(?=\d)(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?$/;
const valuesMap = v.object({
  type: text,
  values: v.pipe(v.array(v.union([v.string(), v.number()])), v.maxLength(16, 'has more than 16 values')),
});

/** The fields that are read or written; others may stand there. */
export const OPENADR_EVENT = v.object({
  id: v.optional(text),
  createdDateTime: v.optional(dateTime),
  objectType: v.optional(v.literal('EVENT', 'is not EVENT')),
  programID: text,
  eventName: v.optional(v.nullable(text)),
  priority: v.optional(v.nullable(v.number('is no number'))),
  targets: v.pipe(v.array(valuesMap, 'are missing'), v.maxLength(16, 'are more than 16')),
  payloadDescriptors: v.optional(
    v.nullable(
      v.array(v.object({ objectType: v.optional(text), payloadType: text, units: v.optional(v.nullable(text)) })),
    ),
  ),
  intervalPeriod: v.object(
    {
      start: dateTime,
      duration: v.pipe(text, v.regex(DURATION, 'is no duration of days, hours, minutes and seconds')),
    },
    'is missing',
  ),
  intervals: v.pipe(
    v.array(
      v.object({
        id: v.pipe(v.number('is missing'), v.integer('is no whole number')),
        payloads: v.array(valuesMap, 'are missing'),
      }),
      'are missing',
    ),
    v.length(1, 'are not one: a message has one command'),
  ),
});
export type OpenAdrEvent = v.InferOutput<typeof OPENADR_EVENT>;

/** The event that says what a message says. */
export function toOpenAdr(message: ControlMessage): OpenAdrEvent {
  const id = Buffer.from(message.id).toString('hex');
  const { command, limitW } = message;
  return {
    id,
    createdDateTime: iso(message.issuedMs),
    objectType: 'EVENT',
    programID: PROGRAM_ID,
    eventName: id,
    targets: [
      { type: AREA_TARGET, values: [message.area] },
      { type: CLASS_TARGET, values: [message.deviceClass] },
    ],
    ...(command !== 'on' && {
      payloadDescriptors: [{ objectType: 'EVENT_PAYLOAD_DESCRIPTOR', payloadType: LIMIT, units: 'KW' }],
    }),
    intervalPeriod: {
      start: iso(message.notBeforeMs),
      duration: `PT${(message.expiresMs - message.notBeforeMs) / 1000}S`,
    },
    intervals: [
      {
        id: 0,
        payloads: [
          command === 'on'
            ? { type: SIMPLE, values: [NORMAL_OPERATION] }
            : { type: LIMIT, values: [(limitW ?? 0) / 1000] },
        ],
      },
    ],
  };
}

/** What an event from the provider's own system orders. @throws MalformedError that names the field's path in it */
export function fromOpenAdr(value: unknown): ControlOrder {
  const read = fitting(OPENADR_EVENT, value);
  if (!('value' in read)) throw new MalformedError(pathIn(read.path), read.problem);
  const event = read.value;
  const { command, limitW } = commandOf(event);
  const startMs = wholeSecond(event.intervalPeriod.start);
  const order = fitting(CONTROL_ORDER, {
    area: target(event, AREA_TARGET),
    deviceClass: target(event, CLASS_TARGET),
    command,
    limitW,
    notBeforeMs: startMs,
    expiresMs: startMs + durationMs(event.intervalPeriod.duration),
  });
  if (!('value' in order)) throw new MalformedError(pathIn(ORDER_PATHS[order.path] ?? order.path), order.problem);
  return order.value;
}

const pathIn = (path: string): string => (path === '' ? 'event' : `event.${path}`);
/** Where in an event the fields of an order stand. */
const ORDER_PATHS: Record<string, string> = {
  area: 'targets',
  deviceClass: 'targets',
  limitW: 'intervals.0.payloads.0.values.0',
};

function commandOf(event: OpenAdrEvent): { command: ControlCommand; limitW: number | null } {
  const [{ payloads }] = event.intervals;
  const at = 'event.intervals.0.payloads';
  if (payloads.length !== 1) throw new MalformedError(at, 'are not one: a message has one command');
  const [{ type, values }] = payloads;
  if (type === EMERGENCY) return { command: 'off', limitW: null };
  if (values.length !== 1 || typeof values[0] !== 'number')
    throw new MalformedError(`${at}.0.values`, 'are not one number');
  const [value] = values;
  if (type === SIMPLE) {
    if (value !== NORMAL_OPERATION)
      throw new MalformedError(`${at}.0.values.0`, 'is a level that says no power: only 0, normal operation, is taken');
    return { command: 'on', limitW: null };
  }
  if (type !== LIMIT) throw new MalformedError(`${at}.0.type`, `is none of ${LIMIT}, ${EMERGENCY}, ${SIMPLE}`);
  const units = event.payloadDescriptors?.find(({ payloadType }) => payloadType === LIMIT)?.units ?? 'KW';
  if (units !== 'KW') throw new MalformedError('event.payloadDescriptors.0.units', 'are not KW');
  const limitW = Math.round(value * 1000);
  return limitW === 0 ? { command: 'off', limitW: null } : { command: 'limit', limitW };
}

function target(event: OpenAdrEvent, type: string): string {
  const values = event.targets.filter((one) => one.type === type).flatMap((one) => one.values);
  if (values.length !== 1 || typeof values[0] !== 'string')
    throw new MalformedError('event.targets', `do not name one ${type}`);
  return values[0];
}

const iso = (unixMs: number): string => new Date(unixMs).toISOString();

function wholeSecond(time: string): number {
  const unixMs = Date.parse(time);
  if (unixMs % 1000 !== 0) throw new MalformedError('event.intervalPeriod.start', 'is no whole second');
  return unixMs;
}

function durationMs(duration: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = DURATION.exec(duration)!;
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}
