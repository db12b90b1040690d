/** Selling as the gateway runs it: under the household's identifier, and by its door. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../protocol/time/clock.ts';
import type { Door } from '../door/door.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import type { HouseholdLedger } from '../ledger/household-ledger.ts';
import type { SealedValuesStore } from '../meter/sealed-values.ts';
import type { MeterSessions } from '../meter/sessions.ts';
import type { GatewayStore } from '../store.ts';
import { centreCalls } from './centre.ts';
import type { SellingConfig } from './config.ts';
import { HouseholdSelling } from './selling.ts';

export interface OpenSellingOptions {
  config: SellingConfig;
  dataDir: string;
  household: Pick<HouseholdIdentity, 'requestIdentity'>;
  sessions: MeterSessions;
  door: Door;
  ledger: HouseholdLedger;
  sealed: SealedValuesStore;
  store: GatewayStore;
  clock: Clock;
  log(line: string): void;
}

export function openSelling({ config, household, store, ...rest }: OpenSellingOptions): HouseholdSelling {
  const address = { url: config.url, ca: readFileSync(config.caFile, 'utf8') };
  const identity = (audience: string) => household.requestIdentity('identifier', audience);
  return new HouseholdSelling({
    ...rest,
    enabled: config.enabled,
    masterKey: Buffer.from(config.masterKey, 'hex'),
    call: centreCalls(address, identity),
    identity,
    sinceSlot: () => store.measuredRange()?.first ?? null,
  });
}
