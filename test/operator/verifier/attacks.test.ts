/** Every attack of bench/attestation/attacks.ts against a verifier of its own; each is refused, with its own sentence. */
import test from 'ava';
import { ATTACKS } from '../../../bench/attestation/attacks.ts';
import { OTHER_ATTACKS } from '../../../bench/attestation/other-attacks.ts';
import { workbench } from './bench.ts';

for (const { name, expected, run } of ATTACKS) {
  test(`refused: ${name}`, async (t) => {
    const reason = await run(await workbench(t));
    t.true(reason?.startsWith(expected), `said: ${reason}`);
  });
}

for (const { name, run } of OTHER_ATTACKS) {
  test(`refused: ${name}`, async (t) => {
    t.truthy(await run());
  });
}
