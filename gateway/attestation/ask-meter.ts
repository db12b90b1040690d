/**
 * Asks the meter which program it runs (MEASURE → MEASUREMENT, protocol/updates/measurement.ts). The line loses frames, so the
 * question is repeated; the nonce stays, and with it the answer.
 */
import type { Clock } from '../../protocol/time/clock.ts';
import { type ImageCommand, LINK_MEASURE } from '../../protocol/wire/link-messages.ts';

/** The meter takes some seconds; protocol time. */
const AGAIN_MS = 30_000;

export class MeterQuestion {
  readonly #send: (command: ImageCommand) => void;
  readonly #clock: Clock;
  #question: { nonce: Uint8Array; askedMs: number; answer: (digest: Uint8Array) => void } | null = null;

  constructor(send: (command: ImageCommand) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** What the meter answers, some time. A later question takes this one's place: it is then never answered. */
  ask(nonce: Uint8Array): Promise<Uint8Array> {
    return new Promise((answer) => {
      this.#question = { nonce, askedMs: this.#clock.nowMs(), answer };
      this.#send({ type: LINK_MEASURE, nonce });
    });
  }

  /** The meter's MEASUREMENT. */
  heard(digest: Uint8Array): void {
    this.#question?.answer(digest);
    this.#question = null;
  }

  /** As time goes on. */
  tick(): void {
    const question = this.#question;
    const nowMs = this.#clock.nowMs();
    if (!question || nowMs - question.askedMs < AGAIN_MS) return;
    question.askedMs = nowMs;
    this.#send({ type: LINK_MEASURE, nonce: question.nonce });
  }
}
