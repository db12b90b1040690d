/**
 * Live values to every open tab, as server-sent events (live-events.ts): values at most once a second, however fast the
 * meter's clock is driven; the status when it changes and with every beat.
 *
 * A tab that does not read (asleep, slow network) never grows the gateway's memory: for each kind of event only the
 * newest waits for it.
 */
import type { HouseholdView, LivePoint } from './household-view.ts';
import type { LiveEvent, StatusEvent } from './live-events.ts';

/** A little less than a second, so that a value per second that comes early by its jitter is not held back. */
const LIVE_EVERY_MS = 900;
/** The page takes the connection for lost after four beats without any event. */
const BEAT_MS = 2_000;
/** A tab that has not read for so long is cut off; it connects again by itself when it wakes. */
const STUCK_MS = 120_000;
/** The browser waits so long before it connects again. */
const RETRY_MS = 2_000;
const MAX_TABS = 64;

/** What of a response is used: `http.ServerResponse` and its HTTP/2 twin both are one. */
export interface EventSink {
  /** False when the sink's buffer is full: write no more until it drains. */
  write(text: string): boolean;
  end(): unknown;
  destroy(): unknown;
  on(event: 'drain' | 'close' | 'error', listener: () => void): unknown;
}

interface Tab {
  sink: EventSink;
  /** Whether its session still is valid. */
  isAllowed: () => boolean;
  /** Since when it has not drained; null while it reads. */
  blockedSinceMs: number | null;
  /** The newest event of each kind that waits for it to drain. */
  waiting: Map<string, string>;
}

export class LiveStream {
  readonly #view: HouseholdView;
  readonly #tabs = new Set<Tab>();
  #stopListening: (() => void) | null = null;
  #beat: NodeJS.Timeout | null = null;
  #trailing: NodeJS.Timeout | null = null;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #statusSent = '';

  constructor(view: HouseholdView) {
    this.#view = view;
  }

  get tabs(): number {
    return this.#tabs.size;
  }

  /** Whether one more may be attached. */
  get hasRoom(): boolean {
    return this.#tabs.size < MAX_TABS;
  }

  /** Sends what is known now, then every change, until the sink closes or `isAllowed` says no. */
  attach(sink: EventSink, isAllowed: () => boolean): void {
    const tab: Tab = { sink, isAllowed, blockedSinceMs: null, waiting: new Map() };
    sink.on('drain', () => this.#drained(tab));
    sink.on('close', () => this.#detach(tab));
    sink.on('error', () => this.#detach(tab));
    this.#tabs.add(tab);
    this.#start();
    sink.write(`retry: ${RETRY_MS}\n\n`);
    this.#write(tab, 'status', event('status', this.#status()));
    const point = this.#view.latest();
    if (point) this.#write(tab, 'live', event('live', this.#live(point)));
  }

  /** Ends the streams of sessions that are no longer valid. */
  prune(): void {
    for (const tab of this.#tabs) {
      if (tab.isAllowed()) continue;
      tab.sink.end();
      this.#detach(tab);
    }
  }

  close(): void {
    for (const tab of this.#tabs) {
      tab.sink.end();
      this.#detach(tab);
    }
  }

  /** Listens to the household only while someone looks. */
  #start(): void {
    this.#stopListening ??= this.#view.onLive((point) => this.#onLive(point));
    this.#beat ??= setInterval(() => this.#onBeat(), BEAT_MS).unref();
  }

  #detach(tab: Tab): void {
    tab.waiting.clear();
    if (!this.#tabs.delete(tab) || this.#tabs.size > 0) return;
    this.#stopListening?.();
    this.#stopListening = null;
    if (this.#beat) clearInterval(this.#beat);
    if (this.#trailing) clearTimeout(this.#trailing);
    this.#beat = this.#trailing = null;
  }

  #onLive(point: LivePoint): void {
    if (this.#trailing) return; // The newest is read when it fires.
    const waitMs = this.#sentAtMs + LIVE_EVERY_MS - performance.now();
    if (waitMs <= 0) {
      this.#sendLive(point);
      return;
    }
    this.#trailing = setTimeout(() => {
      this.#trailing = null;
      const newest = this.#view.latest();
      if (newest) this.#sendLive(newest);
    }, waitMs).unref();
  }

  #sendLive(point: LivePoint): void {
    this.#sentAtMs = performance.now();
    this.#broadcast('live', this.#live(point));
    // A change of the connection shows at the next value, not only at the next beat.
    const { meter, grid, pendingReports } = this.#view.connection();
    if (`${meter} ${grid} ${pendingReports}` !== this.#statusSent) this.#broadcast('status', this.#status());
  }

  #onBeat(): void {
    this.prune();
    for (const tab of this.#tabs) {
      if (tab.blockedSinceMs === null || performance.now() - tab.blockedSinceMs < STUCK_MS) continue;
      tab.sink.destroy();
      this.#detach(tab);
    }
    this.#broadcast('status', this.#status());
  }

  #live(point: LivePoint): LiveEvent {
    return { ...point, nowMs: this.#view.nowMs() };
  }

  #status(): StatusEvent {
    const { meter, grid, pendingReports } = this.#view.connection();
    this.#statusSent = `${meter} ${grid} ${pendingReports}`;
    return { nowMs: this.#view.nowMs(), meter, grid, pendingReports };
  }

  #broadcast(kind: string, value: object): void {
    const text = event(kind, value);
    for (const tab of this.#tabs) this.#write(tab, kind, text);
  }

  #write(tab: Tab, kind: string, text: string): void {
    if (tab.blockedSinceMs !== null) tab.waiting.set(kind, text);
    else if (!tab.sink.write(text)) tab.blockedSinceMs = performance.now();
  }

  #drained(tab: Tab): void {
    tab.blockedSinceMs = null;
    const waiting = [...tab.waiting];
    tab.waiting.clear();
    for (const [kind, text] of waiting) this.#write(tab, kind, text);
  }
}

const event = (kind: string, value: object): string => `event: ${kind}\ndata: ${JSON.stringify(value)}\n\n`;
