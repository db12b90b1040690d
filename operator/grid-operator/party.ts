/** The grid operator, put together from its configuration; what drives it stands in main.ts. */
import { join } from 'node:path';
import { DEVICE_VERSION } from '../../protocol/identity/devices.ts';
import { callAs } from '../shared/client.ts';
import { readEkRoots } from '../shared/endorsement.ts';
import type { Role } from '../shared/party.ts';
import { startService } from '../shared/service.ts';
import type { GridOperatorConfig } from './config.ts';
import { DeviceDelivery } from './delivery.ts';
import { Register } from './register.ts';
import { registerRoutes } from './service.ts';
import { RegisterStore } from './store.ts';
import { openYearly } from './yearly-service.ts';

export async function openGridOperator(config: GridOperatorConfig): Promise<Role> {
  const store = new RegisterStore(join(config.stateDir, 'grid-operator.sqlite'));
  const { url, caFile, ...identity } = config.trustedThirdParty;
  const delivery = new DeviceDelivery(
    store,
    (body) => callAs(identity, { url, caFile, path: '/devices', body, answer: DEVICE_VERSION }),
    (line) => console.error(`grid-operator: ${line}`),
  );
  const roots = readEkRoots(config.endorsementRootsDir);
  // makers' certificates know no time but the calendar's
  const serialOf = (ekCertificate: Uint8Array): string => roots.check(ekCertificate, Date.now()).ekSerial;
  const register = new Register(store, serialOf, () => delivery.pump());
  let nowMs: number | undefined;
  const fees = config.gridFees && openYearly(config.gridFees, store.database, register, () => nowMs);
  const service = await startService({
    name: 'grid-operator',
    access: config.service,
    routes: [...registerRoutes(register), ...(fees?.routes ?? [])],
    ...(fees && { identification: fees.identification }),
  });

  return {
    name: 'grid-operator',
    advance: (toMs) => {
      nowMs = toMs;
      delivery.pump();
    },
    delivered: () => delivery.delivered(),
    pending: () => delivery.pending,
    questions: {
      devices: () => register.devicesAfter('', 1000),
      feeLines: () => fees?.yearly.lines() ?? [],
      health: () => service.counters.read(),
    },
    close: async () => {
      await service.close();
      await delivery.close();
      store.close();
    },
  };
}
