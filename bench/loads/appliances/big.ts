/** What came with electric heating and driving: hours at several kilowatts. */
import { appliance, HOUR_S, MINUTE_S, type Stroke, stroke } from '../appliance.ts';

export const heatPump = appliance({
  about: 'inverter-driven, follows the season; its pump runs along',
  parameters: { powerW: 1600 },
  plan: ({ powerW }, { random, winter }) => {
    const strokes: Stroke[] = [];
    // In July it makes hot water for an hour a day; in January it runs most of the time.
    const share = 0.05 + 0.7 * winter;
    for (let atS = random.between(0, 40) * MINUTE_S; atS < 23 * HOUR_S; ) {
      const onS = random.between(35, 60) * MINUTE_S;
      const night = atS < 5 * HOUR_S || atS > 21.5 * HOUR_S;
      const levelW = powerW * random.between(0.6, 1) * (night ? 0.7 : 1);
      strokes.push(stroke('corrected', atS, onS, levelW), stroke('motor', atS, onS + 120, 60));
      atS += onS + 120 + (onS * (1 - share)) / share;
    }
    return strokes;
  },
});

export const carCharger = appliance({
  about: 'single-phase, full power until the battery nears its end, then less',
  parameters: { powerW: 3600, chargesPerDay: 0.5 },
  plan: ({ powerW, chargesPerDay }, { random }) => {
    if (!random.chance(chargesPerDay)) return [];
    const fromS = random.normal(19, 1.2) * HOUR_S;
    const fullS = random.between(1, 4) * HOUR_S;
    return [
      stroke('corrected', fromS, fullS, powerW),
      ...[0.75, 0.5, 0.25].map((level, n) => stroke('corrected', fromS + fullS + n * 420, 420, powerW * level)),
    ];
  },
});
