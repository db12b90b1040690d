/**
 * Voltage transformers and sensors. (Espruino dialect: the firmware imports this file.)
 *
 * A plug-in power supply used as a sensor leads by an angle that grows with the voltage, because its core is driven
 * towards saturation: 7.5° are 10 % of the power at power factor 0.5. A small instrument transformer (ZMPT101B) is used
 * near zero flux and hardly errs. Angles at 50 Hz.
 */
export interface VoltageTransformer {
  model: string;
  /** Mains voltage RMS, rising; lead and ratio error there. Straight lines between, constant outside. */
  voltagesV: number[];
  leadDeg: number[];
  /** Reads so much more than it should, in percent. */
  ratioErrorPercent: number[];
  /** Where the figures come from. */
  source: string;
}

const MEASURED = "collected from users' measurements";
const SHEET = "maker's sheet: at most 20 arc minutes; not by voltage";

/** The one that the default front end is made for. 2 mA : 2 mA. */
export const ZMPT101B: VoltageTransformer = {
  model: 'ZMPT101B',
  voltagesV: [115, 200, 230, 260],
  leadDeg: [0.22, 0.27, 0.3, 0.33],
  ratioErrorPercent: [-0.1, 0, 0, 0.1],
  source: "maker's sheet: at most 20 arc minutes, linearity 0.2 %; the course between is assumed",
};

export const voltageTransformers: VoltageTransformer[] = [
  ZMPT101B,
  { model: 'Ideal 9 V UK', voltagesV: [207, 253], leadDeg: [4, 7.5], ratioErrorPercent: [0, 0], source: MEASURED },
  { model: 'Mascot 9580', voltagesV: [207, 253], leadDeg: [2, 5.7], ratioErrorPercent: [0, 0], source: MEASURED },
  { model: 'TDC DE-10-09', voltagesV: [230], leadDeg: [0.16], ratioErrorPercent: [0], source: MEASURED },
  { model: 'Ideal 77DE-06-09', voltagesV: [230], leadDeg: [1.46], ratioErrorPercent: [0], source: MEASURED },
  { model: 'ZMPT107', voltagesV: [], leadDeg: [], ratioErrorPercent: [], source: SHEET },
  { model: 'TV1005-1M', voltagesV: [], leadDeg: [], ratioErrorPercent: [], source: SHEET },
  { model: 'TV1013-1M', voltagesV: [], leadDeg: [], ratioErrorPercent: [], source: SHEET },
];
