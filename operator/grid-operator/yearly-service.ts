/** Yearly readings as a part of the grid operator's service: its key, its store's tables, its routes. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import { PROVIDER_CHANGE } from '../../protocol/grid-fees/provider-change.ts';
import { DAY_SLOT } from '../../protocol/grid-fees/services.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { EK_SERIAL } from '../../protocol/identity/devices.ts';
import { ConfigError } from '../shared/config.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import { Refusal, type Route, roleRoute, type ServiceOptions } from '../shared/service.ts';
import type { DatabaseSync } from '../shared/store.ts';
import type { GridOperatorConfig } from './config.ts';
import type { Register } from './register.ts';
import { Yearly, yearlyRoutes } from './yearly.ts';

const slot = v.pipe(v.number('is missing'), v.integer('is no whole number'), v.minValue(1, 'is less than 1'));

export function openYearly(
  config: NonNullable<GridOperatorConfig['gridFees']>,
  database: DatabaseSync,
  register: Register,
  nowMs: () => number | undefined,
): { yearly: Yearly; routes: Route[]; identification: NonNullable<ServiceOptions['identification']> } {
  const { name, feeMilliCentPerKwh, keyFile, authorityFile, providers } = config;
  const yearly = new Yearly({
    database,
    name,
    feeMilliCentPerKwh,
    key: readKey(keyFile),
    isInstalled: (device) => register.device(device)?.state === 'installed',
  });
  const now = (): number => {
    const ms = nowMs();
    if (ms === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    return ms;
  };
  return {
    yearly,
    routes: [
      ...yearlyRoutes(yearly, providers, nowMs),
      roleRoute(['console', 'technician'], {
        method: 'POST',
        path: '/grid-fees/supply',
        body: v.strictObject({
          device: EK_SERIAL,
          provider: v.pipe(v.string(), v.minLength(1, 'is empty')),
          fromSlot: slot,
        }),
        handle: ({ device, provider, fromSlot }) => {
          yearly.supply(device, provider, fromSlot);
          return {};
        },
      }),
      roleRoute(['console'], {
        method: 'POST',
        path: '/grid-fees/change-provider',
        body: v.strictObject({ device: EK_SERIAL, fromSlot: DAY_SLOT, provider: PROVIDER_CHANGE.entries.provider }),
        handle: ({ device, fromSlot, provider }) => ({ change: yearly.change(device, fromSlot, provider, now()) }),
      }),
    ],
    identification: {
      holders: new HolderCheck(readFileSync(authorityFile, 'utf8')),
      nowMs,
      // who moved out still tells the last registers; a device that was tampered with is no longer installed in the register
      isRevoked: () => false,
      nonces: new StoredNonces(database),
    },
  };
}

function readKey(file: string): KeyObject {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new ConfigError(file, '', 'is not there');
  if ((mode & 0o077) !== 0) throw new ConfigError(file, '', 'others than its owner may read it (chmod 600)');
  const key = createPrivateKey(readFileSync(file));
  if (key.asymmetricKeyType !== 'ed25519') throw new ConfigError(file, '', 'is no Ed25519 key');
  return key;
}
