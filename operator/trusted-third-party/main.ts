/** node operator/trusted-third-party/main.ts CONFIG.json */
import { loadConfig } from '../shared/config.ts';
import { runParty, startParty } from '../shared/party.ts';
import { trustedThirdPartyConfig } from './config.ts';
import { openTrustedThirdParty } from './party.ts';

await startParty('trusted-third-party', async (configFile) => {
  const config = loadConfig(configFile, trustedThirdPartyConfig);
  runParty(await openTrustedThirdParty(config), config.clock);
});
