/** What the page's scripts, and the customer's own, read from the gateway. Everything comes from the HouseholdView. */
import { Readable } from 'node:stream';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { type PageRequest, type PageServer, SECURITY_HEADERS } from '../../web/page-server.ts';
import { addCalibration } from './calibration-api.ts';
import { csvOf } from './csv.ts';
import { addHouse } from './house-api.ts';
import type { HouseholdView } from './household-view.ts';
import type { EventSink, LiveStream } from './live-stream.ts';
import { OPENAPI } from './openapi.ts';
import { REGISTERS } from './page/obis.ts';
import { decodeRange } from './queries.ts';

/** A day of 25 hours (the end of summer time) and a little more. */
const MAX_CHART_DAYS = 2;
const MAX_REPORT_DAYS = 31;
const MAX_CSV_DAYS = 366;
/** The meter answers within seconds, or not at all. */
const CLAMP_TIMEOUT_MS = 30_000;

export interface Api {
  view: HouseholdView;
  live: LiveStream;
  /** Whether the request's session still holds. */
  isAllowed: (request: PageRequest) => boolean;
}

export function addApi(server: PageServer, api: Api): void {
  server.get('/api/openapi.json', async () => OPENAPI);
  addMeasured(server, api);
  addHouse(server, api.view);
  addCalibration(server, api.view);
}

function addMeasured(server: PageServer, { view, live, isAllowed }: Api): void {
  server.get('/api/live', async (request, reply) => {
    if (!live.hasRoom) return reply.code(503).send({ error: 'too many pages are open at once' });
    reply.hijack();
    reply.raw.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream; charset=utf-8' });
    live.attach(reply.raw as EventSink, () => isAllowed(request));
  });

  server.get('/api/status', async () => {
    return {
      householdName: view.householdName,
      nowMs: view.nowMs(),
      ...view.connection(),
      latest: view.latest(),
    };
  });

  server.get('/api/registers', async () => {
    const point = view.latest();
    return {
      nowMs: view.nowMs(),
      measuredMs: point?.unixMs ?? null,
      registers: REGISTERS.map(({ code, label, unit, read }) => ({ code, label, unit, value: point && read(point) })),
    };
  });

  server.get('/api/day', async (request) => {
    const { fromMs, toMs } = decodeRange(request.query, MAX_CHART_DAYS);
    return { nowMs: view.nowMs(), minutes: view.minutes(fromMs, toMs), quarterHours: view.quarterHours(fromMs, toMs) };
  });

  server.get('/api/reports', async (request) => {
    const { fromMs, toMs } = decodeRange(request.query, MAX_REPORT_DAYS);
    const { pendingReports } = view.connection();
    return { nowMs: view.nowMs(), pendingReports, reports: view.reports(fromMs, toMs) };
  });

  server.get('/api/readings.csv', async (request, reply) => {
    const range = decodeRange(request.query, MAX_CSV_DAYS);
    const day = (unixMs: number) => new Date(unixMs).toISOString().slice(0, 10);
    const last = day(Math.max(range.fromMs, range.toMs - DAY_MS / 2));
    const name = [
      view.householdName.replace(/[^\w-]+/g, '-').replace(/^-+|-+$/g, '') || 'household',
      day(range.fromMs),
      last,
    ];
    return reply
      .type('text/csv; charset=utf-8; header=present')
      .header('content-disposition', `attachment; filename="${[...new Set(name)].join('_')}.csv"`)
      .send(Readable.from(csvOf(view, range)));
  });

  let checking = false;
  server.post('/api/check-clamp', async (_, reply) => {
    if (checking) return reply.code(409).send({ error: 'a check is under way already' });
    checking = true;
    try {
      return await within(CLAMP_TIMEOUT_MS, view.checkClamp());
    } catch {
      return reply.code(504).send({ error: 'the meter did not answer: see whether it is connected, then try again' });
    } finally {
      checking = false;
    }
  });
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('too late')), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
