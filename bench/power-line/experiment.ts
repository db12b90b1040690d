/**
 * The paper's Table 1 again: how long it takes from a request's transmission until the trade is concluded.
 *
 * **Bursts.** In the paper all meters of a type follow the same patterns, so all of them need their next piece at the same instant: a
 * burst is not N requests but those of one type, N/3 or 2N/3. A piece lasts ten minutes and patterns are given by the minute: a type's
 * pieces begin in one of ten minutes, each type's in its own, and one time in ten in the same. A meter has one request open and asks
 * for the next piece when that trade is concluded. So the mean number of open transactions, weighted by transactions, is
 * N·(0.9·(1/9 + 4/9) + 0.1) = 0.6·N; **nothing is fitted to the table**, neither this nor how many pieces a burst has, which the load says
 * (load.ts). Who sells, DSO or meters, does not depend on the type: the table's columns are to each other as the numbers of
 * messages, 6 : 7, in every row, so the paper's two kinds of trades met the same bursts.
 *
 * **Spread.** Each request draws a fresh uniform time in the slot before (protocols.md, section 4). Offers are on the line, too.
 */
import { Random } from '../random.ts';
import { EventQueue } from './events.ts';
import { type Flow, mergedFlow, paperFlow, type Seller } from './flows.ts';
import { type Channel, PowerLine } from './line.ts';
import { DAY_MIN, type Pattern, PIECE_MIN, piecesOf, typeA } from './load.ts';

const MINUTE_MS = 60_000;
const PERIOD_MS = PIECE_MIN * MINUTE_MS;
/** By half of the trades the DSO sells. */
const DSO_SHARE = 0.5;

export interface ExperimentOptions {
  meters: number;
  channel: Channel;
  flow: Flow['name'];
  load: 'burst' | 'spread';
  consumption: Pattern;
  seed: number;
  days?: number;
}
export interface ExperimentResult {
  /** Means; NaN where there was no such trade. */
  dsoSeconds: number;
  smSeconds: number;
  meanSeconds: number;
  messagesPerTrade: number;
  bytesPerTrade: number;
  trades: number;
}

export function runExperiment({
  meters,
  channel,
  flow: name,
  load,
  consumption,
  seed,
  days = 1,
}: ExperimentOptions): ExperimentResult {
  const events = new EventQueue();
  const line = new PowerLine<unknown>(events, channel, { seed });
  const flow = name === 'paper' ? paperFlow(line) : mergedFlow(line);
  const random = new Random(seed, 'experiment', meters, load);
  const sums: Record<Seller, { ms: number; trades: number }> = {
    dso: { ms: 0, trades: 0 },
    meter: { ms: 0, trades: 0 },
  };
  const trade = (seller: Seller, then: () => void): void => {
    const fromMs = events.nowMs;
    flow.trade(seller, () => {
      sums[seller].ms += events.nowMs - fromMs;
      sums[seller].trades++;
      then();
    });
  };
  const oneAfterTheOther = (seller: Seller, pieces: number): void => {
    if (pieces > 0) trade(seller, () => oneAfterTheOther(seller, pieces - 1));
  };
  const groups = [typeA(meters), meters - typeA(meters)];
  for (let minute = 0; minute < days * DAY_MIN; minute += PIECE_MIN) {
    const beginMs = minute * MINUTE_MS;
    for (const count of groups) {
      // what a house needs that buys all it consumes but for a little: both types have such bursts
      const { needed } = piecesOf('A', consumption, minute % DAY_MIN);
      const seller: Seller = random.chance(DSO_SHARE) ? 'dso' : 'meter';
      const burstMs = beginMs + random.below(PIECE_MIN) * MINUTE_MS;
      const offersMs = beginMs + random.below(PIECE_MIN) * MINUTE_MS;
      for (let meter = 0; meter < count; meter++) {
        const drawn = (ms: number): number => (load === 'burst' ? ms : beginMs + random.between(0, PERIOD_MS));
        if (load === 'burst') events.at(burstMs, () => oneAfterTheOther(seller, needed));
        else for (let i = 0; i < needed; i++) events.at(drawn(burstMs), () => trade(seller, () => {}));
        if (seller === 'meter')
          for (let i = 0; i < needed; i++) events.at(drawn(offersMs), () => line.send(null, null, flow.offer));
      }
    }
  }
  events.run();
  const { dso, meter } = sums;
  const trades = dso.trades + meter.trades;
  return {
    dsoSeconds: dso.ms / dso.trades / 1000,
    smSeconds: meter.ms / meter.trades / 1000,
    meanSeconds: (dso.ms + meter.ms) / trades / 1000,
    messagesPerTrade: line.counters.transmissions / trades,
    bytesPerTrade: line.counters.bytes / trades,
    trades,
  };
}
