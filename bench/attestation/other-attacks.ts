/**
 * The other attacks of the same household, each really run against the code that has to refuse it: passes, prices, control
 * messages, the log. `run` gives the sentence that it was refused with, or null where it got through.
 */
import { randomBytes } from 'node:crypto';
import { checkPassClaims, type Pass, verifyPass } from '../../protocol/attestation/pass.ts';
import { encodeEntry, entryCode, NO_CODE, type StoredEntry, verifyLog } from '../../protocol/billing/log.ts';
import { checkOrder, openPrices, type PriceList, signPrices, type Tariff } from '../../protocol/billing/prices.ts';
import {
  type ControlMemory,
  type ControlMessage,
  checkControl,
  HOUR_MS,
  newControlId,
  openControl,
  PER_HOUR_MOST,
  signControl,
} from '../../protocol/control/message.ts';
import { generateBlindSigningKey, importBlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import { generateEd25519Key } from '../../protocol/crypto/ed25519.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';

export interface OtherAttack {
  name: string;
  run(): string | null | Promise<string | null>;
}

/** The sentence that `work` is refused with. Whatever it throws has to be one of the errors that are made for it. */
function saidBy(work: () => unknown): string | null {
  try {
    work();
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    if (/^(PassError|PriceError|MalformedError|ControlError|LogFault)$/.test(name)) return message;
    throw error;
  }
}

// Passes

const TODAY = 20_605;
const pseudonym = generateSigningKey().publicKey;
const passOf = (more: Partial<Pass> = {}): Pass => ({
  day: TODAY,
  pseudonym,
  random: randomBytes(32),
  signature: randomBytes(256).fill(0, 0, 1),
  ...more,
});

// Prices

const priceKey = generateSigningKey();
const tariff: Tariff = {
  name: 'flex',
  currency: 'EUR',
  number: 1,
  leastImportMilliCentPerKwh: 5000,
  priceKey: priceKey.publicKey,
};
const prices = (more: Partial<PriceList> = {}): PriceList => ({
  tariff: 'flex',
  currency: 'EUR',
  number: 4,
  firstSlot: TODAY * 96,
  prices: Array.from({ length: 96 }, () => ({ importMilliCentPerKwh: 30_000, exportMilliCentPerKwh: 8000 })),
  ...more,
});

// Control

const NOW_MS = TODAY * 86_400_000 + 17 * HOUR_MS;
const controlKey = generateEd25519Key();
const message = (more: Partial<ControlMessage> = {}): ControlMessage => ({
  id: newControlId(),
  area: 'north-1',
  deviceClass: 'ev-charger',
  command: 'off',
  limitW: null,
  issuedMs: NOW_MS - 60_000,
  notBeforeMs: NOW_MS - 60_000,
  expiresMs: NOW_MS + 2 * HOUR_MS,
  ...more,
});
class Memory implements ControlMemory {
  readonly #taken: ControlMessage[] = [];
  has(id: Uint8Array): boolean {
    return this.#taken.some((taken) => Buffer.compare(taken.id, id) === 0);
  }
  countIssued(fromMs: number, toMs: number): number {
    return this.#taken.filter(({ issuedMs }) => issuedMs >= fromMs && issuedMs < toMs).length;
  }
  take(bytes: Uint8Array): void {
    const opened = openControl(bytes, controlKey.publicKey);
    checkControl(opened, this, 'north-1', NOW_MS);
    this.#taken.push(opened);
  }
}
const control = (work: (memory: Memory) => void): string | null => saidBy(() => work(new Memory()));
const signed = (more: Partial<ControlMessage> = {}): Uint8Array => signControl(message(more), controlKey.privateKey);

// Log

const logKey = randomBytes(32);
function logOf(length: number): StoredEntry[] {
  const rows: StoredEntry[] = [];
  let code = NO_CODE;
  for (let n = 1; n <= length; n++) {
    const fields = { number: n, boot: 1, uptimeMs: n, slot: n, importMwh: n, exportMwh: 0, flags: 0 };
    const entry = encodeEntry({ kind: 'record', late: false, fields });
    code = entryCode(logKey, n, code, entry);
    rows.push({ n, entry, code });
  }
  return rows;
}
const whole = logOf(9);
const anchor = { generation: 1, entries: 9, head: whole[8].code!, day: TODAY, begunAnew: 0 };
const log = (rows: StoredEntry[]): string | null => saidBy(() => verifyLog(logKey, rows, anchor));

export const OTHER_ATTACKS: readonly OtherAttack[] = [
  {
    name: 'a pass used on another day',
    run: () => saidBy(() => checkPassClaims(passOf({ day: TODAY - 1 }), TODAY, pseudonym)),
  },
  {
    name: "a pass used a second time, under a neighbour's pseudonym",
    run: () => saidBy(() => checkPassClaims(passOf(), TODAY, generateSigningKey().publicKey)),
  },
  {
    name: 'a pass that the verifier never signed',
    run: async () => {
      const { modulus } = await generateBlindSigningKey();
      return saidBy(() => verifyPass(passOf(), importBlindRsaKey(modulus)));
    },
  },
  {
    name: 'prices without a signature',
    run: () => saidBy(() => openPrices(signPrices(prices(), priceKey.privateKey).subarray(0, -64), tariff)),
  },
  {
    name: 'prices that were altered',
    run: () => {
      const altered = Buffer.from(signPrices(prices(), priceKey.privateKey));
      altered[40] ^= 1;
      return saidBy(() => openPrices(altered, tariff));
    },
  },
  {
    name: 'prices signed by another key',
    run: () => saidBy(() => openPrices(signPrices(prices(), generateSigningKey().privateKey), tariff)),
  },
  {
    name: 'old prices, shown again',
    run: () => {
      const held = { number: 4, endSlot: (TODAY + 1) * 96 };
      return saidBy(() => checkOrder(prices({ number: 3 }), held, TODAY * 96));
    },
  },
  {
    name: 'a price below the least one of the tariff',
    run: () => {
      const cheap = prices().prices.with(17, { importMilliCentPerKwh: 4999, exportMilliCentPerKwh: 0 });
      return saidBy(() => openPrices(signPrices(prices({ prices: cheap }), priceKey.privateKey), tariff));
    },
  },
  {
    name: 'a control message for another area',
    run: () => control((memory) => memory.take(signed({ area: 'south-2' }))),
  },
  {
    name: 'a control message, replayed',
    run: () =>
      control((memory) => {
        const bytes = signed();
        memory.take(bytes);
        memory.take(bytes);
      }),
  },
  {
    name: 'a control message that has expired',
    run: () => control((memory) => memory.take(signed({ expiresMs: NOW_MS - 1000 }))),
  },
  {
    name: 'a control message signed by another key',
    run: () => control((memory) => memory.take(signControl(message(), generateEd25519Key().privateKey))),
  },
  {
    name: 'a flood of control messages',
    run: () =>
      control((memory) => {
        for (let i = 0; i <= PER_HOUR_MOST; i++) memory.take(signed());
      }),
  },
  { name: 'a log with one record removed', run: () => log([...whole.slice(0, 3), ...whole.slice(4)]) },
  {
    name: 'a log with one record changed',
    run: () => {
      const entry = Buffer.from(whole[5].entry!);
      entry[entry.length - 1] ^= 1;
      return log(whole.with(5, { ...whole[5], entry }));
    },
  },
  {
    name: 'a log with two records exchanged',
    run: () => log(whole.with(3, { ...whole[4], n: 4 }).with(4, { ...whole[3], n: 5 })),
  },
  { name: 'a log whose tail was cut', run: () => log(whole.slice(0, 7)) },
];
