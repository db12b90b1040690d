/** The gateway's passes, put together from its configuration and identity. */
import { PASS_KEYS_PATH, PASSES_PATH, passAnswer, passKeysAnswer } from '../../protocol/attestation/pass-issue.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import { callService, type ServiceAddress } from '../services/client.ts';
import { PassKeeper } from './passes.ts';

export interface PassAccess {
  dataDir: string;
  clock: Clock;
  verifier: ServiceAddress;
  /** The verifier's, Ed25519, 32 B. */
  masterKey: Uint8Array;
  identity: Pick<HouseholdIdentity, 'pseudonymOf' | 'requestIdentity'>;
  log(line: string): void;
}

export function openPasses({ verifier, identity, ...options }: PassAccess): PassKeeper {
  return new PassKeeper({
    ...options,
    pseudonymOf: (day) => identity.pseudonymOf(day) ?? undefined,
    ask: (request) => {
      const household = identity.requestIdentity('household', 'verifier');
      if (!household) throw new Error('the household is not initialised yet');
      return callService({ ...verifier, path: PASSES_PATH, body: request, answer: passAnswer, identity: household });
    },
    fetchKeys: async () => {
      const { passKeys } = await callService({ ...verifier, path: PASS_KEYS_PATH, answer: passKeysAnswer });
      return passKeys;
    },
  });
}
