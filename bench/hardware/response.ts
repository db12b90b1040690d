/**
 * What the front end does to the mains, by ngspice: gain and lag against frequency, what tolerances and temperature make of
 * them, noise, and how far a sine of 120 % stays from the ends of the ADC. hardware/front-end-response.ts is made of it.
 */
import { ADC_BEND_V, ADC_DEAD_ZONE_V } from '../../hardware/adc.ts';
import { parts } from '../../hardware/circuit.ts';
import { Random } from '../random.ts';
import { type Copy, deck, NgspiceError, runNgspice, SUPPLY_V } from './spice.ts';

export const FREQUENCIES_HZ = [45, 50, 55, 60, 65];
/** Rated: 5 (60) A, 230 V. */
export const RATED_A = 60;
export const RATED_V = 230;
const OVERLOAD = 1.2;
/** AP2114H, ±. */
const SUPPLY_TOLERANCE = 0.015;
const COLD_C = -10;
const WARM_C = 60;
/** Pairs come every 160 µs: beyond this the filter has to have done its work, and noise folds back. */
const NYQUIST_HZ = 3125;

/** How many boards are soldered for the tolerances. */
export const BOARDS = 400;

export interface Channel<T> {
  voltage: T;
  current: T;
}
export interface Response {
  /** At FREQUENCIES_HZ: volts at the pin per volt or ampere, and how far the pin lags, µrad. The sensors' own lead is not in it. */
  gain: Channel<number[]>;
  lagUrad: Channel<number[]>;
  /** Of the single pole that lags as much at 50 Hz, µs. */
  timeConstantUs: Channel<number>;
  /** RMS at the pin over the ADC's band, µV. */
  noiseUv: Channel<number>;
  /** Largest deviations of the circuit as soldered (every part anywhere within its tolerance), before calibration. */
  tolerance: { gainPpm: Channel<number>; lagDifferenceUrad: number; biasPpm: number };
  /** From 25 °C to −10 and 60 °C, sensors' windings included: what no calibration at 25 °C removes. */
  temperature: { gainPpm: Channel<number>; leadDifferenceUrad: number };
  /** Lowest and highest volts at the pin at 120 % of the rated sine, nominal parts and the worst bias. */
  overload: Channel<{ lowV: number; highV: number }>;
}

interface Phasor {
  size: number;
  rad: number;
}
/** Each copy's two pins at each frequency. */
async function sweep(copies: Copy[], temperatureC?: number): Promise<Channel<Phasor>[][]> {
  const vectors = copies.map((_, n) => `v(adc_v_${n}) v(adc_i_${n})`).join(' ');
  const step = FREQUENCIES_HZ.length;
  const { rows } = await runNgspice(
    deck(copies, { temperatureC }, [
      `ac lin ${step} ${FREQUENCIES_HZ[0]} ${FREQUENCIES_HZ[step - 1]}`,
      `wrdata out ${vectors}`,
    ]),
  );
  if (rows.length !== step) throw new NgspiceError(`ngspice: ${rows.length} frequencies instead of ${step}`);
  const phasor = (row: number[], at: number): Phasor => ({
    size: Math.hypot(row[at], row[at + 1]),
    rad: Math.atan2(row[at + 1], row[at]),
  });
  // scale, then real and imaginary part of each vector
  return copies.map((_, n) =>
    rows.map((row) => ({ voltage: phasor(row, 1 + 4 * n), current: phasor(row, 3 + 4 * n) })),
  );
}

const AT_50 = FREQUENCIES_HZ.indexOf(50);
const urad = (rad: number): number => rad * 1e6;
const ppm = (value: number, nominal: number): number => (value / nominal - 1) * 1e6;
const most = (values: number[]): number => Math.max(...values.map(Math.abs));

/** @param boards how many for the tolerances */
export async function simulate(boards: number, seed = 1): Promise<Response> {
  const [[nominal]] = [await sweep([{ sensors: 'ideal' }])];
  const random = new Random(seed, 'front end');
  const soldered = Array.from({ length: boards }, (): Copy => {
    const values: Record<string, number> = { '3V3': SUPPLY_V * (1 + random.between(-1, 1) * SUPPLY_TOLERANCE) };
    for (const { ref, si, tolerance } of parts)
      if (si !== undefined) values[ref] = si * (1 + random.between(-1, 1) * tolerance!);
    return { sensors: 'ideal', values };
  });
  const made = (await sweep(soldered)).map((rows) => rows[AT_50]);
  const at50 = nominal[AT_50];
  const difference = ({ voltage, current }: Channel<Phasor>): number => voltage.rad - current.rad;

  const [[warmRef], [cold], [warm]] = [
    await sweep([{ sensors: 'real' }]),
    await sweep([{ sensors: 'real' }], COLD_C),
    await sweep([{ sensors: 'real' }], WARM_C),
  ];
  const drift = (of: (at: Channel<Phasor>) => number, relative: boolean): number =>
    most(
      [cold, warm].map((rows) =>
        relative ? ppm(of(rows[AT_50]), of(warmRef[AT_50])) : urad(of(rows[AT_50]) - of(warmRef[AT_50])),
      ),
    );

  const divider = (values: Record<string, number>): number => (values['3V3'] * values.R8) / (values.R7 + values.R8);
  const nominalValues: Record<string, number> = { '3V3': SUPPLY_V };
  for (const { ref, si } of parts) if (si !== undefined) nominalValues[ref] = si;
  const biasPpm = most(soldered.map(({ values }) => ppm(divider(values!), divider(nominalValues))));

  return {
    gain: {
      voltage: nominal.map(({ voltage }) => voltage.size),
      current: nominal.map(({ current }) => current.size),
    },
    lagUrad: {
      voltage: nominal.map(({ voltage }) => -urad(voltage.rad)),
      current: nominal.map(({ current }) => -urad(current.rad)),
    },
    timeConstantUs: {
      voltage: (Math.tan(-at50.voltage.rad) / (2 * Math.PI * 50)) * 1e6,
      current: (Math.tan(-at50.current.rad) / (2 * Math.PI * 50)) * 1e6,
    },
    noiseUv: { voltage: await noiseUv('v', 'VMAINS'), current: await noiseUv('i', 'ICLAMP') },
    tolerance: {
      gainPpm: {
        voltage: most(made.map((m) => ppm(m.voltage.size, at50.voltage.size))),
        current: most(made.map((m) => ppm(m.current.size, at50.current.size))),
      },
      lagDifferenceUrad: most(made.map((m) => urad(difference(m) - difference(at50)))),
      biasPpm,
    },
    temperature: {
      gainPpm: {
        voltage: drift((m) => m.voltage.size, true),
        current: drift((m) => m.current.size, true),
      },
      leadDifferenceUrad: drift(difference, false),
    },
    overload: await overload(biasPpm),
  };
}

async function noiseUv(channel: 'v' | 'i', source: string): Promise<number> {
  const { output } = await runNgspice(
    deck([{ sensors: 'ideal' }], {}, [
      `noise v(adc_${channel}_0) ${source} dec 20 10 ${NYQUIST_HZ}`,
      'setplot noise2',
      'print onoise_total',
    ]),
  );
  return number(output, 'onoise_total') * 1e6;
}

/** A sine of 120 % at the lowest and the highest bias: the pins' extremes after the start has died away. */
async function overload(biasPpm: number): Promise<Channel<{ lowV: number; highV: number }>> {
  const off = biasPpm / 1e6;
  const copies: Copy[] = [-off, off].map((by) => ({ sensors: 'ideal', values: { '3V3': SUPPLY_V * (1 + by) } }));
  const measure = ['v', 'i'].flatMap((c) => [
    `meas tran ${c}low min v(adc_${c}_0)`,
    `meas tran ${c}high max v(adc_${c}_1)`,
  ]);
  const { output } = await runNgspice(
    deck(copies, { mainsV: OVERLOAD * RATED_V, clampA: OVERLOAD * RATED_A }, ['tran 20u 100m 60m 20u', ...measure]),
  );
  const of = (c: string) => ({ lowV: number(output, `${c}low`), highV: number(output, `${c}high`) });
  return { voltage: of('v'), current: of('i') };
}

function number(output: string, name: string): number {
  const found = new RegExp(`^${name}\\s*=\\s*([-+.0-9eE]+)`, 'm').exec(output);
  if (!found) throw new NgspiceError(`ngspice did not answer ${name}`);
  return Number(found[1]);
}

/** What may stand at the pin: above the dead zone, and below the end of the code table. */
export const PIN_LIMITS_V = { low: ADC_DEAD_ZONE_V, high: ADC_BEND_V[ADC_BEND_V.length - 1] };
