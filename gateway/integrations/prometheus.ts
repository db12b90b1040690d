/**
 * `/metrics` for the home's own Prometheus (text format 0.0.4). Off unless configured; on the home's side only: whoever can read
 * it sees what the house draws, second by second. What is not known is absent, so that no counter dips to zero.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Gauge, Registry } from 'prom-client';
import { type Now, readNow, type Source } from './source.ts';

interface Measured {
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  read(now: Now): number | null;
}

/** Base units, as Prometheus names them (its linter refuses watt-hours: 1 mWh is 3.6 J). Power: import +, export −. */
const MEASURED: readonly Measured[] = [
  {
    name: 'meter_energy_import_joules_total',
    help: 'Energy drawn from the grid (OBIS 1-0:1.8.0).',
    type: 'counter',
    read: ({ point }) => (point.importMwh * 36) / 10,
  },
  {
    name: 'meter_energy_export_joules_total',
    help: 'Energy fed into the grid (OBIS 1-0:2.8.0).',
    type: 'counter',
    read: ({ point }) => (point.exportMwh * 36) / 10,
  },
  {
    name: 'meter_power_watts',
    help: 'Power, drawn +, fed in - (OBIS 1-0:16.7.0).',
    type: 'gauge',
    read: ({ point }) => point.powerW,
  },
  {
    name: 'meter_reactive_power_vars',
    help: 'Reactive power.',
    type: 'gauge',
    read: ({ point }) => point.reactiveVar,
  },
  {
    name: 'meter_apparent_power_volt_amperes',
    help: 'Apparent power.',
    type: 'gauge',
    read: ({ point }) => point.apparentVa,
  },
  {
    name: 'meter_voltage_volts',
    help: 'Voltage (OBIS 1-0:32.7.0).',
    type: 'gauge',
    read: ({ point }) => point.voltageV,
  },
  {
    name: 'meter_current_amperes',
    help: 'Current (OBIS 1-0:31.7.0).',
    type: 'gauge',
    read: ({ point }) => point.currentA,
  },
  {
    name: 'meter_frequency_hertz',
    help: 'Grid frequency (OBIS 1-0:14.7.0).',
    type: 'gauge',
    read: ({ point }) => point.frequencyHz,
  },
  {
    name: 'meter_power_factor_ratio',
    help: 'Power factor, signed as the power is (OBIS 1-0:13.7.0).',
    type: 'gauge',
    read: ({ point }) => point.powerFactor,
  },
  {
    name: 'meter_import_price_per_kilowatt_hour',
    help: 'Price of a kWh drawn now, in the unit of the currency.',
    type: 'gauge',
    read: ({ importPrice }) => importPrice,
  },
  {
    name: 'meter_export_price_per_kilowatt_hour',
    help: 'What is paid for a kWh fed in now, in the unit of the currency.',
    type: 'gauge',
    read: ({ exportPrice }) => exportPrice,
  },
];

/** The household's metrics, read when they are asked for. */
export function householdRegistry(source: Source): Registry {
  const registry = new Registry();
  // with a label there is no sample before there is a value
  const labels = { household: source.householdName };
  const labelNames = Object.keys(labels) as (keyof typeof labels)[];
  for (const { name, help, type, read } of MEASURED) {
    if (type === 'gauge') {
      new Gauge({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          const value = sampleOf(source, read);
          if (value !== null) this.set(labels, value);
        },
      });
    } else {
      new Counter({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          const value = sampleOf(source, read);
          if (value !== null) this.inc(labels, value);
        },
      });
    }
  }
  const state: [name: string, help: string, read: () => number][] = [
    ['meter_connected', 'Whether the meter is heard.', () => Number(source.connection().meter)],
    ['meter_grid_connected', 'Whether the grid side is reached.', () => Number(source.connection().grid)],
    ['meter_reports_pending', 'Quarter hours that wait to be delivered.', () => source.connection().pendingReports],
  ];
  for (const [name, help, read] of state) {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.set(labels, read());
      },
    });
  }
  return registry;
}

const sampleOf = (source: Source, read: (now: Now) => number | null): number | null => {
  const now = readNow(source);
  const value = now && read(now);
  return value !== null && Number.isFinite(value) ? value : null;
};

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws Error where the port is taken */
export async function startMetrics(
  source: Source,
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const registry = householdRegistry(source);
  const server: Server = createServer((request, answer) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      answer.writeHead(404, { 'content-type': 'text/plain' }).end('there is only /metrics\n');
      return;
    }
    registry
      .metrics()
      .then((text) => answer.writeHead(200, { 'content-type': registry.contentType }).end(text))
      .catch(() => answer.writeHead(500).end());
  });
  server.requestTimeout = 10_000;
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
