/** Switching supplies: pulses at the crest, rich in harmonics, or corrected ones. */

import type { Random } from '../../random.ts';
import { appliance, HOUR_S, MINUTE_S, type Stroke, stroke } from '../appliance.ts';

/** Power that changes every few seconds around its mean, as a processor's or a bright picture's does. */
function unsteady(random: Random, shape: Stroke['shape'], fromS: number, toS: number, powerW: number): Stroke[] {
  const strokes: Stroke[] = [];
  for (let atS = Math.max(0, Math.round(fromS)); atS < toS; ) {
    const forS = Math.round(random.between(5, 60));
    strokes.push(stroke(shape, atS, forS, powerW * random.between(0.7, 1.3)));
    atS += forS;
  }
  return strokes;
}

export const computer = appliance({
  about: 'a desktop without power factor correction',
  parameters: { powerW: 90, hoursPerDay: 4 },
  plan: ({ powerW, hoursPerDay }, { random }) => {
    const fromS = random.normal(17, 2) * HOUR_S;
    return unsteady(random, 'supply', fromS, fromS + hoursPerDay * random.between(0.6, 1.3) * HOUR_S, powerW);
  },
});

export const office = appliance({
  about: 'computers and a till during working hours, not on Sundays',
  parameters: { powerW: 250, opensHour: 8, closesHour: 18 },
  plan: ({ powerW, opensHour, closesHour }, { random, weekend }) =>
    weekend ? [] : unsteady(random, 'supply', opensHour * HOUR_S, closesHour * HOUR_S, powerW),
});

export const television = appliance({
  about: 'an evening, bright and dark pictures, corrected supply',
  parameters: { powerW: 110, hoursPerDay: 3 },
  plan: ({ powerW, hoursPerDay }, { random, weekend }) => {
    const fromS = random.normal(weekend ? 18.5 : 19.5, 0.7) * HOUR_S;
    return unsteady(random, 'corrected', fromS, fromS + hoursPerDay * random.between(0.7, 1.2) * HOUR_S, powerW);
  },
});

export const lights = appliance({
  about: 'LED lamps, on room by room before sunrise and after sunset',
  parameters: { powerW: 80, lamps: 6 },
  plan: ({ powerW, lamps }, { random, sunriseS, sunsetS }) => {
    const strokes: Stroke[] = [];
    const lampW = powerW / Math.max(1, lamps);
    for (let n = 0; n < lamps; n++) {
      const upS = random.normal(6.5, 0.4) * HOUR_S;
      const bedS = random.normal(22.5, 0.6) * HOUR_S;
      if (upS < sunriseS) strokes.push(stroke('light', upS, sunriseS - upS, lampW));
      for (let atS = Math.max(sunsetS, 16 * HOUR_S) + random.between(0, 40) * MINUTE_S; atS < bedS; ) {
        const forS = Math.min(random.exponential(50 * MINUTE_S), bedS - atS);
        strokes.push(stroke('light', atS, forS, lampW));
        atS += forS + random.exponential(25 * MINUTE_S);
      }
    }
    return strokes;
  },
});

export const shopLights = appliance({
  about: 'LED lamps of a shop, on while it is open; the sign stays on at night',
  parameters: { powerW: 600, signW: 60, opensHour: 8, closesHour: 19 },
  plan: ({ powerW, signW, opensHour, closesHour }, { sunriseS, sunsetS }) => [
    stroke('light', opensHour * HOUR_S, (closesHour - opensHour) * HOUR_S, powerW),
    stroke('light', 0, sunriseS, signW),
    stroke('light', sunsetS, 24 * HOUR_S - sunsetS, signW),
  ],
});

export const standby = appliance({
  about: 'router, clocks, chargers: always there, never quite steady',
  parameters: { powerW: 45 },
  plan: ({ powerW }, { random }) => {
    const strokes = [stroke('standby', 0, 24 * HOUR_S, powerW * 0.85)];
    for (let atS = 0; atS < 24 * HOUR_S; ) {
      const forS = Math.min(Math.round(random.between(10, 120)), 24 * HOUR_S - atS);
      strokes.push(stroke('standby', atS, forS, powerW * random.between(0, 0.3)));
      atS += forS;
    }
    return strokes;
  },
});
