/**
 * Home Assistant, by MQTT device discovery (home-assistant.io/integrations/mqtt, "Device discovery payload"):
 *
 *   <discovery>/device/quietmeter_<id>/config   retained: the device and its sensors, in one payload
 *   quietmeter/<id>/availability                retained: "online" while the meter is heard, "offline" otherwise (also as will)
 *   quietmeter/<id>/state                       JSON of the newest values; only what is known stands in it
 *
 * Announced again after every connection, and when Home Assistant says `online` on `<discovery>/status`. Nothing is ever said
 * before it was read from the meter's flash, so that no counter dips to zero.
 */
import { readFileSync } from 'node:fs';
import { connect, type MqttClient } from 'mqtt';
import type { IntegrationsConfig } from './config.ts';
import { type Now, readNow, type Source } from './source.ts';

const RECONNECT_MS = 5000;

export type HomeAssistantSettings = NonNullable<IntegrationsConfig['homeAssistant']>;

interface Sensor {
  /** Key in the state, and end of the unique id. */
  key: string;
  name: string;
  deviceClass?: string;
  stateClass?: 'measurement' | 'total' | 'total_increasing';
  /** A function where it depends on the bill's currency. */
  unit?: string | ((currency: string) => string);
  precision: number;
  /** OBIS, IEC 62056-61, where there is one. */
  obis?: string;
  /** Null: not known; then it is absent from the state. */
  read(now: Now): number | null;
  /** Only where the household is billed and prices are known. */
  money?: boolean;
}

const perKwh = (currency: string): string => `${currency}/kWh`;
const MWH_PER_KWH = 1e6;

/** Power and current: import +, export −. Both energies are registers of the meter that only grow. */
export const SENSORS: readonly Sensor[] = [
  {
    key: 'import_energy',
    name: 'Energy drawn',
    deviceClass: 'energy',
    stateClass: 'total_increasing',
    unit: 'kWh',
    precision: 3,
    obis: '1-0:1.8.0',
    read: ({ point }) => point.importMwh / MWH_PER_KWH,
  },
  {
    key: 'export_energy',
    name: 'Energy fed in',
    deviceClass: 'energy',
    stateClass: 'total_increasing',
    unit: 'kWh',
    precision: 3,
    obis: '1-0:2.8.0',
    read: ({ point }) => point.exportMwh / MWH_PER_KWH,
  },
  {
    key: 'power',
    name: 'Grid power',
    deviceClass: 'power',
    stateClass: 'measurement',
    unit: 'W',
    precision: 0,
    obis: '1-0:16.7.0',
    read: ({ point }) => point.powerW,
  },
  {
    key: 'reactive_power',
    name: 'Reactive power',
    deviceClass: 'reactive_power',
    stateClass: 'measurement',
    unit: 'var',
    precision: 0,
    read: ({ point }) => point.reactiveVar,
  },
  {
    key: 'apparent_power',
    name: 'Apparent power',
    deviceClass: 'apparent_power',
    stateClass: 'measurement',
    unit: 'VA',
    precision: 0,
    read: ({ point }) => point.apparentVa,
  },
  {
    key: 'voltage',
    name: 'Voltage',
    deviceClass: 'voltage',
    stateClass: 'measurement',
    unit: 'V',
    precision: 1,
    obis: '1-0:32.7.0',
    read: ({ point }) => point.voltageV,
  },
  {
    key: 'current',
    name: 'Current',
    deviceClass: 'current',
    stateClass: 'measurement',
    unit: 'A',
    precision: 2,
    obis: '1-0:31.7.0',
    read: ({ point }) => point.currentA,
  },
  {
    key: 'frequency',
    name: 'Grid frequency',
    deviceClass: 'frequency',
    stateClass: 'measurement',
    unit: 'Hz',
    precision: 2,
    obis: '1-0:14.7.0',
    read: ({ point }) => point.frequencyHz,
  },
  {
    key: 'power_factor',
    name: 'Power factor',
    deviceClass: 'power_factor',
    stateClass: 'measurement',
    precision: 2,
    obis: '1-0:13.7.0',
    read: ({ point }) => point.powerFactor,
  },
  // a price is no amount: Home Assistant wants no device class for it
  {
    key: 'import_price',
    name: 'Price of a kWh drawn',
    stateClass: 'measurement',
    unit: perKwh,
    precision: 4,
    money: true,
    read: ({ importPrice }) => importPrice,
  },
  {
    key: 'export_price',
    name: 'Price of a kWh fed in',
    stateClass: 'measurement',
    unit: perKwh,
    precision: 4,
    money: true,
    read: ({ exportPrice }) => exportPrice,
  },
  {
    key: 'cost',
    name: 'Bill of this month',
    deviceClass: 'monetary',
    stateClass: 'total',
    unit: (currency) => currency,
    precision: 2,
    money: true,
    read: ({ cost }) => cost,
  },
];

export interface HomeAssistantOptions {
  settings: HomeAssistantSettings;
  /** The household's id: part of topics and unique ids. */
  id: string;
  /** Of the gateway's software, 0: by hand. */
  version: number;
  source: Source;
  log(line: string): void;
}

export class HomeAssistant {
  readonly #options: HomeAssistantOptions;
  readonly #client: MqttClient;
  readonly #id: string;
  readonly #stopListening: () => void;
  #announced: string | null = null;
  #available: boolean | null = null;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(options: HomeAssistantOptions) {
    this.#options = options;
    const { settings, source, log } = options;
    const { url, caFile, username, passwordFile, discoveryPrefix } = settings;
    this.#id = options.id.replace(/[^A-Za-z0-9_-]/g, '_');
    let logged = '';
    this.#client = connect(url, {
      reconnectPeriod: RECONNECT_MS,
      clean: true,
      queueQoSZero: false,
      will: { topic: this.#topic('availability'), payload: Buffer.from('offline'), qos: 1, retain: true },
      ...(caFile && { ca: readFileSync(caFile) }),
      ...(username && { username }),
      ...(passwordFile && { password: readFileSync(passwordFile, 'utf8').trim() }),
    });
    this.#client.on('connect', () => {
      logged = '';
      this.#client.subscribe(`${discoveryPrefix}/status`, { qos: 1 });
      this.#afresh();
    });
    this.#client.on('message', (_topic, payload) => {
      if (payload.toString('utf8') === 'online') this.#afresh();
    });
    this.#client.on('error', ({ message }) => {
      if (message !== logged) log(`Home Assistant's broker: ${message}`);
      logged = message;
    });
    this.#stopListening = source.onLive(() => this.#speak());
  }

  /** To be called now and then: the meter may have fallen silent. */
  tick(): void {
    this.#speak();
  }

  async close(): Promise<void> {
    this.#stopListening();
    if (this.#client.connected)
      await this.#client.publishAsync(this.#topic('availability'), 'offline', { qos: 1, retain: true });
    await this.#client.endAsync();
  }

  #topic(name: string): string {
    return `quietmeter/${this.#id}/${name}`;
  }

  /** Broker or Home Assistant may have forgotten everything. */
  #afresh(): void {
    this.#announced = null;
    this.#available = null;
    this.#saidMs = Number.NEGATIVE_INFINITY;
    this.#speak();
  }

  #speak(): void {
    if (!this.#client.connected) return;
    const { source, settings } = this.#options;
    const now = readNow(source);
    const available = now !== null;
    if (now !== null) this.#announce(now.currency);
    if (available !== this.#available) {
      this.#available = available;
      const text = available ? 'online' : 'offline';
      this.#client.publish(this.#topic('availability'), text, { qos: 1, retain: true });
    }
    if (now === null || source.nowMs() - this.#saidMs < settings.everySeconds * 1000) return;
    this.#saidMs = source.nowMs();
    this.#client.publish(this.#topic('state'), JSON.stringify(stateOf(now)), { qos: 0 });
  }

  #announce(currency: string): void {
    if (this.#announced === currency) return;
    this.#announced = currency;
    const { settings, version, source } = this.#options;
    const payload = {
      dev: {
        ids: `quietmeter_${this.#id}`,
        name: source.householdName,
        mf: 'quietmeter',
        mdl: 'Meter with gateway',
        sw: version === 0 ? 'installed by hand' : `release ${version}`,
      },
      o: { name: 'quietmeter', sw: String(version) },
      cmps: Object.fromEntries(
        SENSORS.filter(({ money }) => !money || currency !== '').map((sensor) => [
          sensor.key,
          this.#component(sensor, currency),
        ]),
      ),
      avty_t: this.#topic('availability'),
      stat_t: this.#topic('state'),
      qos: 1,
    };
    const topic = `${settings.discoveryPrefix}/device/quietmeter_${this.#id}/config`;
    this.#client.publish(topic, JSON.stringify(payload), { qos: 1, retain: true });
  }

  #component({ key, name, deviceClass, stateClass, unit, precision }: Sensor, currency: string): object {
    return {
      p: 'sensor',
      uniq_id: `quietmeter_${this.#id}_${key}`,
      name,
      ...(deviceClass && { dev_cla: deviceClass }),
      ...(stateClass && { stat_cla: stateClass }),
      ...(unit && { unit_of_meas: typeof unit === 'string' ? unit : unit(currency) }),
      sug_dsp_prc: precision,
      // what is not known is absent from the state, and `None` leaves the sensor unknown instead of wrong
      val_tpl: `{{ value_json.${key} | default(None) }}`,
      ...(stateClass === 'total' && { lrst_val_tpl: '{{ value_json.month_start }}' }),
    };
  }
}

/** Only what is known. */
export function stateOf(now: Now): Record<string, number | string> {
  const state: Record<string, number | string> = {};
  for (const { key, read, precision } of SENSORS) {
    const value = read(now);
    if (value !== null && Number.isFinite(value)) state[key] = Number(value.toFixed(Math.max(precision, 3)));
  }
  if (now.cost !== null) state.month_start = new Date(now.monthStartMs).toISOString();
  return state;
}
