/** A grid operator's parties in memory, for tests of the console: a street of devices in every state, two releases, messages. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page as Tab } from 'playwright-core';
import type { Fleet, FleetLook, Parties } from '../../../operator/console/parties.ts';
import { startConsole } from '../../../operator/console/server.ts';
import {
  FLEET_PAGE_MOST,
  type FleetDevice,
  type FleetEvidence,
  type FleetRelease,
  type FleetRevocation,
  lookAt,
} from '../../../protocol/attestation/fleet.ts';
import type { SentControl } from '../../../protocol/control/services.ts';
import type { GridAccounts } from '../../../protocol/grid-fees/services.ts';
import type { SellingOverview } from '../../../protocol/selling/services.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import type { Page } from '../../../web/server.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Thursday, 18 June 2026, a quarter past seven in the evening in Rome. */
export const NOW_MS = Date.UTC(2026, 5, 18, 17, 16, 20);

const WRONG_IMAGE = 'The meter runs another image than the gateway flashed to it.';
const OLD_SOFTWARE = "The gateway's software is of release 4, which is no longer accepted: it has to be updated.";
const STREETS = ['Via del Sole', 'Via Roma', 'Lungomare', 'Piazza Vecchia', 'Vicolo Stretto', 'Via dei Mille'];

export class MemoryParties implements Parties {
  devices: FleetDevice[] = street();
  nowMs = NOW_MS;
  /** Set by a test: the sentence with which a party does not answer. */
  silent: { verifier?: string; provider?: string } = {};
  readonly revoked: FleetRevocation[] = [];
  readonly asked: string[] = [];

  async fleet({ most, ...query }: FleetLook): Promise<Fleet> {
    this.#answers('verifier');
    const pages = [0, FLEET_PAGE_MOST].map((from) => lookAt(this.devices, { ...query, from }, this.nowMs));
    const devices = pages.flatMap((page) => page.devices);
    return { ...pages[0], devices: devices.slice(0, most), more: devices.length > most };
  }
  async evidenceOf(device: string): Promise<FleetEvidence[]> {
    this.#answers('verifier');
    this.asked.push(device);
    return evidenceOf(this.#row(device));
  }
  async releases(): Promise<FleetRelease[]> {
    this.#answers('verifier');
    const runs = (part: 'gatewayVersion' | 'meterVersion', version: number): number =>
      this.devices.filter((row) => row[part] === version).length;
    return [4, 5].map((version) => ({
      version,
      accepted: version === 5,
      fromMs: NOW_MS - (version === 5 ? 6 : 60) * DAY_MS,
      untilMs: version === 5 ? null : NOW_MS - DAY_MS,
      notes: version === 5 ? 'Reads two clamps at once; the page shows the bill.' : 'First release with attestation.',
      gateways: runs('gatewayVersion', version),
      meters: runs('meterVersion', version),
    }));
  }
  async revoke(revocation: FleetRevocation): Promise<void> {
    this.#answers('verifier');
    const { device, severity, reason } = revocation;
    const row = this.#row(device);
    this.revoked.push(revocation);
    const given = { severity, reason, atMs: this.nowMs };
    const told = severity === 'advisory' ? {} : { state: severity, why: [`The device is ${severity}: ${reason}.`] };
    this.devices = this.devices.map((other) =>
      other === row ? { ...row, revocation: given, ...told, expiresMs: null } : other,
    );
  }
  async reinstate(device: string): Promise<void> {
    this.#answers('verifier');
    const row = this.#row(device);
    this.devices = this.devices.map((other) =>
      other === row ? { ...row, revocation: null, state: 'trusted', why: [], expiresMs: this.nowMs + DAY_MS } : other,
    );
  }
  controlSent: (() => Promise<SentControl[]>) | null = async () => {
    this.#answers('provider');
    return SENT;
  };

  selling(): Promise<SellingOverview | null> {
    return Promise.resolve(this.sales);
  }
  sales: SellingOverview | null = {
    customers: 12,
    registered: 2400,
    used: 310,
    returned: 0,
    deposited: 120,
    milliCent: 1_234_500,
    epochs: [
      { epoch: 1_963_104, accepted: 4 },
      { epoch: 1_963_110, accepted: 17 },
    ],
  };

  accounts(): Promise<GridAccounts | null> {
    return Promise.resolve(this.fees);
  }
  fees: GridAccounts | null = {
    readings: [
      { device: '0a1b2c', slot: 1_963_104, reason: 'year', importKwh: 3456, exportKwh: 78, provider: 'Quiet Power' },
    ],
    invoices: [
      {
        number: 3,
        provider: 'Quiet Power',
        year: 2025,
        readings: 64,
        importKwh: 211_000,
        totalMilliCent: 1_529_750_000,
      },
    ],
  };

  #row(device: string): FleetDevice {
    const row = this.devices.find((other) => other.device === device);
    if (row) return row;
    throw new ServiceError('refused', `there is no device ${device}`, 'correct', { path: 'device' });
  }
  #answers(party: 'verifier' | 'provider'): void {
    const sentence = this.silent[party];
    if (sentence) throw new ServiceError('unreachable', sentence, 'again');
  }
}

function message(n: number, said: Pick<SentControl, 'deviceClass' | 'command' | 'limitW'>, hours: number): SentControl {
  const notBeforeMs = NOW_MS + hours * HOUR_MS - (NOW_MS % HOUR_MS);
  const times = { issuedMs: notBeforeMs - HOUR_MS, notBeforeMs, expiresMs: notBeforeMs + 3 * HOUR_MS };
  return { id: String(n).padStart(32, '0'), area: `district-${n}`, ...said, ...times };
}
const SENT: SentControl[] = [
  message(4, { deviceClass: 'heat-pump', command: 'limit', limitW: 1500 }, 2),
  message(1, { deviceClass: 'ev-charger', command: 'off', limitW: null }, -1),
  message(2, { deviceClass: 'all', command: 'on', limitW: null }, -26),
];

function street(): FleetDevice[] {
  return Array.from({ length: 64 }, (_, n) => {
    const seenMs = NOW_MS - ((n * 7) % 29) * MINUTE_MS - 40_000;
    const row: FleetDevice = {
      device: (0x3f2a_0000_0000 + n * 0x1_9e37_79b9).toString(16),
      address: `${STREETS[n % STREETS.length]} ${3 + n}`,
      area: `district-${1 + (n % 4)}`,
      state: 'trusted',
      sinceMs: NOW_MS - (2 + (n % 40)) * DAY_MS,
      seenMs,
      expiresMs: seenMs + DAY_MS,
      why: [],
      warnings: [],
      gatewayVersion: n % 5 === 4 ? 4 : 5,
      meterVersion: n % 3 === 2 ? 4 : 5,
      restarts: n % 4,
      failures: 0,
      revocation: null,
    };
    return { ...row, ...ODD[n] };
  });
}

const ODD: Record<number, Partial<FleetDevice>> = {
  7: {
    state: 'failed',
    sinceMs: NOW_MS - 3 * HOUR_MS,
    expiresMs: null,
    why: [WRONG_IMAGE, OLD_SOFTWARE],
    gatewayVersion: 4,
    meterVersion: 4,
    failures: 5,
  },
  23: { state: 'failed', sinceMs: NOW_MS - 20 * MINUTE_MS, expiresMs: null, why: [OLD_SOFTWARE], failures: 1 },
  31: {
    state: 'expired',
    seenMs: NOW_MS - 3 * DAY_MS,
    sinceMs: NOW_MS - 2 * DAY_MS,
    expiresMs: null,
    why: ['The last result has expired: no evidence came since 2026-06-15T17:16:20.000Z.'],
  },
  40: {
    state: 'suspended',
    expiresMs: null,
    sinceMs: NOW_MS - 30 * HOUR_MS,
    why: ['The device is suspended: the seal of its housing was broken.'],
    revocation: { severity: 'suspended', reason: 'the seal of its housing was broken', atMs: NOW_MS - 30 * HOUR_MS },
  },
  51: {
    state: 'revoked',
    expiresMs: null,
    sinceMs: NOW_MS - 9 * DAY_MS,
    why: ['The device is revoked: stolen, as its owner told the police.'],
    revocation: { severity: 'revoked', reason: 'stolen, as its owner told the police', atMs: NOW_MS - 9 * DAY_MS },
  },
  58: {
    warnings: ['The TPM was started again since the last evidence (2 times).'],
    restarts: 9,
  },
  62: {
    state: 'never seen',
    address: null,
    area: null,
    sinceMs: null,
    seenMs: null,
    expiresMs: null,
    why: ['The device has never been attested.'],
    gatewayVersion: null,
    meterVersion: null,
    restarts: 0,
  },
};

function evidenceOf({ seenMs, why, warnings, failures, device }: FleetDevice): FleetEvidence[] {
  if (seenMs === null) return [];
  return Array.from({ length: 12 }, (_, n) => ({
    digest: `${device}${String(n).padStart(2, '0')}`.padEnd(64, 'e'),
    receivedMs: seenMs - n * 30 * MINUTE_MS,
    trusted: n >= failures,
    why: n < failures ? why : [],
    warnings: n === 0 ? warnings : [],
  }));
}

export interface TestConsole {
  parties: MemoryParties;
  page: Page;
  password: string;
  dataDir: string;
  logged: string[];
  close(): Promise<void>;
}

export async function openTestConsole(parties = new MemoryParties()): Promise<TestConsole> {
  const dataDir = mkdtempSync(join(tmpdir(), 'quietmeter-console-'));
  const logged: string[] = [];
  const page = await startConsole({
    parties,
    directory: dataDir,
    name: 'Grid operator, district 4',
    port: 0,
    host: '127.0.0.1',
    log: (line) => void logged.push(line),
  });
  const close = async (): Promise<void> => {
    await page.close();
    rmSync(dataDir, { recursive: true });
  };
  return { parties, page, password: page.firstPassword!, dataDir, logged, close };
}

export async function logInToConsole(tab: Tab, { page, password }: TestConsole): Promise<void> {
  await tab.goto(`${page.url}/login`);
  await tab.getByLabel('Password').fill(password);
  await tab.getByRole('button', { name: 'Log in' }).click();
  await tab.locator('#devices tbody tr').first().waitFor();
}
