/** What every look at the console starts from. Several readers of the same in the same moment are one question to the parties. */
import type { FleetRelease } from '../../protocol/attestation/fleet.ts';
import type { SentControl } from '../../protocol/control/services.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Fleet, FleetLook, Parties } from './parties.ts';

/** Transport time. */
const HOLDS_MS = 1_500;
/** Different looks that are remembered. */
const LOOKS_MOST = 64;

export interface Overview {
  /** What of the fleet fits what somebody looks at; null: the verifier has never answered. */
  fleet: Fleet | null;
  releases: FleetRelease[];
  /** Null: there is no provider to ask. */
  control: SentControl[] | null;
  /** Who does not answer now, and why; what is shown of it is what it said last. */
  troubles: { party: 'verifier' | 'provider'; sentence: string }[];
}

interface Kept {
  overview: Promise<Overview>;
  /** When it came; infinite while it is under way. */
  atMs: number;
}

export class Watch {
  readonly #parties: Parties;
  readonly #nowMs: () => number;
  readonly #kept = new Map<string, Kept>();
  /** What the parties said last, for when they are silent. */
  #last: Pick<Overview, 'releases' | 'control'> & { fleet: Fleet | null } = {
    fleet: null,
    releases: [],
    control: null,
  };

  constructor(parties: Parties, nowMs: () => number = () => performance.now()) {
    this.#parties = parties;
    this.#nowMs = nowMs;
  }

  /** Never fails: a party that does not answer is a trouble in it. */
  overview(look: FleetLook): Promise<Overview> {
    const key = JSON.stringify(look);
    const known = this.#kept.get(key);
    if (known && this.#nowMs() - known.atMs < HOLDS_MS) return known.overview;
    const kept: Kept = { overview: this.#look(look), atMs: Number.POSITIVE_INFINITY };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size > LOOKS_MOST) this.#kept.delete(this.#kept.keys().next().value!);
    void kept.overview.then(() => {
      kept.atMs = this.#nowMs();
    });
    return kept.overview;
  }

  /** Something was changed: the next look asks anew. */
  forget(): void {
    this.#kept.clear();
  }

  async #look(look: FleetLook): Promise<Overview> {
    const parties = this.#parties;
    const troubles: Overview['troubles'] = [];
    const last = this.#last;
    const attempt = async <T>(party: 'verifier' | 'provider', question: () => Promise<T>, otherwise: T): Promise<T> => {
      try {
        return await question();
      } catch (error) {
        const sentence = error instanceof ServiceError ? error.message : 'it could not be asked';
        if (!troubles.some((trouble) => trouble.party === party)) troubles.push({ party, sentence });
        return otherwise;
      }
    };
    const [fleet, releases, control] = await Promise.all([
      attempt('verifier', () => parties.fleet(look), last.fleet),
      attempt('verifier', () => parties.releases(), last.releases),
      parties.controlSent ? attempt('provider', parties.controlSent, last.control ?? []) : null,
    ]);
    this.#last = { fleet, releases, control };
    return { fleet, releases, control, troubles };
  }
}
