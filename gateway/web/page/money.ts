import { locale } from '../../../web/page/language.ts';

/** Money is counted in thousandths of a cent and shown to the cent; what a kWh costs, to the tenth of one. */
const formats = new Map<string, Intl.NumberFormat>();

/** @param currency ISO 4217; empty while no tariff is known */
export function formatMoney(milliCent: number, currency: string): string {
  let format = formats.get(currency);
  if (!format) {
    const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
    format = new Intl.NumberFormat(locale, currency ? { style: 'currency', currency, ...digits } : digits);
    formats.set(currency, format);
  }
  // −0.00 is nothing, and nothing has no sign
  return format.format(Math.abs(milliCent) < 500 ? 0 : milliCent / 100_000);
}

const cents = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 3 });
export const formatCents = (milliCent: number): string => `${cents.format(milliCent / 1000)} ct`;
