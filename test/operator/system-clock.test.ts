// Without a conductor: the parties on the machine's own clock, as they would run for real.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { prepareGridSide } from '../../bench/grid-side.ts';
import { dayOfSlot } from '../../protocol/identity/pseudonym-certificate.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { replaceFile } from '../support/authority.ts';
import { AREA, authority, mainOf, TestGateway, TestHousehold } from './grid.ts';

test('readings are taken by the system clock, also where a key comes later, and SIGTERM ends in order', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-system-'));
  const household = new TestHousehold();
  const today = dayOfSlot(slotOf(Date.now()));
  // the keys of today are not published yet
  const trust = await authority.trustOf(directory, today - 10, 5);
  const side = await prepareGridSide({ directory, trust, clock: 'system' });
  const processes: ChildProcess[] = (['collector', 'provider', 'broker'] as const).map((name) =>
    spawn(process.execPath, [mainOf(name), side.configs[name]], { stdio: 'ignore' }),
  );
  const gateway = new TestGateway(side.gatewayAccess);
  t.teardown(async () => {
    await gateway.close();
    for (const child of processes) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const slot = slotOf(Date.now()) - 1;
  const submit = async (from: TestHousehold, of: number): Promise<string> =>
    (await gateway.submit(await from.submission({ slot: of, importWh: 50, exportWh: 0 }, side.providerPublicKey), AREA))
      .verdict;
  t.is(await submit(household, slot), 'passKeyMissing');
  t.is(await submit(household, slot + 3), 'tooEarly');
  replaceFile(trust.passKeysFile, authority.passKeys(today - 10, 12));
  let verdict = '';
  while (verdict !== 'stored') verdict = await submit(household, slot - 1);
  t.is(await submit(household, slot), 'stored');

  const ends = processes.map((child) => once(child, 'exit'));
  for (const child of processes) child.kill('SIGTERM');
  t.deepEqual(await Promise.all(ends), [
    [0, null],
    [0, null],
    [0, null],
  ]);
});
