/**
 * The flash chip behind Espruino's Flash module: pages erase to ones, a write only clears bits and goes word by word.
 * Power may fail inside of any operation. Evaluated inside the board's realm (see natives.ts); it must not close over
 * anything.
 */
export interface FlashConfig {
  /** The regions that are wired up, whole pages; writing anywhere else is an error. */
  regions: { address: number; length: number }[];
  pageLength: number;
  /** How long the chip is busy erasing a page, ms. */
  eraseMs: number;
}
export interface FlashControls {
  /** What `require('Flash')` gives. */
  module: object;
  /** The regions, one behind the other, live. */
  image: Uint8Array;
  /** A piece of it as the interpreter sees it where it is mapped, one character per byte. */
  text(address: number, length: number): string;
  operations(): number;
  /** Power fails in the operation after `after` more, in the way `kind` says (PowerCut in virtual-board.ts). */
  arm(after: number, kind: string, words: number): void;
}

/**
 * @param power what the chip asks of the board: is it on, let it fail, time that passes
 * @param random 0 … 1, for torn bits
 */
export function flashNatives(
  config: FlashConfig,
  power: { need(): void; fail(): Error; wait(ms: number): void },
  random: () => number,
): FlashControls {
  const { regions, pageLength } = config;
  let total = 0;
  for (let i = 0; i < regions.length; i++) total += regions[i].length;
  const image = new Uint8Array(total);
  image.fill(255);
  let operations = 0;
  let armedAfter = -1;
  let armedKind = '';
  let armedWords = 0;

  const noise = () => Math.floor(random() * 256);
  /** Where in the image; −1 where it is in none of the regions. */
  const locate = (address: number, length: number): number => {
    let before = 0;
    for (let i = 0; i < regions.length; i++) {
      const region = regions[i];
      if (address >= region.address && address + length <= region.address + region.length)
        return before + address - region.address;
      before += region.length;
    }
    return -1;
  };
  const located = (address: number, length: number): number => {
    const at = locate(address, length);
    if (at < 0) throw new Error(`no flash for this board at 0x${address.toString(16)}`);
    return at;
  };
  const byteAt = (address: number): number => {
    const at = locate(address, 1);
    return at < 0 ? 255 : image[at];
  };
  /** Counts an operation; true where power fails in it. */
  const fails = () => {
    power.need();
    operations++;
    return armedAfter >= 0 && armedAfter-- === 0;
  };

  /** Whole words, in ascending order. */
  const writeWords = (bytes: Uint8Array, address: number) => {
    const at = located(address, bytes.length);
    if (!fails()) {
      for (let i = 0; i < bytes.length; i++) image[at + i] &= bytes[i];
      return;
    }
    const whole = armedKind === 'nothing' ? 0 : Math.min(bytes.length, armedWords * 4);
    for (let i = 0; i < whole; i++) image[at + i] &= bytes[i];
    if (armedKind === 'torn')
      for (let i = whole; i < whole + 4 && i < bytes.length; i++) image[at + i] &= bytes[i] | noise();
    throw power.fail();
  };

  const erase = (address: number) => {
    const start = located(address - (address % pageLength), pageLength);
    if (!fails()) {
      image.fill(255, start, start + pageLength);
      power.wait(config.eraseMs);
      return;
    }
    const done = armedKind === 'nothing' ? 0 : Math.min(pageLength, armedWords * 4);
    image.fill(255, start, start + done);
    if (armedKind === 'torn') for (let i = start + done; i < start + pageLength; i++) image[i] = noise();
    throw power.fail();
  };

  const bytesOf = (data: unknown): Uint8Array => {
    if (data instanceof Uint8Array) return data;
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const list = typeof data === 'number' ? [data] : (data as string | number[]);
    const bytes = new Uint8Array(list.length);
    for (let i = 0; i < list.length; i++) bytes[i] = typeof list === 'string' ? list.charCodeAt(i) : list[i];
    return bytes;
  };

  return {
    image,
    text(address, length) {
      const at = located(address, length);
      let text = '';
      for (let i = 0; i < length; i++) text += String.fromCharCode(image[at + i]);
      return text;
    },
    operations: () => operations,
    arm(after, kind, words) {
      armedAfter = after;
      armedKind = kind;
      armedWords = words;
    },
    module: {
      getPage: (address: number) => ({ addr: address - (address % pageLength), length: pageLength }),
      /** As the port answers, which is wrong: one range lies inside Storage, one overlaps nvs. */
      getFree: () => [
        { addr: 0xe000, length: 0x2000 },
        { addr: 0x310000, length: 0x10000 },
        { addr: 0x360000, length: 0xa0000 },
      ],
      erasePage: erase,
      read(length: number, address: number) {
        power.need();
        if (length <= 0) return undefined;
        const out = new Uint8Array(length);
        const at = locate(address, length);
        for (let i = 0; i < length; i++) out[i] = at < 0 ? byteAt(address + i) : image[at + i];
        return out;
      },
      write(data: unknown, address: number) {
        if (data === undefined) throw new Error('Data is not defined');
        const bytes = bytesOf(data);
        const length = bytes.length;
        const head = Math.min((4 - (address & 3)) & 3, length);
        const tail = (length - head) & 3;
        // unaligned ends are read, merged and written as words of their own: up to three operations
        const mergeWord = (from: number, to: number) => {
          const start = (address + from) & ~3;
          const word = new Uint8Array(4);
          for (let i = 0; i < 4; i++) word[i] = byteAt(start + i);
          for (let i = from; i < to; i++) word[address + i - start] = bytes[i];
          writeWords(word, start);
        };
        if (head) mergeWord(0, head);
        if (length - head - tail) writeWords(bytes.subarray(head, length - tail), address + head);
        if (tail) mergeWord(length - tail, length);
      },
    },
  };
}
