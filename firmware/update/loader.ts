/**
 * The boot loader: `.bootcde` in Storage, written once and never by an update. It starts a program from where it lies in flash.
 * (Espruino dialect)
 *
 * A program on trial has to confirm itself (firmware/update/image-receiver.ts): one that hangs is ended by the watchdog, one
 * that runs but does not confirm itself by a timer of this loader's; after TRIALS starts the one before it runs again. Wrapped
 * in a function by the build, so that none of its names meets one of the program's.
 */
import { FIRST_PROGRAMS } from '../../hardware/flash.ts';
import { imageAreas, programLength } from '../board/images.ts';
import type { Choice } from './choose-image.ts';
import { chooseImage } from './choose-image.ts';
import type { ImageArea } from './image-area.ts';
import { LINE_MOST_CHARS, partStarts } from './parts.ts';

/** Until then a program on trial must have confirmed itself. A gateway may be away for a quarter hour. */
const TRIAL_MS = 1200000;
/** A program that does not kick within so long hangs. */
const WATCHDOG_S = 30;

E.enableWatchdog(WATCHDOG_S, false);

let areas: ImageArea[] = [];
let choice: Choice | null = null;
try {
  areas = imageAreas();
  choice = chooseImage(areas);
} catch (error) {
  print('boot loader: ' + error);
}

/** A piece of the program, in place. */
let text: ((offset: number, length: number) => string | undefined) | null = null;
let length = 0;
if (choice) {
  const area = areas[choice.area];
  length = choice.head.length;
  text = (offset, count) => area.text(offset, count);
  global.bootedImage = {
    area: choice.area,
    version: choice.head.version,
    length: length,
    trial: choice.trial,
  };
  if (choice.trial) {
    setTimeout(() => {
      if (!area.isConfirmed()) E.reboot();
    }, TRIAL_MS);
  }
} else {
  const storage = require('Storage');
  for (let i = 0; i < FIRST_PROGRAMS.length && length === 0; i++) {
    const name = FIRST_PROGRAMS[i];
    const head = storage.read(name, 0, LINE_MOST_CHARS);
    if (!head) continue;
    const starts = partStarts(head);
    length = programLength(name, starts[starts.length - 1]);
    if (length > 0) global.bootedImage = { area: -1 - i, version: 0, length: length, trial: false };
  }
  const booted = global.bootedImage;
  if (booted) text = (offset, count) => storage.read(FIRST_PROGRAMS[-1 - booted.area], offset, count);
}
if (text) {
  const starts = partStarts(text(0, Math.min(LINE_MOST_CHARS, length))!);
  // in the order of these calls, one after the other
  for (let i = 0; i < starts.length; i++) {
    const end = i + 1 < starts.length ? starts[i + 1] : length;
    setTimeout(text(starts[i], end - starts[i])!, 1);
  }
} else print('boot loader: no program');
