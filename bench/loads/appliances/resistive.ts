/** Loads that are a resistance: current and voltage have one shape, power factor 1, power follows the voltage squared. */
import { appliance, countAround, type Habit, HOUR_S, habitualS, MINUTE_S, stroke, thermostat } from '../appliance.ts';

const hotDrinks: Habit[] = [
  [7, 3, 0.7],
  [10, 1, 1],
  [13, 1, 1],
  [16, 2, 1],
  [20, 1, 1],
];

export const kettle = appliance({
  about: 'water for tea: two to four minutes at full power',
  parameters: { powerW: 2000, usesPerDay: 4 },
  plan: ({ powerW, usesPerDay }, { random }) =>
    Array.from({ length: countAround(random, usesPerDay) }, () =>
      stroke('resistive', habitualS(random, hotDrinks), random.between(100, 230), powerW),
    ),
});

const meals: Habit[] = [
  [12, 1, 0.7],
  [18.5, 2, 0.8],
];

export const oven = appliance({
  about: 'heats up for ten minutes, then its thermostat switches',
  parameters: { powerW: 2400, usesPerDay: 0.5 },
  plan: ({ powerW, usesPerDay }, { random }) =>
    Array.from({ length: countAround(random, usesPerDay) }, () => {
      const fromS = habitualS(random, meals);
      const heatS = random.between(7, 12) * MINUTE_S;
      const toS = fromS + heatS + random.between(20, 60) * MINUTE_S;
      return [
        stroke('resistive', fromS, heatS, powerW),
        ...thermostat(random, 'resistive', powerW, { fromS: fromS + heatS + 60, toS, onS: 45, offS: 100 }),
        stroke('corrected', fromS, toS - fromS, 40), // fan and light
      ];
    }).flat(),
});

export const boiler = appliance({
  about: 'hot water with a thermostat: long at night, short after each use',
  parameters: { powerW: 2200, litresPerDay: 100 },
  plan: ({ powerW, litresPerDay }, { random }) => {
    // 4.19 kJ per litre and kelvin, 45 K, two thirds of it at night; a heater that is too small runs for six hours.
    const heatS = Math.min((litresPerDay * 4190 * 45) / Math.max(1, powerW), 9 * HOUR_S);
    const losses = thermostat(random, 'resistive', powerW, {
      fromS: random.between(0, 2 * HOUR_S),
      toS: 22 * HOUR_S,
      onS: 4 * MINUTE_S,
      offS: 170 * MINUTE_S,
    });
    return [
      stroke('resistive', 22 * HOUR_S + random.between(0, HOUR_S), (heatS * 2) / 3, powerW),
      stroke('resistive', random.normal(7.5, 0.4) * HOUR_S, heatS / 6, powerW),
      stroke('resistive', random.normal(19, 0.8) * HOUR_S, heatS / 6, powerW),
      ...losses,
    ];
  },
});
