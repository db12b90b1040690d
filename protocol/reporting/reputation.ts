/**
 * The decentralised variant (tasking-and-trading.txt, remark in section 2.2.2): households' gateways take the part of the report
 * servers. Which ones is decided by a reputation that grows with work that others verified, and by a public beacon: everybody who has
 * the records of past work and the beacon chooses the same ones, and nobody can choose himself.
 *
 * Reputation is the expectation of a Beta distribution (Jøsang, Ismail, "The Beta reputation system", 2002, section 2): of s slots
 * served and f failed, (s + 1) / (s + f + 2), in thousandths. A newcomer has 500. One proved lie (a share or endorsement that the maker's
 * own signature convicts) ends it: 0 until the records of the month lapse.
 *
 * Chosen are panels in proportion to reputation: every point is a ticket, SHA-256(beacon ‖ key ‖ number), and those with the smallest
 * tickets serve (weighted sampling without replacement; Efraimidis, Spirakis, 2006, in whole numbers).
 *
 * Work is credited: CREDIT_PER_SLOT for each slot served.
 */
import { createHash } from 'node:crypto';

export interface Work {
  /** Slots in which the gateway's share held. */
  served: number;
  /** Slots in which it was chosen and its share did not come. */
  failed: number;
  /** Shares or endorsements that convict their maker. */
  lies: number;
}
export interface Candidate {
  /** The gateway's server key of the month, 33 B. */
  publicKey: Uint8Array;
  work: Work;
}

const SCALE = 1000;
/** So fine is the choice: a gateway with the best reputation has 100 tickets. */
const POINTS_PER_TICKET = 10;
/** In the smallest unit of the area's rewards. */
export const CREDIT_PER_SLOT = 1;

/** From 0 to 1000. */
export function reputationOf({ served, failed, lies }: Work): number {
  for (const [name, count] of Object.entries({ served, failed, lies }))
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`work.${name}: is no whole number from 0`);
  return lies > 0 ? 0 : Math.floor((SCALE * (served + 1)) / (served + failed + 2));
}

export const creditOf = ({ served, lies }: Work): number => (lies > 0 ? 0 : served * CREDIT_PER_SLOT);

/**
 * The panel of a month or day.
 * @param beacon 32 B that nobody could foresee when the candidates were registered
 * @param least reputation
 * @returns `count` of them, in the order in which they are server 1, 2 …
 * @throws RangeError where there are too few
 */
export function chooseAggregators<C extends Candidate>(
  candidates: readonly C[],
  beacon: Uint8Array,
  count: number,
  least = SCALE / 4,
): C[] {
  const drawn = candidates.flatMap((candidate) => {
    const reputation = reputationOf(candidate.work);
    const tickets = Math.floor(reputation / POINTS_PER_TICKET);
    if (reputation < least || tickets === 0) return [];
    const all = Array.from({ length: tickets }, (_, i) =>
      createHash('sha256').update(beacon).update(candidate.publicKey).update(Uint8Array.of(i)).digest(),
    );
    return [{ candidate, ticket: all.reduce((a, b) => (Buffer.compare(a, b) <= 0 ? a : b)) }];
  });
  if (drawn.length < count) throw new RangeError(`candidates: ${drawn.length} are fit, ${count} are needed`);
  return drawn
    .sort((a, b) => Buffer.compare(a.ticket, b.ticket))
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
