/**
 * Registration, as the gateway carries it (paper, section 4.B): the meter's candidates to the control centre and back, with the
 * inverses that the meter cannot compute. Nothing of it is kept: a batch that a kill has cost is made again by the meter, and the
 * centre gives the same signatures.
 */

import {
  OPEN_PATH,
  openAnswer,
  REGISTER_PATH,
  registerAnswer,
  SET_UP_PATH,
  type SignedCandidate,
  setUpAnswer,
} from '../../protocol/selling/services.ts';
import type { ServiceError } from '../../protocol/services/call.ts';
import {
  type BatchMessage,
  type CandidateMessage,
  encodeOpen,
  encodeSetUpDone,
  encodeSigned,
  type OpenedMessage,
} from '../../protocol/wire/selling-session.ts';
import { invertAll } from '../helper/inverse.ts';
import type { CentreCall } from './centre.ts';
import type { SellingMonth } from './documents.ts';

/** Candidates of credentials whose batch has not ended: a meter makes one batch at a time. */
const CANDIDATES_MOST = 256;

interface OpeningBatch extends BatchMessage {
  questions: (Uint8Array | null)[];
  seeds: (Uint8Array[] | null)[];
}

export interface RegistrationOptions {
  call: CentreCall;
  month(month: number): SellingMonth | null;
  tell(body: Uint8Array): void;
  /** Begins a piece of work that is tried again while what keeps it from ending passes. */
  work(name: string, run: () => Promise<void>): void;
}

export class SellingRegistration {
  readonly #options: RegistrationOptions;
  readonly #candidates = new Map<number, CandidateMessage>();
  #month = 0;
  #opening: OpeningBatch | null = null;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  setUp(sealed: Uint8Array): void {
    this.#options.work('set-up', async () => {
      await this.#options.call(SET_UP_PATH, { sealed }, setUpAnswer);
      this.#options.tell(encodeSetUpDone(true));
    });
  }

  candidate(candidate: CandidateMessage): void {
    if (candidate.month !== this.#month || this.#candidates.size >= CANDIDATES_MOST) this.#candidates.clear();
    this.#month = candidate.month;
    this.#candidates.set(candidate.index, candidate);
  }

  /** The batch has ended: when all of it is here it goes to the centre. */
  batch(batch: BatchMessage): void {
    const month = this.#options.month(batch.month);
    const all = Array.from({ length: batch.count }, (_, i) => this.#candidates.get(batch.first + i));
    const candidates = all.filter((one) => one !== undefined);
    // what the line has cost comes when the meter makes the batch again; what is here already is the same then
    if (!month || candidates.length < batch.count || candidates.some((one) => one.month !== batch.month)) return;
    this.#candidates.clear();
    this.#options.work('registration', async () => {
      const answer = await this.#unlessUnknown(
        this.#options.call(
          REGISTER_PATH,
          {
            keyId: month.credentialKey.keyId,
            first: batch.first,
            candidates: candidates.map(({ blinded }) => blinded),
            tag: batch.tag,
          },
          registerAnswer,
        ),
      );
      if (!answer) return;
      if ('keep' in answer) {
        this.#opening = { ...batch, questions: candidates.map(() => null), seeds: candidates.map(() => null) };
        this.#options.tell(encodeOpen({ month: batch.month, first: batch.first, keep: Uint8Array.from(answer.keep) }));
      } else
        this.#tellSigned(
          month,
          batch,
          answer.signed,
          candidates.map(({ question }) => question!),
        );
    });
  }

  /** c > 1: a credential's candidates are opened; the batch's last ones take all of it to the centre. */
  opened({ month: number, index, question, seeds }: OpenedMessage): void {
    const batch = this.#opening;
    const month = this.#options.month(number);
    if (!batch || !month || batch.month !== number || index < batch.first || index >= batch.first + batch.count) return;
    batch.questions[index - batch.first] = question;
    batch.seeds[index - batch.first] = seeds;
    const questions = batch.questions.filter((one) => one !== null);
    if (questions.length < batch.count) return;
    this.#opening = null;
    this.#options.work('registration', async () => {
      const request = { keyId: month.credentialKey.keyId, first: batch.first, seeds: batch.seeds };
      const answer = await this.#unlessUnknown(this.#options.call(OPEN_PATH, request, openAnswer));
      if (answer) this.#tellSigned(month, batch, answer.signed, questions);
    });
  }

  #tellSigned(
    { credentialKey }: SellingMonth,
    batch: BatchMessage,
    signed: readonly SignedCandidate[],
    questions: readonly Uint8Array[],
  ): void {
    const modulus = credentialKey.publicKey;
    const inverses = invertAll(modulus, questions);
    for (const [i, { bid, signature }] of signed.entries()) {
      if (signature.length !== modulus.length || inverses[i]?.length !== modulus.length) continue;
      this.#options.tell(
        encodeSigned({
          month: batch.month,
          index: batch.first + i,
          bid,
          blindSignature: signature,
          inverse: inverses[i],
        }),
      );
    }
  }

  /** Null where the centre knows the meter no more: it is set up again, and asks again. */
  async #unlessUnknown<T>(request: Promise<T>): Promise<T | null> {
    try {
      return await request;
    } catch (error) {
      if (!['not set up', 'not proved'].includes((error as ServiceError).code)) throw error;
      this.#options.tell(encodeSetUpDone(false));
      return null;
    }
  }
}
