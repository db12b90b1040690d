/**
 * The meter's half of the session STORE: values that the gateway keeps under the meter's seal. (Espruino dialect; everything it needs is
 * passed in)
 *
 * A request stays until it is answered, and is said again after 10 s … 5 min. Requests live in memory: whoever makes one knows from
 * the vault, after a start, that it has to be made again. Nothing that the gateway says is believed: what it gives has to open under
 * the version that the meter asked for, and that it keeps something can only be tried out. So whatever must not be lost stays in the
 * vault until what it was needed for is done.
 */
import type { StoreMessage } from '../../protocol/wire/sealed-values.ts';
import {
  decodeStoreMessage,
  encodeStoreMessage,
  STORE_ABSENT,
  STORE_GET,
  STORE_KEPT,
  STORE_PUT,
  STORE_REMOVE,
  STORE_VALUE,
} from '../../protocol/wire/sealed-values.ts';
import { SESSION_STORE } from '../../protocol/wire/sessions.ts';
import { FIRST_RETRY_MS, LAST_RETRY_MS } from '../link/record-sender.ts';
import type { Sealer } from '../wallet/sealed.ts';
import type { Session } from './hub.ts';

/** Requests at a time: each holds up to 2 kB of memory. */
export const STORE_REQUESTS_MOST = 8;

interface Request {
  type: number;
  kind: number;
  id: number;
  version: number;
  body: Uint8Array;
  done: (value: Uint8Array | null) => void;
  retryMs: number;
  dueMs: number;
}

export class SealedValues implements Session {
  id = SESSION_STORE;
  sealer: Sealer;
  /** Whether there was room for it. */
  say: (body: Uint8Array) => boolean;
  requests: Request[] = [];
  /** Answers that nobody had asked for, or that were not what they should have been. */
  refused = 0;

  constructor(sealer: Sealer, say: (body: Uint8Array) => boolean) {
    this.sealer = sealer;
    this.say = say;
  }

  /** Each of these: false, and nothing happens, where too many requests wait. `done` is called at most once. */
  put(kind: number, id: number, version: number, value: Uint8Array, done: () => void): boolean {
    if (this.requests.length >= STORE_REQUESTS_MOST) return false;
    return this.ask(STORE_PUT, kind, id, version, this.sealer.sealValue(kind, id, version, value), done);
  }
  /** `done` gets null where the gateway has not, or gave something else: it may be asked again. */
  get(kind: number, id: number, version: number, done: (value: Uint8Array | null) => void): boolean {
    return this.ask(STORE_GET, kind, id, version, null, done);
  }
  remove(kind: number, id: number, version: number, done: () => void): boolean {
    return this.ask(STORE_REMOVE, kind, id, version, null, done);
  }

  ask(
    type: number,
    kind: number,
    id: number,
    version: number,
    sealed: Uint8Array | null,
    done: (value: Uint8Array | null) => void,
  ): boolean {
    if (this.requests.length >= STORE_REQUESTS_MOST) return false;
    const body = encodeStoreMessage({ type: type, kind: kind, id: id, version: version, sealed: sealed });
    this.requests.push({
      type: type,
      kind: kind,
      id: id,
      version: version,
      body: body,
      done: done,
      retryMs: FIRST_RETRY_MS,
      dueMs: 0,
    });
    return true;
  }

  receive(body: Uint8Array): void {
    let answer: StoreMessage;
    try {
      answer = decodeStoreMessage(body);
    } catch (_) {
      this.refused++;
      return;
    }
    const at = this.requests.findIndex((request) => answers(answer, request));
    if (at < 0) {
      this.refused++; // the second answer to what was said twice, too
      return;
    }
    const request = this.requests[at];
    let value: Uint8Array | null = null;
    if (answer.type === STORE_VALUE) {
      value = this.sealer.openSealed(request.kind, request.id, request.version, answer.sealed!);
      if (!value) this.refused++;
    }
    this.requests.splice(at, 1);
    request.done(value);
  }

  tick(_unixMs: number, uptimeMs: number): void {
    for (const request of this.requests) {
      if (uptimeMs >= request.dueMs && this.say(request.body)) {
        request.dueMs = uptimeMs + request.retryMs;
        request.retryMs = Math.min(2 * request.retryMs, LAST_RETRY_MS);
      }
    }
  }
}

function answers(answer: StoreMessage, request: Request): boolean {
  if (answer.kind !== request.kind || answer.id !== request.id) return false;
  if (request.type === STORE_PUT) return answer.type === STORE_KEPT && answer.version >= request.version;
  if (answer.version !== request.version) return false;
  if (request.type === STORE_GET) return answer.type === STORE_VALUE || answer.type === STORE_ABSENT;
  return answer.type === STORE_ABSENT;
}
