/**
 * The meter's half of the session CALIBRATION (protocol/wire/calibration-messages.ts): averages of what the sensors show, and the
 * document that is in force. (Espruino dialect; everything it needs is passed in)
 *
 * A new document goes to the file that is not in force, is read back and checked as at each start; only then does the meter start anew.
 * Whatever is lost on the way, the one before is still there.
 */
import type { Shown } from '../../protocol/wire/calibration-messages.ts';
import {
  CALIBRATION_DIGEST_BYTES,
  CALIBRATION_IN_FORCE,
  CALIBRATION_KEEP,
  CALIBRATION_KEPT,
  CALIBRATION_MOST_BYTES,
  CALIBRATION_REFUSED,
  CALIBRATION_TELL,
  seenMessage,
  stateMessage,
  windowsOf,
} from '../../protocol/wire/calibration-messages.ts';
import { SESSION_CALIBRATION } from '../../protocol/wire/sessions.ts';
import type { CalibrationFiles } from '../metering/calibration-files.ts';
import type { Session } from './hub.ts';

export interface CalibrationNatives {
  /** Of a text, one byte a character. */
  sha256(text: string): Uint8Array;
  bytes(text: string): Uint8Array;
}

export class CalibrationSession implements Session {
  id = SESSION_CALIBRATION;
  files: CalibrationFiles;
  /** Of the last window, live. */
  shown: Shown;
  natives: CalibrationNatives;
  say: (body: Uint8Array) => boolean;
  /** Starts the meter anew when all is in flash. */
  restart: () => void;
  windows = 0;
  wanted = 0;
  sum: Shown = { volts: 0, amps: 0, watts: 0, vars: 0, hz: 0 };
  /** Said as soon as there is room for it. */
  answer: Uint8Array | null = null;

  constructor(
    files: CalibrationFiles,
    shown: Shown,
    natives: CalibrationNatives,
    say: (body: Uint8Array) => boolean,
    restart: () => void,
  ) {
    this.files = files;
    this.shown = shown;
    this.natives = natives;
    this.say = say;
    this.restart = restart;
  }

  receive(body: Uint8Array): void {
    const windows = windowsOf(body);
    if (windows > 0) {
      this.wanted = windows;
      this.windows = 0;
      this.sum = { volts: 0, amps: 0, watts: 0, vars: 0, hz: 0 };
    } else if (body[0] === CALIBRATION_TELL && body.length === 1) {
      this.answer = this.state(CALIBRATION_IN_FORCE);
    } else if (body[0] === CALIBRATION_KEEP && body.length <= 1 + CALIBRATION_MOST_BYTES) {
      const kept = this.files.keep(body.subarray(1));
      this.answer = this.state(kept ? CALIBRATION_KEPT : CALIBRATION_REFUSED);
      if (kept) this.restart();
    }
  }

  tick(): void {
    if (this.wanted > 0) this.add();
    if (this.answer && this.say(this.answer)) this.answer = null;
  }

  add(): void {
    const sum = this.sum;
    const shown = this.shown;
    sum.volts += shown.volts;
    sum.amps += shown.amps;
    sum.watts += shown.watts;
    sum.vars += shown.vars;
    sum.hz += shown.hz;
    this.windows++;
    const n = this.windows;
    if (n < this.wanted) return;
    this.wanted = 0;
    this.answer = seenMessage(n, {
      volts: sum.volts / n,
      amps: sum.amps / n,
      watts: sum.watts / n,
      vars: sum.vars / n,
      hz: sum.hz / n,
    });
  }

  state(condition: number): Uint8Array {
    const text = this.files.text();
    const digest = text === '' ? new Uint8Array(CALIBRATION_DIGEST_BYTES) : this.natives.sha256(text);
    return stateMessage(condition, digest, this.natives.bytes(text));
  }
}
