/** node operator/grid-operator/main.ts CONFIG.json */
import { join } from 'node:path';
import { DEVICE_VERSION } from '../../protocol/identity/devices.ts';
import { callAs } from '../shared/client.ts';
import { loadConfig } from '../shared/config.ts';
import { readEkRoots } from '../shared/endorsement.ts';
import { runParty, startParty } from '../shared/party.ts';
import { startService } from '../shared/service.ts';
import { gridOperatorConfig } from './config.ts';
import { DeviceDelivery } from './delivery.ts';
import { Register } from './register.ts';
import { registerRoutes } from './service.ts';
import { RegisterStore } from './store.ts';

await startParty('grid-operator', async (configFile) => {
  const config = loadConfig(configFile, gridOperatorConfig);
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
  const service = await startService({
    name: 'grid-operator',
    access: config.service,
    routes: registerRoutes(register),
  });

  runParty(
    {
      name: 'grid-operator',
      advance: () => delivery.pump(),
      delivered: () => delivery.delivered(),
      pending: () => delivery.pending,
      questions: {
        devices: () => register.devicesAfter('', 1000),
        health: () => service.counters.read(),
      },
      close: async () => {
        await service.close();
        await delivery.close();
        store.close();
      },
    },
    config.clock,
  );
});
