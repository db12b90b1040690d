/**
 * Which pin of the ESP32 is wired to what. GPIO numbers, as Espruino takes them in place of `D34`.
 * (Espruino dialect: the firmware imports this file.)
 *
 * Voltage and current have to be on ADC1 (GPIO 32–39): ADC2 is taken by the radio. 34–39 are inputs only and have no
 * pull-ups, so nothing on the board can load the sensors through them.
 */

/** ADC1 channel 6: secondary of the voltage transformer, on its bias. */
export const PIN_VOLTAGE = 34;
/** ADC1 channel 7: burden of the current transformer, on its bias. */
export const PIN_CURRENT = 35;

/**
 * Voltage and current of each phase, where three are measured. A voltage of its own for each: taken from another phase's by turning it
 * a third of a cycle, it would be wrong by whatever the phases differ, and no bill may rest on that.
 */
export const PHASE_PINS: [voltage: number, current: number][] = [
  [PIN_VOLTAGE, PIN_CURRENT],
  [36, 32],
  [39, 33],
];

/** GPIO 32–39 are channels 4–7 and 0–3 of ADC1. */
export const ADC1_PINS = [36, 37, 38, 39, 32, 33, 34, 35];

/** A serial port: Espruino's name for it and its wires, seen from the ESP32. */
export interface UartPins {
  port: string;
  rx: number;
  tx: number;
  baud: number;
}

/** The gateway, a metre of cable away. UART 2's usual pins on boards without PSRAM. */
export const UART_GATEWAY: UartPins = { port: 'Serial2', rx: 16, tx: 17, baud: 115200 };
/** The power-line modem (not used yet). */
export const UART_MODEM: UartPins = { port: 'Serial3', rx: 26, tx: 25, baud: 9600 };

/** Relay of a switched load. High is on; low at reset, until the firmware runs (not a strapping pin). */
export const PIN_RELAY = 27;
/** The board's own LED: one blink per Wh, as on any electricity meter. */
export const PIN_LED = 2;
