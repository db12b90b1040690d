import test from 'ava';
import { makeChip } from '../../../bench/board/adc-model.ts';
import { calibrateChip } from '../../../bench/board/calibrate-chip.ts';
import { hostDsp, MeteredChip } from '../../../bench/board/metered-chip.ts';
import { Metering, meteringConfig } from '../../../firmware/metering/meter.ts';
import { PHASE_BYTES, Phases } from '../../../firmware/metering/phases.ts';
import { EnergyRegisters } from '../../../firmware/metering/registers.ts';

const SECOND_MS = 1000;
const POINTS = 512;

/** A phase's wave: turned by a third of a cycle each, its current lagging or leading by an angle; amps below 0 feed in. */
function wave(phase: number, volts: number, amps: number, lagDegrees = 0) {
  const turned = (amplitude: number, lag: number) =>
    Float64Array.from({ length: POINTS }, (_, n) => {
      const angle = (2 * Math.PI * n) / POINTS - (2 * Math.PI * phase) / 3 - (lag * Math.PI) / 180;
      return amplitude * Math.SQRT2 * Math.sin(angle);
    });
  return { frequencyHz: 50, cycles: 1, voltageV: turned(volts, 0), currentA: turned(amps, lagDegrees) };
}

const adc = makeChip(11);
/** One converter, three front ends. */
const chips = [0, 1, 2].map((phase) => {
  const { pinVPerV, pinVPerA, voltageSensor, clamp, filterS, biasV } = makeChip(11 + phase);
  return { ...adc, pinVPerV, pinVPerA, voltageSensor, clamp, filterS, biasV };
});
const calibrations = chips.map((chip) => calibrateChip(chip));

/** Three phases on three calibrated front ends, the second and third using the first one's memory. */
function house() {
  const meters = chips.map((chip, phase) => new MeteredChip(chip, phase + 1, calibrations[phase]));
  const first = meters[0].metering;
  const others = meters.slice(1).map((meter, n) => ({
    sampler: {
      raw: meter.raw,
      read: () => {
        meter.sample();
        return meter.windowS;
      },
    },
    metering: new Metering(hostDsp, calibrations[n + 1], meteringConfig(), first),
  }));
  const phases = new Phases(first, others);
  return {
    phases,
    /** Volts, amps, lag of each phase. */
    load(...loads: [volts: number, amps: number, lag?: number][]) {
      loads.forEach(([volts, amps, lag], phase) => void meters[phase].setMains(wave(phase, volts, amps, lag)));
    },
    window() {
      meters[0].sample();
      return phases.window(meters[0].raw, meters[0].windowS);
    },
  };
}

/** Mean of some windows, once the offsets have settled, W. */
function meanW({ window }: ReturnType<typeof house>, windows = 40): number {
  for (let n = 0; n < 30; n++) window();
  let sum = 0;
  for (let n = 0; n < windows; n++) sum += window().powerMw / 1000;
  return sum / windows;
}

test('three phases are as accurate as one, whatever their voltages and angles are', (t) => {
  const rows: [[number, number, number?][], string][] = [
    [
      [
        [230, 10],
        [230, 10],
        [230, 10],
      ],
      'balanced',
    ],
    [
      [
        [223, 16, 40],
        [236, 3, -25],
        [229, 9, 0],
      ],
      'unbalanced, inductive and capacitive',
    ],
    [
      [
        [230, -12],
        [231, 5, 30],
        [228, 2],
      ],
      'one feeds in',
    ],
  ];
  for (const [loads, name] of rows) {
    const made = house();
    made.load(...loads);
    const truthW = loads.reduce((sum, [v, i, lag = 0]) => sum + v * i * Math.cos((lag * Math.PI) / 180), 0);
    const scaleW = loads.reduce((sum, [v, i]) => sum + Math.abs(v * i), 0);
    const errorPercent = (100 * (meanW(made) - truthW)) / scaleW;
    t.log(`${name}: ${truthW.toFixed(0)} W, ${errorPercent.toFixed(3)} % of the apparent power off`);
    t.true(Math.abs(errorPercent) < 0.5, name);
  }
});

test('what one phase feeds in pays for what another draws, as the grid’s meter counts', (t) => {
  const net = (loads: [number, number][]) => {
    const made = house();
    made.load(...loads);
    meanW(made, 1);
    const registers = new EnergyRegisters(0, 0, made.phases.noiseMw);
    const alone = [0, 1, 2].map(() => ({ importMwMs: 0, exportMwMs: 0 }));
    for (let second = 1; second <= 60; second++) {
      registers.integrate(made.window().powerMw, SECOND_MS);
      const view = new DataView(made.phases.each.buffer);
      alone.forEach((one, phase) => {
        const powerMw = view.getInt32(phase * PHASE_BYTES, true);
        if (powerMw > 0) one.importMwMs += powerMw * SECOND_MS;
        else one.exportMwMs -= powerMw * SECOND_MS;
      });
      if (second % 10 === 0) registers.closeBlock();
    }
    const sum = (key: 'importMwMs' | 'exportMwMs') => alone.reduce((total, one) => total + one[key], 0) / 3_600_000;
    return {
      imported: registers.importMwh,
      exported: registers.exportMwh,
      apart: [sum('importMwMs'), sum('exportMwMs')],
    };
  };
  // 2,300 W drawn twice, 3,450 W fed in: 1,150 W for a minute are 19.17 Wh
  const draws = net([
    [230, 10],
    [230, 10],
    [230, -15],
  ]);
  t.true(Math.abs(draws.imported - 19_167) < 0.01 * 76_667, `${draws.imported} mWh`);
  t.is(draws.exported, 0, 'nothing was fed into the grid');
  t.true(draws.apart[0] > 70_000 && draws.apart[1] > 50_000, 'though each phase alone would have counted both');
  const feeds = net([
    [230, 2],
    [230, 3],
    [230, -15],
  ]);
  t.is(feeds.imported, 0);
  t.true(Math.abs(feeds.exported - 38_333) < 0.01 * 76_667, `${feeds.exported} mWh`);
  const even = net([
    [230, 5],
    [230, -5],
    [230, 0],
  ]);
  t.true(even.imported + even.exported < 0.005 * 38_333, 'and two that are even are nothing');
});

test('a phase without voltage is flagged, and the others are measured on', (t) => {
  const made = house();
  made.load([230, 10], [230, 10], [0, 0]);
  const watts = meanW(made);
  t.true(Math.abs(watts - 4600) < 0.005 * 4600, `${watts} W`);
  t.is(made.window().flags, 16);
  const view = new DataView(made.phases.each.buffer);
  t.is(view.getUint32(2 * PHASE_BYTES + 4, true), 0);
  t.true(Math.abs(view.getUint32(PHASE_BYTES + 4, true) - 230_000) < 1500);
});
