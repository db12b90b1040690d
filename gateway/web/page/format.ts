/** Numbers and times as the reader's browser writes them. */

const fixed = (digits: number) =>
  new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const byDigits = [fixed(0), fixed(1), fixed(2), fixed(3)];
const MWH_PER_KWH = 1_000_000;

export const formatNumber = (value: number, digits: number): string => byDigits[digits].format(value);

/** Power without its sign, in the unit that reads best: `842 W`, `1.24 kW`. */
export function formatPower(powerW: number): { value: string; unit: 'W' | 'kW' } {
  const watts = Math.round(Math.abs(powerW));
  if (watts < 1000) return { value: formatNumber(watts, 0), unit: 'W' };
  return { value: formatNumber(watts / 1000, 2), unit: 'kW' };
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
  const { value, unit } = formatPower(powerW);
  const direction = directionOf(powerW);
  if (direction === 'import') return `You are drawing ${value} ${unit} from the grid`;
  if (direction === 'export') return `You are feeding ${value} ${unit} into the grid`;
  return 'Almost nothing flows between you and the grid';
}

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const timeWithSeconds = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const formatTime = (unixMs: number): string => time.format(unixMs);
export const formatSeconds = (unixMs: number): string => timeWithSeconds.format(unixMs);
export const formatDay = (unixMs: number): string => day.format(unixMs);

/** A moment seen from another one: the time alone on the same day, the date with it on others. */
export function formatMoment(unixMs: number, seenFromMs: number): string {
  const sameDay = new Date(unixMs).toDateString() === new Date(seenFromMs).toDateString();
  return sameDay ? formatSeconds(unixMs) : dayAndTime.format(unixMs);
}

export function formatAge(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}

export const plural = (count: number, one: string, many: string): string =>
  `${formatNumber(count, 0)} ${count === 1 ? one : many}`;
