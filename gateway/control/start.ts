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
  /** In the place of the configured service, where the provider has changed; null: as configured. */
  providerUrl?: () => string | null;
  log(line: string): void;
}

export class HouseholdControl {
  readonly control: Control;
  readonly #options: HouseholdControlOptions;
  readonly #store: ControlStore;
  readonly #controlKey: () => Uint8Array | null;
  #broadcasts: Broadcasts | null = null;
  /** What is listened to: the provider's topic, which is another one after a change of provider. */
  #topic: string | null = null;
  #homeBroker: HomeBroker | null = null;
  #openadr: OpenAdrServer | null = null;

  constructor(options: HouseholdControlOptions) {
    const { settings, dataDir, clock, area, importPrice, relay, log } = options;
    this.#options = options;
    this.#store = new ControlStore(dataDir);
    const configured = settings.controlKey === undefined ? null : Buffer.from(settings.controlKey, 'hex');
    const ca = settings.provider ? readFileSync(settings.provider.caFile, 'utf8') : null;
    this.#controlKey = options.controlKey ?? (() => configured);
    this.control = new Control({
      store: this.#store,
      clock,
      area,
      controlKey: this.#controlKey,
      provider: () => {
        if (ca === null) return null;
        return { url: options.providerUrl?.() ?? settings.provider!.url, ca };
      },
      appliances: settings.appliances,
      timeZone: settings.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
      importPrice,
      relay,
      onChange: (rows) => this.#homeBroker?.say(rows),
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
    this.#listen();
  }

  /** To be called when protocol time has moved. */
  tick(): void {
    this.#listen();
    this.control.tick();
  }

  /** Listens to the provider of now. */
  #listen(): void {
    const { area, broker, log } = this.#options;
    const key = this.#controlKey();
    const topic = key && controlTopic(area, key);
    if (topic === this.#topic) return;
    this.#topic = topic;
    this.#broadcasts?.close();
    this.#broadcasts = null;
    if (topic === null) return;
    this.#broadcasts = new Broadcasts({
      ...broker,
      broadcasts: [{ topic, heard: (payload) => void this.control.receive(payload) }],
      listening: () => this.control.ask(),
      log,
    });
    this.#broadcasts.start();
  }

  async close(): Promise<void> {
    this.#broadcasts?.close();
    await this.control.idle();
    await this.#homeBroker?.close();
    await this.#openadr?.close();
    this.#store.close();
  }
}
