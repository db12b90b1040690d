/**
 * The parts of the flash chip that the meter owns, as data: the journal's, and where the board has room for them two areas for
 * programs that come over the line, and one for what is worth money. (Espruino dialect: the firmware imports this file.)
 */
export interface FlashRegion {
  /** First byte, as Espruino's Flash module counts. */
  address: number;
  /** The smallest unit that can be erased. */
  pageBytes: number;
  pageCount: number;
  /** What is written is whole words; a write only clears bits. */
  wordBytes: number;
}

/**
 * Lies outside Storage, nvs and the program in both partition layouts of Espruino 2v29 for the ESP32. What the port's own
 * `getFree()` answers is wrong: one of its ranges lies inside Storage, another overlaps nvs. A build with a larger free range
 * states it here; from 64 pages on the registers are kept every second instead of every ten.
 */
export const JOURNAL_REGION: FlashRegion = { address: 0x310000, pageBytes: 4096, pageCount: 16, wordBytes: 4 };

/** Which parts a build of Espruino leaves to us. */
export interface FlashLayout {
  /** How large Storage is, which begins at STORAGE_ADDRESS: by that a build is told from another. */
  storageBytes: number;
  journal: FlashRegion;
  /** None, or two areas for programs, in the part of the chip that the interpreter can run from. */
  images: FlashRegion[];
  /** The vault's (firmware/wallet/vault.ts); null: this board keeps no credentials, coins or tokens. */
  wallet: FlashRegion | null;
}

/** Storage's first byte, and its size in the stock build: 224 pages, to the end of the chip. */
export const STORAGE_ADDRESS = 0x320000;
const STOCK_STORAGE_BYTES = 0xe0000;
/** What is left of it on a board that takes updates and has a wallet: 112 pages. */
const UPDATE_STORAGE_BYTES = 0x70000;

/** The stock build of Espruino 2v29 for the ESP32. Its program is replaced over the console only, and it has no wallet. */
export const STOCK_LAYOUT: FlashLayout = {
  storageBytes: STOCK_STORAGE_BYTES,
  journal: JOURNAL_REGION,
  images: [],
  wallet: null,
};

/**
 * A build whose `boards/ESP32.py` says `'pages': 112` instead of 224 under `saved_code`, with the partition table as it is. Storage
 * then ends at 0x390000; the partition `storage` still reaches to 0x400000, and the interpreter maps all of that partition into
 * its address space: what lies in the last 112 pages belongs to nobody, and can be run in place. (What lies outside of the
 * partition, as the journal does, cannot: the port computes every mapped address from the partition's beginning.)
 * 48 of them are the wallet's, 64 the programs'. Each area of these: one page that says what is in it, then up to 31 pages,
 * IMAGE_MOST_BYTES.
 */
export const UPDATE_LAYOUT: FlashLayout = {
  storageBytes: UPDATE_STORAGE_BYTES,
  journal: JOURNAL_REGION,
  images: [
    { address: 0x3c0000, pageBytes: 4096, pageCount: 32, wordBytes: 4 },
    { address: 0x3e0000, pageBytes: 4096, pageCount: 32, wordBytes: 4 },
  ],
  wallet: { address: 0x390000, pageBytes: 4096, pageCount: 48, wordBytes: 4 },
};

/** The layout of a build by the size of its Storage. */
export function layoutOf(storageBytes: number): FlashLayout {
  return storageBytes === UPDATE_STORAGE_BYTES ? UPDATE_LAYOUT : STOCK_LAYOUT;
}

/** What an area holds besides its first page. The interpreter runs it in parts (firmware/update/parts.ts). */
export const IMAGE_MOST_BYTES = 126976;

/**
 * Storage's file with the program that the meter was commissioned with. There are two names, so that commissioning it anew
 * (scripts/flash) leaves the old one whole until the new one is.
 */
export const FIRST_PROGRAMS = ['firmware', 'firmware.b'];

/** Erases that a page is good for (serial NOR flash on the usual modules: 100,000). */
export const PAGE_ENDURANCE_ERASES = 100000;
/** How long the chip is busy with one erase, during which nothing runs: typical, and the data sheet's worst case. */
export const ERASE_TYPICAL_MS = 45;
export const ERASE_WORST_MS = 400;
