import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { createHouseholdLoad } from '../../../bench/loads/household-load.ts';
import type { Measurement } from '../../../firmware/metering/meter.ts';
import { checkClamp, ReversedClamp } from '../../../firmware/metering/reversed-clamp.ts';
import { CLAMP_LOAD_TOO_SMALL, CLAMP_REVERSED, CLAMP_RIGHT } from '../../../protocol/wire/link-messages.ts';

const NOISE_MW = 3000;
const BLOCK_MS = 10_000;
const HOUR_BLOCKS = 360;

function shown(powerW: number, powerFactor: number): Measurement {
  return {
    powerMw: Math.round(powerW * 1000),
    apparentMva: Math.round(Math.abs((powerW * 1000) / powerFactor)),
    powerFactorE4: Math.round(10_000 * powerFactor),
    reactiveMvar: 0,
    voltageMv: 230_000,
    currentMa: 0,
    frequencyMhz: 50_000,
    flags: 0,
  };
}

/** So many hours of one power; true if it was suspected at any time. */
function pass(clamp: ReversedClamp, hours: number, powerW: number, powerFactor = Math.sign(powerW) || 1): boolean {
  const m = shown(powerW, powerFactor);
  let ever = false;
  for (let n = 0; n < hours * HOUR_BLOCKS; n++) {
    // As ten windows, in one go: a block needs no more.
    for (let k = 0; k < 10; k++) clamp.observe(m, BLOCK_MS / 10);
    clamp.closeBlock();
    ever ||= clamp.suspected;
  }
  return ever;
}

test('a house that delivers all day without a generator has its clamp the wrong way round', (t) => {
  const clamp = new ReversedClamp(NOISE_MW, false);
  t.false(pass(clamp, 23, -150, -0.8));
  t.true(pass(clamp, 2, -150, -0.8));
  t.false(pass(clamp, 2, 150) && clamp.suspected, 'put right, the suspicion goes');
});

test('5 % of the day may be otherwise, not more', (t) => {
  t.true(pass(new ReversedClamp(NOISE_MW, false), 1, 100) === false);
  const clamp = new ReversedClamp(NOISE_MW, false);
  pass(clamp, 1, 100);
  t.true(pass(clamp, 23, -100)); // 95.8 %
  const other = new ReversedClamp(NOISE_MW, false);
  pass(other, 2, 100);
  t.false(pass(other, 22, -100)); // 91.7 %
});

test('a generator explains it', (t) => {
  t.false(pass(new ReversedClamp(NOISE_MW, true), 72, -3000));
});

test('noise, next to nothing, and a poor power factor say nothing', (t) => {
  t.false(pass(new ReversedClamp(NOISE_MW, false), 72, -4.9));
  t.false(pass(new ReversedClamp(NOISE_MW, false), 72, -18), 'within 20 σ of a block');
  t.false(pass(new ReversedClamp(NOISE_MW, false), 72, -100, -0.4));
});

test('no false alarm in a year with PV: synthesized, every day of it', (t) => {
  const pv = { peakW: 8000, tiltDeg: 30, azimuthDeg: 180, sky: 'clear' as const };
  const load = createHouseholdLoad({ id: 'pv', preset: 'flat', pv }, 3);
  const clamp = new ReversedClamp(NOISE_MW, false);
  let exported = 0;
  const begin = Date.UTC(2024, 0, 1);
  for (let ms = begin; ms < begin + 366 * 86_400_000; ms += 600_000) {
    const { powerW } = load.at(ms);
    if (powerW < 0) exported++;
    const m = shown(powerW, Math.sign(powerW) || 1);
    for (let n = 0; n < 60; n++) {
      for (let k = 0; k < 10; k++) clamp.observe(m, 1000);
      clamp.closeBlock();
    }
    if (clamp.suspected) t.fail(new Date(ms).toISOString());
  }
  t.true(exported > 5000, `it did export: ${exported} of 52,704 times`);
});

const ausgrid = new URL('../../../../shared/data/ausgrid-customer12-load-pv-30min.csv', import.meta.url);
const recorded = existsSync(ausgrid) ? test : test.skip;
recorded('no false alarm in a recorded year with PV (skipped where the recording is absent)', (t) => {
  const clamp = new ReversedClamp(NOISE_MW, false);
  const rows = readFileSync(ausgrid, 'utf8').trim().split(/\r?\n/).slice(1);
  t.true(rows.length > 17_000);
  for (const row of rows) {
    const [time, load, pv] = row.split(',');
    const powerW = 1000 * (Number(load) - 3.85 * Number(pv));
    if (pass(clamp, 0.5, powerW)) t.fail(time);
  }
  t.pass();
});

test('the guided check', (t) => {
  t.is(checkClamp(shown(2000, 1)), CLAMP_RIGHT);
  t.is(checkClamp(shown(-2000, -0.99)), CLAMP_REVERSED);
  t.is(checkClamp(shown(-499, -1)), CLAMP_LOAD_TOO_SMALL);
  t.is(checkClamp(shown(-2000, -0.8)), CLAMP_LOAD_TOO_SMALL);
  t.is(checkClamp(shown(450, 1)), CLAMP_LOAD_TOO_SMALL);
});
