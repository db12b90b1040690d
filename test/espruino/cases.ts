import { readdirSync, readFileSync } from 'node:fs';

/**
 * A snippet of the language and what Espruino 2v29 makes of it, from test/espruino/cases/*.txt:
 *
 *   # name
 *   code, one or more lines; P(x) prints
 *   > a line that real Espruino prints (`!` and a word: an exception nobody caught; `\uXXXX`: anything but ASCII)
 *   refused: how the gate begins to say why         where firmware may not contain it
 *   differs: why                                    where it may, and the virtual board cannot be made to agree
 */
export interface Case {
  topic: string;
  name: string;
  code: string;
  output: string[];
  refused?: string;
  differs?: string;
}

const folder = new URL('cases/', import.meta.url);

export function readCases(): Case[] {
  return readdirSync(folder).flatMap((file) =>
    readFileSync(new URL(file, folder), 'utf8')
      .split(/\n(?=# )/)
      .map((text) => parse(file.replace('.txt', ''), text)),
  );
}

function parse(topic: string, text: string): Case {
  const [title, ...lines] = text.trimEnd().split('\n');
  const found: Case = { topic, name: title.slice(2), code: '', output: [] };
  const code = [];
  for (const line of lines) {
    if (line === '>' || line.startsWith('> ')) found.output.push(line.slice(2));
    else if (line.startsWith('refused: ')) found.refused = line.slice(9);
    else if (line.startsWith('differs: ')) found.differs = line.slice(9);
    else code.push(line);
  }
  found.code = code.join('\n');
  return found;
}

/** As the outputs stand in the files: ASCII, without spaces at the end, and of an uncaught exception only that there was one. */
export function printed(lines: string[]): string[] {
  const out: string[] = [];
  for (const line of lines) {
    const ascii = line.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).trimEnd();
    if (!/^(!|Uncaught |firmware: )/.test(ascii)) out.push(ascii);
    else if (out.at(-1) !== '!') out.push('!');
  }
  return out;
}
