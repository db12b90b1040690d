/** Numbers, times and lengths of time as they are written in the document's language. */
import { locale } from './language.ts';

const fixed = (digits: number) =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const byDigits = [fixed(0), fixed(1), fixed(2), fixed(3)];

export const formatNumber = (value: number, digits: number): string => byDigits[digits].format(value);

const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const timeWithSeconds = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const dayAndTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });

export const formatTime = (unixMs: number): string => time.format(unixMs);
export const formatSeconds = (unixMs: number): string => timeWithSeconds.format(unixMs);
export const formatDay = (unixMs: number): string => day.format(unixMs);
export const formatDateTime = (unixMs: number): string => dayAndTime.format(unixMs);

/** A moment seen from another one: the time alone on the same day, the date with it on others. */
export function formatMoment(unixMs: number, seenFromMs: number): string {
  const sameDay = new Date(unixMs).toDateString() === new Date(seenFromMs).toDateString();
  return sameDay ? formatSeconds(unixMs) : dayAndTime.format(unixMs);
}

/** The same without seconds, for what is planned rather than measured. */
export function formatPlanned(unixMs: number, seenFromMs: number): string {
  const sameDay = new Date(unixMs).toDateString() === new Date(seenFromMs).toDateString();
  return sameDay ? formatTime(unixMs) : dayAndTime.format(unixMs);
}

export function formatAge(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return inUnit(seconds, 'second');
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return inUnit(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  return hours < 48 ? inUnit(hours, 'hour') : inUnit(Math.round(hours / 24), 'day');
}

const inUnit = (value: number, unit: string): string =>
  new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(value);

export const plural = (count: number, one: string, many: string): string =>
  `${formatNumber(count, 0)} ${count === 1 ? one : many}`;
