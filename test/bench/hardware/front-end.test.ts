import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { responseDocuments } from '../../../bench/hardware/documents.ts';
import { BOARDS, PIN_LIMITS_V, type Response, simulate } from '../../../bench/hardware/response.ts';
import { deck, NgspiceError, runNgspice } from '../../../bench/hardware/spice.ts';
import { PIN_V_PER_A, PIN_V_PER_V } from '../../../hardware/front-end.ts';

const present = (() => {
  try {
    execFileSync('ngspice', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const withNgspice = present ? test : test.skip;
let response: Response;
test.before(async () => {
  if (present) response = await simulate(BOARDS);
});

withNgspice('gains are those that the firmware counts with, from 45 to 65 Hz', (t) => {
  for (const gain of response.gain.voltage) t.true(Math.abs(gain / PIN_V_PER_V - 1) < 5e-4, `${gain}`);
  for (const gain of response.gain.current) t.true(Math.abs(gain / PIN_V_PER_A - 1) < 5e-4, `${gain}`);
});

withNgspice('both channels lag alike: less than 0.002° apart from 45 to 65 Hz', (t) => {
  for (const [n, lag] of response.lagUrad.voltage.entries()) {
    t.true(Math.abs(lag - response.lagUrad.current[n]) < 35, `${lag}`);
    t.true(lag > 5000);
  }
});

withNgspice('a sine of 120 % stays between the dead zone and the end of the code table', (t) => {
  for (const { lowV, highV } of Object.values(response.overload)) {
    t.true(lowV > PIN_LIMITS_V.low, `${lowV}`);
    t.true(highV < PIN_LIMITS_V.high, `${highV}`);
  }
});

withNgspice('a front end without its bias would clip, which shows that the simulation would see it', async (t) => {
  const { output } = await runNgspice(
    deck([{ sensors: 'ideal', values: { '3V3': 1.5 } }], { mainsV: 276, clampA: 72 }, [
      'tran 20u 100m 60m 20u',
      'meas tran low min v(adc_i_0)',
    ]),
  );
  const low = Number(/^low\s*=\s*(\S+)/m.exec(output)![1]);
  t.true(low < PIN_LIMITS_V.low, `${low}`);
});

withNgspice('noise is far below the ADC’s', (t) => {
  t.true(response.noiseUv.voltage > 0 && response.noiseUv.voltage < 100);
  t.true(response.noiseUv.current > 0 && response.noiseUv.current < 100);
});

withNgspice('tolerances follow from the parts: gain within the three resistors’, lag within the filter’s', (t) => {
  const { gainPpm, lagDifferenceUrad } = response.tolerance;
  t.true(gainPpm.current <= 1100 && gainPpm.current > 500, `${gainPpm.current}`);
  t.true(gainPpm.voltage <= 2100 && gainPpm.voltage > 1000, `${gainPpm.voltage}`);
  t.true(lagDifferenceUrad < 2 * 0.06 * 10600, `${lagDifferenceUrad}`);
});

withNgspice('the tables of firmware and documents are what ngspice says (scripts/hardware makes them)', async (t) => {
  for (const [path, text] of Object.entries(responseDocuments(response))) {
    const kept = await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
    const numbers = (s: string): number[] => (s.match(/-?\d+\.\d+/g) ?? []).map(Number);
    t.is(kept.replace(/-?\d+\.\d+/g, '#'), text.replace(/-?\d+\.\d+/g, '#'), path);
    const [a, b] = [numbers(kept), numbers(text)];
    // another version of ngspice may differ in the last digit
    for (const [n, value] of a.entries())
      t.true(Math.abs(value - b[n]) <= 0.02 * Math.abs(value) + 1e-3, `${path}: ${value} ${b[n]}`);
  }
});

withNgspice('a deck that ngspice refuses is an error with its words', async (t) => {
  const broken = deck([{ sensors: 'ideal' }], {}, ['ac lin 5 45 65', 'wrdata out v(nowhere)']);
  await t.throwsAsync(runNgspice(broken), { instanceOf: NgspiceError });
});

if (!present) test('ngspice is not installed: the front end was not simulated', (t) => t.pass());
