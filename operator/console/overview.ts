/** What every look at the console starts from. Several readers in the same moment are one question to the parties. */
import type { FleetDevice, FleetRelease } from '../../protocol/attestation/fleet.ts';
import type { SentControl } from '../../protocol/control/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Parties } from './parties.ts';

/** Transport time. */
const HOLDS_MS = 1_500;

export interface Overview {
  /** The verifier's time of what follows; null: it has never answered. */
  nowMs: number | null;
  devices: FleetDevice[];
  releases: FleetRelease[];
  /** Null: there is no provider to ask. */
  control: SentControl[] | null;
  /** Who does not answer now, and why; what is shown of it is what it said last. */
  troubles: { party: 'verifier' | 'provider'; sentence: string }[];
}

export class Watch {
  readonly #parties: Parties;
  readonly #nowMs: () => number;
  #shown: Overview = { nowMs: null, devices: [], releases: [], control: null, troubles: [] };
  #atMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<Overview> | null = null;

  constructor(parties: Parties, nowMs: () => number = () => performance.now()) {
    this.#parties = parties;
    this.#nowMs = nowMs;
  }

  /** Never fails: a party that does not answer is a trouble in it. */
  overview(): Promise<Overview> {
    if (this.#looking) return this.#looking;
    if (this.#nowMs() - this.#atMs < HOLDS_MS) return Promise.resolve(this.#shown);
    this.#looking = this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** Something was changed: the next look asks anew. */
  forget(): void {
    this.#atMs = Number.NEGATIVE_INFINITY;
  }

  async #look(): Promise<Overview> {
    const parties = this.#parties;
    const troubles: Overview['troubles'] = [];
    const last = this.#shown;
    const attempt = async <T>(party: 'verifier' | 'provider', question: () => Promise<T>, otherwise: T): Promise<T> => {
      try {
        return await question();
      } catch (error) {
        const sentence = error instanceof ServiceError ? error.message : 'it could not be asked';
        if (!troubles.some((trouble) => trouble.party === party)) troubles.push({ party, sentence });
        return otherwise;
      }
    };
    const [seen, released, control] = await Promise.all([
      attempt('verifier', () => parties.fleet(), { nowMs: last.nowMs, devices: last.devices }),
      attempt('verifier', () => parties.releases(), last.releases),
      parties.controlSent ? attempt('provider', parties.controlSent, last.control ?? []) : null,
    ]);
    this.#shown = { ...seen, releases: released, control, troubles };
    this.#atMs = this.#nowMs();
    return this.#shown;
  }
}
