/**
 * What the console asks of the other parties, over their services, as the role `console`. It keeps nothing: what it shows is theirs.
 *
 *   Verifier       devices, their state and why, evidence, releases; revocation
 *   Grid operator  takes a device that is revoked for good out of its register; registers once a year, invoices to providers
 *   Provider       control messages that were sent, to areas
 *   ControlCentre  how many credentials were sold in each epoch, and paid in all
 *
 * It learns addresses and states of devices, and yearly totals; nothing of a person, a quarter hour, a pseudonym or a bill.
 */
import type * as v from 'valibot';
import {
  FLEET_PAGE_MOST,
  type FleetEvidence,
  type FleetPage,
  type FleetQuery,
  type FleetRelease,
  type FleetRevocation,
  fleetDeviceCall,
  fleetDevicesCall,
  fleetReinstateCall,
  fleetReleasesCall,
  fleetRevokeCall,
} from '../../protocol/attestation/fleet.ts';
import { controlSentCall, type SentControl } from '../../protocol/control/services.ts';
import { accountsCall, type GridAccounts } from '../../protocol/grid-fees/services.ts';
import { DEVICE } from '../../protocol/identity/devices.ts';
import { type SellingOverview, sellingOverviewCall } from '../../protocol/selling/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import { callAs, type ServiceOf } from '../shared/client.ts';

/** What somebody looks at, and how many rows they want to see. */
export interface FleetLook extends Omit<FleetQuery, 'from'> {
  most: number;
}
export interface Fleet extends FleetPage {
  /** Whether more fit than are here. */
  more: boolean;
}

/** Each throws ServiceError, whose message may be shown. */
export interface Parties {
  fleet(look: FleetLook): Promise<Fleet>;
  /** Newest first. */
  evidenceOf(device: string): Promise<FleetEvidence[]>;
  releases(): Promise<FleetRelease[]>;
  revoke(revocation: FleetRevocation): Promise<void>;
  reinstate(device: string): Promise<void>;
  /** Newest first. Null: there is no provider to ask. */
  controlSent: (() => Promise<SentControl[]>) | null;
  /** Registers and invoices of the grid's fees. Null: there are none to ask for. */
  accounts(): Promise<GridAccounts | null>;
  /** Sales of everybody together. Null: nobody sells here. */
  selling(): Promise<SellingOverview | null>;
}

export interface Services {
  verifier: ServiceOf;
  gridOperator: ServiceOf | null;
  provider: ServiceOf | null;
  controlCentre: ServiceOf | null;
}

export function askServices({ verifier, gridOperator, provider, controlCentre }: Services): Parties {
  const ask = <S extends v.GenericSchema>(
    call: { path: string; answer: S },
    body?: object,
  ): Promise<v.InferOutput<S>> => callAs(verifier, { ...verifier, ...call, body });
  return {
    async fleet({ most, ...query }) {
      const first = await ask(fleetDevicesCall, { ...query, from: 0 });
      const { devices } = first;
      let full = devices.length === FLEET_PAGE_MOST;
      while (full && devices.length < most) {
        const page = await ask(fleetDevicesCall, { ...query, from: devices.length });
        devices.push(...page.devices);
        full = page.devices.length === FLEET_PAGE_MOST;
      }
      return { ...first, devices: devices.slice(0, most), more: full || devices.length > most };
    },
    evidenceOf: async (device) => (await ask(fleetDeviceCall, { device })).evidence,
    releases: async () => (await ask(fleetReleasesCall, {})).releases,
    async revoke(revocation) {
      await ask(fleetRevokeCall, revocation);
      // both are idempotent: where the second fails, the same press of the button does it again
      if (revocation.severity === 'revoked' && gridOperator)
        await callAs(gridOperator, {
          ...gridOperator,
          path: '/devices/state',
          body: { serial: revocation.device, state: 'revoked' },
          answer: DEVICE,
        });
    },
    async reinstate(device) {
      await ask(fleetReinstateCall, { device });
    },
    async accounts() {
      if (!gridOperator) return null;
      try {
        return await callAs(gridOperator, { ...gridOperator, ...accountsCall, body: {} });
      } catch (error) {
        // a grid operator that keeps no accounts here
        if (error instanceof ServiceError && error.code === 'not found') return null;
        throw error;
      }
    },
    selling: async () =>
      controlCentre && (await callAs(controlCentre, { ...controlCentre, ...sellingOverviewCall, body: {} })),
    controlSent: provider && (async () => (await callAs(provider, { ...provider, ...controlSentCall })).sent),
  };
}
