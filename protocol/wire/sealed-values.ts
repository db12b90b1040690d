/**
 * What the meter asks its gateway to keep, over the session STORE: values that it has sealed (firmware/wallet/sealed.ts), by kind and
 * id. (Espruino dialect: the firmware imports this file)
 *
 *   meter → gateway
 *   PUT     01  kind u8 · id u32 · version u32 · sealed 17 … 2,000 B     keep this instead of any older version
 *   GET     02  kind u8 · id u32 · version u32                           the version that is wanted
 *   REMOVE  03  kind u8 · id u32 · version u32                           this version and older ones are not needed any more
 *
 *   gateway → meter
 *   KEPT    81  kind u8 · id u32 · version u32                           this version, or a newer one, is on the disk
 *   VALUE   82  kind u8 · id u32 · version u32 · sealed
 *   ABSENT  83  kind u8 · id u32 · version u32                           answer to GET: it is not here; to REMOVE: it is gone
 *
 * Integers are little-endian. The meter asks again until it is answered; every request can be done twice. Kinds
 * are as the vault's spaces (firmware/wallet/spaces.ts), with a protocol's own digit: space × 16 + 0 … 15.
 */
export const STORE_PUT = 0x01;
export const STORE_GET = 0x02;
export const STORE_REMOVE = 0x03;
export const STORE_KEPT = 0x81;
export const STORE_VALUE = 0x82;
export const STORE_ABSENT = 0x83;

export interface StoreMessage {
  type: number;
  kind: number;
  id: number;
  version: number;
  /** Of PUT and VALUE; null otherwise. */
  sealed: Uint8Array | null;
}

export const SEALED_LEAST_BYTES = 17;
export const SEALED_MOST_BYTES = 2000;
const HEAD_BYTES = 10;

const carries = (type: number) => type === STORE_PUT || type === STORE_VALUE;

export function encodeStoreMessage(message: StoreMessage): Uint8Array {
  const sealed = message.sealed;
  const body = new Uint8Array(HEAD_BYTES + (sealed ? sealed.length : 0));
  const view = new DataView(body.buffer);
  view.setUint8(0, message.type);
  view.setUint8(1, message.kind);
  view.setUint32(2, message.id, true);
  view.setUint32(6, message.version, true);
  if (sealed) body.set(sealed, HEAD_BYTES);
  return body;
}

/** @throws Error that names the field */
export function decodeStoreMessage(body: Uint8Array): StoreMessage {
  if (body.length < HEAD_BYTES) throw new Error('STORE: ' + body.length + ' bytes are too few');
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const type = view.getUint8(0);
  const known = (type >= STORE_PUT && type <= STORE_REMOVE) || (type >= STORE_KEPT && type <= STORE_ABSENT);
  if (!known) throw new Error('STORE.type: ' + type + ' is none');
  const length = body.length - HEAD_BYTES;
  const right = carries(type) ? length >= SEALED_LEAST_BYTES && length <= SEALED_MOST_BYTES : length === 0;
  if (!right) throw new Error('STORE.sealed: ' + length + ' bytes');
  return {
    type: type,
    kind: view.getUint8(1),
    id: view.getUint32(2, true),
    version: view.getUint32(6, true),
    sealed: carries(type) ? new Uint8Array(body.subarray(HEAD_BYTES)) : null,
  };
}
