/** What people of the grid do during a run, as the scenario plans it: releases are published, appliances are told something. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlView } from '../gateway/web/household-view.ts';
import { DAY_MS } from '../protocol/time/slots.ts';
import { RELAY_OFF, type RelayState } from '../protocol/wire/link-messages.ts';
import type { Happening } from './conductor.ts';
import type { Operators } from './operators.ts';
import type { Party } from './party.ts';
import { type PlannedControl, plannedIn, type Scenario } from './scenario.ts';

/** Real time: a broadcast on its way to a gateway that runs. */
const HEARD_WITHIN_MS = 5_000;

/** What became of what the provider told the area's appliances. */
export interface ControlOutcome {
  /** Messages to the area. */
  sent: number;
  /** By how many gateways they were heard, all messages together. */
  heard: number;
  /** And how many meters' relays were off while they forbade something. */
  relaysOff: number;
}

export function happeningsOf(
  { updates, control, days }: Scenario,
  startMs: number,
  operators: Operators,
  gateways: readonly Party[],
): { happenings: Happening[]; control: ControlOutcome } {
  const outcome: ControlOutcome = { sent: 0, heard: 0, relaysOff: 0 };
  const releases = plannedIn(updates, startMs, days).map(({ atMs }) => ({
    atMs,
    act: () => void operators.releases.next({ notBeforeMs: atMs, retiresMs: atMs + DAY_MS, notes: NOTES }),
  }));
  const orders = plannedIn(control, startMs, days).flatMap((order) => [
    { atMs: order.atMs, act: () => tellAppliances(order, operators, gateways, outcome) },
    { atMs: order.atMs + order.forMinutes * 30_000, act: () => lookAtRelays(gateways, outcome) },
  ]);
  return { happenings: [...releases, ...orders], control: outcome };
}

const NOTES = 'another program for the meter, another number for the gateway';

/** Waits until every gateway that runs has heard it, so that what follows does not hang on the broadcast's way. */
async function tellAppliances(
  { atMs, deviceClass, command, limitW = 0, forMinutes }: PlannedControl & { atMs: number },
  operators: Operators,
  gateways: readonly Party[],
  outcome: ControlOutcome,
): Promise<void> {
  const expiresMs = atMs + forMinutes * 60_000;
  const order = { deviceClass, command, limitW: command === 'limit' ? limitW : null, notBeforeMs: atMs, expiresMs };
  const id = await operators.order(order);
  outcome.sent++;
  const deadline = performance.now() + HEARD_WITHIN_MS;
  const heard = async (gateway: Party): Promise<boolean> =>
    ((await gateway.ask('controlMessages')) as ControlView).messages.some((one) => one.id === id);
  for (const gateway of gateways.filter(({ running }) => running)) {
    let has = await heard(gateway);
    while (!has && performance.now() < deadline) {
      await sleep(10);
      has = await heard(gateway);
    }
    if (has) outcome.heard++;
  }
}

/** As the meters say it. */
async function lookAtRelays(gateways: readonly Party[], outcome: ControlOutcome): Promise<void> {
  for (const gateway of gateways.filter(({ running }) => running)) {
    const relay = (await gateway.ask('relay')) as RelayState | null;
    if (relay?.state === RELAY_OFF) outcome.relaysOff++;
  }
}
