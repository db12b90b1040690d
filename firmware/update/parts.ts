/**
 * A program longer than one string of the interpreter, whose length has 16 bits: it is run in parts, one after the other in the
 * global scope, each from where it lies in flash. (Espruino dialect; boot loader and bench call it)
 *
 *   //parts 64511 128004⏎     the first line, where there is more than one part: the offsets at which the second, third … begins
 *
 * The line is a comment and belongs to the first part; each part ends with a whole statement (scripts/build.mjs cuts them).
 */

/** Of a part. */
export const PART_MOST_BYTES = 65000;
const MARK = '//parts ';
/** The line is shorter. */
export const LINE_MOST_CHARS = 64;

/**
 * Where each part begins, the first at 0.
 * @param text the program, or as much of its beginning as there is
 */
export function partStarts(text: string): number[] {
  const line = text.substring(0, LINE_MOST_CHARS);
  const end = line.indexOf('\n');
  if (end < 0 || line.substring(0, MARK.length) !== MARK) return [0];
  const starts = [0];
  for (const number of line.substring(MARK.length, end).split(' ')) starts.push(parseInt(number, 10));
  return starts;
}
