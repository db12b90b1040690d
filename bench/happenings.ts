/** What people of the grid do during a run, as the scenario plans it: releases are published, appliances are told something. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlView } from '../gateway/web/household-view.ts';
import { DAY_MS } from '../protocol/time/slots.ts';
import { RELAY_OFF, type RelayState } from '../protocol/wire/link-messages.ts';
import type { Happening } from './conductor.ts';
import type { Operators } from './operators.ts';
import type { Party } from './party.ts';
import { type PlannedChange, type PlannedControl, plannedIn, type Scenario } from './scenario.ts';

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
  { updates, control, changes, households, days }: Scenario,
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
  const chosen = changes.map((change) => ({
    atMs: chosenAtMs(change.at, startMs),
    act: () => changeProvider(change, operators, gateways[households.findIndex(({ id }) => id === change.household)]),
  }));
  return { happenings: [...releases, ...orders, ...chosen], control: outcome };
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

/** Some hours before, or as soon as the run has begun. */
const chosenAtMs = (changeMs: number, startMs: number): number =>
  changeMs - Math.min(6 * 3_600_000, (changeMs - startMs) / 2);

/** What the customer does on the page, letter in hand. */
async function changeProvider(
  { at, to, household }: PlannedChange,
  operators: Operators,
  gateway: Party,
): Promise<void> {
  const { provider, customerNumber, pin } = await operators.letter(household, to);
  const day = new Date(at).toISOString().slice(0, 10);
  const answer = (await gateway.ask('changeProvider', { day, provider, customerNumber, pin })) as {
    error?: string;
  } | null;
  if (answer?.error) throw new Error(`${gateway.name}: another provider: ${answer.error}`);
}

/** As the meters say it. */
async function lookAtRelays(gateways: readonly Party[], outcome: ControlOutcome): Promise<void> {
  for (const gateway of gateways.filter(({ running }) => running)) {
    const relay = (await gateway.ask('relay')) as RelayState | null;
    if (relay?.state === RELAY_OFF) outcome.relaysOff++;
  }
}
