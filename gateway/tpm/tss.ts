/**
 * tpm2-tss's shared libraries, loaded by FFI when they are first needed.
 */
import koffi, { type LibraryHandle } from 'koffi';
import { TpmError } from './error.ts';

const LIBRARIES = {
  esys: 'libtss2-esys.so.0',
  mu: 'libtss2-mu.so.0',
  rc: 'libtss2-rc.so.0',
  tctildr: 'libtss2-tctildr.so.0',
} as const;

/** What to install where they are missing (names of Debian 12 and Raspberry Pi OS 12). */
export const DEBIAN_PACKAGES =
  'libtss2-esys-3.0.2-0 libtss2-mu0 libtss2-rc0 libtss2-tctildr0 libtss2-tcti-device0 libtss2-tcti-swtpm0';

/** A C function: called, it blocks; its `.async` runs on a thread. */
export type CFunction = ReturnType<LibraryHandle['func']>;

export type Tss = Record<keyof typeof LIBRARIES, LibraryHandle> & {
  /** A return code in words. */
  decode(rc: number): string;
};

let loaded: Tss | undefined;

/**
 * The library would write its errors to stderr, which is not ours to fill; every error is thrown instead. It reads the
 * process's own environment, of which a worker thread's process.env is but a copy. Where it is set, it stays.
 */
function silence(): void {
  koffi.load(null).func('int setenv(const char* name, const char* value, int overwrite)')('TSS2_LOG', 'all+NONE', 0);
}

/** @throws TpmError of kind `no library` */
export function loadTss(load: (name: string) => LibraryHandle = koffi.load): Tss {
  if (loaded && load === koffi.load) return loaded;
  silence();
  const handles = Object.fromEntries(
    Object.entries(LIBRARIES).map(([part, name]) => {
      try {
        return [part, load(name)];
      } catch (error) {
        const message = `${name} cannot be loaded: install tpm2-tss (apt install ${DEBIAN_PACKAGES})`;
        throw new TpmError('no library', message, 0, error);
      }
    }),
  ) as Record<keyof typeof LIBRARIES, LibraryHandle>;
  const decode = handles.rc.func('const char* Tss2_RC_Decode(uint32_t rc)');
  loaded = { ...handles, decode: (rc) => `${decode(rc)} (0x${rc.toString(16)})` };
  return loaded;
}
