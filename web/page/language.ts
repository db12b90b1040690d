/** The language of the document, as the server chose it. */
const { document } = globalThis as { document?: { documentElement: { lang: string } } };
export const language = document?.documentElement.lang || 'en';

/** For numbers and dates: the reader's own variety of that language (`en-GB`, `de-CH`), where the browser tells one. */
export const locale =
  globalThis.navigator?.languages?.find((tag) => tag.split('-')[0].toLowerCase() === language) ?? language;
