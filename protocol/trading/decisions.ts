/**
 * What a meter decides (microgrid-trading.txt, sections 5.4.2 and 5.4.3), as functions of what it knows. (Espruino dialect: the
 * firmware imports this file)
 *
 * Power in mW, import + and export −; a piece is a power for whole slots. **Variable prices** (section 3.1 of the paper): a coin is worth
 * the price of a piece, always; where energy costs more, a piece lasts shorter. Pieces stand on slots' borders, so the time component
 * is in whole slots: `slotsOfPiece`.
 */

/** Positive: pieces to be bought; negative: to be sold. */
export interface Demand {
  pieces: number;
}
export interface DemandRules {
  /** Power of a piece. */
  pieceMw: number;
  /** Share of a piece, in 1/1000, by which power must leave what the pieces cover before their number changes. */
  hysteresisMilli: number;
}

/**
 * How many pieces the next slot needs (+, begun ones whole) or has to spare (−, whole ones only), from the power that was measured.
 * Hysteresis: what stands is kept while it covers the power, or covers too much by less than a piece and a bit.
 * @param before what was decided for the slot before
 */
export function demandOf(powerMw: number, before: number, rules: DemandRules): number {
  const piece = rules.pieceMw;
  const slack = (piece * rules.hysteresisMilli) / 1000;
  const exact = Math.ceil(powerMw / piece);
  if (exact === before) return exact;
  // as if power were nearer to what stands: changes of less than the slack change nothing
  const nearer = exact > before ? Math.ceil((powerMw - slack) / piece) : Math.ceil((powerMw + slack) / piece);
  if (exact > before) return nearer > before ? exact : before;
  return nearer < before ? exact : before;
}

/**
 * Slots of a piece at a price. @param referenceMilliCent price at which it lasts `slots`
 * @return at least 1
 */
export function slotsOfPiece(slots: number, referenceMilliCent: number, milliCent: number): number {
  return Math.max(1, Math.floor((slots * referenceMilliCent) / milliCent + 0.5));
}

/**
 * When an offer or request goes on the line: a fresh uniform time in the slot before its piece, never one that follows from the last.
 * What is left of the slot at its end is for pairing. Unix ms.
 * @param uniform a fresh draw, 0 … 2³² − 1
 */
export function sendTimeMs(startSlot: number, uniform: number, marginMs: number): number {
  const slotMs = 900000;
  const from = (startSlot - 1) * slotMs;
  return from + Math.floor(((slotMs - marginMs) * uniform) / 4294967296);
}

/** What a meter does when the supply of what it bought or sold ends. */
export const EXTEND = 'extend';
export const STOP = 'stop';
/** Needed or spare still: a new message, with a token or coin of its own. */
export function atSupplysEnd(demand: number, isBuyer: boolean): 'extend' | 'stop' {
  return (isBuyer ? demand > 0 : demand < 0) ? EXTEND : STOP;
}

/** A wallet is filled up ahead of need, by standard amounts: more than this many coins are always in it. */
export function needsTopUp(freeCoins: number, coinsOfADay: number): boolean {
  return freeCoins < coinsOfADay;
}
