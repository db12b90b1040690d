/**
 * Current transformers that clip around a conductor. (Espruino dialect: the firmware imports this file.)
 *
 * A clamp's secondary lacks the magnetising current of its core. That makes it lead the mains and read a little less;
 * both depend on the current, and the angle of a harmonic is that of the fundamental divided by its order.
 * The angles are at 50 Hz, from low current to high; the currents between the two ends are assumed. A sample of the same
 * model differs, which is why a meter is calibrated with its own clamp. Where nobody states an angle the table is empty.
 */

export interface CurrentTransformer {
  model: string;
  /** Amps on the mains per amp in the burden; 0 where the burden is inside and the maker does not state it. */
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
  /** Where rating and angles come from. */
  source: string;
}

const MEASURED = "rating: maker's sheet; angle: collected from users' measurements";
const SHEET = "maker's sheet; no angle stated";

/** The one that the default front end is made for. */
export const SCT013_000: CurrentTransformer = {
  model: 'SCT013-000',
  turns: 2000,
  ratedA: 100,
  ratedV: 0,
  currentsA: [0.5, 1, 2, 5, 10, 20, 40, 70, 100],
  leadDeg: [3.1, 3.08, 3.05, 2.98, 2.9, 2.8, 2.68, 2.58, 2.5],
  ratioErrorPercent: [1.4, 0.9, 0.3, -0.7, -1.5, -2.0, -1.2, 0.6, 2.0],
  source: MEASURED,
};

const stated = (model: string, turns: number, ratedA: number, ratedV: number): CurrentTransformer => ({
  model: model,
  turns: turns,
  ratedA: ratedA,
  ratedV: ratedV,
  currentsA: [],
  leadDeg: [],
  ratioErrorPercent: [],
  source: SHEET,
});

export const currentTransformers: CurrentTransformer[] = [
  SCT013_000,
  // Of the others: lead at low and high current (one figure where only one is known); no ratio table known.
  {
    model: 'SCT013-030',
    turns: 1800,
    ratedA: 30,
    ratedV: 1,
    currentsA: [30],
    leadDeg: [3.8],
    ratioErrorPercent: [0],
    source: MEASURED,
  },
  {
    model: 'SCT013-050',
    turns: 1800,
    ratedA: 50,
    ratedV: 1,
    currentsA: [50],
    leadDeg: [3.0],
    ratioErrorPercent: [0],
    source: MEASURED,
  },
  {
    model: 'SCT010',
    turns: 1000,
    ratedA: 80,
    ratedV: 0,
    currentsA: [0.8, 20, 80],
    leadDeg: [2.1, 1.8, 2.1],
    ratioErrorPercent: [0, 0, 0],
    source: MEASURED,
  },
  {
    model: 'SCT019',
    turns: 6072,
    ratedA: 200,
    ratedV: 0,
    currentsA: [2, 200],
    leadDeg: [3.2, 2.5],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  // An air gap of 0.04 mm costs 15 % and 30°.
  {
    model: 'SCT006',
    turns: 800,
    ratedA: 20,
    ratedV: 0,
    currentsA: [20],
    leadDeg: [4.6],
    ratioErrorPercent: [0],
    source: MEASURED,
  },
  {
    model: 'ECS1050',
    turns: 1000,
    ratedA: 50,
    ratedV: 0,
    currentsA: [0.5, 50],
    leadDeg: [2.2, 1.8],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  {
    model: 'ECS16100',
    turns: 2000,
    ratedA: 100,
    ratedV: 0,
    currentsA: [1, 100],
    leadDeg: [1.2, 0.95],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  {
    model: 'ECS24200',
    turns: 4000,
    ratedA: 200,
    ratedV: 0,
    currentsA: [2, 200],
    leadDeg: [0.8, 0.55],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  {
    model: 'AcuCT-H040',
    turns: 1000,
    ratedA: 40,
    ratedV: 0,
    currentsA: [0.4, 40],
    leadDeg: [1.4, 1.05],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  {
    model: 'AcuCT-H100',
    turns: 4000,
    ratedA: 100,
    ratedV: 0,
    currentsA: [1, 100],
    leadDeg: [0.3, 0.25],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  {
    model: 'Talema AZ1000',
    turns: 1005,
    ratedA: 50,
    ratedV: 0,
    currentsA: [0.5, 50],
    leadDeg: [1.75, 0.6],
    ratioErrorPercent: [0, 0],
    source: MEASURED,
  },
  // rating only: to be calibrated with a known phase
  stated('SCT013-005', 0, 5, 1),
  stated('SCT013-010', 0, 10, 1),
  stated('SCT013-015', 0, 15, 1),
  stated('SCT013-020', 0, 20, 1),
  stated('SCT013-025', 0, 25, 1),
  stated('SCT013-060', 0, 60, 1),
  stated('ZMCT103C', 1000, 5, 0),
  stated('TA12-100', 1000, 5, 0),
  stated('Talema AC1050', 1000, 50, 0),
  stated('CR Magnetics CR8420-1000', 1000, 20, 0),
  stated('CCS ACT-0750-050', 0, 50, 0.333),
  stated('CCS ACT-0750-100', 0, 100, 0.333),
  stated('Magnelab SCT-0400-050', 0, 50, 0.333),
  stated('Magnelab SCT-0750-100', 0, 100, 0.333),
];
