/** What the page's scripts say, in the language of the document. */
import { language } from '../../../../web/page/language.ts';
import { scripts as de } from './de/scripts.ts';
import { scripts as en } from './en/scripts.ts';

/** Every language has the same; where `{}` stands, a sentence of the gateway's own is put, which is English. */
export type Texts = typeof en;

export const texts: Texts = language === 'de' ? de : en;
