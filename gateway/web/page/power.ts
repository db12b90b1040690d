/** Power and energy in the words and units that people read. */
import { formatNumber } from '../../../web/page/format.ts';
import { texts } from './texts/texts.ts';

const MWH_PER_KWH = 1_000_000;

/** Power without its sign, in the unit that reads best: `842 W`, `1.24 kW`. */
export function formatPower(powerW: number): { value: string; unit: 'W' | 'kW' } {
  const watts = Math.round(Math.abs(powerW));
  if (watts < 1000) return { value: formatNumber(watts, 0), unit: 'W' };
  return { value: formatNumber(watts / 1000, 2), unit: 'kW' };
}

/** The same in one piece, for sentences. */
export function powerText(powerW: number): string {
  const { value, unit } = formatPower(powerW);
  return `${value} ${unit}`;
}

export const formatEnergy = (mwh: number): string => formatNumber(mwh / MWH_PER_KWH, 2);

export type Direction = 'import' | 'export' | 'none';

/** Below this nothing flows that anyone could notice: calling ±2 W a direction would flicker. */
const NOTHING_W = 5;

export function directionOf(powerW: number): Direction {
  if (Math.abs(powerW) < NOTHING_W) return 'none';
  return powerW > 0 ? 'import' : 'export';
}

/** A whole sentence, for screen readers and the chart. */
export function sentenceOf(powerW: number): string {
  const direction = directionOf(powerW);
  if (direction === 'import') return texts.now.drawing(powerText(powerW));
  if (direction === 'export') return texts.now.feeding(powerText(powerW));
  return texts.now.nothing;
}
