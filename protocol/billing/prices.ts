/**
 * The provider's tariff and prices (tpm-privacy-concept.txt, "Bill Computation": "only digitally signed price data").
 *
 *   Provider ── tariff, signed once by its offline key ──► gateways
 *            ── prices of whole days, signed by the price key that the tariff names ──► gateways (MQTT, or on asking)
 *
 * Who takes both learns nothing of who asked. Two keys, because the price key is online: whoever steals it cannot sign a price
 * below the tariff's least one, which would have a whole town switch everything on at once.
 *
 *   tariff   size                                     prices   size
 *            1    version = 1                                  1    version = 1
 *            1+n  name of the tariff                           1+n  name of the tariff
 *            1+3  currency, ISO 4217                           1+3  currency
 *            4    number: counts tariffs of this name          4    number: counts price lists of this tariff, 1, 2, 3 …
 *            4    leastImport, milli-cent per kWh              4    firstSlot, the first of a day of UTC
 *            33   key that signs prices, P-256                 2    days
 *            64   signature by the offline key, P-256          96 × days × (4 import ‖ 4 export), milli-cent per kWh
 *                                                              64   signature by the price key
 *
 * Prices are signed whole numbers (two's complement, big-endian); each signature covers its label and all bytes before it.
 *
 * **Lists come in the order of their numbers, without gaps**: an older one is refused, and after a gap the gateway asks for what
 * it missed. Each goes on where the last one ended: **a day keeps the prices that it was given first**, and no version of one's own
 * could single a household out or ask for one of its quarter hours again.
 *
 * **A price list must not be a question.** With one price a thousand times the others, the bill of the month would tell a single
 * quarter hour (protocols.md, A10). So within a day no price exceeds MOST_SPREAD times the median of those that are not zero.
 */
import type { KeyObject } from 'node:crypto';
import { LABELS, type Label, labelled } from '../crypto/labels.ts';
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, signP256, verifyP256 } from '../crypto/p256.ts';
import { SLOTS_PER_DAY } from '../time/slots.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

export const TARIFF_PATTERN = /^[a-z0-9][a-z0-9-]{0,31}$/;
export const CURRENCY_PATTERN = /^[A-Z]{3}$/;
/** A list fits into one message of a service. */
export const MOST_DAYS = 31;
export const MOST_SPREAD = 100;
/** 10 000 € a kWh: more is a mistake. */
export const MOST_MILLI_CENT = 1_000_000_000;
const VERSION = 1;

export interface Tariff {
  name: string;
  /** ISO 4217. */
  currency: string;
  number: number;
  leastImportMilliCentPerKwh: number;
  /** Compressed P-256, 33 B. */
  priceKey: Uint8Array;
}
/** Milli-cent per kWh. */
export interface SlotPrice {
  importMilliCentPerKwh: number;
  exportMilliCentPerKwh: number;
}
export interface PriceList {
  tariff: string;
  currency: string;
  number: number;
  /** The first slot of a day. */
  firstSlot: number;
  /** One for each slot of whole days. */
  prices: readonly SlotPrice[];
}

/**
 * A tariff or price list that is not taken. `path` names the field. Recovery: `gap`: ask for what lies between; `again`: it
 * is known already; `never`: throw it away.
 */
export class PriceError extends Error {
  override readonly name = 'PriceError';
  readonly path: string;
  readonly recovery: 'gap' | 'again' | 'never';
  constructor(path: string, problem: string, recovery: 'gap' | 'again' | 'never' = 'never') {
    super(`${path}: ${problem}`);
    this.path = path;
    this.recovery = recovery;
  }
}

// ── the provider's steps ──

/** @throws MalformedError that names the field */
export function signTariff(tariff: Tariff, offlineKey: KeyObject): Uint8Array {
  const body = new ByteWriter('tariff')
    .u8('version', VERSION)
    .text('name', tariff.name, TARIFF_PATTERN)
    .text('currency', tariff.currency, CURRENCY_PATTERN)
    .u32('number', tariff.number)
    .bytes('leastImport', price('tariff.leastImport', tariff.leastImportMilliCentPerKwh), 4)
    .bytes('priceKey', tariff.priceKey, PUBLIC_KEY_BYTES)
    .finish();
  return Buffer.concat([body, signP256(offlineKey, labelled(LABELS.tariff, body))]);
}

/** @throws MalformedError or PriceError that names the field */
export function signPrices(list: PriceList, priceKey: KeyObject): Uint8Array {
  const days = list.prices.length / SLOTS_PER_DAY;
  checkDays(list.firstSlot, days);
  const writer = new ByteWriter('prices')
    .u8('version', VERSION)
    .text('tariff', list.tariff, TARIFF_PATTERN)
    .text('currency', list.currency, CURRENCY_PATTERN)
    .u32('number', list.number)
    .u32('firstSlot', list.firstSlot)
    .u16('days', days);
  for (const [i, { importMilliCentPerKwh, exportMilliCentPerKwh }] of list.prices.entries()) {
    writer.bytes('import', price(`prices.${i}.import`, importMilliCentPerKwh), 4);
    writer.bytes('export', price(`prices.${i}.export`, exportMilliCentPerKwh), 4);
  }
  const body = writer.finish();
  return Buffer.concat([body, signP256(priceKey, labelled(LABELS.prices, body))]);
}

// ── the gateway's steps ──

/** @throws MalformedError, PriceError */
export function openTariff(bytes: Uint8Array, offlinePublicKey: Uint8Array): Tariff {
  const reader = new ByteReader('tariff', bytes);
  reader.constant('version', VERSION);
  const tariff: Tariff = {
    name: reader.text('name', TARIFF_PATTERN),
    currency: reader.text('currency', CURRENCY_PATTERN),
    number: reader.u32('number'),
    leastImportMilliCentPerKwh: readPrice(reader, 'leastImport'),
    priceKey: reader.bytes('priceKey', PUBLIC_KEY_BYTES),
  };
  checkSignature(reader, bytes, LABELS.tariff, offlinePublicKey, 'tariff', "the provider's offline key");
  return tariff;
}

/**
 * Checks all that can be checked of a price list by itself and against its tariff.
 * @throws MalformedError, PriceError
 */
export function openPrices(bytes: Uint8Array, tariff: Tariff): PriceList {
  const reader = new ByteReader('prices', bytes);
  reader.constant('version', VERSION);
  const name = reader.text('tariff', TARIFF_PATTERN);
  const currency = reader.text('currency', CURRENCY_PATTERN);
  const number = reader.u32('number');
  const firstSlot = reader.u32('firstSlot');
  const days = reader.u16('days');
  checkDays(firstSlot, days);
  const prices: SlotPrice[] = [];
  for (let i = 0; i < days * SLOTS_PER_DAY; i++) {
    const importMilliCentPerKwh = readPrice(reader, `${i}.import`);
    prices.push({ importMilliCentPerKwh, exportMilliCentPerKwh: readPrice(reader, `${i}.export`) });
  }
  checkSignature(reader, bytes, LABELS.prices, tariff.priceKey, 'prices', "the tariff's price key");
  if (name !== tariff.name) throw new PriceError('prices.tariff', `is ${name}, not this household's ${tariff.name}`);
  if (currency !== tariff.currency) throw new PriceError('prices.currency', `is ${currency}, not ${tariff.currency}`);
  const least = tariff.leastImportMilliCentPerKwh;
  const low = prices.findIndex(({ importMilliCentPerKwh }) => importMilliCentPerKwh < least);
  if (low >= 0)
    throw new PriceError(
      `prices.${low}.import`,
      `is ${prices[low].importMilliCentPerKwh} milli-cent per kWh, below the least price ${least} of the tariff`,
    );
  for (let day = 0; day < days; day++) checkSpread(prices, day * SLOTS_PER_DAY);
  return { tariff: name, currency, number, firstSlot, prices };
}

/** The newest list that is held: its number, and the slot after its last one. */
export interface HeldPrices {
  number: number;
  endSlot: number;
}

export const endOf = (list: PriceList): number => list.firstSlot + list.prices.length;

/**
 * Whether a list is the next one.
 * @param held null where none is
 * @param fromSlot the first slot that needs a price: where none is held, lists begin with the one that has it
 * @param mayBeginLater whether nothing older is to be had: billing then begins with this list
 * @throws PriceError
 */
export function checkOrder(list: PriceList, held: HeldPrices | null, fromSlot: number, mayBeginLater = false): void {
  const { number, firstSlot } = list;
  if (held === null) {
    if (firstSlot > fromSlot && !mayBeginLater)
      throw new PriceError('prices.firstSlot', 'begins after what has to be priced', 'gap');
    if (endOf(list) <= fromSlot) throw new PriceError('prices.firstSlot', 'ends before what has to be priced');
    return;
  }
  if (number === held.number) throw new PriceError('prices.number', `is ${number}, which is known`, 'again');
  if (number < held.number)
    throw new PriceError('prices.number', `is ${number}, older than ${held.number}, which was taken before`);
  if (number > held.number + 1)
    throw new PriceError('prices.number', `is ${number}, but ${held.number + 1} has not come`, 'gap');
  if (firstSlot < held.endSlot) throw new PriceError('prices.firstSlot', 'would price a day that has its prices');
  if (firstSlot > held.endSlot) throw new PriceError('prices.firstSlot', 'leaves days without a price');
}

function checkDays(firstSlot: number, days: number): void {
  if (firstSlot % SLOTS_PER_DAY !== 0) throw new PriceError('prices.firstSlot', 'is not the first of a day');
  if (!Number.isInteger(days) || days < 1 || days > MOST_DAYS)
    throw new PriceError('prices.days', `is not a whole number from 1 to ${MOST_DAYS}`);
}

/** No price of a day may stand out so much that it would ask for one quarter hour. */
function checkSpread(prices: readonly SlotPrice[], from: number): void {
  for (const side of ['import', 'export'] as const) {
    const sizes = prices
      .slice(from, from + SLOTS_PER_DAY)
      .map((slot) => Math.abs(slot[`${side}MilliCentPerKwh`]))
      .map((size, i) => ({ size, i }));
    const apart = sizes.filter(({ size }) => size > 0).sort((a, b) => a.size - b.size);
    if (apart.length === 0) continue;
    const median = apart[(apart.length - 1) >> 1].size;
    const most = apart[apart.length - 1];
    if (most.size > MOST_SPREAD * median)
      throw new PriceError(
        `prices.${from + most.i}.${side}`,
        `is more than ${MOST_SPREAD} times the day's median: the bill would tell this quarter hour`,
      );
  }
}

function checkSignature(
  reader: ByteReader,
  bytes: Uint8Array,
  label: Label,
  publicKey: Uint8Array,
  path: string,
  signer: string,
): void {
  const body = bytes.subarray(0, reader.at);
  if (reader.at === bytes.length) throw new PriceError(`${path}.signature`, 'is missing');
  const signature = reader.bytes('signature', SIGNATURE_BYTES);
  reader.end();
  if (!verifyP256(publicKey, labelled(label, body), signature))
    throw new PriceError(`${path}.signature`, `was not made by ${signer} over these bytes`);
}

function price(path: string, milliCentPerKwh: number): Uint8Array {
  if (!Number.isInteger(milliCentPerKwh) || Math.abs(milliCentPerKwh) > MOST_MILLI_CENT)
    throw new PriceError(path, `is no whole number from −${MOST_MILLI_CENT} to ${MOST_MILLI_CENT}`);
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(milliCentPerKwh);
  return bytes;
}

function readPrice(reader: ByteReader, field: string): number {
  const value = Buffer.from(reader.bytes(field, 4)).readInt32BE();
  if (Math.abs(value) > MOST_MILLI_CENT) throw reader.error(field, `is more than ${MOST_MILLI_CENT}`);
  return value;
}
