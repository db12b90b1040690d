/** What the trusted third party offers over HTTPS (operator/shared/service.ts), and to whom. */
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { DEVICE_CHANGES } from '../../protocol/identity/devices.ts';
import { SEALED_ANSWER, SEALED_REQUEST, SEALED_TOP_UP } from '../../protocol/identity/initialisation.ts';
import { endedCall, otherProviderCall } from '../../protocol/identity/other-provider.ts';
import { forgetTriesCall, PIN_BATCH } from '../../protocol/identity/pin.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import {
  identifiedRoute,
  publicRoute,
  Refusal,
  roleRoute,
  type Service,
  type ServiceAccess,
  startService,
} from '../shared/service.ts';
import { type Releases, releaseRoutes } from './releases.ts';
import type { TrustedThirdParty } from './steps.ts';
import type { ThirdPartyStore } from './store.ts';

export interface ThirdPartyServiceOptions {
  thirdParty: TrustedThirdParty;
  store: ThirdPartyStore;
  access: ServiceAccess;
  /** Its own X.509 authority, PEM. */
  authority: string;
  /** Common name of a client certificate → the provider that it may bring PINs for. */
  providers: Record<string, string>;
  /** Null: no releases are offered. */
  releases?: Releases | null;
}

export function startThirdPartyService(options: ThirdPartyServiceOptions): Promise<Service> {
  const { thirdParty, store, access, authority, providers, releases } = options;
  return startService({
    name: 'trusted-third-party',
    access,
    identification: {
      holders: new HolderCheck(authority),
      nowMs: () => thirdParty.nowMs,
      isRevoked: (serialNumber) => store.isEnded(serialNumber),
      nonces: new StoredNonces(store.database),
    },
    routes: [
      publicRoute({
        method: 'POST',
        path: '/initialisation/request',
        body: SEALED_REQUEST,
        handle: ({ sealed }) => thirdParty.request(sealed),
      }),
      publicRoute({
        method: 'POST',
        path: '/initialisation/answer',
        body: SEALED_ANSWER,
        handle: ({ transaction, sealed }) => thirdParty.answer(transaction, sealed),
      }),
      identifiedRoute({
        method: 'POST',
        path: '/pseudonyms',
        body: SEALED_TOP_UP,
        handle: ({ sealed }, holder) => {
          if (holder.kind !== 'identifier')
            throw new Refusal('not this certificate', 'pseudonyms are asked for by the identifier', 'final', {
              status: 403,
            });
          return thirdParty.topUp(holder, sealed);
        },
      }),
      identifiedRoute({
        method: 'POST',
        path: otherProviderCall.path,
        body: otherProviderCall.body,
        handle: ({ sealed }, holder) => {
          if (holder.kind !== 'household')
            throw new Refusal('not this certificate', 'another provider is asked for by the household key', 'final', {
              status: 403,
            });
          return thirdParty.otherProvider(holder, sealed);
        },
      }),
      identifiedRoute({
        method: 'POST',
        path: endedCall.path,
        body: endedCall.body,
        handle: (_, holder) => {
          if (holder.kind !== 'identifier')
            throw new Refusal('not this certificate', 'people who move out say so by their identifier', 'final', {
              status: 403,
            });
          return thirdParty.end(holder);
        },
      }),
      roleRoute(['grid-operator'], {
        method: 'POST',
        path: '/devices',
        body: DEVICE_CHANGES,
        handle: (changes) => thirdParty.takeDevices(changes),
      }),
      roleRoute(Object.keys(providers), {
        method: 'POST',
        path: '/pins',
        body: PIN_BATCH,
        handle: ({ pins }, { role }) => thirdParty.takePins(providers[role], pins),
      }),
      roleRoute(['console', 'technician'], {
        method: 'POST',
        path: forgetTriesCall.path,
        body: forgetTriesCall.body,
        handle: ({ device }) => thirdParty.forgetTries(device),
      }),
      publicRoute({ method: 'GET', path: '/revoked/pseudonyms', handle: () => thirdParty.list('revokedPseudonyms') }),
      publicRoute({
        method: 'GET',
        path: '/revoked/certificates',
        handle: () => thirdParty.list('revokedCertificates'),
      }),
      ...(releases ? releaseRoutes(releases) : []),
    ],
  });
}
