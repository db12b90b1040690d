/**
 * What one household reports of one quarter hour, and how it is sealed.
 *
 * Gateway → provider, through the collector, which sees neither values nor lengths that would tell anything: the plaintext
 * has one size, so the sealed item has one size. HPKE binds it to slot and area (`aad`), so that nobody on the way can move a
 * reading to another quarter hour or another area. The pseudonym is not in it: the provider learns no origin.
 *
 *   plaintext, 16 B
 *   offset  size
 *        0     1  version = 1
 *        1     4  slot        big-endian
 *        5     4  importWh    energy taken from the grid in this slot, Wh
 *        9     4  exportWh    energy given to the grid in this slot, Wh
 *       13     3  zero
 *
 *   sealed, 64 B = encapsulated key 32 ‖ ciphertext 16 ‖ tag 16; info "quietmeter/v1/sealed-reading"; aad = slot ‖ area
 */
import { HPKE_OVERHEAD_BYTES, openSealed, sealTo } from '../crypto/hpke.ts';
import { LABELS } from '../crypto/labels.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';
import { AREA_PATTERN } from './area.ts';

const VERSION = 1;
const PADDING_BYTES = 3;

export const READING_BYTES = 16;
export const SEALED_READING_BYTES = READING_BYTES + HPKE_OVERHEAD_BYTES;

export interface Reading {
  slot: number;
  /** Integer from 0, a multiple of the household's reporting resolution. */
  importWh: number;
  exportWh: number;
}

/** @throws MalformedError where a value is no whole number of 32 bits: `reading.importWh`. */
export function encodeReading(reading: Reading): Uint8Array {
  return new ByteWriter('reading')
    .u8('version', VERSION)
    .u32('slot', reading.slot)
    .u32('importWh', reading.importWh)
    .u32('exportWh', reading.exportWh)
    .bytes('padding', new Uint8Array(PADDING_BYTES), PADDING_BYTES)
    .finish();
}

/** @throws MalformedError */
export function decodeReading(bytes: Uint8Array): Reading {
  const reader = new ByteReader('reading', bytes);
  reader.constant('version', VERSION);
  const reading = { slot: reader.u32('slot'), importWh: reader.u32('importWh'), exportWh: reader.u32('exportWh') };
  if (reader.bytes('padding', PADDING_BYTES).some((byte) => byte !== 0)) throw reader.error('padding', 'is not zero');
  reader.end();
  return reading;
}

const context = (slot: number, area: string): Uint8Array =>
  new ByteWriter('aad').u32('slot', slot).text('area', area, AREA_PATTERN).finish();

/** 64 B that only the provider opens. @throws MalformedError, HpkeError (the provider's key) */
export function sealReading(reading: Reading, area: string, providerPublicKey: Uint8Array): Promise<Uint8Array> {
  return sealTo(providerPublicKey, LABELS.sealedReading, context(reading.slot, area), encodeReading(reading));
}

/**
 * The provider's step. @throws HpkeError where the item was sealed to another key, or for another slot or area, or altered;
 * MalformedError where what was sealed is no reading of this slot
 */
export async function openReading(
  sealed: Uint8Array,
  slot: number,
  area: string,
  providerPrivateKey: Uint8Array,
): Promise<Reading> {
  const plaintext = await openSealed(providerPrivateKey, LABELS.sealedReading, context(slot, area), sealed);
  const reading = decodeReading(plaintext);
  if (reading.slot !== slot)
    throw new ByteReader('reading', plaintext).error('slot', 'is not the one it was sealed for');
  return reading;
}
