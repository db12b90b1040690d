/** What the substation tells its operator and the bench: counts, bills, and where all coins are. */
import type { Substation } from './substation.ts';

export interface SubstationTotals {
  /** Coins that were signed, by reason; all months that are kept. */
  withdrawn: number;
  paired: number;
  bought: number;
  exchanged: number;
  /** Coins that came back: paid to neighbours, to the DSO, exchanged, deposited; and those that a message holds. */
  paid: number;
  sold: number;
  redeemed: number;
  deposited: number;
  held: number;
  batches: number;
}

export function substationTotals({ books, pairing }: Substation): SubstationTotals {
  const number = (sql: string, value: string): number => books.database.prepare(sql).get(value)!.n as number;
  const issued = (reason: string) => number('SELECT coalesce(sum(count), 0) AS n FROM issued WHERE reason = ?', reason);
  const coins = (state: string) => number('SELECT count(*) AS n FROM coins WHERE state = ?', state);
  return {
    ...{ withdrawn: issued('withdrawn'), paired: issued('paired'), bought: issued('bought') },
    ...{ exchanged: issued('exchanged'), paid: coins('paid'), sold: coins('sold'), redeemed: coins('exchanged') },
    ...{ deposited: coins('deposited'), held: coins('held'), batches: pairing.nextBatch },
  };
}
/** Coins that meters hold, as the books say: in wallets, seen, or lapsed. Counting the wallets must give the same. */
export const outstanding = (totals: SubstationTotals): number =>
  totals.withdrawn +
  totals.bought +
  totals.paired +
  totals.exchanged -
  (totals.paid + totals.sold + totals.redeemed + totals.deposited);
