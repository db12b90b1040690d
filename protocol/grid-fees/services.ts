/**
 * What gateways and providers ask of the grid operator about the grid's fees (frame: protocol/services/call.ts).
 *
 *   POST /grid-fees/reading   {reading}          by the household key   → {digest}      it is on the grid operator's disk
 *   POST /grid-fees/change    {}                 by the household key   → {change}      the newest change of provider, or null
 *   POST /grid-fees/offers    {}                 by the household key   → {offers}      the providers that supply here
 *   POST /grid-fees/choose    {provider, fromSlot} by the household key → {change}      the change, signed; the same again the same
 *   POST /grid-fees/invoices  {provider, year}   by role                → {invoices}    signed documents
 *   POST /grid-fees/accounts  {}                 by the console         → {readings, invoices}
 *
 * The same reading gets the same answer, however often it comes. Another one of the device for that instant is refused with the
 * code `other reading`.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { PROVIDER_CHANGE } from './provider-change.ts';

export const GRID_OPERATOR_AUDIENCE = 'grid-operator';
export const OTHER_READING = 'other reading';

export const readingCall = {
  path: '/grid-fees/reading',
  body: v.strictObject({ reading: bytes(1, 200) }),
  answer: v.object({ digest: bytes(32) }),
};
export const changeCall = {
  path: '/grid-fees/change',
  body: v.strictObject({}),
  answer: v.object({ change: v.nullable(v.pipe(v.string(), v.maxLength(4000))) }),
};
/** The first slot of a day: prices and pseudonyms are made for days. */
export const DAY_SLOT = v.pipe(
  v.number('is missing'),
  v.integer('is no whole number'),
  v.minValue(1, 'is less than 1'),
  v.check((slot) => slot % SLOTS_PER_DAY === 0, 'is not the first quarter hour of a day'),
);
export const offersCall = {
  path: '/grid-fees/offers',
  body: v.strictObject({}),
  answer: v.object({
    offers: v.pipe(v.array(PROVIDER_CHANGE.entries.provider), v.maxLength(200, 'are more than 200')),
  }),
};
export const chooseCall = {
  path: '/grid-fees/choose',
  body: v.strictObject({
    provider: v.pipe(v.string('is missing'), v.maxLength(100, 'is longer than 100 characters')),
    fromSlot: DAY_SLOT,
  }),
  answer: v.object({ change: v.pipe(v.string(), v.maxLength(4000)) }),
};
const kWh = v.pipe(v.number(), v.integer(), v.minValue(0));
/** What the console shows: registers as they came, and what was invoiced. */
export const accountsCall = {
  path: '/grid-fees/accounts',
  body: v.strictObject({}),
  answer: v.object({
    readings: v.array(
      v.object({
        device: v.string(),
        slot: kWh,
        reason: v.string(),
        importKwh: kWh,
        exportKwh: kWh,
        provider: v.nullable(v.string()),
      }),
    ),
    invoices: v.array(
      v.object({ number: kWh, provider: v.string(), year: kWh, readings: kWh, importKwh: kWh, totalMilliCent: kWh }),
    ),
  }),
};
export type GridAccounts = v.InferOutput<typeof accountsCall.answer>;
export const invoicesCall = {
  path: '/grid-fees/invoices',
  body: v.strictObject({
    provider: v.pipe(v.string('is missing'), v.maxLength(100, 'is longer than 100 characters')),
    year: v.pipe(v.number('is missing'), v.integer('is no whole number')),
  }),
  answer: v.object({ invoices: v.array(v.string()) }),
};
