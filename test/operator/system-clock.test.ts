// Without a conductor: the parties on the machine's own clock, as they would run for real.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { prepareGridSide } from '../../bench/grid-side.ts';
import { writeRegistration } from '../../bench/registration.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { AREA, mainOf, TestGateway, TestHousehold } from './grid.ts';

test('readings are taken by the system clock, also of those who register later, and SIGTERM ends in order', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-system-'));
  const [household, newcomer] = [new TestHousehold(), new TestHousehold()];
  const entries = [household, newcomer].map(({ tpm, area }) => ({ publicKey: tpm.publicKey, area }));
  const side = await prepareGridSide({ directory, pseudonyms: entries.slice(0, 1), clock: 'system' });
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
  t.is(await submit(household, slot), 'stored');
  t.is(await submit(household, slot + 3), 'tooEarly');
  t.is(await submit(newcomer, slot), 'unregistered');
  writeRegistration(side.registrationFile, entries);
  let verdict = '';
  while (verdict !== 'stored') verdict = await submit(newcomer, slot - 1);

  const ends = processes.map((child) => once(child, 'exit'));
  for (const child of processes) child.kill('SIGTERM');
  t.deepEqual(await Promise.all(ends), [
    [0, null],
    [0, null],
    [0, null],
  ]);
});
