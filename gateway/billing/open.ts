/** Billing as the gateway runs it: key and anchor in the household's TPM, bills under its identifier. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BILLING_AUDIENCE } from '../../protocol/billing/services.ts';
import { compressPoint } from '../../protocol/crypto/p256.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { Identifier } from './bill-part.ts';
import { Billing } from './billing.ts';
import type { Allocation } from './commitments.ts';
import type { BillingConfig } from './config.ts';
import { readAuthorizations } from './release-file.ts';
import { TpmAnchors } from './tpm-anchors.ts';
import { TpmLogKey } from './tpm-log-key.ts';

export const LOG_KEY_FILE = 'log-key.tpmkey';

export interface OpenBillingOptions {
  config: BillingConfig;
  dataDir: string;
  broker: { url: string; ca: string };
  /** Opens the TPM where it is not open. @throws TpmError */
  tpm: () => Promise<Tpm>;
  /** Null: a household without names; its bills are computed and shown, and stay here. */
  household: Pick<HouseholdIdentity, 'requestIdentity'> | null;
  allocation: Allocation;
  clock: Clock;
  log(line: string): void;
}

export function openBilling(options: OpenBillingOptions): Billing {
  const { config, dataDir, broker, tpm, household, allocation, clock, log } = options;
  const { tariff, offlineKey, provider, sealing } = config;
  return new Billing({
    configured: { provider: provider.name, url: provider.url, tariff, offlineKey },
    ca: readFileSync(provider.caFile, 'utf8'),
    broker,
    keys: new TpmLogKey({
      tpm,
      file: join(dataDir, LOG_KEY_FILE),
      policyKey: Buffer.from(sealing.policyKey, 'hex'),
      authorizations: () => readAuthorizations(sealing.authorizationsFile),
    }),
    anchors: new TpmAnchors(tpm),
    identifier: async (name) => {
      const identity = household?.requestIdentity('identifier', BILLING_AUDIENCE, name) ?? null;
      return identity && identifierOf(identity);
    },
    allocation,
    clock,
    log,
  });
}

/** The certificate says which key it is. */
export function identifierOf({ certificate, sign }: Pick<Identifier, 'certificate' | 'sign'>): Identifier {
  const { x, y } = new X509Certificate(certificate).publicKey.export({ format: 'jwk' });
  return { certificate, sign, publicKey: compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')) };
}
