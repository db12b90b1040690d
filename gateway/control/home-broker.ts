/**
 * What appliances may do, on the home's own MQTT broker, for those that listen there:
 *
 *   <prefix>/appliances/<name>   {"state": "on" | "off" | "limit", "limitW": …, "reason": …, "until": ISO 8601}   retained
 *   <prefix>/appliances          "online" | "offline": while nobody speaks, an appliance decides for itself       retained
 *
 * It is the customer's broker; whoever reads there knows what the house does.
 */
import { readFileSync } from 'node:fs';
import { connect, type MqttClient } from 'mqtt';
import type { ControlSettings } from './config.ts';
import type { ApplianceRow } from './control.ts';

const RECONNECT_MS = 5000;

export type HomeBrokerSettings = NonNullable<ControlSettings['homeBroker']>;

export class HomeBroker {
  readonly #client: MqttClient;
  readonly #prefix: string;
  #rows: readonly ApplianceRow[] = [];
  #said = new Map<string, string>();

  constructor({ url, caFile, username, passwordFile, prefix }: HomeBrokerSettings, log: (line: string) => void) {
    this.#prefix = prefix;
    const availability = `${prefix}/appliances`;
    let logged = '';
    this.#client = connect(url, {
      reconnectPeriod: RECONNECT_MS,
      clean: true,
      queueQoSZero: false,
      will: { topic: availability, payload: Buffer.from('offline'), qos: 1, retain: true },
      ...(caFile && { ca: readFileSync(caFile) }),
      ...(username && { username }),
      ...(passwordFile && { password: readFileSync(passwordFile, 'utf8').trim() }),
    });
    this.#client.on('connect', () => {
      logged = '';
      this.#client.publish(availability, 'online', { qos: 1, retain: true });
      this.#said.clear(); // the broker may have forgotten everything
      this.#speak();
    });
    this.#client.on('error', ({ message }) => {
      if (message !== logged) log(`home's broker: ${message}`);
      logged = message;
    });
  }

  say(rows: readonly ApplianceRow[]): void {
    this.#rows = rows;
    this.#speak();
  }

  async close(): Promise<void> {
    if (this.#client.connected)
      await this.#client.publishAsync(`${this.#prefix}/appliances`, 'offline', { qos: 1, retain: true });
    await this.#client.endAsync();
  }

  #speak(): void {
    if (!this.#client.connected) return;
    for (const { name, state, limitW, reason, untilMs } of this.#rows) {
      const text = JSON.stringify({ state, limitW, reason, until: new Date(untilMs).toISOString() });
      if (this.#said.get(name) === text) continue;
      this.#said.set(name, text);
      this.#client.publish(`${this.#prefix}/appliances/${name}`, text, { qos: 1, retain: true });
    }
  }
}
