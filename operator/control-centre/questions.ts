/**
 * What the control centre tells its operator and the bench: counts, accounts, and **what it could see** of the sales, which is all
 * that an adversary who reads its store would have.
 */
import { SALES_SHOWN_EPOCHS, type SellingOverview } from '../../protocol/selling/services.ts';
import type { Books } from './books.ts';
import type { ControlCentre } from './centre.ts';
import type { Payment } from './settlement.ts';

export interface CentreTotals {
  customers: number;
  /** Credentials that were signed; shown; returned unused. */
  registered: number;
  used: number;
  returned: number;
  /** Credits that are credited to accounts by deposits or reconciliation. */
  deposited: number;
  credits: number;
  milliCent: number;
}
export interface Account {
  customer: string;
  month: number;
  registered: number;
  /** Receipts deposited, or credentials credited; null: not yet. */
  count: number | null;
  payment: Payment | null;
}
/** One row for each accepted credential: no customer, no time finer than the epoch. */
export interface SeenSale {
  /** When it came, as a slot. */
  epoch: number;
  /** Which slot was sold. */
  slot: number;
}

const sum = (books: Books, sql: string): number => books.database.prepare(sql).get()!.n as number;

export function totals({ books, settlement }: ControlCentre): CentreTotals {
  const payments = settlement.payments();
  return {
    customers: sum(books, 'SELECT count(*) AS n FROM customers'),
    registered: sum(books, 'SELECT count(*) AS n FROM l1'),
    used: sum(books, 'SELECT count(*) AS n FROM accepted'),
    returned: sum(books, 'SELECT count(*) AS n FROM returned'),
    deposited:
      sum(books, 'SELECT coalesce(sum(count), 0) AS n FROM statements') +
      sum(books, "SELECT coalesce(sum(count), 0) AS n FROM usedLists WHERE state = 'credited'"),
    credits: payments.reduce((all, { credits }) => all + credits, 0),
    milliCent: payments.reduce((all, { milliCent }) => all + milliCent, 0),
  };
}

/** By customer and month, in order. */
export function accounts({ books, settlement }: ControlCentre): Account[] {
  const payments = settlement.payments();
  const rows = books.database
    .prepare(
      `SELECT l1.customer, k.month, count(*) AS registered,
         coalesce(
           (SELECT s.count FROM statements s JOIN keysetKeys r ON r.keyId = s.keyId WHERE s.customer = l1.customer AND r.month = k.month),
           (SELECT u.count FROM usedLists u WHERE u.keyId = l1.keyId AND u.customer = l1.customer AND u.state = 'credited')
         ) AS count
       FROM l1 JOIN keysetKeys k ON k.keyId = l1.keyId GROUP BY l1.customer, l1.keyId ORDER BY l1.customer, k.month`,
    )
    .all() as unknown as Omit<Account, 'payment'>[];
  return rows.map((row) => ({
    ...row,
    payment: payments.find(({ customer, month }) => customer === row.customer && month === row.month) ?? null,
  }));
}

/** In the order of epochs and slots: as the store has them, they are in no order at all. */
export const seenSales = ({ books }: ControlCentre): SeenSale[] =>
  books.database.prepare('SELECT epoch, slot FROM accepted ORDER BY epoch, slot').all() as unknown as SeenSale[];

/** For the operator's console. */
export function overview(centre: ControlCentre): SellingOverview {
  const { customers, registered, used, returned, deposited, milliCent } = totals(centre);
  const epochs = centre.books.database
    .prepare('SELECT epoch, count(*) AS accepted FROM accepted GROUP BY epoch ORDER BY epoch DESC LIMIT ?')
    .all(SALES_SHOWN_EPOCHS) as unknown as SellingOverview['epochs'];
  return { customers, registered, used, returned, deposited, milliCent, epochs: epochs.reverse() };
}
