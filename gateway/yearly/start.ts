/** The household and its grid operator, put together: registers that are due, and which provider the household has. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { ED25519_PUBLIC_KEY_BYTES } from '../../protocol/crypto/ed25519.ts';
import type { ProviderChange } from '../../protocol/grid-fees/provider-change.ts';
import { changeCall, chooseCall, GRID_OPERATOR_AUDIENCE, offersCall } from '../../protocol/grid-fees/services.ts';
import { DocumentError } from '../../protocol/grid-fees/signed-document.ts';
import { HolderCheck, HolderError } from '../../protocol/identity/certificates.ts';
import { ServiceError } from '../../protocol/services/call.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { DAY_MS, slotOf } from '../../protocol/time/slots.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import type { HouseholdIdentity } from '../identity/household-identity.ts';
import { callService, type RequestIdentity } from '../services/client.ts';
import { ChangeError, ProviderChoice } from './provider-choice.ts';
import { type Measured, openYearlyStore, Registers } from './registers.ts';
import { Supply, type SupplyOptions } from './supply.ts';

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
  /** A change was taken, or found in the store: the bill of the one before ends there. */
  onChange?(change: ProviderChange): void;
  /** What the customer may decide (supply.ts); absent: nothing. */
  supply?: Pick<SupplyOptions, 'identity' | 'contracts' | 'configured' | 'owes'>;
  log(line: string): void;
}

export class HouseholdYearly {
  /** Null: nobody here may change provider or move out. */
  readonly supply: Supply | null;
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
      onChange: (change) => {
        const { fromSlot, provider } = change;
        this.registers.want('change of provider', fromSlot);
        log(`the provider changes to ${provider.name} with slot ${fromSlot}`);
        options.onChange?.(change);
      },
    });
    for (const change of this.choice.changes) options.onChange?.(change);
    this.supply =
      options.supply === undefined
        ? null
        : new Supply({
            ...options.supply,
            database: this.#database,
            clock,
            registers: this.registers,
            choice: this.choice,
            offers: async () => (await this.#call(offersCall, {})).offers,
            choose: async (provider, fromSlot) => (await this.#call(chooseCall, { provider, fromSlot })).change,
            log,
          });
  }

  /** @throws ServiceError, TpmError, Error before initialisation */
  #call<S extends v.GenericSchema>(call: { path: string; answer: S }, body: object): Promise<v.InferOutput<S>> {
    const household = this.#household();
    if (household === null) throw new Error('this meter is not set up yet');
    return callService({
      ...this.#gridOperator,
      path: call.path,
      body,
      answer: call.answer,
      identity: household.identity,
    });
  }

  /** To be called when protocol time has moved. Asks once a day whether the provider changes. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    const day = Math.floor(nowMs / DAY_MS);
    if (day === 0) return;
    const household = this.#household();
    // what the grid operator counts from
    if (household !== null && !this.registers.begun) this.registers.want('first', slotOf(nowMs));
    this.registers.tick();
    this.supply?.tick();
    if (day === this.#askedDay || this.#asking !== null || household === null) return;
    this.#askedDay = day;
    this.#asking = this.#ask(household.identity).finally(() => {
      this.#asking = null;
    });
  }

  async idle(): Promise<void> {
    await Promise.all([this.#asking, this.registers.idle(), this.supply?.idle()]);
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
