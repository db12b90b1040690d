/** What the relay offers to gateways (protocol/door/services.ts). Nobody says a name. */

import * as v from 'valibot';
import type { DoorPlan } from '../../protocol/door/plan.ts';
import { BUNDLES_PATH, bundleCall, HEADS_PATH, LISTS_PATH, listsCall, partOf } from '../../protocol/door/services.ts';
import { publicRoute, Refusal, type Route } from '../shared/service.ts';
import type { Relay } from './steps.ts';
import type { RelayStore } from './store.ts';

export function relayRoutes(relay: Relay, store: RelayStore, plan: DoorPlan): Route[] {
  return [
    publicRoute({
      method: 'POST',
      path: BUNDLES_PATH,
      body: bundleCall,
      handle: ({ bundle }, { address }) => {
        relay.take(bundle, address);
        return {};
      },
    }),
    publicRoute({
      method: 'POST',
      path: HEADS_PATH,
      body: v.strictObject({}),
      handle: () => ({ destinations: plan.destinations.map(({ name }) => ({ name, ...store.lists(name) })) }),
    }),
    publicRoute({
      method: 'POST',
      path: LISTS_PATH,
      body: listsCall,
      handle: ({ destination, number, part }) => {
        const list = store.list(destination, number);
        const piece = list && partOf(list, part);
        if (!piece)
          throw new Refusal('no such list', 'there is no such part of such a list', 'correct', { status: 404 });
        return piece;
      },
    }),
  ];
}
