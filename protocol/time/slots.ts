/**
 * A slot is one quarter hour of UTC. Slots are numbered from the Unix epoch, so that a slot number is the same
 * for every party and needs no calendar.
 */
export const SLOT_MS = 900_000;
export const SLOTS_PER_DAY = 96;
/** A day's length in UTC, in ms. */
export const DAY_MS = 86_400_000;

/** The slot that contains the instant `unixMs`. */
export const slotOf = (unixMs: number): number => Math.floor(unixMs / SLOT_MS);

/** The first instant of a slot, Unix ms. */
export const slotStartMs = (slot: number): number => slot * SLOT_MS;

/** The first instant after a slot, Unix ms. */
export const slotEndMs = (slot: number): number => (slot + 1) * SLOT_MS;
