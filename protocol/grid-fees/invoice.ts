/**
 * What a provider owes the grid operator for the energy that its customers drew: one sum for all of them. The provider learns no
 * household's total from it (of a provider with one customer the sum is that customer's: no protocol helps there).
 */
import type { KeyObject } from 'node:crypto';
import * as v from 'valibot';
import { LABELS } from '../crypto/labels.ts';
import { openDocument, signDocument } from './signed-document.ts';

const whole = v.pipe(v.number('is missing'), v.safeInteger('is no whole number'), v.minValue(0, 'is less than 0'));

export const INVOICE = v.pipe(
  v.strictObject({
    kind: v.literal('grid fee invoice', 'is no invoice'),
    /** Counts the grid operator's invoices. */
    number: whole,
    gridOperator: v.string(),
    provider: v.string(),
    /** In which the readings' quarter hours end. */
    year: whole,
    issuedMs: whole,
    /** Register readings that it follows from. */
    readings: whole,
    importKwh: whole,
    exportKwh: whole,
    /** Thousandths of a cent per kWh that was drawn. */
    feeMilliCentPerKwh: whole,
    totalMilliCent: whole,
  }),
  v.check(
    ({ importKwh, feeMilliCentPerKwh, totalMilliCent }) => importKwh * feeMilliCentPerKwh === totalMilliCent,
    'does not add up',
  ),
);
export type Invoice = v.InferOutput<typeof INVOICE>;

export const signInvoice = (invoice: Invoice, key: KeyObject): string =>
  signDocument(LABELS.gridFeeInvoice, INVOICE, invoice, key);
/** The provider's step. @throws MalformedError, DocumentError */
export const openInvoice = (text: string, gridOperatorKey: Uint8Array): Invoice =>
  openDocument(LABELS.gridFeeInvoice, INVOICE, text, gridOperatorKey, 'the grid operator');
