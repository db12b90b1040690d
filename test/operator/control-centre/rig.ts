// A control centre and meters that are none: they do in JavaScript what firmware and gateway do.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type CentreSettings, ControlCentre } from '../../../operator/control-centre/centre.ts';
import type { VerifyOpenedSum } from '../../../operator/control-centre/settlement.ts';
import { generateKey, type KeyPlan, type NewKey } from '../../../operator/shared/keyset-store.ts';
import { finalize } from '../../../protocol/crypto/blind-rsa.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { blindKeyOf, type Keyset, type KeysetKey, keyFor, openKeyset } from '../../../protocol/crypto/keyset.ts';
import { sealAsMeter } from '../../../protocol/crypto/meter-seal.ts';
import { type Candidate, candidateOf, type ValueKey } from '../../../protocol/selling/candidates.ts';
import {
  encodeSale,
  MODE_M_OF_N,
  MODE_RECEIPTS,
  openAnswer,
  type Sale,
  type SaleAnswer,
  saleHeader,
} from '../../../protocol/selling/messages.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import { commitmentOf, usedListTag } from '../../../protocol/selling/reconciliation.ts';
import {
  encodeSetUp,
  listStart,
  listStep,
  registrationTag,
  setUpHeader,
} from '../../../protocol/selling/registration.ts';
import type { ReconciliationAnswer, SignedCandidate } from '../../../protocol/selling/services.ts';
import { depositRoot } from '../../../protocol/selling/statement.ts';
import { CREDENTIAL, RECEIPT } from '../../../protocol/selling/values.ts';
import { monthOf, monthStartMs } from '../../../protocol/time/months.ts';
import { DAY_MS, SLOT_MS, slotOf } from '../../../protocol/time/slots.ts';

export const BEGAN_MS = Date.UTC(2026, 5, 1);
export const MONTH = monthOf(BEGAN_MS);
export const LATE_MS = 2 * SLOT_MS;
/** Registration is over, slots may be sold. */
export const SELLING_MS = BEGAN_MS + 8 * SLOT_MS;
export const WINDOW_SLOTS = 4;
/** The last slot is sold. */
export const SOLD_MS = monthStartMs(MONTH + 1) + WINDOW_SLOTS * SLOT_MS;
export const VALUE = 5;
export const AMOUNT = 6;

export const settings: CentreSettings = {
  value: VALUE,
  bits: 2048,
  windowSlots: WINDOW_SLOTS,
  registrationDays: 3,
  lateRegistrationMs: LATE_MS,
  settlementDays: 20,
  terms: { mode: MODE_RECEIPTS, amount: AMOUNT, candidatesEach: 1, perSale: 1, creditMilliCent: 800 },
  weights: new Array(96).fill(100),
  challengeShare: 0.5,
  listDays: 5,
};
export const inMode = (mode: number, more: Partial<CentreSettings> = {}): CentreSettings => ({
  ...settings,
  ...more,
  terms: { ...settings.terms, mode },
});
export const M_OF_N = inMode(MODE_M_OF_N);

/** Making RSA keys is what would take longest: each is made once for all centres of a test file. */
const made = new Map<string, Promise<NewKey>>();
export function madeOnce(plan: KeyPlan): Promise<NewKey> {
  const name = `${plan.purpose} ${plan.month} ${plan.value} ${revoked}`;
  const key = made.get(name) ?? generateKey(plan);
  made.set(name, key);
  return key;
}
let revoked = 0;
/** From here on other keys are made. */
export const makeOthers = (): number => ++revoked;

export const master = generateEd25519Key();

export interface Rig {
  centre: ControlCentre;
  directory: string;
  file: string;
  keyset(): Keyset;
  key(purpose: string): KeysetKey & ValueKey;
}

export async function startCentre(
  t: ExecutionContext,
  {
    with: chosen = settings,
    verifyOpenedSum = null,
    directory = mkdtempSync(join(tmpdir(), 'quietmeter-centre-')),
    atMs = BEGAN_MS,
  }: { with?: CentreSettings; verifyOpenedSum?: VerifyOpenedSum | null; directory?: string; atMs?: number } = {},
): Promise<Rig> {
  const file = join(directory, 'centre.sqlite');
  const centre = new ControlCentre({
    file,
    settings: chosen,
    sign: (message) => signEd25519(master.privateKey, message),
    workers: 1,
    verifyOpenedSum,
    generate: madeOnce,
  });
  t.teardown(async () => {
    await centre.close().catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  });
  await centre.advance(atMs);
  const keyset = (): Keyset => openKeyset(centre.books.keys.bytes!, 'control-centre', master.publicKey);
  return { centre, directory, file, keyset, key: (purpose) => valueKey(keyFor(keyset(), purpose, MONTH)!) };
}

export function valueKey(key: KeysetKey): KeysetKey & ValueKey {
  return key.kind === 'blind'
    ? { ...key, key: blindKeyOf(key) }
    : ({ ...key, key: undefined } as unknown as KeysetKey & ValueKey);
}

export interface HeldCredential {
  seed: Uint8Array;
  bid: Uint8Array;
  candidate: Candidate;
  signature: Uint8Array;
}
export interface Receipt {
  id: Uint8Array;
  signature: Uint8Array;
}

/** What firmware and gateway of one household do. */
export class TestMeter {
  readonly customer: string;
  readonly rig: Rig;
  readonly secretValue = randomBytes(32);
  readonly sharedKey = randomBytes(32);
  readonly credentials: HeldCredential[] = [];
  readonly receipts: Receipt[] = [];

  constructor(rig: Rig, customer: string) {
    this.rig = rig;
    this.customer = customer;
  }

  setUp(): void {
    const sealing = this.rig.key('selling-sealing');
    const { secretValue, sharedKey } = this;
    const plain = encodeSetUp({ meterId: randomBytes(8), secretValue, sharedKey });
    const sealed = sealAsMeter(sealing.publicKey, setUpHeader(sealing.keyId), plain);
    this.rig.centre.registration.setUp(this.customer, sealed);
  }

  /** The request for candidates of these seeds, c for each credential. */
  registration(seeds: readonly Uint8Array[][], first = 0) {
    const key = this.rig.key('selling-credential');
    const candidates = seeds.map((each) => each.map((seed) => candidateOf(CREDENTIAL, key, seed).blinded));
    return this.tagged(first, candidates);
  }
  tagged(first: number, candidates: Uint8Array[][]) {
    const { keyId } = this.rig.key('selling-credential');
    let digest = listStart();
    for (const blinded of candidates.flat()) digest = listStep(nodeNatives, digest, blinded);
    const batch = { keyId, first, candidatesEach: candidates[0].length, count: candidates.length, digest };
    return { keyId, first, candidates, tag: registrationTag(nodeNatives, this.secretValue, batch) };
  }

  async register(count = AMOUNT, seeds = Array.from({ length: count }, () => randomBytes(32))): Promise<void> {
    const answer = await this.rig.centre.registration.register(
      this.customer,
      this.registration(seeds.map((seed) => [seed])),
    );
    if (!('signed' in answer)) throw new Error('c is not 1');
    this.take(seeds, answer.signed);
  }
  take(seeds: readonly Uint8Array[], signed: readonly SignedCandidate[]): void {
    const key = this.rig.key('selling-credential');
    seeds.forEach((seed, i) => {
      const candidate = candidateOf(CREDENTIAL, key, seed);
      const signature = finalize(key.key, candidate.payload, signed[i].signature, candidate.inverse);
      this.credentials.push({ seed, bid: signed[i].bid, candidate, signature });
    });
  }

  /** A SALE of one credential, and what its answer needs. */
  sale(credential: HeldCredential, slot: number, change: Partial<Sale> = {}) {
    const receiptSeed = randomBytes(32);
    const receiptKey = this.rig.key('selling-receipt');
    const receipt = candidateOf(RECEIPT, receiptKey, receiptSeed);
    const terms = this.rig.centre.books.terms.get(MONTH)!;
    const receipts = (change.mode ?? terms.mode) === MODE_RECEIPTS;
    const sale: Sale = {
      mode: terms.mode,
      slot,
      weightVersion: 1,
      nonce: randomBytes(32),
      keyId: this.rig.key('selling-credential').keyId,
      receiptKeyId: receipts ? receiptKey.keyId : new Uint8Array(32),
      credentials: [{ id: credential.candidate.id, signature: credential.signature }],
      blindedReceipts: receipts ? [receipt.blinded] : [],
      ...change,
    };
    const plaintext = encodeSale(sale, 256);
    const sealing = this.rig.key('selling-sealing');
    const sealed = sealAsMeter(sealing.publicKey, saleHeader(sealing.keyId), plaintext);
    return { plaintext, sealed, receipt };
  }

  /** Sells one credential in the slot before this one; the answer's code, or null where there was none. */
  async sell(credential: HeldCredential, change: Partial<Sale> = {}): Promise<number | null> {
    const { plaintext, sealed, receipt } = this.sale(credential, this.rig.centre.books.slot - 1, change);
    const answer = await this.rig.centre.handle(sealed);
    const opened = answer && opens(plaintext, answer);
    if (!opened) return null;
    if (opened.blindSignatures.length === 1) {
      const { key } = this.rig.key('selling-receipt');
      this.receipts.push({
        id: receipt.id,
        signature: finalize(key, receipt.payload, opened.blindSignatures[0], receipt.inverse),
      });
    }
    return opened.code;
  }

  deposit(receipts: readonly Receipt[] = this.receipts) {
    const key = this.rig.key('selling-receipt');
    const root = depositRoot(receipts.map(({ id }) => identityOf(key, id)));
    return { keyId: key.keyId, count: receipts.length, root, receipts: [...receipts] };
  }

  /** L4 over these credentials, and what opens it. */
  usedList(credentials: readonly HeldCredential[], lapsed = 0) {
    const key = this.rig.key('selling-credential');
    const reveals = credentials.map(({ bid, seed }) => ({ bid, seed, salt: randomBytes(32) }));
    const entries = reveals.map((reveal) => commitmentOf(nodeNatives, reveal, key.keyId, key.publicKey));
    return { reveals, request: this.taggedList(entries, lapsed) };
  }
  taggedList(entries: Uint8Array[], lapsed = 0) {
    const { keyId } = this.rig.key('selling-credential');
    const digest = entries.reduce((d, entry) => listStep(nodeNatives, d, entry), listStart());
    const tag = usedListTag(nodeNatives, this.sharedKey, { keyId, count: entries.length, lapsed, digest });
    return { keyId, count: entries.length, lapsed, digest, tag, at: 0, entries };
  }
  /** Answers challenges until there is none. */
  reveal(list: ReturnType<TestMeter['usedList']>, answer: ReconciliationAnswer): ReconciliationAnswer {
    if (answer.state !== 'challenge') return answer;
    const reveals = answer.indices.map((index) => ({ index, ...list.reveals[index] }));
    return this.rig.centre.reconciliation.reveal(this.customer, { keyId: list.request.keyId, reveals });
  }
}

import { valueIdentity, valuePayload } from '../../../protocol/selling/values.ts';
export const identityOf = (key: ValueKey, id: Uint8Array): Uint8Array =>
  valueIdentity(nodeNatives, key.keyId, valuePayload(id, key.month, key.value));

export const opens = (plaintext: Uint8Array, answer: Uint8Array): SaleAnswer | null =>
  openAnswer(nodeNatives, plaintext, answer, 256);

/** Meters that are set up and registered, in a centre where slots may be sold. */
export async function registered(rig: Rig, customers: number, count = AMOUNT): Promise<TestMeter[]> {
  const meters = Array.from({ length: customers }, (_, i) => new TestMeter(rig, `utility/${i}`));
  for (const meter of meters) {
    meter.setUp();
    await meter.register(count);
  }
  await rig.centre.advance(SELLING_MS);
  return meters;
}
export const code = (error: unknown): string => (error as { code: string }).code;
export const NEXT_MS = (ms: number): number => ms + SLOT_MS;
export { DAY_MS, SLOT_MS, slotOf };
