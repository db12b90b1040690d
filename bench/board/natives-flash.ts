/**
 * The flash chip behind Espruino's Flash module: pages erase to ones, a write only clears bits and goes word by word.
 * Power may fail inside of any operation. Evaluated inside the board's realm (see natives.ts); it must not close over
 * anything.
 */
export interface FlashConfig {
  /** First byte of the region that is wired up; writing anywhere else is an error. */
  address: number;
  length: number;
  pageLength: number;
  /** How long the chip is busy erasing a page, ms. */
  eraseMs: number;
}
export interface FlashControls {
  /** What `require('Flash')` gives. */
  module: object;
  /** The region, live. */
  image: Uint8Array;
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
  const { address: base, pageLength } = config;
  const image = new Uint8Array(config.length);
  image.fill(255);
  let operations = 0;
  let armedAfter = -1;
  let armedKind = '';
  let armedWords = 0;

  const noise = () => Math.floor(random() * 256);
  const inRegion = (address: number, length: number) => address >= base && address + length <= base + image.length;
  /** Counts an operation; true where power fails in it. */
  const fails = () => {
    power.need();
    operations++;
    return armedAfter >= 0 && armedAfter-- === 0;
  };

  /** Whole words, in ascending order. */
  const writeWords = (bytes: Uint8Array, address: number) => {
    if (!inRegion(address, bytes.length)) throw new Error(`no flash for this board at 0x${address.toString(16)}`);
    const at = address - base;
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
    if (!inRegion(address, 1)) throw new Error(`no flash for this board at 0x${address.toString(16)}`);
    const start = address - base - ((address - base) % pageLength);
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
    operations: () => operations,
    arm(after, kind, words) {
      armedAfter = after;
      armedKind = kind;
      armedWords = words;
    },
    module: {
      getPage: (address: number) =>
        inRegion(address, 1)
          ? { addr: address - ((address - base) % pageLength), length: pageLength }
          : { addr: address - (address % 4096), length: 4096 },
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
        for (let i = 0; i < length; i++) out[i] = inRegion(address + i, 1) ? image[address + i - base] : 255;
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
          for (let i = 0; i < 4; i++) word[i] = inRegion(start + i, 1) ? image[start + i - base] : 255;
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
