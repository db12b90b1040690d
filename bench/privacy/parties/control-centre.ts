/**
 * The control centre (operator/control-centre), played with its own steps over its own store; the meters' half is protocol/selling, as
 * firmware and gateway do it. A month: everybody registers the same amount, sells in some slots, and is credited; then what the
 * centre has seen is looked at, with its keys. Sales come as the door brings them (parties/relay.ts plays that): all of a slot
 * together, shuffled.
 *
 * It knows each customer's number of credentials, registered and sold, and of each slot how many were sold: X and Y are as many
 * sales in other slots. With receipts nothing is opened. In m-of-n mode some sales are, under the customer's name.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CentreSettings, ControlCentre } from '../../../operator/control-centre/centre.ts';
import { generateKey, type KeyPlan, type NewKey } from '../../../operator/shared/keyset-store.ts';
import { finalize } from '../../../protocol/crypto/blind-rsa.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { blindKeyOf, type KeysetKey, keyFor, openKeyset } from '../../../protocol/crypto/keyset.ts';
import { sealAsMeter } from '../../../protocol/crypto/meter-seal.ts';
import { type Candidate, candidateOf, type ValueKey } from '../../../protocol/selling/candidates.ts';
import { encodeSale, MODE_M_OF_N, MODE_RECEIPTS, openAnswer, saleHeader } from '../../../protocol/selling/messages.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import { commitmentOf, usedListTag } from '../../../protocol/selling/reconciliation.ts';
import {
  encodeSetUp,
  listStart,
  listStep,
  registrationTag,
  setUpHeader,
} from '../../../protocol/selling/registration.ts';
import { depositRoot } from '../../../protocol/selling/statement.ts';
import { CREDENTIAL, RECEIPT } from '../../../protocol/selling/values.ts';
import { monthOf, monthStartMs } from '../../../protocol/time/months.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import type { Random } from '../../random.ts';
import type { GameParty } from '../game.ts';
import { scratchFolder } from '../scratch.ts';
import { type Transcript, TranscriptWriter } from '../transcript.ts';
import { anonymousEvents, shuffled, sums, type World } from '../world.ts';

const BEGAN_MS = Date.UTC(2026, 5, 1);
const MONTH = monthOf(BEGAN_MS);
const WINDOW_SLOTS = 4;
const SOLD_MS = monthStartMs(MONTH + 1) + WINDOW_SLOTS * SLOT_MS;
const SLOTS = 6;
const AMOUNT = 4;
const SALES = 3;
/** Registration is over. */
const FIRST_SLOT = BEGAN_MS / SLOT_MS + 8;
const KEY_BITS = 2048;
const KEY_BYTES = KEY_BITS / 8;
const NETWORK_MS = 3000;

const settings = (mode: number): CentreSettings => ({
  value: 5,
  bits: KEY_BITS,
  windowSlots: WINDOW_SLOTS,
  registrationDays: 3,
  lateRegistrationMs: 2 * SLOT_MS,
  settlementDays: 20,
  terms: { mode, amount: AMOUNT, candidatesEach: 1, perSale: 1, creditMilliCent: 80 },
  weights: new Array(96).fill(100),
  challengeShare: 0.1,
  listDays: 5,
});

const master = generateEd25519Key();
/** The same for all runs: making RSA keys would take longest. */
const keys = new Map<string, Promise<NewKey>>();
const generate = (plan: KeyPlan): Promise<NewKey> => {
  const name = `${plan.purpose} ${plan.month} ${plan.value}`;
  const key = keys.get(name) ?? generateKey(plan);
  keys.set(name, key);
  return key;
};

interface Credential {
  seed: Uint8Array;
  bid: Uint8Array;
  candidate: Candidate;
  blindSignature: Uint8Array;
  signature: Uint8Array;
}
interface Receipt {
  id: Uint8Array;
  identity: Uint8Array;
  signature: Uint8Array;
}
interface CentreKeys {
  credential: KeysetKey & ValueKey;
  receipt: KeysetKey & ValueKey;
  sealing: KeysetKey;
}

/** Firmware and gateway of one household. */
class Home {
  readonly household: string;
  readonly #centre: ControlCentre;
  readonly #keys: CentreKeys;
  readonly #seen: TranscriptWriter;
  readonly sharedKey = randomBytes(32);
  readonly #secretValue = randomBytes(32);
  readonly unused: Credential[] = [];
  readonly used: Credential[] = [];
  readonly receipts: Receipt[] = [];

  constructor(household: string, centre: ControlCentre, keys: CentreKeys, seen: TranscriptWriter) {
    this.household = household;
    this.#centre = centre;
    this.#keys = keys;
    this.#seen = seen;
  }

  async register(timeMs: number): Promise<void> {
    const { credential: key, sealing } = this.#keys;
    const { household, sharedKey } = this;
    const secretValue = this.#secretValue;
    const meterId = randomBytes(8);
    const plain = encodeSetUp({ meterId, secretValue, sharedKey });
    const sealed = sealAsMeter(sealing.publicKey, setUpHeader(sealing.keyId), plain);
    this.#centre.registration.setUp(household, sealed);
    this.#seen.add({ source: 'frame set-up', household, timeMs, fields: { sealed, meterId, secretValue, sharedKey } });
    const seeds = Array.from({ length: AMOUNT }, () => randomBytes(32));
    const made = seeds.map((seed) => candidateOf(CREDENTIAL, key, seed));
    let digest = listStart();
    for (const { blinded } of made) digest = listStep(nodeNatives, digest, blinded);
    const batch = { keyId: key.keyId, first: 0, candidatesEach: 1, count: AMOUNT, digest };
    const tag = registrationTag(nodeNatives, secretValue, batch);
    const candidates = made.map(({ blinded }) => [blinded]);
    const answer = await this.#centre.registration.register(household, { keyId: key.keyId, first: 0, candidates, tag });
    if (!('signed' in answer)) throw new Error('c is not 1');
    for (const [i, { bid, signature: blindSignature }] of answer.signed.entries()) {
      const signature = finalize(key.key, made[i].payload, blindSignature, made[i].inverse);
      this.unused.push({ seed: seeds[i], bid, candidate: made[i], blindSignature, signature });
    }
    this.#seen.add({ source: 'frame registration', household, timeMs, fields: { tag, digest } });
  }

  /** One credential, picked at random. */
  sale(slot: number, mode: number) {
    const [credential] = this.unused.splice(randomInt(this.unused.length), 1);
    this.used.push(credential);
    const { credential: key, receipt: receiptKey, sealing } = this.#keys;
    const receipt = candidateOf(RECEIPT, receiptKey, randomBytes(32));
    const receipts = mode === MODE_RECEIPTS;
    const nonce = randomBytes(32);
    const { id } = credential.candidate;
    const plaintext = encodeSale(
      {
        mode,
        slot,
        weightVersion: 1,
        nonce,
        keyId: key.keyId,
        receiptKeyId: receipts ? receiptKey.keyId : new Uint8Array(32),
        credentials: [{ id, signature: credential.signature }],
        blindedReceipts: receipts ? [receipt.blinded] : [],
      },
      KEY_BYTES,
    );
    const sealed = sealAsMeter(sealing.publicKey, saleHeader(sealing.keyId), plaintext);
    const blindedReceipt = receipts ? receipt.blinded : new Uint8Array();
    const shown = { sealed, nonce, id, identity: credential.candidate.identity, signature: credential.signature };
    return {
      fields: { ...shown, blindedReceipt, modulus: key.publicKey },
      sealed,
      /** @returns what the centre signed */
      heard: (answer: Uint8Array): Uint8Array => {
        const opened = openAnswer(nodeNatives, plaintext, answer, KEY_BYTES);
        if (opened?.code !== 0) throw new Error(`a sale was refused: ${opened?.code}`);
        if (!receipts) return new Uint8Array();
        const [blindSignature] = opened.blindSignatures;
        const signature = finalize(receiptKey.key, receipt.payload, blindSignature, receipt.inverse);
        this.receipts.push({ id: receipt.id, identity: receipt.identity, signature });
        return blindSignature;
      },
    };
  }

  /** All receipts, in the order of their ids. */
  async deposit(timeMs: number): Promise<void> {
    const { household } = this;
    const { keyId } = this.#keys.receipt;
    const receipts = this.receipts.toSorted((one, other) => Buffer.compare(one.id, other.id));
    const root = depositRoot(receipts.map(({ identity }) => identity));
    const request = {
      keyId,
      root,
      count: receipts.length,
      receipts: receipts.map(({ id, signature }) => ({ id, signature })),
    };
    const answer = await this.#centre.deposits.deposit(household, request);
    if (!('statement' in answer)) throw new Error('a deposit was not taken');
    for (const fields of receipts)
      this.#seen.add({ source: 'frame deposit', household, timeMs, fields: { ...fields } });
    this.#seen.add({ source: 'frame statement', household, timeMs, fields: { root, statement: answer.statement } });
  }

  /** The list of what was used, in random order; what is asked for is opened; the rest is given back. */
  async reconcile(timeMs: number): Promise<void> {
    const { household, sharedKey } = this;
    const { keyId, publicKey } = this.#keys.credential;
    const list = shuffledBySystem(this.used).map(({ bid, seed }) => ({ bid, seed, salt: randomBytes(32) }));
    const entries = list.map((reveal) => commitmentOf(nodeNatives, reveal, keyId, publicKey));
    const digest = entries.reduce((d, entry) => listStep(nodeNatives, d, entry), listStart());
    const count = entries.length;
    const tag = usedListTag(nodeNatives, sharedKey, { keyId, count, lapsed: 0, digest });
    const said = this.#centre.reconciliation.takeList(household, {
      keyId,
      count,
      lapsed: 0,
      digest,
      tag,
      at: 0,
      entries,
    });
    this.#seen.add({ source: 'frame L4', household, timeMs, fields: { l4: Buffer.concat(entries), digest, tag } });
    if (said.state !== 'challenge') throw new Error(`no challenge: ${said.state}`);
    const reveals = said.indices.map((index) => ({ index, ...list[index] }));
    this.#centre.reconciliation.reveal(household, { keyId, reveals });
    for (const { bid, seed, salt } of reveals) {
      // the seed is the credential: whoever has it computes everything that was ever shown of it
      const { id, identity } = candidateOf(CREDENTIAL, this.#keys.credential, seed);
      this.#seen.add({ source: 'frame opening', household, timeMs, fields: { bid, seed, salt, id, identity } });
    }
    const unused = this.unused.map(({ bid, seed }) => ({ bid, seed }));
    await this.#centre.reconciliation.giveBack(household, { keyId, unused });
    // what was given back was never shown: it stands for itself in L1 and can be left out of account
    for (const { bid, blindSignature, candidate } of this.used.toSorted((a, b) => Buffer.compare(a.bid, b.bid)))
      this.#seen.add({
        source: 'table L1 against L4',
        household,
        timeMs,
        fields: { bid, blindSignature, blinded: candidate.blinded, l4: Buffer.concat(entries), sk: sharedKey },
      });
  }
}

async function play(mode: number, world: World, random: Random): Promise<Transcript> {
  const directory = scratchFolder();
  const file = join(directory, 'centre.sqlite');
  const sign = (message: Uint8Array): Uint8Array => signEd25519(master.privateKey, message);
  const centre = new ControlCentre({ file, settings: settings(mode), sign, workers: 1, generate });
  const seen = new TranscriptWriter();
  try {
    await centre.advance(BEGAN_MS);
    const keyset = openKeyset(centre.books.keys.bytes!, 'control-centre', master.publicKey);
    const keyOf = (purpose: string): KeysetKey => keyFor(keyset, purpose, MONTH)!;
    const valueKey = (purpose: string) => ({ ...keyOf(purpose), key: blindKeyOf(keyOf(purpose)) });
    const all: CentreKeys = {
      credential: valueKey('selling-credential'),
      receipt: valueKey('selling-receipt'),
      sealing: keyOf('selling-sealing'),
    };
    const homes = world.households.map((household) => new Home(household, centre, all, seen));
    for (const home of shuffled(homes, random)) await home.register(BEGAN_MS + random.below(SLOT_MS));
    for (let slot = world.firstSlot; slot < world.firstSlot + world.slots; slot++) {
      const timeMs = (slot + 1) * SLOT_MS;
      await centre.advance(timeMs);
      const selling = homes.filter(({ household }) =>
        world.traces.get(household)!.some((event) => event.slot === slot),
      );
      for (const home of shuffledBySystem(selling)) {
        const { sealed, fields, heard } = home.sale(slot, mode);
        const answer = await centre.handle(sealed);
        if (!answer) throw new Error('a sale was not answered');
        const signed = { answer, blindSignature: heard(answer) };
        seen.add({ source: 'frame sale', timeMs, slot, value: 1, fields: { ...fields, ...signed } }, home.household);
      }
    }
    await centre.advance(SOLD_MS);
    for (const home of shuffled(homes, random)) {
      const timeMs = SOLD_MS + random.below(SLOT_MS) + NETWORK_MS;
      if (mode === MODE_RECEIPTS) await home.deposit(timeMs);
      else await home.reconcile(timeMs);
    }
  } finally {
    await centre.close();
  }
  seen.addStore(file, (_, { customer, slot }) => ({
    household: customer instanceof Uint8Array ? Buffer.from(customer).toString() : null,
    slot: typeof slot === 'number' ? slot : null,
  }));
  rmSync(directory, { recursive: true });
  return seen.finish([]);
}

/** As a meter, or the door, does it. */
function shuffledBySystem<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

const rules: Omit<GameParty, 'mode' | 'expected' | 'play'> = {
  name: 'control-centre',
  firstSlot: FIRST_SLOT,
  slots: SLOTS,
  pair: (random, firstSlot, slots) => {
    const some = () =>
      shuffled(
        Array.from({ length: slots }, (_, i) => firstSlot + i),
        random,
      )
        .slice(0, SALES)
        .sort((a, b) => a - b)
        .map((slot) => ({ slot, value: 1 }));
    return [some(), some()];
  },
  leakage: (traces) => ({ sold: sums(traces), slots: anonymousEvents(traces) }),
};

export const receipts: GameParty = {
  ...rules,
  mode: 'receipts',
  expected: null,
  play: (world, random) => play(MODE_RECEIPTS, world, random),
};

export const mOfN: GameParty = {
  ...rules,
  mode: 'm-of-n',
  expected: 'm of n sales are opened under the name, each with its slot (selling-power-back.txt, section 4.D)',
  play: (world, random) => play(MODE_M_OF_N, world, random),
};
