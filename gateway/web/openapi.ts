/**
 * What the customer's own scripts may read, as an OpenAPI 3.1 document: `GET /api/openapi.json`. A test compares it with the
 * routes that there are, and with what they answer.
 */

type Schema = Record<string, unknown>;

const integer = (description: string): Schema => ({ type: 'integer', description });
const number = (description: string): Schema => ({ type: 'number', description });
const text = (description: string): Schema => ({ type: 'string', description });
const truth = (description: string): Schema => ({ type: 'boolean', description });
const list = (items: Schema, description?: string): Schema => ({
  type: 'array',
  items,
  ...(description && { description }),
});
/** All of its properties are always there. */
const object = (properties: Record<string, Schema>): Schema => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
});
const nullable = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] });
const named = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const UNIX_MS = integer('Unix time, ms, UTC');
const nowMs = integer('The gateway’s clock: Unix time, ms, UTC');

const schemas: Record<string, Schema> = {
  Live: object({
    unixMs: UNIX_MS,
    powerW: number('Drawn +, fed in −'),
    reactiveVar: number('var'),
    apparentVa: number('VA'),
    voltageV: number('V'),
    currentA: number('A, drawn +, fed in −'),
    powerFactor: number('Signed as the power is'),
    frequencyHz: number('Hz'),
    importMwh: integer('Register of what was drawn, thousandths of a Wh; only grows'),
    exportMwh: integer('Register of what was fed in, thousandths of a Wh; only grows'),
    warnings: list(text('In plain words')),
  }),
  Minute: object({ unixMs: UNIX_MS, powerW: number('Mean of the minute, drawn +, fed in −') }),
  QuarterHour: object({
    slot: integer('Quarter hours since 1 January 1970, UTC'),
    startMs: UNIX_MS,
    importMwh: integer('Thousandths of a Wh'),
    exportMwh: integer('Thousandths of a Wh'),
    exact: truth('False: a boundary was interpolated, the meter did not know the time'),
  }),
  Report: object({
    slot: integer('Quarter hours since 1 January 1970, UTC'),
    startMs: UNIX_MS,
    state: { enum: ['waiting', 'sent', 'delivered', 'refused'] },
    deliveredMs: nullable(UNIX_MS),
    importWh: integer('As it left the house, Wh in steps of the reporting resolution'),
    exportWh: integer('As it left the house, Wh in steps of the reporting resolution'),
  }),
  Register: object({
    code: text('OBIS code, IEC 62056-61'),
    label: text('In plain words'),
    unit: text('Of the value'),
    value: nullable(number('Null while nothing was measured')),
  }),
};

interface Described {
  summary: string;
  parameters?: Schema[];
  answer: Schema;
  type?: string;
}
const query = (name: string, description: string, required = true): Schema => ({
  name,
  in: 'query',
  required,
  description,
  schema: { type: 'string' },
});
const RANGE = [query('from', 'Unix time, ms: from here on'), query('to', 'Unix time, ms: before this')];

const operations: Record<string, Described> = {
  '/api/status': {
    summary: 'The newest values, and whether meter and grid are reached',
    answer: object({
      householdName: text('As it stands on the page'),
      nowMs,
      meter: truth('The meter is heard'),
      grid: truth('The grid side is reached'),
      pendingReports: integer('Quarter hours that wait to be delivered'),
      latest: nullable(named('Live')),
    }),
  },
  '/api/live': {
    summary: 'The newest values as server-sent events, one a second',
    answer: text('Each event’s data is a Live'),
    type: 'text/event-stream',
  },
  '/api/registers': {
    summary: 'The registers under their OBIS codes',
    answer: object({ nowMs, measuredMs: nullable(UNIX_MS), registers: list(named('Register')) }),
  },
  '/api/calibration': {
    summary: 'How the meter is calibrated, and what was ever written into it',
    answer: object({
      nowMs,
      calibration: nullable(
        object({
          number: integer('Counts what was written; 0: as commissioned'),
          known: truth('Whether this gateway wrote it, or found it first'),
          reversed: truth('Whether the clamp is turned in software'),
          busy: truth('Whether the meter is looking or writing'),
          points: list(object({ volts: number('V'), watts: number('W'), vars: number('var'), seenWatts: number('W') })),
          history: list(
            object({
              n: integer('Counts up'),
              atMs: UNIX_MS,
              digest: text('SHA-256 of the document, hexadecimal'),
              reversed: truth('Whether the clamp was turned by it'),
              signed: truth('Whether the household’s key signed it'),
            }),
          ),
        }),
      ),
    }),
  },
  '/api/day': {
    summary: 'Power by the minute and energy by the quarter hour, at most two days',
    parameters: RANGE,
    answer: object({ nowMs, minutes: list(named('Minute')), quarterHours: list(named('QuarterHour')) }),
  },
  '/api/reports': {
    summary: 'What left the house, to be read by the provider only, at most 31 days',
    parameters: RANGE,
    answer: object({ nowMs, pendingReports: integer('That wait'), reports: list(named('Report')) }),
  },
  '/api/readings.csv': {
    summary: 'Quarter hours for a spreadsheet (RFC 4180), at most 366 days',
    parameters: [...RANGE, query('zone', 'IANA time zone of the local times', false)],
    answer: text('Units stand in the header'),
    type: 'text/csv',
  },
  '/api/bill': {
    summary: 'The bill of a month, computed in the house, and the price of now',
    parameters: [query('month', 'Months since January 1970; this one where it is absent', false)],
    answer: object({
      nowMs,
      bill: nullable({ type: 'object', required: ['month', 'lines', 'totalMilliCent', 'currency', 'state'] }),
      price: nullable(
        object({
          slot: integer('Quarter hour'),
          startMs: UNIX_MS,
          importMilliCentPerKwh: integer('Thousandths of a cent'),
          exportMilliCentPerKwh: integer('Thousandths of a cent'),
        }),
      ),
    }),
  },
  '/api/disclosures': {
    summary: 'What was told beyond the bills, by whose consent, and what the provider asks',
    answer: { type: 'object', required: ['nowMs', 'disclosures'] },
  },
  '/api/house': {
    summary: 'Whether the household is set up, trusted and up to date',
    answer: { type: 'object', required: ['nowMs', 'setup', 'trust', 'software', 'log'] },
  },
  '/api/supply': {
    summary: 'Who supplies the household',
    answer: { type: 'object', required: ['nowMs', 'supply'] },
  },
  '/api/selling': {
    summary: 'What is sold without a name: the wallet by month, and what the control centre could see of it',
    answer: { type: 'object', required: ['nowMs', 'selling'] },
  },
  '/api/appliances/found': {
    summary:
      'What the house’s own power shows of its appliances, at most two days; found in the gateway and told to nobody',
    parameters: RANGE,
    answer: object({
      nowMs,
      found: nullable(
        object({
          drawnMwh: integer('What the house drew, thousandths of a Wh'),
          restMwh: nullable(integer('Everything else; null where the house fed in too')),
          appliances: list(
            object({
              id: integer('Stays the same'),
              label: nullable(text('The customer’s name for it')),
              powerW: integer('W while it runs'),
              times: integer('Runs in that time'),
              energyMwh: integer('What they drew in that time, thousandths of a Wh'),
              on: truth('It seems to run now'),
              lastMs: UNIX_MS,
            }),
          ),
        }),
      ),
    }),
  },
  '/api/appliances': {
    summary: 'Appliances, their rules, and what the provider said to them',
    answer: { type: 'object', required: ['nowMs', 'appliances', 'control'] },
  },
};

const failure = { content: { 'application/json': { schema: object({ error: text('In plain words') }) } } };

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'quietmeter gateway',
    version: '1',
    description:
      'What a household may read of its own meter. `sudo -u quietmeter quietmeter token` makes a token; it reads and changes nothing.',
  },
  security: [{ token: [] }],
  paths: Object.fromEntries(
    Object.entries(operations).map(([path, { summary, parameters, answer, type = 'application/json' }]) => [
      path,
      {
        get: {
          summary,
          ...(parameters && { parameters }),
          responses: {
            200: { description: summary, content: { [type]: { schema: answer } } },
            ...(parameters && { 400: { description: 'A parameter is wrong: it is named', ...failure } }),
            401: { description: 'No token, or not the right one', ...failure },
          },
        },
      },
    ]),
  ),
  components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
};
