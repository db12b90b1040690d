/**
 * The gateway's half of the session RANDOM (protocol/wire/random-messages.ts): gives the meter 32 fresh bytes of the TPM at each of
 * its starts, and knows how the meter's generator is.
 */
import {
  CONDITION_AS_BEFORE,
  CONDITION_FEW_VALUES,
  CONDITION_NO_WALLET,
  CONDITION_STUCK,
  CONDITION_WAITING,
  CONDITION_WALLET_DAMAGED,
  conditionOfState,
  nonceOfAsk,
  RANDOM_FRESH_BYTES,
  randomGive,
} from '../../protocol/wire/random-messages.ts';
import { SESSION_RANDOM } from '../../protocol/wire/sessions.ts';
import type { MeterSessions } from './sessions.ts';

/** What a person should know, in words. */
const ALARMS: Readonly<Record<number, string>> = {
  [CONDITION_STUCK]:
    'the meter’s random number generator gives the same value again and again: no money is made with it',
  [CONDITION_FEW_VALUES]:
    'the meter’s random number generator gives too few different values: no money is made with it',
  [CONDITION_AS_BEFORE]:
    'the meter’s random number generator repeats what it gave at an earlier start: no money is made with it',
  [CONDITION_WALLET_DAMAGED]: 'what the meter keeps of money was damaged or changed from outside: it is not used',
};

export interface MeterRandomnessOptions {
  sessions: MeterSessions;
  /** Fresh bytes of the TPM. */
  randomBytes(length: number): Promise<Uint8Array>;
}

export class MeterRandomness {
  /** CONDITION_…, as the meter said last. */
  condition: number = CONDITION_WAITING;

  constructor({ sessions, randomBytes }: MeterRandomnessOptions) {
    sessions.on(SESSION_RANDOM, async (body) => {
      this.condition = conditionOfState(body) ?? this.condition;
      sessions.setAlarm(SESSION_RANDOM, ALARMS[this.condition] ?? null);
      const nonce = nonceOfAsk(body);
      if (nonce) sessions.tell(SESSION_RANDOM, randomGive(nonce, await randomBytes(RANDOM_FRESH_BYTES)));
    });
  }

  /** Whether this meter can have a wallet at all; why not is a matter of its build. */
  get hasWallet(): boolean {
    return this.condition !== CONDITION_NO_WALLET;
  }
}
