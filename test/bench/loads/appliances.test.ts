import test from 'ava';
import fc from 'fast-check';
import * as v from 'valibot';
import type { Day } from '../../../bench/loads/appliance.ts';
import {
  type ApplianceKind,
  type ApplianceSpec,
  applianceKinds,
  applianceSchema,
  appliances,
  limitOf,
  parametersOf,
  presetNames,
  presets,
} from '../../../bench/loads/catalogue.ts';
import { Random } from '../../../bench/random.ts';

const dayOf = (number: number): Day => ({
  number,
  weekend: number % 7 > 4,
  sunriseS: 6.5 * 3600,
  sunsetS: 18 * 3600,
  winter: 0.5 + 0.5 * Math.cos((number * 2 * Math.PI) / 365),
  random: new Random(5, number),
});

/** kWh a day over a year, and the highest power, at the defaults. */
const expected: Record<ApplianceKind, { kwh: [low: number, high: number]; peakW: number }> = {
  kettle: { kwh: [0.2, 0.5], peakW: 4000 }, // two uses may overlap
  oven: { kwh: [0.4, 0.9], peakW: 4880 },
  boiler: { kwh: [5, 7], peakW: 6600 },
  refrigerator: { kwh: [0.5, 0.9], peakW: 540 },
  washingMachine: { kwh: [0.3, 0.7], peakW: 2400 },
  vacuumCleaner: { kwh: [0.02, 0.08], peakW: 1300 },
  computer: { kwh: [0.25, 0.45], peakW: 120 },
  office: { kwh: [1.4, 2.2], peakW: 325 },
  television: { kwh: [0.25, 0.4], peakW: 143 },
  lights: { kwh: [0.15, 0.4], peakW: 80 },
  shopLights: { kwh: [6.6, 7.6], peakW: 660 },
  standby: { kwh: [1.0, 1.16], peakW: 54 },
  inductionCooker: { kwh: [0.45, 0.7], peakW: 3600 },
  heatPump: { kwh: [8, 20], peakW: 1700 },
  carCharger: { kwh: [4, 6], peakW: 3600 },
};

for (const kind of applianceKinds) {
  test(`${kind}: a year’s energy and highest power are plausible`, (t) => {
    let wattSeconds = 0;
    let peakW = 0;
    for (let number = 0; number < 365; number++) {
      const strokes = appliances[kind].plan(parametersOf({ kind }), dayOf(number));
      const switchings: [atS: number, deltaW: number][] = [];
      for (const { fromS, toS, powerW } of strokes) {
        t.true(Number.isInteger(fromS) && Number.isInteger(toS) && Number.isInteger(powerW) && powerW >= 0);
        t.true(fromS >= 0 && toS > fromS && toS <= 172_800, `${fromS} to ${toS}`);
        wattSeconds += powerW * (toS - fromS);
        switchings.push([fromS, powerW], [toS, -powerW]);
      }
      let nowW = 0;
      for (const [, deltaW] of switchings.sort(([a, x], [b, y]) => a - b || x - y)) {
        nowW += deltaW;
        peakW = Math.max(peakW, nowW);
      }
      t.is(nowW, 0);
    }
    const kwh = wattSeconds / 3.6e6 / 365;
    const { kwh: range } = expected[kind];
    t.log(`${kwh.toFixed(2)} kWh a day, at most ${peakW} W`);
    t.true(kwh >= range[0] && kwh <= range[1], `${kwh} kWh`);
    t.true(peakW <= expected[kind].peakW, `${peakW} W`);
    t.true(peakW >= expected[kind].peakW / 4, `${peakW} W`);
  });

  test(`${kind}: whatever a scenario may ask for can be planned`, (t) => {
    const names = Object.keys(appliances[kind].parameters);
    const anything = fc.record(
      Object.fromEntries(
        names.map((name) => [
          name,
          fc.oneof(fc.constant(0), fc.double({ min: 0, max: limitOf(name), noNaN: true }), fc.constant(limitOf(name))),
        ]),
      ),
    );
    fc.assert(
      fc.property(anything, fc.nat(365), (parameters, day) => {
        t.true(v.is(applianceSchema, { kind, ...parameters }));
        const strokes = appliances[kind].plan(parametersOf({ kind, ...parameters } as ApplianceSpec), dayOf(day));
        for (const { fromS, toS, powerW } of strokes) {
          if (!(fromS >= 0 && toS > fromS && toS <= 172_800 && Number.isInteger(powerW))) {
            t.fail(`${powerW} W from ${fromS} to ${toS}`);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
}

test('presets are made of what a scenario may say', (t) => {
  for (const name of presetNames) {
    for (const spec of presets[name]) t.true(v.is(applianceSchema, spec), `${name}: ${JSON.stringify(spec)}`);
  }
});
