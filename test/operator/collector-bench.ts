/** The collector's steps over its real store, without processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Collector, type CollectorOptions } from '../../operator/collector/steps.ts';
import { CollectorStore } from '../../operator/collector/store.ts';
import type { Trust } from '../../operator/collector/trust.ts';
import { importBlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import { generateHpkeKeyPair } from '../../protocol/crypto/hpke.ts';
import { verifyPseudonymCertificate } from '../../protocol/identity/pseudonym-certificate.ts';
import { type Batch, batchDigest, decodeBatch, encodeBatchAnswer } from '../../protocol/readings/batch.ts';
import { AREA, authority, START_MS, type TestHousehold } from './grid.ts';

export const provider = await generateHpkeKeyPair();
export const macKey = Buffer.alloc(32, 9);
export const GRACE_MS = 300_000;

/** As `TrustFiles` would be, without files. */
export const trust: Trust = {
  believe: (pseudonym, slot) => verifyPseudonymCertificate(pseudonym, [authority.issuer.publicKey], slot),
  isRevoked: () => false,
  passKeyOf: (day) => importBlindRsaKey(authority.passKey(day).modulus),
};

export function setUp(t: ExecutionContext, options: Partial<CollectorOptions> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-collector-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const providers = [{ party: 'provider', readingKeys: [provider.publicKey], macKey }];
  const settings = { trust, providers, k: 3, graceMs: GRACE_MS, settlementDelayDays: 35, ...options };
  const reopen = (): { collector: Collector; store: CollectorStore } => {
    const store = new CollectorStore(join(directory, 'collector.sqlite'));
    return { store, collector: new Collector({ store, ...settings }) };
  };
  const { collector, store } = reopen();
  collector.advance(START_MS);
  return { collector, store, reopen, directory };
}

export const report = (household: TestHousehold, slot: number, importWh = 100): Promise<Uint8Array> =>
  household.submission({ slot, importWh, exportWh: 0 }, provider.publicKey);
export const verdicts = (collector: Collector, ...submissions: Uint8Array[]): string[] =>
  collector.accept(submissions.map((bytes) => ({ area: AREA, bytes }))).map(({ verdict }) => verdict);
export const batchesOf = (store: CollectorStore): Batch[] =>
  store.batchesFrom('provider', 0, 1e6).map(({ bytes }) => decodeBatch(bytes, macKey));
export const acknowledge = (collector: Collector, store: CollectorStore): void => {
  for (const { counter, bytes } of store.batchesFrom('provider', 0, 1e6)) {
    const { epoch } = decodeBatch(bytes, macKey);
    const answer = { status: 'stored' as const, epoch, counter, digest: batchDigest(bytes) };
    collector.answered('provider', encodeBatchAnswer(answer, macKey));
  }
};
