/**
 * The charging policies of a contract as the household holds them (protocol/billing/tariff.ts): the signed bytes on its disk, all
 * versions that it ever took, oldest first. A version is refused with the field's path where it is older than the last, malformed, not
 * signed by the provider's offline key, or a question about single quarter hours (A10). Signatures are checked again at each start.
 */
import type { DatabaseSync } from 'node:sqlite';
import { PriceError } from '../../protocol/billing/prices.ts';
import { checkIsolation, checkSuccession, openPolicy, type SignedPolicy } from '../../protocol/billing/tariff.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';

export interface HeldPolicy extends SignedPolicy {
  /** As signed. */
  bytes: Uint8Array;
}
export interface PolicyBookOptions {
  contract: number;
  /** Policies have the tariff's name. */
  tariff: string;
  /** Compressed P-256, 33 B. */
  offlineKey: Uint8Array;
  log(line: string): void;
}

const TABLE = `CREATE TABLE IF NOT EXISTS policies (contract INTEGER, number INTEGER, bytes BLOB NOT NULL,
  PRIMARY KEY (contract, number)) STRICT`;

export class PolicyBook {
  readonly #options: PolicyBookOptions;
  #database!: DatabaseSync;
  #held: HeldPolicy[] = [];
  #known = false;

  constructor(options: PolicyBookOptions) {
    this.#options = options;
  }

  open(household: DatabaseSync): void {
    this.#database = household;
    household.exec(TABLE);
    const rows = household
      .prepare('SELECT number, bytes FROM policies WHERE contract = ? ORDER BY number')
      .all(this.#options.contract);
    for (const row of rows) {
      try {
        this.#held.push(this.#open(row.bytes as Uint8Array));
      } catch (error) {
        if (!(error instanceof PriceError || error instanceof MalformedError)) throw error;
        this.#options.log(`policy ${row.number} on the disk is thrown away: ${error.message}`);
        this.#delete(row.number as number);
      }
    }
    this.#known = this.#held.length > 0;
  }

  get held(): readonly HeldPolicy[] {
    return this.#held;
  }
  /** Whether the provider was ever asked with success: it may have none. */
  get known(): boolean {
    return this.#known;
  }
  /** Grows when a policy came. */
  get version(): number {
    return this.#held.length;
  }
  /** The newest that holds from this slot, or an earlier one, on. */
  at(slot: number): HeldPolicy | undefined {
    return this.#held.findLast(({ policy }) => policy.firstSlot <= slot);
  }

  /** All versions, as the provider told them. What is known is passed over. @throws MalformedError, PriceError */
  take(all: readonly Uint8Array[]): void {
    for (const bytes of all) {
      if (this.#held.some((held) => Buffer.compare(held.bytes, bytes) === 0)) continue;
      const policy = this.#open(bytes);
      this.#database
        .prepare('INSERT INTO policies VALUES (?,?,?)')
        .run(this.#options.contract, policy.policy.number, bytes);
      this.#held.push(policy);
    }
    this.#known = true;
  }

  #open(bytes: Uint8Array): HeldPolicy {
    const opened = openPolicy(bytes, this.#options.offlineKey);
    const { policy } = opened;
    if (policy.name !== this.#options.tariff)
      throw new PriceError('policy.name', `is ${policy.name}, not this household's ${this.#options.tariff}`);
    checkSuccession(policy, this.#held.at(-1)?.policy ?? null);
    checkIsolation(policy);
    return { ...opened, bytes };
  }
  #delete(number: number): void {
    this.#database
      .prepare('DELETE FROM policies WHERE contract = ? AND number = ?')
      .run(this.#options.contract, number);
  }
}
