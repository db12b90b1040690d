/** What `/api/live` sends: server and page both import it. */
import type { LivePoint } from './household-view.ts';

/** Event `live`: one measured value. */
export interface LiveEvent extends LivePoint {
  /** Household time now. */
  nowMs: number;
}
/** Event `status`: what is reachable now, and how many readings wait. */
export interface StatusEvent {
  nowMs: number;
  meter: boolean;
  grid: boolean;
  pendingReports: number;
}
