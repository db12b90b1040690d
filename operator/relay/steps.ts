/**
 * The relay's steps (protocols.md, section 0; the pattern of RFC 9458, Oblivious HTTP, with a shuffle).
 *
 *   Gateway ── bundle, one a slot ──► Relay: take apart · wait for the round
 *                                     Relay: at least k gateways? shuffle · batch for each destination ──► Party
 *   Gateway ◄── every list, whole ─── Relay: check · keep ◄── list of answers ─────────────────────────── Party
 *
 * It learns from which network address a bundle came in which slot, and nothing else: every bundle has one size, every gateway sends
 * one in every slot, cells open for their party only. The parties learn what the messages say, and not from where. Both together
 * know both; that they are different companies is what the door rests on (docs/threat-model.md).
 *
 * k is counted in bundles of one slot, at most so many from one address. Who sends k − 1 bundles of his own from as many addresses is
 * left alone with one household; the relay itself can always do that.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { bundleDigest, cellDigest, decodeBundle } from '../../protocol/door/bundle.ts';
import { cellBytes } from '../../protocol/door/cell.ts';
import type { Destination, DoorPlan } from '../../protocol/door/plan.ts';
import { BATCH_ID_BYTES, PART_BYTES } from '../../protocol/door/services.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { Counters } from '../shared/counters.ts';
import { Refusal } from '../shared/service.ts';
import type { BatchPart, RelayStore, WaitingCell } from './store.ts';

/** A gateway's clock may be wrong by this much, in slots; and a conductor moves the parties' clocks one after the other. */
const SLOTS_OFF = 1;

export type RelayCount = 'malformed' | 'again' | 'tooMany' | 'wrongSlot';

export interface RelayOptions {
  store: RelayStore;
  plan: DoorPlan;
  k: number;
  bundlesPerAddress: number;
  closeAfterMs: number;
}

export class Relay {
  readonly counters = new Counters<RelayCount>();
  readonly #options: RelayOptions;
  #nowMs: number | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** On disk when it returns. The same bundle again is as good as once. @throws Refusal */
  take(bytes: Uint8Array, address: string): void {
    const { store, plan, bundlesPerAddress } = this.#options;
    if (this.#nowMs === undefined)
      throw new Refusal('starting', 'the service does not know the time yet', 'again', { status: 503 });
    const { slot, cells } = this.#decoded(bytes);
    if (Math.abs(slot - slotOf(this.#nowMs)) > SLOTS_OFF) {
      this.counters.add('wrongSlot');
      throw new Refusal('wrong slot', 'the bundle is not of this slot', 'start over', { path: 'bundle.slot' });
    }
    const waiting = plan.destinations.flatMap(({ name }, d) =>
      cells[d].map((cell) => ({ destination: name, digest: cellDigest(cell), cell })),
    );
    const digest = bundleDigest(bytes);
    const arrival = store.arrive({ slot, address: networkOf(address), digest }, waiting, bundlesPerAddress);
    if (arrival === 'again') this.counters.add('again');
    if (arrival === 'too many') {
      this.counters.add('tooMany');
      throw new Refusal('too many', 'this address has given enough bundles in this slot', 'start over', {
        status: 429,
      });
    }
  }

  #decoded(bytes: Uint8Array): ReturnType<typeof decodeBundle> {
    try {
      return decodeBundle(this.#options.plan, bytes);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.counters.add('malformed');
      throw new Refusal('malformed', error.message, 'correct', { status: 400, path: error.path });
    }
  }

  /** Moves protocol time, and shuffles where a round has come. */
  advance(nowMs: number): void {
    this.#nowMs = Math.max(nowMs, this.#nowMs ?? nowMs);
    const { store, plan, k, closeAfterMs } = this.#options;
    const round = slotOf(this.#nowMs - closeAfterMs);
    const last = store.state('roundsThroughSlot');
    if (last !== undefined && round <= last) return;
    store.closeRound(round, k, slotOf(this.#nowMs) - SLOTS_OFF, (cells, number) => batchesOf(plan, cells, number));
  }
}

/** The cells of each destination in random order, in parts that fit into a call. */
export function batchesOf(plan: DoorPlan, cells: readonly WaitingCell[], number: number): BatchPart[] {
  return plan.destinations.flatMap((destination) => {
    const own = shuffle(cells.filter((one) => one.destination === destination.name).map(({ cell }) => cell));
    const inPart = cellsInPart(destination);
    const parts = Math.ceil(own.length / inPart);
    const batch = randomBytes(BATCH_ID_BYTES);
    return Array.from({ length: parts }, (_, part) => ({
      destination: destination.name,
      number,
      part,
      parts,
      batch,
      cells: Buffer.concat(own.slice(part * inPart, (part + 1) * inPart)),
    }));
  });
}

export const cellsInPart = (destination: Destination): number =>
  Math.max(1, Math.floor(PART_BYTES / cellBytes(destination)));

/** Fisher and Yates, with the system's randomness. */
function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/** What is given to one customer: an IPv4 address, or the first 56 bits of an IPv6 address. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1];
  if (!isIPv6(address)) return address;
  const [head, tail = ''] = address.split('%')[0].split('::');
  const groups = head.split(':').filter(Boolean);
  const after = tail.split(':').filter(Boolean);
  const whole = [...groups, ...Array(Math.max(0, 8 - groups.length - after.length)).fill('0'), ...after];
  const numbers = whole.slice(0, 4).map((group) => Number.parseInt(group, 16));
  return `${numbers.map((n, i) => (i === 3 ? n & 0xff00 : n).toString(16)).join(':')}::/56`;
}
