/**
 * The boot loader: `.bootcde` in Storage, written once and never by an update. It starts a program from where it lies in flash.
 * (Espruino dialect)
 *
 * A program on trial has to confirm itself (firmware/update/image-receiver.ts): one that hangs is ended by the watchdog, one
 * that runs but does not confirm itself by a timer of this loader's; after TRIALS starts the one before it runs again. Wrapped
 * in a function by the build, so that none of its names meets one of the program's.
 */
import { FIRST_PROGRAM, imageAreas } from '../board/images.ts';
import type { Choice } from './choose-image.ts';
import { chooseImage } from './choose-image.ts';
import type { ImageArea } from './image-area.ts';

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

let program: string | undefined;
if (choice) {
  const area = areas[choice.area];
  program = area.text(0, choice.head.length);
  global.bootedImage = {
    area: choice.area,
    version: choice.head.version,
    length: choice.head.length,
    trial: choice.trial,
  };
  if (choice.trial) {
    setTimeout(() => {
      if (!area.isConfirmed()) E.reboot();
    }, TRIAL_MS);
  }
} else {
  program = require('Storage').read(FIRST_PROGRAM);
  if (program) global.bootedImage = { area: -1, version: 0, length: program.length, trial: false };
}
if (program) setTimeout(program, 1);
else print('boot loader: no program');
