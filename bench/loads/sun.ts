/**
 * Where the sun is and what a clear sky lets through. Simple engineering formulas: declination and equation of time after
 * Cooper and Spencer, direct light after Meinel (1353 · 0.7^(AM^0.678) W/m²), a tenth of it again as light from the sky.
 * Good to some percent of a clear day, which is what a simulated roof needs.
 */
import { DAY_MS } from '../../protocol/time/slots.ts';

export interface Place {
  latitudeDeg: number;
  /** East is positive. */
  longitudeDeg: number;
}

/** The roof that panels lie on. */
export interface Panel {
  tiltDeg: number;
  /** Clockwise from north: 180 is south. */
  azimuthDeg: number;
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Milliseconds to add to UTC for mean solar time, in whole seconds. */
export const solarOffsetMs = (place: Place): number => Math.round(place.longitudeDeg * 240) * 1000;

/** Days since 1 January, as a fraction of a year's circle. */
function yearAngle(dayNumber: number): number {
  const date = new Date(dayNumber * DAY_MS);
  return (2 * Math.PI * (dayNumber - Date.UTC(date.getUTCFullYear(), 0, 1) / DAY_MS)) / 365.25;
}

function declination(dayNumber: number): number {
  return radians(23.45) * Math.sin(yearAngle(dayNumber) - (2 * Math.PI * 80) / 365.25);
}

/** True minus mean solar time. */
function equationOfTimeS(dayNumber: number): number {
  const b = yearAngle(dayNumber);
  const radiansOfDay =
    0.000075 + 0.001868 * Math.cos(b) - 0.032077 * Math.sin(b) - 0.014615 * Math.cos(2 * b) - 0.04089 * Math.sin(2 * b);
  return (radiansOfDay * 43_200) / Math.PI;
}

/** Sunrise and sunset in seconds of mean solar time; 0 and 86,400 where the sun does not set. */
export function daylight(place: Place, dayNumber: number): { sunriseS: number; sunsetS: number } {
  const cosine = -Math.tan(radians(place.latitudeDeg)) * Math.tan(declination(dayNumber));
  const halfDayS = (Math.acos(Math.min(1, Math.max(-1, cosine))) * 43_200) / Math.PI;
  const noonS = 43_200 - equationOfTimeS(dayNumber);
  return {
    sunriseS: Math.max(0, Math.round(noonS - halfDayS)),
    sunsetS: Math.min(86_400, Math.round(noonS + halfDayS)),
  };
}

/** Light on a tilted panel under a clear sky, W/m². */
export function clearSkyWm2(place: Place, panel: Panel, unixMs: number): number {
  const solarMs = unixMs + solarOffsetMs(place);
  const day = Math.floor(solarMs / DAY_MS);
  const tilt = declination(day);
  const latitude = radians(place.latitudeDeg);
  const hour = (((solarMs - day * DAY_MS) / 1000 + equationOfTimeS(day) - 43_200) * Math.PI) / 43_200;
  // The sun's direction: east, north, up.
  const east = -Math.cos(tilt) * Math.sin(hour);
  const north = Math.sin(tilt) * Math.cos(latitude) - Math.cos(tilt) * Math.sin(latitude) * Math.cos(hour);
  const up = Math.sin(tilt) * Math.sin(latitude) + Math.cos(tilt) * Math.cos(latitude) * Math.cos(hour);
  if (up <= 0) return 0;
  const airMass = 1 / (up + 0.50572 * (96.07995 - (Math.acos(up) * 180) / Math.PI) ** -1.6364); // Kasten and Young
  const directWm2 = 1353 * 0.7 ** (airMass ** 0.678);
  const slope = radians(panel.tiltDeg);
  const facing = radians(panel.azimuthDeg);
  const incidence = up * Math.cos(slope) + Math.sin(slope) * (east * Math.sin(facing) + north * Math.cos(facing));
  const skyShare = (1 + Math.cos(slope)) / 2;
  return directWm2 * (Math.max(0, incidence) + 0.1 * skyShare);
}
