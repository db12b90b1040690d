/** The home's other systems, those that the configuration turns on. One that cannot be started is said and left out. */
import type { IntegrationsConfig } from './config.ts';
import { HomeAssistant } from './home-assistant.ts';
import { type P1Server, startP1 } from './p1.ts';
import { type MetricsServer, startMetrics } from './prometheus.ts';
import type { Source } from './source.ts';

export interface IntegrationsOptions {
  config: IntegrationsConfig;
  /** The household's id. */
  id: string;
  /** The release that runs; 0: by hand. */
  version: number;
  source: Source;
  log(line: string): void;
}

export class Integrations {
  readonly #options: IntegrationsOptions;
  #homeAssistant: HomeAssistant | null = null;
  #metrics: MetricsServer | null = null;
  #p1: P1Server | null = null;

  constructor(options: IntegrationsOptions) {
    this.#options = options;
  }

  /** Where each listens; for tests and people. */
  get addresses(): { metrics?: string; p1?: number } {
    return { ...(this.#metrics && { metrics: this.#metrics.url }), ...(this.#p1 && { p1: this.#p1.port }) };
  }

  async start(): Promise<void> {
    const { config, source } = this.#options;
    if (config.homeAssistant)
      this.#homeAssistant = new HomeAssistant({ ...this.#options, settings: config.homeAssistant });
    if (config.prometheus)
      this.#metrics = await this.#try('Prometheus', () => startMetrics(source, config.prometheus!));
    if (config.p1) this.#p1 = await this.#try('P1', () => startP1(source, config.p1!));
  }

  tick(): void {
    this.#homeAssistant?.tick();
  }

  async close(): Promise<void> {
    await Promise.all([this.#homeAssistant?.close(), this.#metrics?.close(), this.#p1?.close()]);
  }

  async #try<T>(name: string, start: () => Promise<T>): Promise<T | null> {
    try {
      return await start();
    } catch (error) {
      this.#options.log(`${name}: ${(error as Error).message}`);
      return null;
    }
  }
}
