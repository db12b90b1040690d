import vm from 'node:vm';
import { type BoardControls, boardNatives, type NativesConfig } from './natives.ts';
import { dspNatives } from './natives-dsp.ts';

const script = (f: (...a: never[]) => unknown, name: string) => new vm.Script(`(${f.toString()})`, { filename: name });
const dspScript = script(dspNatives, 'natives-dsp.js');
const boardScript = script(boardNatives, 'natives.js');

/** A JavaScript world of its own, with Espruino's names in it and nothing of the host in reach. */
export class Realm {
  readonly controls: BoardControls;
  readonly #context: vm.Context;

  constructor(config: NativesConfig) {
    // An ordinary global of a fresh context: no object of the host is behind it, and names resolve at full speed.
    this.#context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
      codeGeneration: { strings: false, wasm: false },
    });
    dspScript.runInContext(this.#context)();
    this.controls = boardScript.runInContext(this.#context)(JSON.stringify(config));
  }

  /** Runs a script in the realm; what it throws is thrown. */
  run(script: vm.Script): unknown {
    return script.runInContext(this.#context);
  }
}
