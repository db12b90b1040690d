import type { SellingNatives } from '../selling/natives.ts';
import { equalBytes } from '../selling/natives.ts';
import { type Batch, batchHash, decodeBatch } from './batch.ts';

/**
 * The batches that a meter holds (messages.md, "Expiry"). (Espruino dialect: the firmware imports this file)
 *
 * A message of one's own is dead only when *unbroken* batches up to one of an epoch later than its validUntil are there and none has a
 * line for it. Until then it may have been paired in the one that is missing: to offer the same energy again would sell it twice. So
 * batches are worked in by their numbers; what comes too early waits until the gap is closed.
 *
 *   next      the number that is wanted; everything below was worked in
 *   missing   what is to be asked for by RESEND, after a random delay, unless somebody else is heard asking
 */
const HELD_MOST = 16;

interface Held {
  number: number;
  bytes: Uint8Array;
}

export class BatchChain {
  natives: SellingNatives;
  next: number;
  /** Hash of the last that was worked in. */
  last: Uint8Array;
  /** Epoch of the last that was worked in. */
  epoch = 0;
  held: Held[] = [];
  /** Of the last beacon; what is below exists. */
  announced = 0;
  /** Two different batches of one number, or one that does not follow: an alarm. */
  forked = 0;

  /** @param next the first batch that matters, of whose predecessor `last` is the hash; zeros: of any */
  constructor(natives: SellingNatives, next: number, last: Uint8Array) {
    this.natives = natives;
    this.next = next;
    this.last = last;
  }

  heardBeacon(nextBatch: number): void {
    if (nextBatch > this.announced) this.announced = nextBatch;
  }

  /** @param bytes whose signature holds @return batches that are to be worked in now, in order @throws TradeError */
  push(bytes: Uint8Array): Batch[] {
    const batch = decodeBatch(bytes);
    if (batch.number >= this.announced) this.announced = batch.number + 1;
    const ready: Batch[] = [];
    if (batch.number < this.next) return ready;
    let known = false;
    for (const one of this.held) if (one.number === batch.number) known = true;
    if (!known && (this.held.length < HELD_MOST || batch.number === this.next))
      this.held.push({ number: batch.number, bytes: bytes });
    for (;;) {
      let found: Held | null = null;
      for (const one of this.held) if (one.number === this.next) found = one;
      if (!found) return ready;
      const wanted = found.number;
      this.held = this.held.filter((one) => one.number !== wanted);
      const follows = decodeBatch(found.bytes);
      if (!isZero(this.last) && !equalBytes(follows.previous, this.last)) {
        this.forked++;
        return ready;
      }
      this.last = batchHash(this.natives, found.bytes);
      this.epoch = follows.epoch;
      this.next++;
      ready.push(follows);
    }
  }

  /** The lowest number that is missing though it exists; −1: none. */
  missing(): number {
    return this.next < this.announced ? this.next : -1;
  }

  /**
   * Whether everything that could speak of a message valid until then was worked in. @param beaconEpoch of a signed beacon that announced
   * no batch that is missing: where nothing is traded there is no batch, and the beacon says so
   */
  isOver(validUntil: number, beaconEpoch: number): boolean {
    if (this.epoch > validUntil) return true;
    return beaconEpoch > validUntil + 1 && this.missing() < 0;
  }
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
