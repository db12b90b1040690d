/**
 * Money is counted in thousandths of a cent (milli-cents), energy in mWh, prices in milli-cents per kWh; all whole numbers.
 * Energy times price is then a whole number of millionths of a milli-cent, which is never rounded until a bill's end.
 */
const MWH_PER_KWH = 1_000_000n;

/** Exact amount in millionths of a milli-cent. @throws RangeError where a factor is no whole number */
export function exactAmount(energyMwh: number, milliCentPerKwh: number): bigint {
  return BigInt(energyMwh) * BigInt(milliCentPerKwh);
}

/** To the nearest milli-cent; halves away from zero, so that a debt and the same credit are rounded alike. */
export function toMilliCent(exact: bigint): number {
  const half = MWH_PER_KWH / 2n;
  const rounded = exact < 0n ? -((-exact + half) / MWH_PER_KWH) : (exact + half) / MWH_PER_KWH;
  const amount = Number(rounded);
  if (!Number.isSafeInteger(amount)) throw new RangeError('the amount does not fit');
  return amount;
}
