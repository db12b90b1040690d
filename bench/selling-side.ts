/**
 * What a neighbourhood that sells needs beside the others: the control centre, the relay, and the door's plan that both and
 * all gateways share. The processes are the caller's.
 */
import { join } from 'node:path';
import { controlCentreDoorSizes, prepareControlCentre } from './control-centre-side.ts';
import type { GridCa } from './grid-ca.ts';
import { prepareDoorKeys, prepareRelay } from './relay-side.ts';
import type { ScenarioSelling } from './scenario.ts';

const CENTRE = 'control-centre';

export interface SellingSide {
  configs: { relay: string; controlCentre: string };
  /** The control centre's. */
  url: string;
  /** `door` and `selling` of a gateway's configuration. */
  gateway: { door: object; selling: object };
}

/** @param k so many bundles at least are shuffled */
export async function prepareSelling(
  { cells, ...settings }: ScenarioSelling,
  { directory, ca, authorityFile, k }: { directory: string; ca: GridCa; authorityFile: string; k: number },
): Promise<SellingSide> {
  const sizes = controlCentreDoorSizes(settings);
  const doors = await prepareDoorKeys({
    directory: join(directory, 'door'),
    destinations: [{ name: CENTRE, cells, ...sizes }],
  });
  const centre = await prepareControlCentre({
    directory,
    ca,
    authorityFile,
    door: doors.party(CENTRE),
    controlCentre: settings,
  });
  const relay = await prepareRelay({ directory, ca, doors, urls: { [CENTRE]: centre.url }, k });
  return {
    configs: { relay: relay.config, controlCentre: centre.config },
    url: centre.url,
    gateway: { door: relay.gatewayDoor, selling: centre.gatewaySelling },
  };
}
