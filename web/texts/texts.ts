/** What the documents say that every server shares: login, password, trust, forgotten. */
import { de } from './de.ts';
import { en } from './en.ts';
import type { TextsByLanguage } from './types.ts';

export const DOCUMENT_TEXTS: TextsByLanguage = { en, de };
