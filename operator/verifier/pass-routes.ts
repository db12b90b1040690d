/** What the verifier offers of passes over HTTPS (protocol/attestation/pass-issue.ts). */
import { PASS_KEYS_PATH, PASSES_PATH, passRequest } from '../../protocol/attestation/pass-issue.ts';
import { identifiedRoute, publicRoute, Refusal, type Route } from '../shared/service.ts';
import type { PassOffice } from './passes.ts';

export interface PassRoutesOptions {
  office: PassOffice;
  /** Protocol time; undefined while the party has not been told. */
  nowMs(): number | undefined;
  /** Whether the device, by the serial number of its endorsement key's certificate, is found in order now. */
  isTrusted(device: string): boolean;
}

export function passRoutes({ office, nowMs, isTrusted }: PassRoutesOptions): Route[] {
  const starting = new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
  return [
    identifiedRoute({
      method: 'POST',
      path: PASSES_PATH,
      body: passRequest,
      handle: (request, holder) => {
        if (holder.kind !== 'household')
          throw new Refusal('not this certificate', 'passes are asked for by the household certificate', 'final', {
            status: 403,
          });
        const now = nowMs();
        if (now === undefined) throw starting;
        const device = holder.ekSerial;
        return office.issuePasses({ device, request, trusted: isTrusted(device), nowMs: now });
      },
    }),
    publicRoute({
      method: 'GET',
      path: PASS_KEYS_PATH,
      handle: () => {
        const { passKeys } = office;
        if (!passKeys) throw starting;
        return { passKeys };
      },
    }),
  ];
}
