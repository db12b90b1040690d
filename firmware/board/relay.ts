/** The relay's pin. (Espruino dialect; touches Espruino's globals) */
import { PIN_RELAY } from '../../hardware/pins.ts';

/** High is on; the pin becomes an output with the first word. */
export function setRelayPin(on: boolean): void {
  digitalWrite(PIN_RELAY, on);
}
