/**
 * Which program is started. (Espruino dialect; the boot loader and tests call it)
 *
 * The newest one that is complete and intact, unless it was started TRIALS times and has never confirmed itself; then the one
 * before it. Where no area holds one: the program that the meter was commissioned with, a file in Storage that nothing rewrites.
 */
import type { ImageArea, ImageHead } from './image-area.ts';
import { TRIALS } from './image-area.ts';

export interface Choice {
  /** Index of the area. */
  area: number;
  head: ImageHead;
  /** It has not confirmed itself yet; this start has been counted. */
  trial: boolean;
}

/** Writes at most one word: the mark of a trial, before the program is started. */
export function chooseImage(areas: ImageArea[]): Choice | null {
  const passed: boolean[] = areas.map(() => false);
  for (let round = 0; round < areas.length; round++) {
    let best = -1;
    let bestHead: ImageHead | null = null;
    for (let i = 0; i < areas.length; i++) {
      const head = passed[i] ? null : areas[i].head();
      if (head && (!bestHead || head.version > bestHead.version)) {
        best = i;
        bestHead = head;
      }
    }
    if (!bestHead) return null;
    const area = areas[best];
    passed[best] = true;
    if (area.isComplete()) {
      const confirmed = area.isConfirmed();
      if ((confirmed || area.trials() < TRIALS) && area.isIntact(bestHead)) {
        if (!confirmed) area.markTrial();
        return { area: best, head: bestHead, trial: !confirmed };
      }
    }
  }
  return null;
}
