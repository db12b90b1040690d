/**
 * Talks with the meter about its program: carries a new one to it (image-sender.ts) and asks which one runs. Between the serial
 * line (gateway/meter/link.ts) and who wants something of the meter: the updater, and the attestation agent.
 */

import type { Clock } from '../../protocol/time/clock.ts';
import {
  type Hello,
  type ImageCommand,
  type ImageState,
  LINK_HELLO,
  LINK_IMAGE_BEGIN,
  LINK_IMAGE_STATE,
  LINK_MEASURE,
  LINK_MEASUREMENT,
  type Measurement,
  type Refused,
} from '../../protocol/wire/link-messages.ts';
import { ImageSender, type Program } from './image-sender.ts';

/** A meter needs some seconds to answer, one that starts anew some more. */
const ASK_AGAIN_MS = 15_000;
const ASKED_MOST = 4;

interface Question {
  nonce: Uint8Array;
  answer: Promise<Measurement>;
  asked: number;
  askedMs: number;
  answered(measurement: Measurement): void;
  failed(error: Error): void;
}

export interface MeterImagesOptions {
  clock: Clock;
  send(command: ImageCommand): void;
  /** Whether the household's own meter is there. */
  connected(): boolean;
}

export class MeterImages {
  readonly #options: MeterImagesOptions;
  #sender: ImageSender | null = null;
  /** One at a time: the meter answers the last nonce only. */
  #questions: Question[] = [];
  #boot = 0;

  constructor(options: MeterImagesOptions) {
    this.#options = options;
  }

  /** What is on its way to the meter; null where nothing is. */
  get sender(): ImageSender | null {
    return this.#sender;
  }
  /** Carries a program to the meter; where it was broken off, it goes on. */
  install(program: Program): ImageSender {
    this.#sender = new ImageSender(program);
    return this.#sender;
  }
  stop(): void {
    this.#sender = null;
  }

  /** Asks the meter which program it runs; the same question again is one question. @throws Error where it does not answer, or cannot */
  measure(nonce: Uint8Array): Promise<Measurement> {
    const same = this.#questions.find((question) => Buffer.compare(question.nonce, nonce) === 0);
    if (same) return same.answer;
    const { promise, resolve, reject } = Promise.withResolvers<Measurement>();
    this.#questions.push({ nonce, answer: promise, asked: 0, askedMs: 0, answered: resolve, failed: reject });
    this.tick();
    return promise;
  }

  /** From the household's own meter. */
  receive(message: Hello | ImageState | Measurement | Refused): void {
    const nowMs = this.#options.clock.nowMs();
    if (message.type === LINK_HELLO) {
      if (message.boot !== this.#boot) this.#sender?.meterRestarted();
      if (message.boot !== this.#boot && this.#questions[0]) this.#questions[0].askedMs = 0;
      this.#boot = message.boot;
    } else if (message.type === LINK_IMAGE_STATE) {
      this.#sender?.receiveState(message, nowMs);
    } else if (message.type === LINK_MEASUREMENT) {
      if (this.#questions[0]?.asked) this.#questions.shift()!.answered(message);
    } else if (message.command === LINK_MEASURE) {
      if (this.#questions[0]?.asked)
        this.#questions.shift()!.failed(new Error('the meter cannot say which program it runs: it has no boot loader'));
    } else if (message.command >= LINK_IMAGE_BEGIN) {
      this.#sender?.receiveRefusal(message, nowMs);
    }
    this.tick();
  }

  /** About once a second, and after each message. */
  tick(): void {
    const { clock, send, connected } = this.#options;
    const nowMs = clock.nowMs();
    const [question] = this.#questions;
    if (question && connected() && nowMs - question.askedMs >= ASK_AGAIN_MS) {
      if (question.asked === ASKED_MOST) {
        this.#questions.shift();
        question.failed(new Error('the meter does not say which program it runs'));
      } else {
        question.asked++;
        question.askedMs = nowMs;
        send({ type: LINK_MEASURE, nonce: question.nonce });
      }
    }
    if (this.#sender && connected()) for (const command of this.#sender.take(nowMs)) send(command as ImageCommand);
  }

  close(): void {
    for (const { failed } of this.#questions.splice(0)) failed(new Error('the gateway stops'));
  }
}
