/** What the verifier offers over HTTPS (operator/shared/service.ts), and to whom. Collector and provider may ask it nothing. */
import * as v from 'valibot';
import {
  CHALLENGE_PATH,
  challengeRequest,
  EVIDENCE_PATH,
  evidenceRequest,
} from '../../protocol/attestation/exchange.ts';
import { passRequest } from '../../protocol/attestation/pass-issue.ts';
import { bytes } from '../../protocol/services/call.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import {
  type IdentifiedCaller,
  identifiedRoute,
  publicRoute,
  Refusal,
  type Route,
  roleRoute,
} from '../shared/service.ts';
import type { PassOffice } from './passes.ts';
import type { RegisterCopy } from './register-copy.ts';
import type { Releases } from './releases.ts';
import type { Verifier } from './steps.ts';

const MANIFEST_MOST_BYTES = 10_000;

export interface VerifierParts {
  verifier: Verifier;
  passes: PassOffice;
  releases: Releases;
  register: Pick<RegisterCopy, 'ensure'>;
}

export function verifierRoutes({ verifier, passes, releases, register }: VerifierParts): Route[] {
  return [
    identifiedRoute({
      method: 'POST',
      path: CHALLENGE_PATH,
      body: challengeRequest,
      handle: (_, caller) => verifier.challenge(deviceOf(caller)),
    }),
    identifiedRoute({
      method: 'POST',
      path: EVIDENCE_PATH,
      body: evidenceRequest,
      handle: async ({ evidence }, caller) => {
        const device = deviceOf(caller);
        await register.ensure(device);
        return verifier.receive(device, evidence);
      },
    }),
    identifiedRoute({
      method: 'POST',
      path: '/passes',
      body: passRequest,
      handle: (request, caller) => {
        const device = deviceOf(caller);
        const nowMs = verifier.nowMs ?? 0;
        const trusted = verifier.trusted(device, Math.floor(nowMs / DAY_MS));
        return passes.issuePasses({ device, request, trusted, nowMs });
      },
    }),
    publicRoute({
      method: 'GET',
      path: '/passes/keys',
      handle: () => {
        const { passKeys } = passes;
        if (!passKeys) throw new Refusal('starting', 'there are no keys yet', 'again', { status: 503 });
        return { passKeys };
      },
    }),
    roleRoute(['console', 'trusted-third-party'], {
      method: 'POST',
      path: '/releases',
      body: v.strictObject({ manifest: bytes(1, MANIFEST_MOST_BYTES) }),
      handle: ({ manifest }) => releases.take(manifest, verifier.nowMs ?? 0),
    }),
    roleRoute(['console'], {
      method: 'POST',
      path: '/evidence',
      body: v.strictObject({ digest: bytes(32) }),
      handle: ({ digest }) => {
        const kept = verifier.keptEvidence(digest);
        if (!kept)
          throw new Refusal('unknown evidence', 'no such evidence is kept', 'correct', { status: 404, path: 'digest' });
        return kept;
      },
    }),
  ];
}

/** The verifier knows households by their device, never by a person: an identifier's certificate is turned away unread. */
function deviceOf(caller: IdentifiedCaller): string {
  if (caller.kind === 'household') return caller.ekSerial;
  throw new Refusal('not this certificate', "the household's certificate is shown here, not the identifier", 'final', {
    status: 403,
  });
}
