/** Anchors without a TPM, for tests: what is kept here survives neither a restart nor a manufacturer's doubt. */
import type { AnchorPlace, LogKeySource } from '../../../gateway/billing/household-log.ts';

export class MemoryAnchors implements AnchorPlace {
  generation = 0;
  anchor: Uint8Array | null = null;
  reads = 0;
  /** Set by a test: why the place cannot be reached. */
  away: string | null = null;

  async read(): Promise<{ generation: number; anchor: Uint8Array | null }> {
    this.reads++;
    if (this.away !== null) throw new Error(this.away);
    return { generation: this.generation, anchor: this.anchor };
  }
  async write(generation: number, anchor: Uint8Array): Promise<void> {
    if (this.away !== null) throw new Error(this.away);
    this.anchor = Uint8Array.from(anchor);
    this.generation = generation;
  }
}

export const fixedKey = (key: Uint8Array): LogKeySource => ({ key: async () => Uint8Array.from(key) });
