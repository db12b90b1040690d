/**
 * One connection to the broker, from its beginning to its end: MQTT 3.1.1 over TLS 1.3, nothing kept by either side when
 * it ends. It has an address of its own (protocol/readings/topics.ts), drawn afresh, and no client certificate, user name
 * or resumed TLS session: nothing in it lasts longer than the pseudonym whose submissions it carries.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { MqttClient } from 'mqtt';
import { type Acknowledgement, decodeAcknowledgement } from '../../protocol/readings/acknowledgement.ts';
import { ADDRESS_BYTES, TOPICS } from '../../protocol/readings/topics.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';

const CONNECT_TIMEOUT_MS = 5000;
const KEEPALIVE_S = 15;

export interface BrokerAccess {
  /** `mqtts://host:port` */
  url: string;
  /** The authority of the broker's certificate, PEM. */
  ca: string;
}
export interface SessionEvents {
  /** Subscribed: what is sent now can be answered. */
  ready(): void;
  acknowledged(acknowledgement: Acknowledgement): void;
  /** The collector has (re)started: it may have missed what was sent. */
  collectorListens(): void;
  /** Something came that is no acknowledgement. */
  malformed(): void;
  /** Once, whatever the reason. */
  ended(reason: string): void;
}

export class BrokerSession {
  readonly #client: MqttClient;
  readonly #address = randomBytes(ADDRESS_BYTES).toString('hex');
  #reason = 'closed';

  constructor({ url, ca }: BrokerAccess, events: SessionEvents) {
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    const client = new MqttClient(
      () => {
        const servername = isIP(host) ? undefined : host;
        const socket = connectTls({ host, port: Number(port || 8883), servername, ca, minVersion: 'TLSv1.3' });
        // Without it a small message waits for the acknowledgement of the one before: 64 ms instead of 3.
        socket.setNoDelay(true);
        return socket;
      },
      {
        protocolVersion: 4,
        clientId: this.#address,
        clean: true,
        resubscribe: false,
        reconnectPeriod: 0,
        connectTimeout: CONNECT_TIMEOUT_MS,
        keepalive: KEEPALIVE_S,
      },
    );
    this.#client = client;
    client.on('connect', () => {
      client.subscribe([TOPICS.answer(this.#address), TOPICS.listening], { qos: 1 }, (error, granted) => {
        if (error || granted?.some(({ qos }) => qos > 2)) this.end('the broker refused the subscription');
        else events.ready();
      });
    });
    client.on('message', (topic, payload) => {
      if (topic === TOPICS.listening) events.collectorListens();
      else if (topic === TOPICS.answer(this.#address)) this.#answered(payload, events);
      else events.malformed();
    });
    client.on('error', (error) => {
      this.#reason = error.message;
    });
    client.stream.on('error', (error: Error) => {
      this.#reason = error.message;
    });
    client.once('close', () => {
      client.end(true);
      events.ended(this.#reason);
    });
  }

  submit(area: string, submission: Uint8Array): void {
    // Its delivery is the collector's to confirm; the broker's word is not waited for.
    this.#client.publish(TOPICS.submit(area, this.#address), submission as Buffer, { qos: 1 }, () => {});
  }

  end(reason: string): void {
    this.#reason = reason;
    this.#client.end(true);
  }

  #answered(payload: Uint8Array, events: SessionEvents): void {
    let acknowledgement: Acknowledgement;
    try {
      acknowledgement = decodeAcknowledgement(payload);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      events.malformed();
      return;
    }
    events.acknowledged(acknowledgement);
  }
}
