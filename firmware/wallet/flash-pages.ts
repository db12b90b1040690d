/**
 * Raw flash as the journal sees it: pages that erase to ones, writes that only clear bits, in whole words of 4 bytes.
 * firmware/board/flash.ts binds it to the chip; tests have one in memory. Power may fail inside of `write` and `erase`; then
 * a leading part of the words is there, one more may have any of its bits, and a page half erased may hold anything.
 */
export interface FlashPages {
  pageBytes: number;
  pageCount: number;
  /** `offset` and `length` in bytes, multiples of 4. */
  read(page: number, offset: number, length: number): Uint8Array;
  /** `offset` and `bytes.length` are multiples of 4. Words are written in ascending order. */
  write(page: number, offset: number, bytes: Uint8Array): void;
  /** The chip does nothing else meanwhile: 45 ms, at worst 400 ms. */
  erase(page: number): void;
}

/** What the journal leaves to native code, so that a page of some hundred entries is read in a few calls. */
export interface JournalNatives {
  /** CRC-32 as in zlib, unsigned. */
  crc32(bytes: Uint8Array): number;
  /** Σ bytes[i] · weights[i mod weights.length] */
  dot(bytes: Uint8Array, weights: Int32Array): number;
}
