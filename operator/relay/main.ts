/** node operator/relay/main.ts CONFIG.json */
import { join } from 'node:path';
import { bundleBytes } from '../../protocol/door/bundle.ts';
import { ConfigError, loadConfig } from '../shared/config.ts';
import { readPlan } from '../shared/door.ts';
import { runParty, startParty } from '../shared/party.ts';
import { startService } from '../shared/service.ts';
import { relayConfig } from './config.ts';
import { callOf, Forwarding } from './forwarding.ts';
import { relayRoutes } from './service.ts';
import { Relay } from './steps.ts';
import { RelayStore } from './store.ts';

await startParty('relay', async (configFile) => {
  const config = loadConfig(configFile, relayConfig);
  const plan = readPlan(config);
  bundleBytes(plan);
  for (const { name } of plan.destinations)
    if (!config.destinations[name])
      throw new ConfigError(configFile, `destinations.${name}`, 'is missing, and the plan has it');
  const store = new RelayStore(join(config.stateDir, 'relay.sqlite'));
  const { k, bundlesPerAddress, closeAfterMs } = config;
  const relay = new Relay({ store, plan, k, bundlesPerAddress, closeAfterMs });
  const forwarding = new Forwarding(store, plan, (name) => callOf(config.destinations[name]));
  const service = await startService({
    name: 'relay',
    access: config.service,
    routes: relayRoutes(relay, store, plan),
  });

  runParty(
    {
      name: 'relay',
      advance: (nowMs) => {
        relay.advance(nowMs);
        forwarding.pump();
      },
      delivered: () => forwarding.delivered(),
      pending: () => store.unsent(),
      questions: {
        door: () => ({
          bundles: store.state('bundles') ?? 0,
          shuffles: store.state('shuffles') ?? 0,
          heldBack: store.state('heldBack') ?? 0,
          waiting: store.waiting(),
          unsent: store.unsent(),
          lists: Object.fromEntries(plan.destinations.map(({ name }) => [name, store.lists(name).last])),
        }),
        health: () => ({ ...relay.counters.read(), requests: service.counters.read() }),
      },
      close: async () => {
        await service.close();
        await forwarding.close();
        store.close();
      },
    },
    config.clock,
  );
});
