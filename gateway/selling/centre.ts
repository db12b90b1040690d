/** The gateway's calls to the control centre (protocol/selling/services.ts): under the customer's identifier, or as everybody. */
import type * as v from 'valibot';
import { CENTRE_PARTY } from '../../protocol/selling/keys.ts';
import { KEYSET_PATH, TERMS_PATH } from '../../protocol/selling/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import { callService, type RequestIdentity, type ServiceAddress } from '../services/client.ts';

/** @param body null: GET @throws ServiceError, TpmError */
export type CentreCall = <S extends v.GenericSchema>(
  path: string,
  body: object | null,
  answer: S,
) => Promise<v.InferOutput<S>>;

/** What everybody fetches shows nobody's name. */
const PUBLIC: readonly string[] = [KEYSET_PATH, TERMS_PATH];

export function centreCalls(
  address: ServiceAddress,
  identity: (audience: string) => RequestIdentity | null,
): CentreCall {
  return async (path, body, answer) => {
    const named = PUBLIC.includes(path) ? undefined : identity(CENTRE_PARTY);
    if (named === null) throw new ServiceError('refused', 'this household has no identifier yet', 'again');
    return callService({ ...address, path, body: body ?? undefined, answer, identity: named });
  };
}
