import vm from 'node:vm';
import { createAdcModel } from './adc-model.ts';
import { type BoardControls, boardNatives, type NativesConfig } from './natives.ts';
import { cryptoNatives } from './natives-crypto.ts';
import { dspNatives } from './natives-dsp.ts';
import { flashNatives } from './natives-flash.ts';
import { languageNatives } from './natives-language.ts';
import { uint24Natives } from './natives-uint24.ts';

/**
 * The natives' source texts, put together. Types have been blanked out by the time they are functions, so the texts are
 * plain JavaScript.
 */
const natives = new vm.Script(
  `(function (configJson) {
    'use strict'; // or a function of the firmware could ask for its caller
    (${uint24Natives})();
    (${dspNatives})();
    return (${boardNatives})(configJson, {
      createAdcModel: ${createAdcModel},
      flashNatives: ${flashNatives},
      languageNatives: ${languageNatives},
      cryptoNatives: ${cryptoNatives},
    });
  })`,
  { filename: 'espruino-natives.js' },
);

/** A JavaScript world of its own, with Espruino's names in it and nothing of the host in reach. */
export class Realm {
  readonly controls: BoardControls;
  readonly #context: vm.Context;

  constructor(config: NativesConfig) {
    // An ordinary global of a fresh context: no object of the host stands behind it, and names resolve at full speed.
    // Strings never become code, so what is in the bundle's text is all that runs; the boot loader's wish to run what lies in
    // flash is heard by the host (takeProgram), which runs it as it has run the bundle.
    this.#context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
      codeGeneration: { strings: false, wasm: false },
    });
    this.controls = natives.runInContext(this.#context)(JSON.stringify(config));
  }

  run(script: vm.Script): void {
    script.runInContext(this.#context);
  }
}
