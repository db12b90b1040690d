// The gateway as a process with billing: key and anchor in swtpm, prices by broadcast, the bill on the page's view.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { authorizationsText } from '../../../gateway/billing/release-file.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import type { BillView } from '../../../gateway/web/household-view.ts';
import { authorizedBytes, NV_INDEX } from '../../../protocol/attestation/policy.ts';
import { pricesTopic } from '../../../protocol/billing/topics.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { monthOf } from '../../../protocol/time/months.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import { House, T0 } from '../support/house.ts';
import { startProvider } from './billed-house.ts';

interface BillingReport {
  log: { ok: boolean; reason: string | null; entries: number; waiting: number; late: number };
  prices: { number?: number };
}

test('a gateway with billing: every record in the log, prices heard, the bill grows; through a kill and a TPM that goes away', async (t) => {
  const house = await House.build(t);
  const provider = await startProvider(t, { default: { import: [30_000], export: [8200] } });
  const tpm = await Tpm.open(house.tpm.tcti);
  await tpm.defineCounter(NV_INDEX.version);
  const pcrs = [...(await tpm.readPcrs([8, 9]))].map(([pcr, value]) => ({ pcr, value }));
  const counterMost = await tpm.raiseCounter(NV_INDEX.version, 1);
  await tpm.close();
  const policy = generateSigningKey();
  const state = { pcrs, counterIndex: NV_INDEX.version, counterMost };
  const authorizationsFile = join(house.directory, 'authorizations.json');
  const signature = signP256(policy.privateKey, authorizedBytes(state));
  writeFileSync(authorizationsFile, authorizationsText([{ ...state, signature }]));
  const sealing = { policyKey: Buffer.from(policy.publicKey).toString('hex'), authorizationsFile };
  Object.assign(house.gateway.config, { billing: { ...provider.prepared.gateway, sealing } });
  const report = async () => (await house.gateway.ask('billing')) as BillingReport;
  const bill = async () => (await house.gateway.ask('bill', monthOf(T0))) as BillView;

  await house.gateway.start();
  provider.billing.advance(T0);
  await house.greet();
  for (let k = 0; k < 4; k++) await house.step();
  t.like((await report()).log, { ok: true, reason: null, entries: 9, waiting: 0, late: 0 });
  t.is((await report()).prices.number, 1);
  const grown = await bill();
  const [line] = grown.lines;
  t.is(grown.lines.length, 1);
  t.true(line.importMwh > 0);
  t.is(line.costMilliCent, Math.round((line.importMwh * 30_000) / 1_000_000));
  t.is(grown.totalMilliCent, line.costMilliCent - line.creditMilliCent);
  t.like(grown, { state: 'growing', currency: 'EUR', priceVersion: 1 });

  // tomorrow's prices are published
  provider.billing.advance(T0 + 48 * SLOT_MS);
  house.grid.say(pricesTopic('flex'), provider.published[1]);
  await house.step();
  t.is((await report()).prices.number, 2);

  await house.gateway.kill();
  await house.gateway.start();
  await house.greet();
  await house.step();
  t.like((await report()).log, { ok: true, reason: null, entries: 13, waiting: 0, late: 0 });

  await house.gateway.stop();
  await house.tpm.kill();
  await house.gateway.start();
  await house.greet();
  await house.step(false);
  const { log } = await report();
  t.like(log, { ok: true, entries: 13, waiting: 2 });
  t.regex(log.reason!, /the security chip does not answer/);
});
