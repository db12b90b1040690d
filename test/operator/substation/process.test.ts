// The substation as a process: meters load their wallets by name, trade over the modem's route, and find the same state after kill -9.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { Party } from '../../../bench/party.ts';
import { SimulatedMeter } from '../../../bench/power-line/simulated-meter.ts';
import { prepareSubstation } from '../../../bench/substation-side.ts';
import { callService } from '../../../gateway/services/client.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { openKeyset } from '../../../protocol/crypto/keyset.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { issueHolderCertificate } from '../../../protocol/identity/certificates.ts';
import { monthOf } from '../../../protocol/time/months.ts';
import { slotOf } from '../../../protocol/time/slots.ts';
import {
  KEYSET_PATH,
  keysetAnswer,
  LINE_PATH,
  lineAnswer,
  WITHDRAW_PATH,
  withdrawAnswer,
} from '../../../protocol/trading/services.ts';
import { makeAuthority } from '../../support/x509-authority.ts';
import { mainOf } from '../grid.ts';

const START_MS = Date.UTC(2026, 5, 10);
const EPOCH_MS = 10_000;

test('wallets are loaded by name, trade goes over the modem, a kill loses nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-substation-process-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const authority = await makeAuthority(START_MS);
  const authorityFile = join(directory, 'authority.pem');
  writeFileSync(authorityFile, authority.certificate);
  const side = await prepareSubstation({
    directory,
    ca,
    authorityFile,
    substation: { standardCoins: 2, workers: 1, dsoLeadMs: 900_000 },
  });
  const logPath = join(directory, 'substation.log');
  const start = async (): Promise<Party> => {
    const party = new Party({ name: 'substation', main: mainOf('substation'), configPath: side.config, logPath });
    await party.start();
    await party.advance(START_MS, true);
    return party;
  };
  let party = await start();
  t.teardown(async () => {
    await party.kill();
    if (!t.passed) t.log(readFileSync(logPath, 'utf8').slice(-3000));
    rmSync(directory, { recursive: true, force: true });
  });

  const address = { url: side.url, ca: readFileSync(side.caFile, 'utf8') };
  const key = generateSigningKey();
  const certificate = await issueHolderCertificate(
    { kind: 'identifier', name: 'Anna Example', provider: 'utility', customerNumber: 'C-1' },
    key.publicKey,
    {
      issuer: authority,
      notBeforeMs: START_MS - 1000,
      notAfterMs: START_MS + 100 * 86_400_000,
      serialNumber: randomBytes(16),
    },
  );
  let nowMs = START_MS;
  const identity = {
    ...{ certificate, audience: 'substation', nowMs: () => nowMs },
    sign: async (message: Uint8Array) => signP256(key.privateKey, message),
  };
  const { keyset: bytes } = await callService({ ...address, path: KEYSET_PATH, answer: keysetAnswer });
  const keyset = openKeyset(bytes, 'substation', side.masterKey);

  const toLine: Uint8Array[] = [];
  const meter = new SimulatedMeter({
    ...{ keyset, month: monthOf(START_MS), cell: side.cell, groupKey: side.groupKey, random: randomBytes },
    epoch: () => Math.floor(nowMs / EPOCH_MS),
    send: (frames) => void toLine.push(...frames),
  });
  const line = async (): Promise<void> => {
    nowMs += EPOCH_MS;
    const body = { nowMs, frames: toLine.splice(0) };
    const call = { url: side.url, caFile: side.caFile, path: LINE_PATH, body, answer: lineAnswer };
    for (const frame of (await callAs(side.modem, call)).frames) meter.hear(frame);
  };
  await line();
  t.truthy(meter.beacon);
  t.deepEqual(meter.alarms, []);
  const { blinded, take } = meter.withdrawal(2);
  const body = { keyId: meter.key.keyId, number: 0, blinded };
  take(
    (await callService({ ...address, path: WITHDRAW_PATH, body, answer: withdrawAnswer, identity })).blindSignatures,
  );
  t.is(meter.free.length, 2);

  const request = meter.request({
    ...{ startSlot: slotOf(nowMs) + 1, slots: 1 },
    validUntil: Math.floor(nowMs / EPOCH_MS) + 20,
  })!;
  await line();
  t.is(request.state, 'done');
  await party.kill();
  party = await start();
  await line();
  t.like(await party.ask('totals'), { withdrawn: 2, sold: 1, batches: 1, held: 0 });
  t.like(((await party.ask('bills')) as object[])[0], { customer: 'utility/C-1', withdrawn: 2, deposited: 0 });
  const stranger = { path: WITHDRAW_PATH, body, answer: withdrawAnswer };
  await t.throwsAsync(callService({ ...address, ...stranger }));
});
