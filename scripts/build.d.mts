export interface Firmware {
  /** What is put on the board. */
  code: string;
  /** Source map, JSON. */
  map: string;
  /** SHA-256 of the code before its first 16 digits were put into it, hex. */
  digest: string;
}
/** Builds the firmware in memory; kept for the life of the process, by entry file. */
export function buildFirmware(options?: {
  /** Another main file (tests), relative to the project or absolute. */
  entry?: string;
}): Promise<Firmware>;
/** The boot loader (firmware/update/loader.ts), wrapped in a function; kept likewise. */
export function buildLoader(): Promise<Firmware>;
