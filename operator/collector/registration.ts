/**
 * A file with the TPM public keys of households that have no certificates of a trusted third party, and their areas. Whom the
 * collector believes otherwise stands in trust.ts; this goes away, with protocol/readings/submission-v1.ts.
 *
 *   {"version": 1, "pseudonyms": [{"publicKey": "02…", "area": "north-1"}]}      publicKey: compressed P-256, hexadecimal
 */
import { statSync } from 'node:fs';
import * as v from 'valibot';
import { AREA_PATTERN } from '../../protocol/readings/area.ts';
import { BATCH_MOST_ITEMS } from '../../protocol/readings/batch.ts';
import { ConfigError, checkedJson } from '../shared/config.ts';

const registrationFile = v.strictObject({
  version: v.literal(1),
  pseudonyms: v.array(
    v.strictObject({
      publicKey: v.pipe(
        v.string(),
        v.regex(/^0[23][0-9a-f]{64}$/, 'is no compressed P-256 key in lower-case hexadecimal'),
      ),
      area: v.pipe(v.string(), v.regex(AREA_PATTERN, 'is no name of an area')),
    }),
  ),
});

export interface Registration {
  /** The area of a pseudonym that may report, or undefined. */
  areaOf(pseudonym: Uint8Array): string | undefined;
}

export class RegistrationFile implements Registration {
  readonly #file: string;
  #areas = new Map<string, string>();
  #readAtMs: number | undefined = -1;

  /** @throws ConfigError */
  constructor(file: string) {
    this.#file = file;
    this.refresh();
  }

  areaOf(pseudonym: Uint8Array): string | undefined {
    return this.#areas.get(Buffer.from(pseudonym).toString('hex'));
  }

  /**
   * Reads the file again if it was written since.
   * @returns whether it was
   * @throws ConfigError once for each writing; then what was read before holds
   */
  refresh(): boolean {
    const writtenMs = statSync(this.#file, { throwIfNoEntry: false })?.mtimeMs;
    if (writtenMs === this.#readAtMs) return false;
    this.#readAtMs = writtenMs;
    const { pseudonyms } = checkedJson(this.#file, registrationFile);
    const areas = new Map<string, string>();
    const households = new Map<string, number>();
    pseudonyms.forEach(({ publicKey, area }, i) => {
      const path = `pseudonyms.${i}`;
      if (areas.has(publicKey)) throw new ConfigError(this.#file, `${path}.publicKey`, 'stands there twice');
      areas.set(publicKey, area);
      const inArea = (households.get(area) ?? 0) + 1;
      households.set(area, inArea);
      if (inArea > BATCH_MOST_ITEMS)
        throw new ConfigError(this.#file, `${path}.area`, `has more than ${BATCH_MOST_ITEMS} households`);
    });
    this.#areas = areas;
    return true;
  }
}
