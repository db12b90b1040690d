/** A language's texts of documents: HTML by key, with `{{name}}` where a value goes. */
export type Texts = Readonly<Record<string, string>>;
/** By the tag of the language (RFC 5646), such as `de`. The first is what readers of all others get. */
export type TextsByLanguage = Readonly<Record<string, Texts>>;
