/**
 * The page's line to its gateway: the live stream, with a watchdog that connects again by itself.
 */
import { request } from '../../../web/page/request.ts';
import type { LiveEvent, StatusEvent } from '../live-events.ts';

/** The gateway says something at least every 2 s: after so long without it the line is dead. */
const SILENT_MS = 8_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 10_000;

export interface Listener {
  live: (value: LiveEvent) => void;
  status: (status: StatusEvent) => void;
  /** The line to the gateway is there, or lost. */
  line: (connected: boolean) => void;
}

export function listen(listener: Listener): void {
  let source: EventSource | null = null;
  let heardMs = performance.now();
  let retryMs = RETRY_FIRST_MS;
  let retry: ReturnType<typeof setTimeout> | undefined;

  const heard = () => {
    heardMs = performance.now();
    retryMs = RETRY_FIRST_MS;
  };
  const connect = () => {
    clearTimeout(retry);
    source?.close();
    heardMs = performance.now();
    source = new EventSource('/api/live');
    source.addEventListener('open', () => listener.line(true));
    source.addEventListener('error', lost);
    source.addEventListener('live', (event) => {
      heard();
      listener.live(JSON.parse(event.data));
    });
    source.addEventListener('status', (event) => {
      heard();
      listener.status(JSON.parse(event.data));
    });
  };
  const lost = () => {
    source?.close();
    listener.line(false);
    clearTimeout(retry);
    retry = setTimeout(async () => {
      // The stream does not tell why it failed: a plain request does, and leads to the login if that is why.
      try {
        await request('/api/status');
      } catch {}
      connect();
    }, retryMs);
    retryMs = Math.min(RETRY_MOST_MS, retryMs * 2);
  };

  setInterval(() => {
    if (source?.readyState === EventSource.OPEN && performance.now() - heardMs > SILENT_MS) lost();
  }, 2_000);
  // A phone that wakes up does not wait for the watchdog.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && performance.now() - heardMs > SILENT_MS) connect();
  });
  connect();
}
