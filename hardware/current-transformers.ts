/**
 * Current transformers that clip around a conductor. (Espruino dialect: the firmware imports this file.)
 *
 * A clamp's secondary lacks the magnetising current of its core. That makes it lead the mains and read a little less;
 * both depend on the current, and the angle of a harmonic is that of the fundamental divided by its order.
 * The angles are at 50 Hz, from low current to high, as users measured them and makers' sheets give them, collected; the
 * currents between the two ends are assumed. A sample of the same model differs, which is why a meter is calibrated with
 * its own clamp.
 */

export interface CurrentTransformer {
  model: string;
  /** Primary turns for one secondary turn: amps on the mains per amp in the burden. */
  turns: number;
  /** Rated primary current, RMS. */
  ratedA: number;
  /** Has its burden inside and gives so many volts RMS at the rated current; 0 where the burden is ours. */
  ratedV: number;
  /** Primary current RMS, rising; lead and ratio error there. Straight lines between, constant outside. */
  currentsA: number[];
  leadDeg: number[];
  /** Reads so much more than its turns say, in percent. */
  ratioErrorPercent: number[];
}

/** The one that the default front end is made for. */
export const SCT013_000: CurrentTransformer = {
  model: 'SCT013-000',
  turns: 2000,
  ratedA: 100,
  ratedV: 0,
  currentsA: [0.5, 1, 2, 5, 10, 20, 40, 70, 100],
  leadDeg: [3.1, 3.08, 3.05, 2.98, 2.9, 2.8, 2.68, 2.58, 2.5],
  ratioErrorPercent: [1.4, 0.9, 0.3, -0.7, -1.5, -2.0, -1.2, 0.6, 2.0],
};

export const currentTransformers: CurrentTransformer[] = [
  SCT013_000,
  // Of the others: lead at low and high current (one figure where only one is known); no ratio table known.
  { model: 'SCT013-030', turns: 1800, ratedA: 30, ratedV: 1, currentsA: [30], leadDeg: [3.8], ratioErrorPercent: [0] },
  { model: 'SCT013-050', turns: 1800, ratedA: 50, ratedV: 1, currentsA: [50], leadDeg: [3.0], ratioErrorPercent: [0] },
  {
    model: 'SCT010',
    turns: 1000,
    ratedA: 80,
    ratedV: 0,
    currentsA: [0.8, 20, 80],
    leadDeg: [2.1, 1.8, 2.1],
    ratioErrorPercent: [0, 0, 0],
  },
  {
    model: 'SCT019',
    turns: 6072,
    ratedA: 200,
    ratedV: 0,
    currentsA: [2, 200],
    leadDeg: [3.2, 2.5],
    ratioErrorPercent: [0, 0],
  },
  // An air gap of 0.04 mm costs 15 % and 30°.
  { model: 'SCT006', turns: 800, ratedA: 20, ratedV: 0, currentsA: [20], leadDeg: [4.6], ratioErrorPercent: [0] },
  {
    model: 'ECS1050',
    turns: 1000,
    ratedA: 50,
    ratedV: 0,
    currentsA: [0.5, 50],
    leadDeg: [2.2, 1.8],
    ratioErrorPercent: [0, 0],
  },
  {
    model: 'ECS16100',
    turns: 2000,
    ratedA: 100,
    ratedV: 0,
    currentsA: [1, 100],
    leadDeg: [1.2, 0.95],
    ratioErrorPercent: [0, 0],
  },
  {
    model: 'ECS24200',
    turns: 4000,
    ratedA: 200,
    ratedV: 0,
    currentsA: [2, 200],
    leadDeg: [0.8, 0.55],
    ratioErrorPercent: [0, 0],
  },
  {
    model: 'AcuCT-H040',
    turns: 1000,
    ratedA: 40,
    ratedV: 0,
    currentsA: [0.4, 40],
    leadDeg: [1.4, 1.05],
    ratioErrorPercent: [0, 0],
  },
  {
    model: 'AcuCT-H100',
    turns: 4000,
    ratedA: 100,
    ratedV: 0,
    currentsA: [1, 100],
    leadDeg: [0.3, 0.25],
    ratioErrorPercent: [0, 0],
  },
  {
    model: 'Talema AZ1000',
    turns: 1005,
    ratedA: 50,
    ratedV: 0,
    currentsA: [0.5, 50],
    leadDeg: [1.75, 0.6],
    ratioErrorPercent: [0, 0],
  },
];
