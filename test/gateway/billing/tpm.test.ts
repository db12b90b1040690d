// The log's key and its anchor in a real TPM (swtpm): released state only, counts that only go up, kills of the TPM.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { HouseholdLog } from '../../../gateway/billing/household-log.ts';
import { TpmAnchors } from '../../../gateway/billing/tpm-anchors.ts';
import { TpmLogKey } from '../../../gateway/billing/tpm-log-key.ts';
import { GatewayStore } from '../../../gateway/store.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { authorizedBytes, NV_INDEX, type ReleaseAuthorization } from '../../../protocol/attestation/policy.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import { householdTpm } from '../tpm/household-tpm.ts';

const S = 20_000 * 96;
const PCRS = [8, 9];
const releases = generateSigningKey();

/** The state that the TPM is in now, signed. */
async function release(tpm: Tpm, counterMost: number): Promise<ReleaseAuthorization> {
  const pcrs = [...(await tpm.readPcrs(PCRS))].map(([pcr, value]) => ({ pcr, value }));
  const state = { pcrs, counterIndex: NV_INDEX.version, counterMost };
  return { ...state, signature: signP256(releases.privateKey, authorizedBytes(state)) };
}

async function setUp(t: ExecutionContext) {
  const chip = await householdTpm(t);
  const tpm = await Tpm.open(chip.tcti);
  t.teardown(() => tpm.close());
  await tpm.defineCounter(NV_INDEX.version);
  const version = await tpm.raiseCounter(NV_INDEX.version, 1);
  const authorizations = [await release(tpm, version)];
  const file = join(chip.directory, 'log-key.tpmkey');
  const clock = new DrivenClock(20_000 * DAY_MS);
  const said: string[] = [];
  let opened: { log: HouseholdLog; store: GatewayStore } | undefined;
  const house = {
    chip,
    tpm,
    version,
    authorizations,
    file,
    clock,
    said,
    get log(): HouseholdLog {
      return opened!.log;
    },
    async start() {
      const log = new HouseholdLog({
        keys: new TpmLogKey({
          tpm: async () => tpm,
          file,
          policyKey: releases.publicKey,
          authorizations: () => authorizations,
        }),
        anchors: new TpmAnchors(async () => tpm),
        clock,
        log: (line) => said.push(line),
      });
      opened = { log, store: new GatewayStore(join(chip.directory, 'data'), [log]) };
      await log.start();
    },
    async stop() {
      await opened!.log.close();
      opened!.store.close();
    },
    measure(k: number) {
      const [start, end] = [k * 1000, (k + 1) * 1000];
      const slot = {
        slot: S + k,
        startImportMwh: start,
        startExportMwh: 0,
        endImportMwh: end,
        endExportMwh: 0,
        exact: true,
      };
      opened!.store.write({ lives: [], records: [], edges: [], marks: [], slots: [slot], reports: [] });
    },
    async nextDay() {
      clock.advanceTo(clock.nowMs() + DAY_MS);
      opened!.log.tick();
      await opened!.log.idle();
    },
  };
  await house.start();
  t.teardown(() => house.stop());
  return house;
}

test('the key is released to the attested state, across restarts; the anchor follows daily', async (t) => {
  const house = await setUp(t);
  t.deepEqual(house.log.state, { ok: true, reason: null });
  house.measure(0);
  house.measure(1);
  await house.nextDay();
  t.like(house.log.report(), { entries: 2, waiting: 0, anchored: { entries: 2, day: 20_001 } });
  await house.stop();
  await house.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  house.measure(2);
  t.like(house.log.report(), { entries: 3, waiting: 0, late: 0 });
  t.is(statSync(house.file).mode & 0o777, 0o600);
});

test('changed software gets no key: records wait, nothing is lost, and the reason is shown', async (t) => {
  const house = await setUp(t);
  house.measure(0);
  await house.stop();
  await house.tpm.extendPcr(9, Buffer.alloc(32, 1));
  await house.start();
  t.regex(house.log.state.reason!, /PCRs hold other values than this release has/);
  house.measure(1);
  t.like(house.log.report(), { entries: 1, waiting: 1 });
  // the release of the new software comes, signed; nothing has to be sealed anew
  house.authorizations.push(await release(house.tpm, house.version));
  await house.log.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { entries: 2, waiting: 0, late: 1 });
});

test('an older release gets no key once the counter is past it', async (t) => {
  const house = await setUp(t);
  await house.stop();
  await house.tpm.raiseCounter(NV_INDEX.version, house.version + 1);
  await house.start();
  t.regex(house.log.state.reason!, /counter is past this release/);
});

test('an anchor that is put back, removed or overwritten is found, also where the index was defined anew', async (t) => {
  const house = await setUp(t);
  house.measure(0);
  await house.nextDay();
  const older = await house.tpm.readArea(NV_INDEX.anchor);
  house.measure(1);
  await house.nextDay();
  const newest = await house.tpm.readArea(NV_INDEX.anchor);
  const reasonAfter = async (change: () => Promise<unknown>): Promise<string | null> => {
    await house.stop();
    await change();
    await house.start();
    return house.log.state.reason;
  };
  const { tpm } = house;
  t.regex((await reasonAfter(() => tpm.writeArea(NV_INDEX.anchor, older!)))!, /an older anchor was put back/);
  t.regex(
    (await reasonAfter(() => tpm.writeArea(NV_INDEX.anchor, Buffer.alloc(96))))!,
    /not made under this log's key/,
  );
  t.regex((await reasonAfter(() => tpm.removeNv(NV_INDEX.anchor)))!, /was removed/);
  t.is(await reasonAfter(() => tpm.writeArea(NV_INDEX.anchor, newest!)), null, 'the right one is good');
  await tpm.removeNv(NV_INDEX.anchorCount);
  t.regex((await reasonAfter(() => tpm.writeArea(NV_INDEX.anchor, older!)))!, /an older anchor was put back/);
});

test('the TPM is killed in the middle of work: it goes on when the TPM is back', async (t) => {
  const house = await setUp(t);
  house.measure(0);
  await house.chip.kill();
  house.measure(1); // the key is in memory
  await house.nextDay();
  t.true(house.log.state.ok);
  t.regex(house.log.state.reason!, /the security chip does not answer/);
  t.like(house.log.report(), { entries: 2, waiting: 0 });
  await house.chip.start();
  await house.log.start();
  t.deepEqual(house.log.state, { ok: true, reason: null });
  t.like(house.log.report(), { anchored: { entries: 2, day: 20_001 } });
});

test('the key is not in its file', async (t) => {
  const house = await setUp(t);
  const key = await new TpmLogKey({
    tpm: async () => house.tpm,
    file: house.file,
    policyKey: releases.publicKey,
    authorizations: () => house.authorizations,
  }).key();
  t.is(key.length, 32);
  t.false(readFileSync(house.file).includes(Buffer.from(key)));
});
