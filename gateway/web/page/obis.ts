/**
 * The registers under the codes that meters have for them everywhere (OBIS, IEC 62056-61), shown on the page and
 * answered by `/api/registers`. Power and current: import +, export −.
 */
import type { LivePoint } from '../household-view.ts';

export interface Register {
  code: string;
  label: string;
  unit: string;
  /** Digits after the point that the measurement is worth. */
  digits: number;
  read: (point: LivePoint) => number;
}

const MWH_PER_KWH = 1_000_000;

export const REGISTERS: Register[] = [
  {
    code: '1-0:1.8.0',
    label: 'Total drawn',
    unit: 'kWh',
    digits: 3,
    read: (point) => point.importMwh / MWH_PER_KWH,
  },
  {
    code: '1-0:2.8.0',
    label: 'Total fed in',
    unit: 'kWh',
    digits: 3,
    read: (point) => point.exportMwh / MWH_PER_KWH,
  },
  { code: '1-0:16.7.0', label: 'Power (fed in is −)', unit: 'W', digits: 0, read: (point) => point.powerW },
  { code: '1-0:32.7.0', label: 'Voltage', unit: 'V', digits: 1, read: (point) => point.voltageV },
  { code: '1-0:31.7.0', label: 'Current', unit: 'A', digits: 2, read: (point) => point.currentA },
  { code: '1-0:14.7.0', label: 'Grid frequency', unit: 'Hz', digits: 2, read: (point) => point.frequencyHz },
  { code: '1-0:13.7.0', label: 'Power factor', unit: '', digits: 2, read: (point) => point.powerFactor },
];
