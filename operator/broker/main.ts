/** node operator/broker/main.ts CONFIG.json */
import { loadConfig } from '../shared/config.ts';
import { runParty, startParty } from '../shared/party.ts';
import { startBroker } from './broker.ts';
import { brokerConfig } from './config.ts';

await startParty('broker', async (configFile) => {
  const config = loadConfig(configFile, brokerConfig);
  const broker = await startBroker(config);
  runParty(
    {
      name: 'broker',
      advance: () => {},
      delivered: async () => {},
      pending: () => 0,
      questions: { health: broker.health },
      close: broker.close,
    },
    config.clock,
  );
});
