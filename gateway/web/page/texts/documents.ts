/** What the page's documents say, by language; the first is for readers of all others. */
import type { TextsByLanguage } from '../../../../web/texts/types.ts';
import { documents as de } from './de/documents.ts';
import { explained as explainedDe } from './de/explained.ts';
import { documents as en } from './en/documents.ts';
import { explained as explainedEn } from './en/explained.ts';

export const DOCUMENT_TEXTS: TextsByLanguage = { en: { ...en, ...explainedEn }, de: { ...de, ...explainedDe } };
