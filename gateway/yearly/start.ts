/** The household and its grid operator, put together: registers that are due, and which provider the household has. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { ED25519_PUBLIC_KEY_BYTES } from '../../protocol/crypto/ed25519.ts';
import { changeCall, GRID_OPERATOR_AUDIENCE } from '../../protocol/grid-fees/services.ts';
import { DocumentError } from '../../protocol/grid-fees/signed-document.ts';
import { HolderCheck, HolderError } from '../../protocol/identity/certificates.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import { callService, type RequestIdentity } from '../services/client.ts';
import { ChangeError, ProviderChoice } from './provider-choice.ts';
import { type Measured, openYearlyStore, Registers } from './registers.ts';

export const gridOperatorSettings = v.strictObject({
  url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
  /** The authority of its server's certificate, PEM. */
  caFile: v.pipe(v.string(), v.minLength(1, 'is empty')),
  /** Signs changes of provider, Ed25519, hexadecimal. */
  key: v.pipe(
    v.string(),
    v.regex(
      new RegExp(`^[0-9a-f]{${2 * ED25519_PUBLIC_KEY_BYTES}}$`),
      `is not ${2 * ED25519_PUBLIC_KEY_BYTES} lower-case hexadecimal digits`,
    ),
  ),
});
export type GridOperatorSettings = v.InferOutput<typeof gridOperatorSettings>;

export interface HouseholdYearlyOptions {
  settings: GridOperatorSettings;
  dataDir: string;
  measured: Measured;
  clock: Clock;
  household: Pick<HouseholdIdentity, 'requestIdentity'>;
  /** The trusted third party's authority, PEM: whose certificates say which device this is. */
  authority: string;
  /** As configured, until the provider changes. */
  first: { readingKey: Uint8Array; controlKey: Uint8Array | null };
  log(line: string): void;
}

export class HouseholdYearly {
  readonly choice: ProviderChoice;
  readonly registers: Registers;
  readonly #options: HouseholdYearlyOptions;
  readonly #database: ReturnType<typeof openYearlyStore>;
  readonly #holders: HolderCheck;
  #asking: Promise<void> | null = null;
  #askedDay = 0;
  #logged = '';

  constructor(options: HouseholdYearlyOptions) {
    const { settings, dataDir, measured, clock, authority, first, log } = options;
    this.#options = options;
    this.#holders = new HolderCheck(authority);
    this.#database = openYearlyStore(dataDir);
    this.registers = new Registers({
      database: this.#database,
      measured,
      clock,
      gridOperator: this.#gridOperator,
      household: () => this.#household(),
      log,
    });
    this.choice = new ProviderChoice({
      database: this.#database,
      clock,
      gridOperatorKey: Buffer.from(settings.key, 'hex'),
      device: () => this.#household()?.ekSerial ?? null,
      first,
      onChange: ({ fromSlot, provider }) => {
        this.registers.want('change of provider', fromSlot);
        log(`the provider changes to ${provider.name} with slot ${fromSlot}`);
      },
    });
  }

  /** To be called when protocol time has moved. Asks once a day whether the provider changes. */
  tick(): void {
    this.registers.tick();
    const day = Math.floor(this.#options.clock.nowMs() / DAY_MS);
    if (day === this.#askedDay || day === 0 || this.#asking !== null) return;
    const household = this.#household();
    if (household === null) return;
    this.#askedDay = day;
    this.#asking = this.#ask(household.identity).finally(() => {
      this.#asking = null;
    });
  }

  async idle(): Promise<void> {
    await Promise.all([this.#asking, this.registers.idle()]);
  }

  async close(): Promise<void> {
    await this.idle();
    this.#database.close();
  }

  get #gridOperator() {
    const { url, caFile } = this.#options.settings;
    return { url, ca: readFileSync(caFile, 'utf8') };
  }

  #household(): { ekSerial: string; identity: RequestIdentity } | null {
    const identity = this.#options.household.requestIdentity('household', GRID_OPERATOR_AUDIENCE);
    if (identity === null) return null;
    try {
      const nowMs = this.#options.clock.nowMs();
      return { ekSerial: this.#holders.check(identity.certificate, ['household'], nowMs).ekSerial, identity };
    } catch (error) {
      if (error instanceof HolderError) return null; // not valid yet, or no more
      throw error;
    }
  }

  async #ask(identity: RequestIdentity): Promise<void> {
    try {
      const { path, answer } = changeCall;
      const { change } = await callService({ ...this.#gridOperator, path, body: {}, answer, identity });
      if (change !== null) this.choice.take(change);
      this.#logged = '';
    } catch (error) {
      const { message } = error as Error;
      const ours = [ServiceError, MalformedError, DocumentError, ChangeError].some((kind) => error instanceof kind);
      if (message !== this.#logged) this.#options.log(`change of provider: ${ours ? message : `failed: ${message}`}`);
      this.#logged = message;
    }
  }
}
