/** A program in parts of at most so many bytes, PART_MOST_BYTES by default. */
export function inParts(code: string, most?: number): string;
