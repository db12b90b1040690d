/** Every attack of bench/attestation/attacks.ts against a verifier of its own; each is refused, with its own sentence. */
import test from 'ava';
import { ATTACKS } from '../../../bench/attestation/attacks.ts';
import { workbench } from './bench.ts';

for (const { name, expected, run } of ATTACKS) {
  test(`refused: ${name}`, async (t) => {
    const reason = await run(await workbench(t));
    t.true(reason?.startsWith(expected), `said: ${reason}`);
  });
}

test('no two attacks are refused with one and the same expectation but those on one cause', (t) => {
  const expectations = new Set(ATTACKS.map(({ expected }) => expected));
  // a certificate that has expired and one of an unknown maker differ in what follows the colon
  t.true(expectations.size >= ATTACKS.length - 2);
});
