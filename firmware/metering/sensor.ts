/**
 * Stage D for one sensor: from what it shows to what is on the mains. (Espruino dialect)
 */
import type { SensorPoint } from './calibration.ts';

export class Sensor {
  /** Results of the last `look`: factor on the shown value, and lead of the fundamental at the nominal frequency, rad. */
  factor = 1;
  lead = 0;
  private points: SensorPoint[];

  constructor(points: SensorPoint[]) {
    this.points = points;
  }

  /** @param shownMilli what the sensor shows, mV or mA RMS */
  look(shownMilli: number): void {
    const points = this.points;
    let n = 0;
    while (n < points.length && points[n].shownMilli <= shownMilli) n++;
    const above = points[n < points.length ? n : points.length - 1];
    const below = points[n > 0 ? n - 1 : 0];
    const span = above.shownMilli - below.shownMilli;
    const part = span > 0 ? (shownMilli - below.shownMilli) / span : 0;
    this.factor = 1 / (1 + (below.ratioPpm + (above.ratioPpm - below.ratioPpm) * part) / 1000000);
    this.lead = (below.leadUrad + (above.leadUrad - below.leadUrad) * part) / 1000000;
  }
}
