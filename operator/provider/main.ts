/** node operator/provider/main.ts CONFIG.json */
import { join } from 'node:path';
import { HPKE_PRIVATE_KEY_BYTES } from '../../protocol/crypto/hpke.ts';
import { MAC_KEY_BYTES } from '../../protocol/crypto/mac.ts';
import { TOPICS } from '../../protocol/readings/topics.ts';
import { loadConfig, readSecretKey } from '../shared/config.ts';
import { connectToBroker } from '../shared/mqtt.ts';
import { runParty, startParty } from '../shared/party.ts';
import { startBilling } from './billing.ts';
import { providerConfig } from './config.ts';
import { startControl } from './control.ts';
import { openInvoices } from './invoices.ts';
import { Provider } from './steps.ts';
import { ProviderStore } from './store.ts';

await startParty('provider', async (configFile) => {
  const config = loadConfig(configFile, providerConfig);
  const store = new ProviderStore(join(config.stateDir, 'provider.sqlite'));
  const provider = new Provider({
    store,
    macKey: readSecretKey(config.macKeyFile, MAC_KEY_BYTES),
    privateKey: readSecretKey(config.privateKeyFile, HPKE_PRIVATE_KEY_BYTES),
    k: config.k,
    mostWhPerSlot: config.mostWhPerSlot,
  });

  const billing =
    config.billing &&
    (await startBilling(
      config.billing,
      config.stateDir,
      (topic, bytes) => connection.publish(topic, bytes),
      config.party,
    ));

  const control =
    config.control &&
    (await startControl(
      config.control,
      config.stateDir,
      (topic, bytes) => connection.publish(topic, bytes),
      config.party,
    ));

  const invoices = config.invoices && openInvoices(config.invoices, config.stateDir);

  const connection = connectToBroker(config.broker, {
    role: config.party,
    subscribe: [TOPICS.batches(config.party)],
    onConnected: () => {
      connection.publish(TOPICS.batchAnswers(config.party), provider.greeting());
      billing?.connected();
      control?.connected();
    },
    // the next batch waits until this one is on disk: their order is checked
    onMessage: async (_topic, payload) => {
      try {
        const answer = await provider.receive(payload);
        if (answer) connection.publish(TOPICS.batchAnswers(config.party), answer);
      } catch (error) {
        // a disk that is full, say: without an answer the collector sends again
        provider.counters.add('storeFailed');
        console.error(`provider: a batch could not be stored: ${(error as Error).message}`);
      }
    },
  });

  runParty(
    {
      name: 'provider',
      // batches are worked on when they arrive, whatever the time
      advance: (nowMs) => {
        billing?.advance(nowMs);
        control?.advance(nowMs);
        invoices?.advance(nowMs);
      },
      delivered: async () => {},
      pending: () => 0,
      questions: {
        totals: () => store.totals(),
        areaSums: () => store.areaSums(),
        bills: () => billing?.bills() ?? [],
        questions: () => billing?.questions() ?? [],
        prices: () => billing?.prices() ?? [],
        control: () => control?.sent() ?? [],
        invoices: () => invoices?.all() ?? [],
        health: () => ({ connected: connection.connected, ...provider.counters.read() }),
      },
      close: async () => {
        await connection.close();
        await billing?.close();
        await control?.close();
        await invoices?.close();
        store.close();
      },
    },
    config.clock,
  );
});
