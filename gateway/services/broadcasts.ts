/**
 * What parties say to all gateways at once over MQTT: prices, control. Listening is a connection of its own, which sends
 * nothing and has nothing to do with the pseudonyms under which readings are submitted: a fresh random address each time,
 * nothing kept. Whatever must not be missed is asked for in `listening`, which comes at every (re)connection.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { MqttClient } from 'mqtt';
import { ADDRESS_BYTES } from '../../protocol/readings/topics.ts';

const CONNECT_TIMEOUT_MS = 5000;
const KEEPALIVE_S = 15;
const RECONNECT_FIRST_MS = 200;
const RECONNECT_MOST_MS = 8000;
/** An announcement is short; anybody who could send a longer one would fill the gateway's memory. */
const MOST_BYTES = 65_536;

export interface Broadcast {
  topic: string;
  /** Must not throw. */
  heard(payload: Uint8Array): void;
}
export interface BroadcastsOptions {
  /** `mqtts://host:port`. */
  url: string;
  /** The authority of the broker's certificate, PEM. */
  ca: string;
  broadcasts: readonly Broadcast[];
  /** Subscribed: what is said from now on is heard. */
  listening(): void;
  log(line: string): void;
}

export class Broadcasts {
  readonly #options: BroadcastsOptions;
  #client: MqttClient | null = null;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #logged = '';
  #closed = false;

  constructor(options: BroadcastsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client?.end(true);
  }

  #connect(): void {
    const { url, ca, broadcasts, listening } = this.#options;
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    let reason = 'closed';
    const client = new MqttClient(
      () =>
        connectTls({
          host,
          port: Number(port || 8883),
          servername: isIP(host) ? undefined : host,
          ca,
          minVersion: 'TLSv1.3',
        }),
      {
        protocolVersion: 4,
        clientId: randomBytes(ADDRESS_BYTES).toString('hex'),
        clean: true,
        resubscribe: false,
        reconnectPeriod: 0,
        connectTimeout: CONNECT_TIMEOUT_MS,
        keepalive: KEEPALIVE_S,
      },
    );
    this.#client = client;
    client.on('connect', () => {
      client.subscribe(
        broadcasts.map(({ topic }) => topic),
        { qos: 1 },
        (error, granted) => {
          if (error || granted?.some(({ qos }) => qos > 2)) {
            reason = 'the broker refused the subscription';
            client.end(true);
            return;
          }
          this.#failures = 0;
          this.#logged = '';
          listening();
        },
      );
    });
    client.on('message', (topic, payload) => {
      if (payload.length > MOST_BYTES) return;
      for (const broadcast of broadcasts) if (broadcast.topic === topic) broadcast.heard(payload);
    });
    client.on('error', (error) => {
      reason = error.message;
    });
    client.stream.on('error', (error: Error) => {
      reason = error.message;
    });
    client.once('close', () => {
      client.end(true);
      if (this.#closed) return;
      if (reason !== this.#logged) this.#options.log(`broadcasts: ${reason}`);
      this.#logged = reason;
      const most = Math.min(RECONNECT_FIRST_MS * 2 ** this.#failures++, RECONNECT_MOST_MS);
      this.#timer = setTimeout(() => this.#connect(), most * (0.5 + Math.random() / 2));
    });
  }
}
