/** Uptime, the watchdog and the chip's number. (Espruino dialect; touches Espruino's globals) */

/** A tick takes a fraction of a second; after so many without one the chip starts anew. */
const WATCHDOG_S = 30;
const startS = getTime();

/** Whole ms since this program began; goes forward only. */
export function uptimeMs(): number {
  return Math.round((getTime() - startS) * 1000);
}

export function startWatchdog(): void {
  E.enableWatchdog(WATCHDOG_S, false);
}
export function kickWatchdog(): void {
  E.kickWatchdog();
}

/** 16 hex digits from the chip's number. */
export function meterId(): string {
  return getSerial().replaceAll('-', '').toLowerCase().padStart(16, '0').slice(-16);
}
