/**
 * The log's anchor in the TPM: a small area that holds it, and a counter beside it that only goes up, also where somebody removes
 * it and defines it anew. The anchor names the count that it is for and carries a code under the log's key: so an older anchor
 * that is put back has a count that is over, and a new one nobody else can make.
 */
import { NV_INDEX } from '../../protocol/attestation/policy.ts';
import { ANCHOR_BYTES } from '../../protocol/billing/log.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { AnchorPlace } from './household-log.ts';

export type AnchoringTpm = Pick<
  Tpm,
  'defineCounter' | 'readCounter' | 'raiseCounter' | 'defineArea' | 'readArea' | 'writeArea'
>;

export class TpmAnchors implements AnchorPlace {
  readonly #tpm: () => Promise<AnchoringTpm>;
  #defined = false;

  /** @param tpm opens it where it is not open @throws TpmError */
  constructor(tpm: () => Promise<AnchoringTpm>) {
    this.#tpm = tpm;
  }

  async read(): Promise<{ generation: number; anchor: Uint8Array | null }> {
    const tpm = await this.#tpm();
    if (!this.#defined) {
      await tpm.defineCounter(NV_INDEX.anchorCount);
      await tpm.defineArea(NV_INDEX.anchor, ANCHOR_BYTES);
      this.#defined = true;
    }
    const generation =
      (await tpm.readCounter(NV_INDEX.anchorCount)) ?? (await tpm.raiseCounter(NV_INDEX.anchorCount, 1));
    return { generation, anchor: await tpm.readArea(NV_INDEX.anchor) };
  }

  async write(generation: number, anchor: Uint8Array): Promise<void> {
    const tpm = await this.#tpm();
    await tpm.writeArea(NV_INDEX.anchor, anchor);
    await tpm.raiseCounter(NV_INDEX.anchorCount, generation);
  }
}
