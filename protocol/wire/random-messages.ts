/**
 * What session RANDOM says: the meter wants 32 fresh bytes of the gateway's TPM at each start, and tells how its own generator is.
 * (Espruino dialect: the firmware imports this file)
 *
 *   ASK    01  nonce b16             meter → gateway, again after 10 s … 5 min until GIVE has come
 *   STATE  02  condition u8          meter → gateway, when it has changed
 *   GIVE   81  nonce b16 · bytes b32 gateway → meter: of the answered ASK, and from the TPM
 *
 * The nonce makes the answer one of this start. Nobody else on the line learns more than the gateway does, which is no party that a
 * household hides from; what is drawn depends on the meter's own sources, too.
 */
export const RANDOM_ASK = 0x01;
export const RANDOM_STATE = 0x02;
export const RANDOM_GIVE = 0x81;
export const RANDOM_NONCE_BYTES = 16;
export const RANDOM_FRESH_BYTES = 32;

/** Of STATE: the generator's conditions (firmware/random), and why there is no wallet. */
export const CONDITION_READY = 0;
export const CONDITION_WAITING = 1;
export const CONDITION_STUCK = 2;
export const CONDITION_FEW_VALUES = 3;
export const CONDITION_AS_BEFORE = 4;
export const CONDITION_NO_WALLET = 5; // this build of the interpreter leaves no flash for one
export const CONDITION_WALLET_DAMAGED = 6;

function message(type: number, parts: Uint8Array[]): Uint8Array {
  let length = 1;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  out[0] = type;
  let at = 1;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
export const randomAsk = (nonce: Uint8Array) => message(RANDOM_ASK, [nonce]);
export const randomState = (condition: number) => message(RANDOM_STATE, [new Uint8Array([condition])]);
export const randomGive = (nonce: Uint8Array, bytes: Uint8Array) => message(RANDOM_GIVE, [nonce, bytes]);

/** The fields of a message of this type and length; null where it is none. */
export function nonceOfAsk(body: Uint8Array): Uint8Array | null {
  return body.length === 1 + RANDOM_NONCE_BYTES && body[0] === RANDOM_ASK ? body.subarray(1) : null;
}
export function conditionOfState(body: Uint8Array): number | null {
  return body.length === 2 && body[0] === RANDOM_STATE && body[1] <= CONDITION_WALLET_DAMAGED ? body[1] : null;
}
export function freshOfGive(body: Uint8Array, nonce: Uint8Array): Uint8Array | null {
  if (body.length !== 1 + RANDOM_NONCE_BYTES + RANDOM_FRESH_BYTES || body[0] !== RANDOM_GIVE) return null;
  for (let i = 0; i < RANDOM_NONCE_BYTES; i++) if (body[1 + i] !== nonce[i]) return null;
  return new Uint8Array(body.subarray(1 + RANDOM_NONCE_BYTES));
}
