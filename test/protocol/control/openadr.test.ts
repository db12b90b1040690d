import test from 'ava';
import fc from 'fast-check';
import type { ControlMessage } from '../../../protocol/control/message.ts';
import { fromOpenAdr, type OpenAdrEvent, toOpenAdr } from '../../../protocol/control/openadr.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const START = Date.UTC(2026, 2, 10, 17);
const limit: ControlMessage = {
  id: Buffer.alloc(16, 0xa5),
  area: 'north-1',
  deviceClass: 'ev-charger',
  command: 'limit',
  limitW: 4200,
  issuedMs: START - 3_600_000,
  notBeforeMs: START,
  expiresMs: START + 7_200_000,
};
const event: OpenAdrEvent = {
  id: 'a5'.repeat(16),
  createdDateTime: '2026-03-10T16:00:00.000Z',
  objectType: 'EVENT',
  programID: 'quietmeter-control',
  eventName: 'a5'.repeat(16),
  targets: [
    { type: 'SERVICE_AREA', values: ['north-1'] },
    { type: 'GROUP', values: ['ev-charger'] },
  ],
  payloadDescriptors: [{ objectType: 'EVENT_PAYLOAD_DESCRIPTOR', payloadType: 'IMPORT_CAPACITY_LIMIT', units: 'KW' }],
  intervalPeriod: { start: '2026-03-10T17:00:00.000Z', duration: 'PT7200S' },
  intervals: [{ id: 0, payloads: [{ type: 'IMPORT_CAPACITY_LIMIT', values: [4.2] }] }],
};

test('a limit as an event of OpenADR 3', (t) => {
  t.deepEqual(toOpenAdr(limit), event);
});

test('what an event of another system orders; fields that are not ours may stand in it', (t) => {
  const order = fromOpenAdr({
    id: 'vtn-17',
    createdDateTime: '2026-03-10T15:00:00Z',
    modificationDateTime: '2026-03-10T15:00:00Z',
    objectType: 'EVENT',
    programID: '44',
    eventName: 'evening peak',
    priority: 1,
    targets: [
      { type: 'SERVICE_AREA', values: ['north-1'] },
      { type: 'GROUP', values: ['heat-pump'] },
    ],
    reportDescriptors: null,
    payloadDescriptors: null,
    intervalPeriod: { start: '2026-03-10T18:00:00+01:00', duration: 'PT1H30M', randomizeStart: 'PT0S' },
    intervals: [{ id: 0, payloads: [{ type: 'ALERT_GRID_EMERGENCY', values: ['substation fault'] }] }],
  });
  t.deepEqual(order, {
    area: 'north-1',
    deviceClass: 'heat-pump',
    command: 'off',
    limitW: null,
    notBeforeMs: START,
    expiresMs: START + 5_400_000,
  });
});

test('there and back: every message keeps what it orders', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('on' as const, 'off' as const, 'limit' as const),
      fc.integer({ min: 1, max: 70_000 }),
      fc.integer({ min: 1, max: 86_400 }),
      (command, watts, seconds) => {
        const limitW = command === 'limit' ? watts : null;
        const expiresMs = START + seconds * 1000;
        const { area, deviceClass, notBeforeMs } = limit;
        t.deepEqual(fromOpenAdr(JSON.parse(JSON.stringify(toOpenAdr({ ...limit, command, limitW, expiresMs })))), {
          area,
          deviceClass,
          command,
          limitW,
          notBeforeMs,
          expiresMs,
        });
      },
    ),
    { numRuns: 200 },
  );
});

test('what is no order is refused with the path of the field', (t) => {
  const payload = (type: string, values: unknown[]): object => ({
    intervals: [{ id: 0, payloads: [{ type, values }] }],
  });
  for (const [change, message] of [
    [{ programID: undefined }, 'event.programID: is missing'],
    [{ objectType: 'REPORT' }, 'event.objectType: is not EVENT'],
    [{ targets: [{ type: 'GROUP', values: ['boiler'] }] }, 'event.targets: do not name one SERVICE_AREA'],
    [
      { targets: [...event.targets, { type: 'SERVICE_AREA', values: ['south-1'] }] },
      'event.targets: do not name one SERVICE_AREA',
    ],
    [{ targets: [event.targets[1], { type: 'SERVICE_AREA', values: ['North 1'] }] }, 'event.targets: is no area'],
    [{ intervals: [] }, 'event.intervals: are not one: a message has one command'],
    [
      { intervals: [...event.intervals, ...event.intervals] },
      'event.intervals: are not one: a message has one command',
    ],
    [
      payload('PRICE', [0.17]),
      'event.intervals.0.payloads.0.type: is none of IMPORT_CAPACITY_LIMIT, ALERT_GRID_EMERGENCY, SIMPLE',
    ],
    [payload('IMPORT_CAPACITY_LIMIT', ['a lot']), 'event.intervals.0.payloads.0.values: are not one number'],
    [payload('IMPORT_CAPACITY_LIMIT', [-1]), 'event.intervals.0.payloads.0.values.0: is less than 1'],
    [
      payload('SIMPLE', [2]),
      'event.intervals.0.payloads.0.values.0: is a level that says no power: only 0, normal operation, is taken',
    ],
    [
      { intervalPeriod: { start: '2026-03-10T17:00:00Z', duration: 'P1M' } },
      'event.intervalPeriod.duration: is no duration of days, hours, minutes and seconds',
    ],
    [
      { intervalPeriod: { start: 'now', duration: 'PT1H' } },
      'event.intervalPeriod.start: is no date and time with its zone',
    ],
    [
      { payloadDescriptors: [{ payloadType: 'IMPORT_CAPACITY_LIMIT', units: 'W' }] },
      'event.payloadDescriptors.0.units: are not KW',
    ],
  ] as const) {
    const error = t.throws(() => fromOpenAdr({ ...event, ...change }), { instanceOf: MalformedError });
    t.is(error?.message, message);
  }
  t.throws(() => fromOpenAdr('off'), { instanceOf: MalformedError });
});
