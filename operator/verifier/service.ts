/** What the verifier offers over HTTPS (operator/shared/service.ts), and to whom. Collector and provider may ask it nothing. */
import * as v from 'valibot';
import {
  CHALLENGE_PATH,
  challengeRequest,
  EVIDENCE_PATH,
  evidenceRequest,
} from '../../protocol/attestation/exchange.ts';
import { bytes } from '../../protocol/services/call.ts';
import { type IdentifiedCaller, identifiedRoute, Refusal, type Route, roleRoute } from '../shared/service.ts';
import type { RegisterCopy } from './register-copy.ts';
import type { Releases } from './releases.ts';
import type { Verifier } from './steps.ts';

const MANIFEST_MOST_BYTES = 10_000;

export interface VerifierParts {
  verifier: Verifier;
  releases: Releases;
  register: Pick<RegisterCopy, 'ensure'>;
}

export function verifierRoutes({ verifier, releases, register }: VerifierParts): Route[] {
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
