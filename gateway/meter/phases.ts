/** What the meter says of its three phases (PHASES on the link), in the page's units. Live only: bills and reports know the sum. */
import type { Phases } from '../../protocol/wire/link-messages.ts';
import type { PhasePoint } from '../web/household-view.ts';

const PHASE_BYTES = 12;

/** L1, L2, L3. Bytes that are no whole phase are left out. */
export function phasesOf({ bytes }: Phases): PhasePoint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / PHASE_BYTES) }, (_, phase) => ({
    powerW: view.getInt32(phase * PHASE_BYTES, true) / 1000,
    voltageV: view.getUint32(phase * PHASE_BYTES + 4, true) / 1000,
    currentA: view.getUint32(phase * PHASE_BYTES + 8, true) / 1000,
  }));
}
