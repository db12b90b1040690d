/**
 * The ESP32's ADC1 at 11 dB attenuation, 12 bits. (Espruino dialect: the firmware imports this file.)
 *
 * Volts at a code, as Espressif's line fitting has it (ESP-IDF, components/esp_adc_cal, esp32: adc1_vref_atten_scale
 * 196602, adc1_vref_atten_offset 142, lut_adc1_low/high), for a reference of 1,100 mV: a dead zone, a straight line, and
 * a bend above code 2880. What a single chip does differently (INL) is unknown before it is calibrated.
 */
export const ADC_CODES = 4096;

/** Every voltage up to this one reads 0. */
export const ADC_DEAD_ZONE_V = 0.142;
/** Volts per code on the straight part: 1.1 V × 196602 / 65536 / 4096. */
export const ADC_LSB_V = 0.000805636;
/** Above this code the line bends. */
export const ADC_BEND_CODE = 2880;
export const ADC_BEND_STEP_CODES = 64;
/** Volts at codes 2880, 2944, … 4096: half-way between the tables for references of 1,000 and 1,200 mV. */
export const ADC_BEND_V = [
  2.4535, 2.5015, 2.5485, 2.5925, 2.635, 2.678, 2.7185, 2.7585, 2.796, 2.8325, 2.868, 2.9005, 2.932, 2.9635, 2.9935,
  3.0235, 3.052, 3.08, 3.107, 3.1345,
];

/** Standard deviation of one conversion. */
export const ADC_NOISE_LSB = 4;
/** Integral non-linearity of an ordinary chip, and of a bad one. Its shape is assumed. */
export const ADC_INL_LSB = 6;
export const ADC_INL_BAD_LSB = 12;

/** From one conversion to the next within `pins.map(analogRead)`: the interpreter's call and the conversion itself. */
export const ADC_SAMPLE_S = 80e-6;
/** Standard deviation of that time. */
export const ADC_JITTER_S = 2e-6;
/** So many conversions wait for an interrupt, for so long. */
export const ADC_LATE_SHARE = 0.01;
export const ADC_LATE_S = 20e-6;
