import { appliance, countAround, type Habit, habitualS, MINUTE_S, type Stroke, stroke } from '../appliance.ts';

const meals: Habit[] = [
  [7.5, 1, 0.5],
  [12.3, 2, 0.5],
  [18.5, 3, 0.7],
];

/** Boils at full power, then keeps warm by switching on for two of every five or six seconds. */
export const inductionCooker = appliance({
  about: 'chopped around the zero crossing; at low power it pulses',
  parameters: { powerW: 1800, usesPerDay: 2 },
  plan: ({ powerW, usesPerDay }, { random }) => {
    const strokes: Stroke[] = [];
    for (let n = countAround(random, usesPerDay); n > 0; n--) {
      const fromS = habitualS(random, meals);
      const boilS = random.between(3, 8) * MINUTE_S;
      strokes.push(stroke('induction', fromS, boilS, powerW));
      const simmerS = random.between(8, 25) * MINUTE_S;
      const turnS = random.chance(0.5) ? 5 : 6;
      for (let atS = 0; atS < simmerS; atS += turnS) {
        strokes.push(stroke('induction', fromS + boilS + atS, 2, powerW * 0.6));
      }
    }
    return strokes;
  },
});
