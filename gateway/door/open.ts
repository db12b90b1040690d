/** The door, opened as the gateway's configuration says. */
import { readFileSync } from 'node:fs';
import { openPlan } from '../../protocol/door/plan.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { callService } from '../services/client.ts';
import type { DoorConfig } from './config.ts';
import { Door } from './door.ts';

/** @throws MalformedError, PlanForgedError, RangeError */
export function openDoor(options: {
  config: DoorConfig;
  dataDir: string;
  clock: Clock;
  log(line: string): void;
}): Door {
  const { config, ...rest } = options;
  const plan = openPlan(readFileSync(config.planFile), Buffer.from(config.planKey, 'hex'));
  const relay = { url: config.url, ca: readFileSync(config.caFile, 'utf8') };
  return new Door({ ...rest, plan, call: (path, body, answer) => callService({ ...relay, path, body, answer }) });
}
