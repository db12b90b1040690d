/** What the verifier's service offers to the grid operator's console (protocol/attestation/fleet.ts). */
import { readReasons } from '../../protocol/attestation/attestation-result.ts';
import {
  EVIDENCE_MOST,
  type FleetEvidence,
  fleetDeviceCall,
  fleetDevicesCall,
  fleetReinstateCall,
  fleetReleasesCall,
  fleetRevokeCall,
  lookAt,
} from '../../protocol/attestation/fleet.ts';
import { Refusal, type Route, roleRoute } from '../shared/service.ts';
import type { Releases } from './releases.ts';
import type { Verifier } from './steps.ts';
import type { VerifierStore } from './store.ts';

const ROLES = ['console'];

export interface ConsoleParts {
  verifier: Verifier;
  store: VerifierStore;
  releases: Pick<Releases, 'rollOut'>;
}

export function consoleRoutes({ verifier, store, releases }: ConsoleParts): Route[] {
  const known = (device: string): void => {
    if (!verifier.fleet().some((row) => row.device === device))
      throw new Refusal('unknown device', `there is no device ${device}`, 'correct', { path: 'device', status: 404 });
  };
  const route = <S extends Parameters<typeof roleRoute>[1]['body']>(
    call: { path: string; body: S },
    handle: NonNullable<Parameters<typeof roleRoute<S>>[1]['handle']>,
  ): Route => roleRoute<S>(ROLES, { method: 'POST', path: call.path, body: call.body, handle });
  return [
    route(fleetDevicesCall, (query) =>
      lookAt(
        verifier.fleet().map((row) => ({ ...row, revocation: store.revocation(row.device) })),
        query,
        verifier.nowMs ?? 0,
      ),
    ),
    route(fleetDeviceCall, ({ device }) => {
      known(device);
      return { evidence: store.evidenceOf(device, EVIDENCE_MOST).map((kept) => evidenceOf(store, kept)) };
    }),
    route(fleetReleasesCall, () => ({ releases: releases.rollOut(verifier.fleet(), verifier.nowMs ?? 0) })),
    route(fleetRevokeCall, ({ device, severity, reason }) => {
      known(device);
      verifier.revoke(device, severity, reason);
      return {};
    }),
    route(fleetReinstateCall, ({ device }) => {
      known(device);
      verifier.reinstate(device);
      return {};
    }),
  ];
}

function evidenceOf(
  store: VerifierStore,
  { digest, receivedMs, trusted }: { digest: Uint8Array; receivedMs: number; trusted: boolean },
): FleetEvidence {
  // the verifier's own answer, from its own disk
  const { result } = JSON.parse(store.evidence(digest)!.answer);
  const { refusals, warnings } = readReasons(result);
  const sentences = (list: readonly { sentence: string }[]): string[] => list.map(({ sentence }) => sentence);
  const name = Buffer.from(digest).toString('hex');
  return { digest: name, receivedMs, trusted, why: sentences(refusals), warnings: sentences(warnings) };
}
