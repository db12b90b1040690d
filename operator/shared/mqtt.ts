/**
 * A party's connection to the broker: MQTT 3.1.1 over TLS 1.3 with a client certificate. Nothing here outlives a connection:
 * what is published while there is none is dropped, and whoever publishes says it again in `onConnected`. So the broker may be
 * killed, forget everything and come back.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import mqtt, { type MqttClient } from 'mqtt';
import type { BrokerAccess } from './config.ts';

const RECONNECT_MS = 100;
const CONNECT_TIMEOUT_MS = 5000;
const KEEPALIVE_S = 15;
/** Handed on to node:tls. */
const TLS_ONLY_1_3 = { minVersion: 'TLSv1.3' };

export interface Messages {
  /** Also the client identifier: after a restart the broker ends the connection of whoever was killed. */
  role: string;
  subscribe: string[];
  /** Subscribed and heard from now on: time to say what may have been lost. */
  onConnected(): void;
  /** A promise holds further messages back until it is resolved. Must not throw. */
  onMessage(topic: string, payload: Uint8Array): void | Promise<void>;
}

export interface Connection {
  readonly connected: boolean;
  publish(topic: string, payload: Uint8Array): void;
  close(): Promise<void>;
}

export function connectToBroker(access: BrokerAccess, messages: Messages): Connection {
  const files = {
    ca: readFileSync(access.caFile),
    cert: readFileSync(access.certFile),
    key: readFileSync(access.keyFile),
  };
  let client: MqttClient;
  let subscribed = false;
  let closed = false;
  let reconnect: NodeJS.Timeout | undefined;
  let lastError = '';
  const complain = (problem: string): void => {
    // once, not at every attempt
    if (problem !== lastError) console.error(`${messages.role}: broker: ${problem}`);
    lastError = problem;
  };

  // a client of its own for every connection: mqtt.js would go on with what was under way on the one before
  const connect = (): void => {
    client = mqtt.connect(access.url, {
      protocolVersion: 4,
      clientId: messages.role,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: KEEPALIVE_S,
      ...files,
      ...TLS_ONLY_1_3,
    });
    client.on('connect', () => {
      // without it a small message waits for the acknowledgement of the one before: 64 ms instead of 3
      (client.stream as Socket).setNoDelay(true);
      client.subscribe(messages.subscribe, { qos: 1 }, (error) => {
        if (error) {
          complain(`subscription: ${error.message}`);
          client.end(true);
          return;
        }
        subscribed = true;
        lastError = '';
        messages.onConnected();
      });
    });
    client.on('error', ({ message }) => complain(message));
    client.once('close', () => {
      if (subscribed) complain('connection lost');
      subscribed = false;
      client.end(true);
      if (!closed) reconnect = setTimeout(connect, RECONNECT_MS);
    });
    client.handleMessage = (packet, done) => {
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      const wait = messages.onMessage(packet.topic, payload);
      if (wait) wait.then(() => done(), done);
      else done();
    };
  };
  connect();

  return {
    get connected() {
      return subscribed;
    },
    publish(topic, payload) {
      if (subscribed) client.publish(topic, payload as Buffer, { qos: 1 }, () => {});
    },
    async close() {
      closed = true;
      clearTimeout(reconnect);
      await client.endAsync(true);
    },
  };
}
