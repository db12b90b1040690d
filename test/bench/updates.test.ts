// A release is rolled out in the middle of a day: every meter and every gateway runs it afterwards, and no energy is lost.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { runQuietmeter, temporaryFolder, writeScenario } from './run-quietmeter.ts';

const morning = {
  name: 'A roll-out in June',
  seed: 5,
  start: '2024-06-18T10:30:00Z',
  days: 0.0625,
  area: 'oak-street',
  k: 2,
  households: [
    { id: 'roof', preset: 'family', pv: { peakW: 5000, sky: 'changing' } },
    { id: 'flat', preset: 'flat' },
  ],
  updates: [{ at: '11:00' }],
};

test('a new release reaches meter and gateway over all hindrances, and is attested; the boiler waits for the provider', async (t) => {
  const folder = temporaryFolder(t);
  const scenario = writeScenario(folder, {
    ...morning,
    control: [{ at: '10:45', deviceClass: 'boiler', command: 'off', forMinutes: 60 }],
    // while the program is on its way to the meter: one house has no power for a minute, another's gateway is killed
    faults: [
      { at: '2024-06-18T11:00:15Z', forMinutes: 1, powerCut: 'roof' },
      { at: '2024-06-18T11:00:12Z', forMinutes: 0.5, kill: 'gateway:flat' },
    ],
  });
  const { code, report, stdout, stderr } = await runQuietmeter(folder, '--scenario', scenario);
  t.is(code, 0, stderr + stdout);
  t.like(report!, { lost: 0, duplicated: 0, withinClass: true });
  t.deepEqual(report!.releases, [
    { version: 1, gateways: 0, meters: 0 },
    { version: 2, gateways: 2, meters: 2 },
  ]);
  t.deepEqual(report!.control, { sent: 1, heard: 2, relaysOff: 2 });
  t.regex(stdout, /release 1 on 0 and 0, release 2 on 2 and 2/);
  for (const id of ['roof', 'flat']) {
    const log = readFileSync(join(folder, 'state/run', `gateway-${id}.log`), 'utf8');
    t.regex(log, /release 2 runs/);
    t.notRegex(log, /attestation: failed/);
    t.notRegex(log, /the PCRs hold other values/, 'what is sealed opens all along the way');
  }
});
