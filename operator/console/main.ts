/** node operator/console/main.ts CONFIG.json */
import { loadConfig } from '../shared/config.ts';
import { runParty, startParty } from '../shared/party.ts';
import { consoleConfig } from './config.ts';
import { askServices } from './parties.ts';
import { startConsole } from './server.ts';

await startParty('console', async (configFile) => {
  const config = loadConfig(configFile, consoleConfig);
  const parties = askServices(config);
  const { url, firstPassword, authorityFingerprint, close } = await startConsole({
    parties,
    directory: config.stateDir,
    name: config.name,
    ...config.web,
    log: (line) => console.error(`console: ${line}`),
  });
  if (config.clock === 'system') {
    console.log(`console: ${url}\nits certificate authority, SHA-256: ${authorityFingerprint}`);
    if (firstPassword) console.log(`password, shown this once: ${firstPassword}`);
  }
  runParty(
    {
      name: 'console',
      // it has no time of its own: the verifier's is shown
      advance: () => {},
      delivered: () => Promise.resolve(),
      pending: () => 0,
      questions: {},
      close,
    },
    config.clock,
    { url, firstPassword, authorityFingerprint },
  );
});
