/** What a household has beside its measurements, for tests of the page: nothing, or everything in order on 18 June 2026. */
import type {
  ApplianceRow,
  BillLine,
  BillView,
  ControlView,
  FoundDay,
  LogState,
  SellingView,
  SetupView,
  SoftwareView,
  SupplyView,
  TrustView,
} from '../../gateway/web/household-view.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** 18 June 2026, 17:16:20 UTC: as test/page/household.ts begins. */
const NOW_MS = Date.UTC(2026, 5, 18, 17, 16, 20);
/** Months since January 1970. */
export const JUNE = 56 * 12 + 5;

export interface House {
  setup: SetupView | null;
  trust: TrustView | null;
  software: SoftwareView | null;
  log: LogState | null;
  bill: BillView | null;
  supply: SupplyView | null;
  appliances: ApplianceRow[];
  control: ControlView;
  found: FoundDay | null;
  selling: SellingView | null;
}

export const bareHouse = (): House => ({
  setup: null,
  trust: null,
  software: null,
  log: null,
  bill: null,
  supply: null,
  appliances: [],
  control: { messages: [], refusals: [], trouble: null },
  found: null,
  selling: null,
});

export const furnishedHouse = (): House => ({
  setup: { state: 'ready', reason: null, daysLeft: 33 },
  trust: {
    state: 'trusted',
    sinceMs: NOW_MS - 6 * DAY_MS,
    expiresMs: NOW_MS + 4 * HOUR_MS,
    why: [],
    warnings: [],
    trouble: null,
  },
  software: { version: 5, state: 'idle', next: null, reason: null, progress: null },
  log: { ok: true, reason: null },
  bill: juneBill(),
  supply: {
    provider: 'Quiet Power',
    next: null,
    asked: null,
    leaving: null,
    mayChange: true,
    registers: [
      { atMs: Date.UTC(2025, 8, 3), reason: 'first', importKwh: 3, exportKwh: 0, state: 'acknowledged', refusal: null },
      { atMs: Date.UTC(2026, 0), reason: 'year', importKwh: 1204, exportKwh: 96, state: 'acknowledged', refusal: null },
    ],
  },
  appliances: [
    {
      name: 'wallbox',
      label: 'Car in the yard',
      deviceClass: 'ev-charger',
      relay: false,
      rules: [{ kind: 'hours', fromMinute: 22 * 60, toMinute: 6 * 60 }],
      state: 'off',
      limitW: null,
      reason: 'the provider has it switched off until 21:00',
      source: 'provider',
      untilMs: NOW_MS + 2 * HOUR_MS,
    },
    {
      name: 'boiler',
      label: 'Boiler in the cellar',
      deviceClass: 'boiler',
      relay: true,
      rules: [{ kind: 'price', belowMilliCentPerKwh: 25_000 }],
      state: 'on',
      limitW: null,
      reason: 'a kWh costs 24.3 ct, below 25 ct',
      source: 'customer',
      untilMs: NOW_MS + HOUR_MS,
    },
  ],
  control: {
    messages: [
      {
        id: '01',
        deviceClass: 'ev-charger',
        command: 'off',
        limitW: null,
        issuedMs: NOW_MS - 2 * HOUR_MS,
        notBeforeMs: NOW_MS - HOUR_MS,
        expiresMs: NOW_MS + 2 * HOUR_MS,
        receivedMs: NOW_MS - 2 * HOUR_MS,
        state: 'in force',
      },
      {
        id: '02',
        deviceClass: 'heat-pump',
        command: 'limit',
        limitW: 1500,
        issuedMs: NOW_MS - 50 * HOUR_MS,
        notBeforeMs: NOW_MS - 49 * HOUR_MS,
        expiresMs: NOW_MS - 46 * HOUR_MS,
        receivedMs: NOW_MS - 50 * HOUR_MS,
        state: 'over',
      },
    ],
    refusals: [
      { reason: 'control.area: is district-9; this household is in district-4', times: 2, lastMs: NOW_MS - HOUR_MS },
    ],
    trouble: null,
  },
  selling: {
    enabled: true,
    trouble: null,
    months: [
      {
        ...{
          month: JUNE - 1,
          mode: 'receipts',
          value: 10,
          creditMilliCent: 80,
          amount: 3000,
          registered: 3000,
          unused: 0,
        },
        ...{ waiting: 0, sold: 0, lapsed: 0, shown: 1204, accepted: 1204, receipts: 1204, soldMwh: 120_431_000 },
        ...{ stage: 'over', trouble: null },
        payment: { count: 1204, credits: 12_040, milliCent: 963_200, carriedMicrocredits: 3_100_000 },
      },
      {
        ...{
          month: JUNE,
          mode: 'receipts',
          value: 10,
          creditMilliCent: 80,
          amount: 3000,
          registered: 3000,
          unused: 2380,
        },
        ...{ waiting: 17, sold: 603, lapsed: 0, shown: 611, accepted: 603, receipts: 0, soldMwh: 62_040_000 },
        ...{ stage: null, trouble: null, payment: null },
      },
    ],
    seen: [
      { slot: 1_910_000, sales: 4 },
      { slot: 1_909_999, sales: 1 },
    ],
  },
  found: {
    drawnMwh: 8_000_000,
    restMwh: 5_100_000,
    appliances: [
      { id: 3, label: 'Kettle', powerW: 1985, times: 4, energyMwh: 400_000, on: false, lastMs: NOW_MS - HOUR_MS },
      { id: 7, label: null, powerW: 92, times: 21, energyMwh: 2_500_000, on: true, lastMs: NOW_MS - 60_000 },
      { id: 9, label: null, powerW: 640, times: 0, energyMwh: 0, on: false, lastMs: NOW_MS - 3 * DAY_MS },
    ],
  },
});

/** Eighteen days; the last has three quarter hours without a price. Known answer: 156.60 kWh drawn, 135.00 fed in, 37.79 − 11.07 = 26.72 to pay. */
function juneBill(): BillView {
  const firstDay = Date.UTC(2026, 5, 1) / DAY_MS;
  const lines = Array.from({ length: 18 }, (_, n): BillLine => {
    const importMwh = 8_000_000 + ((n * 37) % 11) * 150_000;
    const exportMwh = 9_000_000 - ((n * 23) % 7) * 500_000;
    return {
      day: firstDay + n,
      startMs: (firstDay + n) * DAY_MS,
      importMwh,
      exportMwh,
      costMilliCent: Math.round((importMwh / 1_000_000) * 24_000) + n * 137,
      creditMilliCent: Math.round((exportMwh / 1_000_000) * 8_200),
      unpriced: n === 17 ? 3 : 0,
    };
  });
  const totalMilliCent = lines.reduce(
    (sum, { costMilliCent, creditMilliCent }) => sum + costMilliCent - creditMilliCent,
    0,
  );
  return {
    month: JUNE,
    lines,
    totalMilliCent,
    currency: 'EUR',
    priceVersion: 12,
    state: 'growing',
    waitsFor: null,
    parts: [],
    logState: { ok: true, reason: null },
  };
}
