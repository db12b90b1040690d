/** Control in the house, put together: store, steps, and the doors by which messages come in and states go out. */
import { readFileSync } from 'node:fs';
import { controlTopic } from '../../protocol/control/topics.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { Broadcasts } from '../services/broadcasts.ts';
import type { ControlSettings } from './config.ts';
import { Control, type RelayLine } from './control.ts';
import { HomeBroker } from './home-broker.ts';
import { type OpenAdrServer, startOpenAdrServer } from './openadr-server.ts';
import { ControlStore } from './store.ts';

export interface HouseholdControlOptions {
  settings: ControlSettings;
  dataDir: string;
  clock: Clock;
  area: string;
  /** The grid's broker, as in the gateway's configuration. */
  broker: { url: string; ca: string };
  importPrice(slot: number): number | undefined;
  relay: RelayLine;
  /** In the place of the configured key, where the provider may change (gateway/yearly). */
  controlKey?: () => Uint8Array | null;
  log(line: string): void;
}

export class HouseholdControl {
  readonly control: Control;
  readonly #options: HouseholdControlOptions;
  readonly #store: ControlStore;
  readonly #broadcasts: Broadcasts | null;
  #homeBroker: HomeBroker | null = null;
  #openadr: OpenAdrServer | null = null;

  constructor(options: HouseholdControlOptions) {
    const { settings, dataDir, clock, area, broker, importPrice, relay, log } = options;
    this.#options = options;
    this.#store = new ControlStore(dataDir);
    const configured = settings.controlKey === undefined ? null : Buffer.from(settings.controlKey, 'hex');
    this.control = new Control({
      store: this.#store,
      clock,
      area,
      controlKey: options.controlKey ?? (() => configured),
      provider: settings.provider
        ? { url: settings.provider.url, ca: readFileSync(settings.provider.caFile, 'utf8') }
        : null,
      appliances: settings.appliances,
      timeZone: settings.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
      importPrice,
      relay,
      onChange: (rows) => this.#homeBroker?.say(rows),
      log,
    });
    this.#broadcasts =
      configured === null && !options.controlKey
        ? null
        : new Broadcasts({
            ...broker,
            broadcasts: [{ topic: controlTopic(area), heard: (payload) => void this.control.receive(payload) }],
            listening: () => this.control.ask(),
            log,
          });
  }

  /** Address of the events, where they are offered. */
  get openAdrUrl(): string | undefined {
    return this.#openadr?.url;
  }

  async start(): Promise<void> {
    const { settings, log } = this.#options;
    if (settings.homeBroker) this.#homeBroker = new HomeBroker(settings.homeBroker, log);
    if (settings.openadr) this.#openadr = await startOpenAdrServer(settings.openadr, () => this.control.unexpired());
    this.#broadcasts?.start();
  }

  async close(): Promise<void> {
    this.#broadcasts?.close();
    await this.control.idle();
    await this.#homeBroker?.close();
    await this.#openadr?.close();
    this.#store.close();
  }
}
