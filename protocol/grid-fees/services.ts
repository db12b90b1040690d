/**
 * What gateways and providers ask of the grid operator about the grid's fees (frame: protocol/services/call.ts).
 *
 *   POST /grid-fees/reading   {reading}          by the household key   → {digest}      it is on the grid operator's disk
 *   POST /grid-fees/change    {}                 by the household key   → {change}      the newest change of provider, or null
 *   POST /grid-fees/invoices  {provider, year}   by role                → {invoices}    signed documents
 *
 * The same reading gets the same answer, however often it comes. Another one of the device for that instant is refused with the
 * code `other reading`.
 */
import * as v from 'valibot';
import { bytes } from '../services/call.ts';

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
export const invoicesCall = {
  path: '/grid-fees/invoices',
  body: v.strictObject({
    provider: v.pipe(v.string('is missing'), v.maxLength(100, 'is longer than 100 characters')),
    year: v.pipe(v.number('is missing'), v.integer('is no whole number')),
  }),
  answer: v.object({ invoices: v.array(v.string()) }),
};
