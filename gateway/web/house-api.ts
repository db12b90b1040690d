/**
 * What the page shows and changes beside the measured day: setting up, whether the household is trusted, its software, its bill,
 * its appliances. What a part of the gateway refuses is answered with 400 and the field's path.
 */

import { ServiceError } from '../../protocol/services/call.ts';
import { DAY_MS, SLOT_MS, slotOf, slotStartMs } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { BadInput } from '../../web/forms.ts';
import type { PageServer } from '../../web/page-server.ts';
import type { HouseholdView } from './household-view.ts';
import { decodeMonth, decodeRange } from './queries.ts';

/** A day of 25 hours, and a little more. */
const MAX_FOUND_DAYS = 2;
/** How far ahead prices are shown. */
const PRICES_AHEAD_MS = DAY_MS;

export function addHouse(server: PageServer, view: HouseholdView): void {
  server.get('/api/house', async () => ({
    nowMs: view.nowMs(),
    setup: view.setup(),
    trust: view.trust(),
    software: view.software(),
    log: view.logState(),
  }));

  server.get('/api/selling', async () => ({ nowMs: view.nowMs(), selling: view.selling() }));
  server.get('/api/supply', async () => ({ nowMs: view.nowMs(), supply: view.supply() }));
  server.get('/api/supply/others', async () => {
    try {
      return { providers: await view.otherProviders() };
    } catch (error) {
      throw refusalOf(error, 'the grid operator could not be asked; try again');
    }
  });
  // As below: the PIN is neither kept nor logged.
  server.post('/api/supply', async (request) => {
    try {
      return { supply: await view.changeProvider(request.body) };
    } catch (error) {
      throw refusalOf(error, 'nothing was changed: who is asked did not answer; try again');
    }
  });
  server.post('/api/moving-out', async (request) => {
    try {
      return { supply: view.moveOut(request.body) };
    } catch (error) {
      throw refusalOf(error, 'nothing was changed; try again');
    }
  });

  // What was typed is in the request and in what is sealed from it; nothing here keeps or logs it.
  server.post('/api/setup', async (request) => {
    if (view.setup() === null) throw new BadInput('this gateway needs no setting up');
    try {
      return await view.initialise(request.body);
    } catch (error) {
      throw refusalOf(error, 'this gateway’s security chip did not answer: nothing was sent; try again');
    }
  });

  server.get('/api/bill', async (request) => {
    const nowMs = view.nowMs();
    const bill = view.bill(decodeMonth(request.query, nowMs));
    const fromMs = slotStartMs(slotOf(nowMs));
    const prices = bill ? view.prices(fromMs, fromMs + PRICES_AHEAD_MS) : [];
    return { nowMs, bill, price: prices.find(({ startMs }) => startMs < fromMs + SLOT_MS) ?? null };
  });

  server.get('/api/disclosures', async () => ({ nowMs: view.nowMs(), disclosures: view.disclosures() }));
  server.post('/api/disclosures', async (request) => {
    try {
      return { disclosures: await view.disclose(request.body) };
    } catch (error) {
      throw refusalOf(error, 'this gateway’s security chip did not answer: nothing was told; try again');
    }
  });
  server.post('/api/disclosures/refuse', async (request) => {
    try {
      return { disclosures: view.refuseDisclosure(request.body) };
    } catch (error) {
      throw refusalOf(error, 'nothing was kept; try again');
    }
  });
  // not for a script's token: a delegation is secret
  server.post('/api/bill/file', async (request) => {
    const { kind, month } = (request.body ?? {}) as { kind?: unknown; month?: unknown };
    if (kind !== 'delegation' && kind !== 'dispute') throw new BadInput('body.kind is no file of a bill', 'body.kind');
    if (typeof month !== 'number' || !Number.isInteger(month))
      throw new BadInput('body.month is no month', 'body.month');
    try {
      return { file: await view.billFile(kind, month) };
    } catch (error) {
      throw refusalOf(error, 'this gateway’s security chip did not answer; try again');
    }
  });

  server.post('/api/log/begin-anew', async () => {
    if (view.logState()?.ok !== false) throw new BadInput('the record is in order: there is nothing to begin anew');
    try {
      return await view.beginLogAnew();
    } catch (error) {
      throw refusalOf(error, 'this gateway’s security chip did not answer: nothing was changed; try again');
    }
  });

  server.get('/api/appliances', async () => ({
    nowMs: view.nowMs(),
    appliances: view.appliances(),
    control: view.controlMessages(),
  }));

  server.get('/api/appliances/found', async (request) => {
    const { fromMs, toMs } = decodeRange(request.query, MAX_FOUND_DAYS);
    return { nowMs: view.nowMs(), found: view.foundAppliances(fromMs, toMs) };
  });

  server.post('/api/appliances/found', async (request) => {
    const { id, label } = (request.body ?? {}) as { id?: unknown; label?: unknown };
    try {
      view.nameFound(id, label);
    } catch (error) {
      throw refusalOf(error, 'the name could not be kept; try again');
    }
    return {};
  });

  server.post('/api/appliances', async (request) => {
    const { name, rules } = (request.body ?? {}) as { name?: unknown; rules?: unknown };
    if (typeof name !== 'string') throw new BadInput('body.name is missing', 'body.name');
    try {
      view.setPolicy(name, rules);
    } catch (error) {
      throw refusalOf(error, 'the rules could not be kept; try again');
    }
    return { appliances: view.appliances() };
  });
}

/** Errors that name a field are the form's; of others only the sentence for people goes out. */
function refusalOf(error: unknown, otherwise: string): Error {
  if (error instanceof MalformedError) return new BadInput(error.problem, error.path);
  // what another party refused is a sentence for people, whether it names a field or not
  if (error instanceof ServiceError && error.kind === 'refused') return new BadInput(error.message, error.path);
  const { path, message } = error as Error & { path?: unknown };
  if (typeof path === 'string') return new BadInput(message, path);
  return Object.assign(new Error(otherwise), { statusCode: 503 });
}
