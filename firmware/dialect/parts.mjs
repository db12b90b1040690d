// Cuts a program into parts that the interpreter can run from flash (firmware/update/parts.ts), between top-level statements.
import { parseAst } from 'rollup/parseAst';
import { PART_MOST_BYTES } from '../update/parts.ts';

/**
 * @param {string} code plain JavaScript, ASCII
 * @param {number} [most] bytes of a part
 * @returns {string} the program; longer by its first line where it has more than one part
 */
export function inParts(code, most = PART_MOST_BYTES) {
  if ([...code].some((letter) => letter > '\x7f')) throw new Error('firmware: a text that is not ASCII');
  if (code.length <= most) return code;
  const cuts = (head) => {
    const starts = [];
    let begin = -head;
    let end = 0;
    for (const statement of parseAst(code).body) {
      if (statement.end - begin > most) {
        if (statement.end - end > most) throw new Error('firmware: a statement that is longer than a part');
        starts.push(end + head);
        begin = end;
      }
      end = statement.end;
    }
    return starts;
  };
  const line = (starts) => `//parts ${starts.join(' ')}\n`;
  // the line's own length moves what it says, and by that may change its length
  let head = line(cuts(0)).length;
  while (line(cuts(head)).length !== head) head = line(cuts(head)).length;
  return line(cuts(head)) + code;
}
