/**
 * The meter's half of the session RANDOM: the generator is tested, fed and kept in the vault; and the vault is opened, whose key it
 * draws at the first start. (Espruino dialect; everything it needs is passed in)
 *
 *   each second   some of the hardware's words are tested
 *   once tested   ASK, again after 10 s … 5 min        ◄─ GIVE: 32 bytes of the gateway's TPM
 *   then          open the vault where it is not open · mix in the seed that is kept · the next seed to flash · ready
 *
 * Where this build of the interpreter has no flash for a vault, or what is in it was damaged, there is no generator either, and
 * whatever is worth money stays off; the gateway is told why.
 */
import {
  CONDITION_NO_WALLET,
  CONDITION_WAITING,
  CONDITION_WALLET_DAMAGED,
  freshOfGive,
  randomAsk,
  randomState,
} from '../../protocol/wire/random-messages.ts';
import { SESSION_RANDOM } from '../../protocol/wire/sessions.ts';
import { FIRST_RETRY_MS, LAST_RETRY_MS } from '../link/record-sender.ts';
import { START_WORDS } from '../random/health.ts';
import type { Random, RandomState } from '../random/random.ts';
import { SPACE_RANDOM } from '../wallet/spaces.ts';
import type { Vault } from '../wallet/vault.ts';
import type { Session } from './hub.ts';

/** Tested each second: at the start, and from then on. */
const START_WORDS_A_TICK = 64;
const WORDS_A_TICK = 4;
const SEED_ID = 0;

/** The generator's seed in the vault. */
export function seedIn(vault: Vault): RandomState {
  return {
    load: () => vault.get(SPACE_RANDOM, SEED_ID),
    save: (seed) => vault.commit([{ space: SPACE_RANDOM, id: SEED_ID, value: seed }]),
  };
}

export class Randomness implements Session {
  id = SESSION_RANDOM;
  random: Random;
  vault: Vault | null;
  say: (body: Uint8Array) => boolean;
  /** Called once, when the vault is open and there are random bytes. */
  ready: (() => void) | null = null;
  nonce: Uint8Array | null = null;
  /** What the gateway gave: opening the vault takes its time, and has it after a window. */
  fresh: Uint8Array | null = null;
  askAtMs = 0;
  retryMs = FIRST_RETRY_MS;
  /** What was wrong with the vault; it is not tried again in this start. */
  damage = '';
  /** What the gateway was told last. */
  told = CONDITION_WAITING;

  /** @param vault null where there is no flash for one */
  constructor(random: Random, vault: Vault | null, say: (body: Uint8Array) => boolean) {
    this.random = random;
    this.vault = vault;
    this.say = say;
  }

  condition(): number {
    if (!this.vault) return CONDITION_NO_WALLET;
    return this.damage === '' ? this.random.condition() : CONDITION_WALLET_DAMAGED;
  }

  receive(body: Uint8Array): void {
    if (this.nonce && !this.fresh) this.fresh = freshOfGive(body, this.nonce);
  }

  tick(_unixMs: number, uptimeMs: number): void {
    const random = this.random;
    const vault = this.vault;
    if (vault) {
      random.collect(random.tests.words < START_WORDS ? START_WORDS_A_TICK : WORDS_A_TICK);
      if (this.fresh && this.condition() === CONDITION_WAITING) this.open(vault, this.fresh);
    }
    this.tell();
    if (this.condition() !== CONDITION_WAITING || this.fresh || !random.tests.isProven() || uptimeMs < this.askAtMs)
      return;
    if (!this.nonce) this.nonce = random.nonce();
    if (this.say(randomAsk(this.nonce))) {
      this.askAtMs = uptimeMs + this.retryMs;
      this.retryMs = Math.min(2 * this.retryMs, LAST_RETRY_MS);
    }
  }

  /** A page of the vault in each tick: it may have many. */
  open(vault: Vault, fresh: Uint8Array): void {
    const random = this.random;
    if (!random.isSeeded()) random.seed(fresh);
    try {
      if (!vault.openSome()) return;
      random.bind(seedIn(vault));
    } catch (error) {
      this.damage = '' + error;
    }
    if (this.ready && random.isReady()) this.ready();
  }
  tell(): void {
    const condition = this.condition();
    if (condition !== this.told && this.say(randomState(condition))) this.told = condition;
  }
}
