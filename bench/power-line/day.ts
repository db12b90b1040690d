/**
 * A day of a cell as the paper's figures 4 to 6 show it: meters of types A and B offer what they can spare and ask for what they need,
 * every ten minutes, each type at a minute of its own; the substation pairs with local offers first and else sells itself. What
 * meters cannot sell in time expires and is offered anew.
 */
import { Random } from '../random.ts';
import { EventQueue } from './events.ts';
import { type Flow, mergedFlow, paperFlow } from './flows.ts';
import { type Channel, PowerLine } from './line.ts';
import { DAY_MIN, type MeterType, type Pattern, PIECE_MIN, piecesOf } from './load.ts';

const MINUTE_MS = 60_000;
const SAMPLE_MS = 1000;

export interface DayOptions {
  a: number;
  b: number;
  channel: Channel;
  flow: Flow['name'];
  consumption: Pattern;
  seed: number;
}
/** By periods of ten minutes. */
export interface Day {
  meterOffers: number[];
  dsoOffers: number[];
  /** Most messages that waited at once. */
  queue: number[];
  /** Mean of the trades that began in it; null where there was none. */
  seconds: (number | null)[];
}

export function simulateDay({ a, b, channel, flow: name, consumption, seed }: DayOptions): Day {
  const events = new EventQueue();
  const line = new PowerLine<unknown>(events, channel, { seed });
  const flow = name === 'paper' ? paperFlow(line) : mergedFlow(line);
  const random = new Random(seed, 'day', a, b);
  const periods = DAY_MIN / PIECE_MIN;
  const zeros = (): number[] => new Array(periods).fill(0);
  const day = { meterOffers: zeros(), dsoOffers: zeros(), queue: zeros() };
  const sums = Array.from({ length: periods }, () => ({ ms: 0, trades: 0 }));
  const periodOf = (ms: number): number => Math.min(periods - 1, Math.floor(ms / MINUTE_MS / PIECE_MIN));
  const note = (): void => {
    const period = periodOf(events.nowMs);
    day.queue[period] = Math.max(day.queue[period], line.queue);
  };
  /** Until when each offer holds. */
  const pool: number[] = [];
  const ask = (pieces: number): void => {
    if (pieces === 0) return;
    const beganMs = events.nowMs;
    const period = periodOf(beganMs);
    while (pool.length > 0 && pool[0] <= beganMs) pool.shift();
    const local = pool.shift() !== undefined;
    if (!local) day.dsoOffers[period]++;
    flow.trade(local ? 'meter' : 'dso', () => {
      sums[period].ms += events.nowMs - beganMs;
      sums[period].trades++;
      ask(pieces - 1);
    });
    note();
  };
  for (let minute = 0; minute < DAY_MIN; minute += PIECE_MIN)
    for (const [type, count] of [
      ['A', a],
      ['B', b],
    ] as [MeterType, number][]) {
      const { needed, spare } = piecesOf(type, consumption, minute);
      const atMs = (minute + random.below(PIECE_MIN)) * MINUTE_MS;
      for (let meter = 0; meter < count; meter++)
        events.at(atMs, () => {
          for (let i = 0; i < spare; i++) {
            day.meterOffers[periodOf(atMs)]++;
            line.send(null, null, flow.offer, { sent: () => pool.push(events.nowMs + PIECE_MIN * MINUTE_MS) });
          }
          note();
          ask(needed);
        });
    }
  for (let ms = 0; ms < DAY_MIN * MINUTE_MS; ms += SAMPLE_MS) events.at(ms, note);
  events.run();
  return { ...day, seconds: sums.map(({ ms, trades }) => (trades > 0 ? ms / trades / 1000 : null)) };
}
