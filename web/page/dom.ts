/** The few things that every part of the page needs of the document. */

/** An element that index.html promises. */
export function byId<E extends Element = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as unknown as E;
}

/** Writes text only where it changes: nothing is laid out or read aloud again for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

type Attributes = Record<string, string | number>;

export function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

export function html<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** A sentence of the page, or one with words in it, at `{}`, that are English whatever the page speaks: a machine's own. */
export type Said = string | { sentence: string; english: string };

/** A machine's own words as a whole sentence. */
export const inEnglish = (english: string): Said => ({ sentence: '{}', english });

/** English words are marked as such: they are read aloud as what they are. */
export function nodesOf(said: Said): (Node | string)[] {
  if (typeof said === 'string') return [said];
  const [before, after = ''] = said.sentence.split('{}');
  return [before, html('span', { lang: 'en' }, said.english), after].filter((part) => part !== '');
}

/** As setText, of what may have such words in it. */
export function setSaid(element: Element, said: Said): void {
  const text = typeof said === 'string' ? said : said.sentence.replace('{}', () => said.english);
  if (element.textContent !== text) element.replaceChildren(...nodesOf(said));
}
