/**
 * The bank's reward for a task's result (tasking-and-trading.txt, section 2.3.2, "Using a Central Bank"; protocols.md, section 2).
 *
 *   Meter/gateway    s = HMAC(N, h(m ‖ salt) ‖ t), N fresh          ── s inside the authenticated report ──► ReportServer ──► provider
 *   UtilityProvider  order ⟨h(m ‖ salt), t, s, amount⟩                                                  ──► Bank
 *   Gateway          claim ⟨h(m ‖ salt), t, s, N⟩, anonymously, days later                              ──► Bank pays, once for s
 *
 * The salt, 32 B, is known to provider and household, not to the bank, or the bank would find a small measurement by trying all. It is
 * derived from the report's one-time identity, which the provider is shown with the result. N is exactly 32 B: HMAC pads a shorter
 * key with zeros, so N and N ‖ 00 would claim twice (A17); and the bank pays once for each s, whatever opens it. Amounts are the fixed
 * denominations of tasks; claims wait a random number of days (`claimDelayDays`), so that they do not follow the report.
 *
 *   order   h 32 ‖ task 16 ‖ s 32 ‖ amount 4        claim   h 32 ‖ task 16 ‖ s 32 ‖ N 32
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { MAC_BYTES, MAC_KEY_BYTES, mac, macMatches } from '../crypto/mac.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const TASK_ID_BYTES = 16;
const HASH_BYTES = 32;
const SALT_BYTES = 32;
export const REWARD_SECRET_BYTES = MAC_KEY_BYTES;
/** A claim comes so many days after its report at most. */
const DELAY_MOST_DAYS = 14;

export interface RewardOrder {
  /** h(m ‖ salt), 32 B. */
  hash: Uint8Array;
  /** 16 B. */
  task: Uint8Array;
  /** s, 32 B. */
  slip: Uint8Array;
  /** A fixed denomination. */
  amount: number;
}
export interface RewardClaim extends Omit<RewardOrder, 'amount'> {
  /** N, 32 B. */
  secret: Uint8Array;
}

/** h(m ‖ salt). @param result the report's content as it stands in the report @throws RangeError where the salt is not 32 B */
export function measurementHash(result: Uint8Array, salt: Uint8Array): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError(`salt: is ${salt.length} bytes long, not ${SALT_BYTES}`);
  return createHash('sha256')
    .update(labelled(LABELS.rewardMeasurement, salt, result))
    .digest();
}

/** s. @throws RangeError where N is not exactly 32 B */
export const slipOf = (secret: Uint8Array, hash: Uint8Array, task: Uint8Array): Uint8Array =>
  mac(secret, LABELS.reward, hash, task);

export const encodeOrder = ({ hash, task, slip, amount }: RewardOrder): Uint8Array =>
  new ByteWriter('order')
    .bytes('hash', hash, HASH_BYTES)
    .bytes('task', task, TASK_ID_BYTES)
    .bytes('slip', slip, MAC_BYTES)
    .u32('amount', amount)
    .finish();
/** @throws MalformedError */
export function decodeOrder(bytes: Uint8Array, path = 'order'): RewardOrder {
  const reader = new ByteReader(path, bytes);
  const order = { ...readHead(reader), amount: reader.u32('amount') };
  reader.end();
  return order;
}
/** @throws MalformedError where N is not exactly 32 B, too */
export const encodeClaim = ({ hash, task, slip, secret }: RewardClaim): Uint8Array =>
  new ByteWriter('claim')
    .bytes('hash', hash, HASH_BYTES)
    .bytes('task', task, TASK_ID_BYTES)
    .bytes('slip', slip, MAC_BYTES)
    .bytes('secret', secret, REWARD_SECRET_BYTES)
    .finish();
/** @throws MalformedError */
export function decodeClaim(bytes: Uint8Array, path = 'claim'): RewardClaim {
  const reader = new ByteReader(path, bytes);
  const claim = { ...readHead(reader), secret: reader.bytes('secret', REWARD_SECRET_BYTES) };
  reader.end();
  return claim;
}
const readHead = (reader: ByteReader) => ({
  hash: reader.bytes('hash', HASH_BYTES),
  task: reader.bytes('task', TASK_ID_BYTES),
  slip: reader.bytes('slip', MAC_BYTES),
});

/** Why a claim is not paid. */
export type ClaimRefusal = 'no such order' | 'not its owner';

/**
 * The bank's step: whether a claim is for an order, by who made its slip. That it is the first one for the slip is the store's to say
 * (once-only on s, atomically; the same claim again gets the same answer).
 * @param order the provider's, with the claim's slip
 */
export function checkClaim(claim: RewardClaim, order: RewardOrder | undefined): ClaimRefusal | null {
  if (!order || !timingSafeEqual(order.slip, claim.slip)) return 'no such order';
  const same = timingSafeEqual(order.hash, claim.hash) && timingSafeEqual(order.task, claim.task);
  return same && macMatches(claim.secret, claim.slip, LABELS.reward, claim.hash, claim.task) ? null : 'not its owner';
}

/** From 1 to 14 days. @param random 4 uniform bytes */
export const claimDelayDays = (random: (bytes: number) => Uint8Array): number =>
  1 + (Buffer.from(random(4)).readUInt32BE() % DELAY_MOST_DAYS);
