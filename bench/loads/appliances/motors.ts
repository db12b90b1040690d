/** Motors: current lags, starts with a rush of several times the running power. */
import { appliance, countAround, type Habit, HOUR_S, habitualS, MINUTE_S, type Stroke, stroke } from '../appliance.ts';

/** A compressor switches on against its pressure: some six times the running power for a second. */
const INRUSH = 6;

export const refrigerator = appliance({
  about: 'a compressor that runs a quarter to a third of the time, with inrush',
  parameters: { powerW: 90, onMinutes: 14, offMinutes: 32, count: 1 },
  plan: ({ powerW, onMinutes, offMinutes, count }, { random }) => {
    const strokes: Stroke[] = [];
    const turnS = Math.max(1, onMinutes + offMinutes) * MINUTE_S;
    for (let n = 0; n < count; n++) {
      // The day's last turn ends before midnight, so that a compressor never runs twice at once.
      let atS = random.between(0, turnS);
      for (;;) {
        const onS = Math.max(1, onMinutes * MINUTE_S * random.between(0.85, 1.2));
        if (atS + onS > 24 * HOUR_S) break;
        strokes.push(stroke('motor', atS, onS, powerW), stroke('motor', atS, 1, powerW * (INRUSH - 1)));
        atS += onS + offMinutes * MINUTE_S * random.between(0.85, 1.2);
      }
    }
    return strokes;
  },
});

const washDay: Habit[] = [
  [9, 2, 1],
  [14, 1, 2],
  [19, 1, 1],
];

export const washingMachine = appliance({
  about: 'heats its water, turns the drum to and fro, spins at the end',
  parameters: { heaterW: 2000, motorW: 180, usesPerDay: 0.6 },
  plan: ({ heaterW, motorW, usesPerDay }, { random }) => {
    const strokes: Stroke[] = [];
    for (let n = countAround(random, usesPerDay); n > 0; n--) {
      const fromS = habitualS(random, washDay);
      const heatS = random.between(10, 18) * MINUTE_S;
      const washS = random.between(45, 70) * MINUTE_S;
      strokes.push(stroke('resistive', fromS + 2 * MINUTE_S, heatS, heaterW));
      // Twelve seconds one way, a pause, twelve seconds the other way.
      for (let atS = 0; atS < washS; atS += 20) {
        strokes.push(stroke('motor', fromS + atS, 12, motorW), stroke('motor', fromS + atS, 1, motorW));
      }
      for (let step = 1; step <= 4; step++) {
        strokes.push(stroke('motor', fromS + washS + step * 45, 45 * (5 - step), motorW * 0.6)); // spins up in steps
      }
    }
    return strokes;
  },
});

export const vacuumCleaner = appliance({
  about: 'a universal motor behind a phase-fired speed control',
  parameters: { powerW: 650, usesPerDay: 0.3 },
  plan: ({ powerW, usesPerDay }, { random }) =>
    Array.from({ length: countAround(random, usesPerDay) }, () => {
      const fromS = habitualS(random, [[11, 1, 2]]);
      return [
        stroke('phaseFired', fromS, random.between(6, 20) * MINUTE_S, powerW),
        stroke('phaseFired', fromS, 1, powerW),
      ];
    }).flat(),
});
