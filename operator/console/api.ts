/** What the console's page reads and does. Everything stands behind the login, and what changes something must come from the page. */
import * as v from 'valibot';
import { FLEET_QUERY, FLEET_REVOCATION, fleetDeviceCall } from '../../protocol/attestation/fleet.ts';
import { fitting, ServiceError } from '../../protocol/services/call.ts';
import { BadInput } from '../../web/forms.ts';
import type { PageServer } from '../../web/page-server.ts';
import type { Watch } from './overview.ts';
import type { Parties } from './parties.ts';

const ROWS = 20;
const ROWS_WANTED = v.pipe(v.number(), v.integer('is no whole number'), v.minValue(1), v.maxValue(2000));

export interface ConsoleApi {
  watch: Watch;
  parties: Parties;
  log: (line: string) => void;
}

export function addConsoleApi(server: PageServer, { watch, parties, log }: ConsoleApi): void {
  server.get('/api/overview', (request) => {
    const { state = '', text = '', most = String(ROWS), open = '' } = request.query as Record<string, string>;
    const { from: _, ...look } = checked('query', FLEET_QUERY, {
      state: state || null,
      text,
      from: 0,
      open: open || null,
    });
    return watch.overview({ ...look, most: checked('query.most', ROWS_WANTED, Number(most)) });
  });

  server.get('/api/device', async (request) => {
    const { device } = checked('query', fleetDeviceCall.body, { ...(request.query as object) });
    return { evidence: await answered(parties.evidenceOf(device)) };
  });

  server.get('/api/fees', async () => ({ accounts: await answered(parties.accounts()) }));

  server.get('/api/selling', async () => ({ selling: await answered(parties.selling()) }));

  server.post('/api/revoke', async (request) => {
    const revocation = checked('body', FLEET_REVOCATION, request.body);
    await answered(parties.revoke(revocation));
    log(`${revocation.device}: ${revocation.severity}`);
    watch.forget();
    return {};
  });

  server.post('/api/reinstate', async (request) => {
    const { device } = checked('body', fleetDeviceCall.body, request.body);
    await answered(parties.reinstate(device));
    log(`${device}: reinstated`);
    watch.forget();
    return {};
  });
}

function checked<S extends v.GenericSchema>(name: string, schema: S, value: unknown): v.InferOutput<S> {
  const result = fitting(schema, value);
  if ('value' in result) return result.value;
  const path = result.path ? `${name}.${result.path}` : name;
  throw new BadInput(`${path} ${result.problem}`, path);
}

/** A party's no is the caller's; a party that is away is 502, with the sentence that says so. */
class PartyTrouble extends Error {
  readonly statusCode: number;
  readonly path: string | undefined;
  constructor({ message, kind, path }: ServiceError) {
    super(message);
    this.statusCode = kind === 'refused' ? 422 : 502;
    this.path = path;
  }
}
async function answered<T>(question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (error) {
    throw error instanceof ServiceError ? new PartyTrouble(error) : error;
  }
}
