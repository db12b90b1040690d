/** node operator/grid-operator/main.ts CONFIG.json */
import { loadConfig } from '../shared/config.ts';
import { runParty, startParty } from '../shared/party.ts';
import { gridOperatorConfig } from './config.ts';
import { openGridOperator } from './party.ts';

await startParty('grid-operator', async (configFile) => {
  const config = loadConfig(configFile, gridOperatorConfig);
  runParty(await openGridOperator(config), config.clock);
});
