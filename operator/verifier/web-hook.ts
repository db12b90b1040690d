/**
 * Tells somebody else's server that a device failed or was revoked: POST, JSON, signed by a shared key.
 *
 *   quietmeter-hook   t=<Unix s when it was sent>,v1=<HMAC-SHA256(key, "quietmeter/v1/web-hook" ‖ 00 ‖ t ‖ "." ‖ body), hex>
 *
 * The receiver checks the tag, that `t` is recent, and that it has not seen the notice's `id`. Notices wait in the verifier's
 * store until somebody took them: the server may be down for days and the verifier killed meanwhile. Nothing waits for it.
 */
import { request } from 'node:https';
import { LABELS } from '../../protocol/crypto/labels.ts';
import { mac } from '../../protocol/crypto/mac.ts';
import type { Notice, VerifierStore } from './store.ts';

export const WEB_HOOK_HEADER = 'quietmeter-hook';
/** Transport time. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 3_600_000;
const TIMEOUT_MS = 10_000;
/** What nobody took after this many attempts, about ten days, is given up. */
const ATTEMPTS_MOST = 250;

/** Resolves with the status; rejects where nobody answered. */
export type Post = (url: string, headers: Record<string, string>, body: string) => Promise<number>;

/** @param ca whom the receiver's certificate has to be of, PEM; whoever the machine believes unless told */
export const postOverHttps =
  (ca?: string): Post =>
  (url, headers, body) =>
    new Promise((resolve, reject) => {
      const options = { method: 'POST', headers, ca, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) };
      const outgoing = request(url, options, (answer) => {
        answer.resume();
        resolve(answer.statusCode!); // a redirection is none that it was taken
      });
      outgoing.once('error', reject);
      outgoing.end(body);
    });

export interface WebHookOptions {
  /** `https://…`; who hears the notices. */
  url: string;
  /** Shared with the receiver, 32 B. */
  key: Uint8Array;
  store: VerifierStore;
  post?: Post;
  /** The machine's clock: retries are transport. */
  nowMs?: () => number;
}

export class WebHook {
  readonly #options: Required<WebHookOptions>;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | null = null;
  #closed = false;

  constructor(options: WebHookOptions) {
    this.#options = { post: postOverHttps(), nowMs: () => Date.now(), ...options };
  }

  /** Looks what is to be said; returns at once. */
  wake(): void {
    if (this.#closed || this.#working) return;
    this.#working = this.#deliver()
      .catch((error: Error) => console.error(`verifier: web hook: ${error.message}`))
      .finally(() => {
        this.#working = null;
      });
  }

  /** When nothing is under way any more; for tests. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  /** In their order; the first that is not taken holds the others back. */
  async #deliver(): Promise<void> {
    const { store, nowMs } = this.#options;
    clearTimeout(this.#timer);
    for (let notice = store.nextNotice(); notice && !this.#closed; notice = store.nextNotice()) {
      const waitMs = notice.notBeforeMs - nowMs();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.wake(), waitMs).unref();
        return;
      }
      if (await this.#tell(notice)) store.noticeTaken(notice.id);
      else if (notice.attempts + 1 >= ATTEMPTS_MOST) store.noticeGivenUp(notice.id);
      else {
        const pauseMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(notice.attempts, 20));
        store.noticeRefused(notice.id, nowMs() + pauseMs);
      }
    }
  }

  async #tell({ id, content }: Notice): Promise<boolean> {
    const { url, key, post, nowMs } = this.#options;
    const body = JSON.stringify({ id, ...content });
    const headers = { 'content-type': 'application/json', [WEB_HOOK_HEADER]: signNotice(key, body, nowMs()) };
    try {
      const status = await post(url, headers, body);
      return status >= 200 && status < 300;
    } catch {
      return false; // it is down; that is what retries are for
    }
  }
}

/** The header's value. */
export function signNotice(key: Uint8Array, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000);
  const tag = mac(key, LABELS.webHook, Buffer.from(`${seconds}.${body}`));
  return `t=${seconds},v1=${Buffer.from(tag).toString('hex')}`;
}
