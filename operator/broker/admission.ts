/**
 * How many connections one network address may have and how fast it may open them. Counted before TLS, whose handshake is what a
 * flood would cost most.
 */
import { TokenBucket } from './token-bucket.ts';

export interface ConnectionLimits {
  connectionsPerAddress: number;
  /** Also how many may come at once. */
  newConnectionsPerSecond: number;
}

interface Source {
  open: number;
  bucket: TokenBucket;
}

/** Sources that are remembered at most; beyond it those without a connection are forgotten. */
const SOURCES_MOST = 10_000;

export class Admission {
  readonly #limits: ConnectionLimits;
  readonly #nowMs: () => number;
  readonly #sources = new Map<string, Source>();

  constructor(limits: ConnectionLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Whether a connection from this network address may go on; whoever got a yes calls `leave` when it ends. */
  enter(address: string): boolean {
    const source = this.#source(address);
    if (!source.bucket.take() || source.open >= this.#limits.connectionsPerAddress) return false;
    source.open++;
    return true;
  }

  leave(address: string): void {
    const source = this.#sources.get(address);
    if (source) source.open--;
  }

  #source(address: string): Source {
    let source = this.#sources.get(address);
    if (!source) {
      if (this.#sources.size >= SOURCES_MOST) this.#forget();
      const perSecond = this.#limits.newConnectionsPerSecond;
      source = { open: 0, bucket: new TokenBucket(perSecond, perSecond, this.#nowMs) };
      this.#sources.set(address, source);
    }
    return source;
  }

  #forget(): void {
    for (const [address, { open, bucket }] of this.#sources)
      if (open === 0 && bucket.full) this.#sources.delete(address);
  }
}
