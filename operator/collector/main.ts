/** node operator/collector/main.ts CONFIG.json */
import { join } from 'node:path';
import { MAC_KEY_BYTES } from '../../protocol/crypto/mac.ts';
import { encodeAcknowledgement } from '../../protocol/readings/acknowledgement.ts';
import { parseBatchAnswerTopic, parseSubmitTopic, TOPICS } from '../../protocol/readings/topics.ts';
import { loadConfig, readSecretKey } from '../shared/config.ts';
import { connectToBroker } from '../shared/mqtt.ts';
import { runParty, startParty } from '../shared/party.ts';
import { collectorConfig } from './config.ts';
import { Delivery } from './delivery.ts';
import { Inbox } from './inbox.ts';
import { Collector } from './steps.ts';
import { CollectorStore } from './store.ts';
import { TrustFiles } from './trust.ts';

await startParty('collector', async (configFile) => {
  const config = loadConfig(configFile, collectorConfig);
  const trust = new TrustFiles(config.trust);
  const store = new CollectorStore(join(config.stateDir, 'collector.sqlite'));
  const providers = config.providers.map(({ party, readingKeys, macKeyFile }) => ({
    party,
    readingKeys,
    macKey: readSecretKey(macKeyFile, MAC_KEY_BYTES),
  }));
  const { k, graceMs, settlementDelayDays } = config;
  const collector = new Collector({ store, trust, providers, k, graceMs, settlementDelayDays });

  const inbox = new Inbox(collector, (address, answer) =>
    connection.publish(TOPICS.answer(address), encodeAcknowledgement(answer)),
  );
  const sayListening = (): void => connection.publish(TOPICS.listening, new Uint8Array());
  const connection = connectToBroker(config.broker, {
    role: 'collector',
    subscribe: [TOPICS.everySubmit, TOPICS.everyBatchAnswer],
    onConnected: () => {
      sayListening();
      for (const delivery of deliveries.values()) delivery.again();
    },
    onMessage: (topic, payload) => {
      const provider = parseBatchAnswerTopic(topic);
      const delivery = provider === undefined ? undefined : deliveries.get(provider);
      if (delivery) {
        if (collector.answered(provider!, payload)) delivery.again();
        else delivery.pump();
        return;
      }
      const from = parseSubmitTopic(topic);
      if (from) return inbox.push({ ...from, bytes: payload });
      collector.counters.add('topicMalformed');
    },
  });
  const deliveries = new Map(
    providers.map(({ party }) => [party, new Delivery(store, party, connection.publish)] as const),
  );

  runParty(
    {
      name: 'collector',
      advance: (nowMs) => {
        const believesMore = refreshed(trust);
        collector.advance(nowMs);
        for (const delivery of deliveries.values()) delivery.pump();
        // those who were told "not yet" need not wait for their own patience
        if (inbox.toldTooEarly() || believesMore) sayListening();
      },
      delivered: async () => {
        await Promise.all([...deliveries.values()].map((delivery) => delivery.delivered()));
      },
      pending: () => store.waiting() + store.unacknowledged(),
      questions: {
        deliveries: () => collector.deliveries(),
        health: () => ({ connected: connection.connected, ...collector.counters.read() }),
      },
      close: async () => {
        for (const delivery of deliveries.values()) delivery.close();
        await connection.close();
        store.close();
      },
    },
    config.clock,
  );
});

/** A file that is wrong now was right when the process began: what was read then goes on to hold. */
function refreshed(trust: TrustFiles): boolean {
  try {
    return trust.refresh();
  } catch (error) {
    console.error(`collector: ${(error as Error).message}`);
    return false;
  }
}
