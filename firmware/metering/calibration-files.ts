/**
 * Where the calibration lies: three files of Storage, of which the one with the highest number that is whole and right is in force.
 * (Espruino dialect; Storage is passed in)
 *
 *   calibration                     as the meter was commissioned; never written here
 *   calibration.a, calibration.b    by turns: the one before is left as it is
 */
import type { Calibration } from './calibration.ts';
import { checkCalibration, nominalCalibration } from './calibration.ts';

export const CALIBRATION_FILES = ['calibration', 'calibration.a', 'calibration.b'];

/** What of Storage is needed. */
export interface CalibrationStorage {
  readJSON(name: string, noExceptions: boolean): unknown;
  read(name: string): string | undefined;
  write(name: string, data: Uint8Array): boolean;
}

export class CalibrationFiles {
  storage: CalibrationStorage;
  /** Index of the file in force; −1: none, the board as drawn. */
  file = -1;
  number = 0;
  /** What was wrong with a file that was passed over; empty where none was. */
  complaint = '';

  constructor(storage: CalibrationStorage) {
    this.storage = storage;
  }

  /** To be called once, at the start. */
  open(): Calibration {
    let best = nominalCalibration();
    for (let i = 0; i < CALIBRATION_FILES.length; i++) {
      const found = this.read(i);
      if (found && (this.file < 0 || (found.number || 0) >= this.number)) {
        best = found;
        this.file = i;
        this.number = found.number || 0;
      }
    }
    return best;
  }

  /** What is in force, as it is stored; empty where there is none. */
  text(): string {
    return this.file < 0 ? '' : this.storage.read(CALIBRATION_FILES[this.file]) || '';
  }

  /** Whether it is stored, and will be in force at the next start. */
  keep(text: Uint8Array): boolean {
    const at = this.file === 1 ? 2 : 1;
    this.storage.write(CALIBRATION_FILES[at], text);
    const found = this.read(at);
    return found !== null && (found.number || 0) > this.number;
  }

  read(file: number): Calibration | null {
    try {
      const document = this.storage.readJSON(CALIBRATION_FILES[file], true);
      return document === undefined ? null : checkCalibration(document);
    } catch (error) {
      this.complaint = CALIBRATION_FILES[file] + ': ' + error;
      return null;
    }
  }
}
