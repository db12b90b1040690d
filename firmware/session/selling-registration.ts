/**
 * Set-up and registration as the meter does them (paper, sections 4.A and 4.B). (Espruino dialect)
 *
 * Credentials are registered in batches. All of a batch comes from the month's secret: whatever a cut, a lost message or a helper
 * that lies brings about, the same batch is made again, the centre gives the same signatures, and nothing was lost. A credential is
 * held when its signature was verified and the gateway keeps it under the meter's seal. **Which candidate stays closed is settled in
 * flash before the others' seeds leave**, and never otherwise: who could have all of them opened had the credential.
 */
import { joined } from '../../protocol/selling/natives.ts';
import { encodeSetUp, listStart, listStep, registrationTag, setUpHeader } from '../../protocol/selling/registration.ts';
import { CREDENTIAL, idOfSeed, valuePayload } from '../../protocol/selling/values.ts';
import type { OpenMessage, SignedMessage } from '../../protocol/wire/selling-session.ts';
import {
  ALARM_HELPER,
  ALARM_OPEN,
  ALARM_SIGNATURE,
  encodeBatch,
  encodeCandidate,
  encodeOpened,
  encodeSetUpMessage,
  MONTH_OPEN,
  STATE_HELD,
  STATE_NONE,
  STATE_OPENED,
} from '../../protocol/wire/selling-session.ts';
import { Blinding, Inverse, Unblinding } from '../arithmetic/blind-rsa.ts';
import type { Modulus } from '../arithmetic/modulus.ts';
import { Sealing } from '../arithmetic/seal.ts';
import type { WalletMonth } from '../wallet/credentials.ts';
import type { Tasks } from './selling-tasks.ts';
import { CREDENTIAL_KIND, SIGNATURE_VERSION, sealedId } from './selling-tasks.ts';

/** Credentials of a batch. */
const BATCH_MOST = 16;
/** Candidates of a batch: each is a blinding. */
const CANDIDATES_MOST = 64;
/** A batch that is not answered is made again after … */
const FIRST_PATIENCE_MS = 300000;
const LAST_PATIENCE_MS = 1200000;

interface RegistrationBatch {
  month: WalletMonth;
  first: number;
  count: number;
  /** Credentials that are made; `count` + 1: the batch is said. */
  at: number;
  digest: Uint8Array;
  /** Which of them are kept by the gateway. */
  kept: Uint8Array;
}

export class SellingRegistration {
  tasks: Tasks;
  batch: RegistrationBatch | null = null;
  againAtMs = 0;
  patienceMs = FIRST_PATIENCE_MS;
  setUpAtMs = 0;

  constructor(tasks: Tasks) {
    this.tasks = tasks;
  }

  /** Begins a task, where there is one. */
  begin(slot: number): boolean {
    const tasks = this.tasks;
    const month = this.openMonth(slot);
    if (!month) {
      this.batch = null;
      return false;
    }
    const shared = tasks.parts.credentials.shared;
    if (!shared || !shared.done) return tasks.uptimeMs >= this.setUpAtMs && this.setUp(month);
    let batch = this.batch;
    if (!batch || batch.month !== month) {
      batch = this.nextBatch(month);
      this.batch = batch;
      if (!batch) return false;
    }
    if (batch.at > batch.count) {
      if (tasks.uptimeMs < this.againAtMs) return false;
      batch.at = 0;
      batch.digest = listStart();
    }
    this.make(batch);
    return true;
  }

  /** The month whose registration is open, and not done. */
  openMonth(slot: number): WalletMonth | null {
    for (const month of this.tasks.parts.credentials.months) {
      const terms = month.terms;
      if (!terms || month.phase !== MONTH_OPEN || slot < terms.opensSlot || slot >= terms.closesSlot) continue;
      if (month.counts[STATE_NONE] + month.counts[STATE_OPENED] > 0) return month;
    }
    return null;
  }

  // ── set-up ──

  setUp(month: WalletMonth): boolean {
    const tasks = this.tasks;
    const parts = tasks.parts;
    const credentials = parts.credentials;
    this.setUpAtMs = tasks.uptimeMs + FIRST_PATIENCE_MS;
    tasks.busy = true;
    if (!credentials.shared) credentials.share(parts.random(32), parts.random(32));
    const shared = credentials.shared!;
    const text = encodeSetUp({
      meterId: parts.meterId,
      secretValue: shared.secretValue,
      sharedKey: shared.sharedKey,
    });
    tasks.modulus(month.terms!.sealingKey, (modulus) => {
      const sealing = new Sealing(parts.cipher, modulus, setUpHeader(month.sealingKeyId), text, parts.random);
      tasks.run(sealing, () => tasks.say(encodeSetUpMessage(sealing.sealed), () => tasks.end()));
    });
    return true;
  }
  setUpDone(done: boolean): void {
    this.tasks.parts.credentials.setUpDone(done);
    if (!done) this.setUpAtMs = 0;
  }

  // ── candidates ──

  nextBatch(month: WalletMonth): RegistrationBatch | null {
    const most = Math.max(1, Math.min(BATCH_MOST, Math.floor(CANDIDATES_MOST / month.candidatesEach)));
    const credentials = this.tasks.parts.credentials;
    let first = 0;
    while (first < month.amount && credentials.stateOf(month, first) >= STATE_HELD) first++;
    let count = 0;
    while (first + count < month.amount && count < most && credentials.stateOf(month, first + count) < STATE_HELD)
      count++;
    if (count === 0) return null;
    return {
      month: month,
      first: first,
      count: count,
      at: 0,
      digest: listStart(),
      kept: new Uint8Array(count),
    };
  }

  /** The next credential's candidates; behind the last one the tag. */
  make(batch: RegistrationBatch): void {
    const tasks = this.tasks;
    tasks.busy = true;
    if (batch.at === batch.count) this.sayTag(batch);
    else tasks.modulus(batch.month.terms!.credentialKey, (modulus) => this.makeCandidate(batch, modulus, [], null));
  }
  makeCandidate(batch: RegistrationBatch, modulus: Modulus, made: Uint8Array[], question: Uint8Array | null): void {
    const tasks = this.tasks;
    const month = batch.month;
    const index = batch.first + batch.at;
    if (made.length === month.candidatesEach) {
      const only = made.length === 1 ? question : null;
      const body = encodeCandidate({ month: month.month, index: index, blinded: made, question: only });
      tasks.say(body, () => {
        batch.at++;
        tasks.end();
      });
      return;
    }
    const seed = tasks.candidateSeed(month, index, made.length);
    const factors = this.factorsOf(month, index, seed);
    const blinding = new Blinding(modulus, this.payload(month, seed), factors[0], factors[1]);
    tasks.run(blinding, () => {
      batch.digest = listStep(tasks.parts.natives, batch.digest, blinding.blinded);
      made.push(blinding.blinded);
      this.makeCandidate(batch, modulus, made, blinding.question);
    });
  }
  sayTag(batch: RegistrationBatch): void {
    const tasks = this.tasks;
    const tag = registrationTag(tasks.parts.natives, tasks.parts.credentials.shared!.secretValue, {
      keyId: batch.month.credentialKeyId,
      first: batch.first,
      candidatesEach: batch.month.candidatesEach,
      count: batch.count,
      digest: batch.digest,
    });
    const body = encodeBatch({ month: batch.month.month, first: batch.first, count: batch.count, tag: tag });
    tasks.say(body, () => {
      batch.at++;
      this.againAtMs = tasks.uptimeMs + this.patienceMs;
      this.patienceMs = Math.min(2 * this.patienceMs, LAST_PATIENCE_MS);
      tasks.end();
    });
  }
  payload(month: WalletMonth, seed: Uint8Array): Uint8Array {
    const id = idOfSeed(this.tasks.parts.natives, CREDENTIAL, seed, month.credentialKeyId);
    return valuePayload(id, month.month, month.value);
  }
  factorsOf(month: WalletMonth, index: number, seed: Uint8Array): Uint8Array[] {
    const tasks = this.tasks;
    const mask = tasks.maskSeed(month, index);
    return tasks.factors(CREDENTIAL, seed, mask, month.credentialKeyId, month.terms!.credentialKey);
  }

  // ── what the centre answers ──

  /** c > 1: opens all candidates but those that are kept. */
  open(message: OpenMessage): void {
    const tasks = this.tasks;
    const batch = this.batch;
    tasks.busy = true;
    if (!batch || batch.month.month !== message.month || batch.first !== message.first || batch.at <= batch.count) {
      tasks.end();
      return;
    }
    const month = batch.month;
    let fits = message.keep.length === batch.count && month.candidatesEach > 1;
    for (const keep of message.keep) if (keep >= month.candidatesEach) fits = false;
    if (!fits || !tasks.parts.credentials.settleOpening(month, batch.first, message.keep)) {
      tasks.fail(ALARM_OPEN);
      return;
    }
    tasks.modulus(month.terms!.credentialKey, (modulus) => this.openNext(batch, modulus, 0));
  }
  openNext(batch: RegistrationBatch, modulus: Modulus, at: number): void {
    const tasks = this.tasks;
    const month = batch.month;
    if (at === batch.count) {
      tasks.end();
      return;
    }
    const index = batch.first + at;
    const keep = tasks.parts.credentials.keptOf(month, index);
    const seeds: Uint8Array[] = [];
    for (let j = 0; j < month.candidatesEach; j++) if (j !== keep) seeds.push(tasks.candidateSeed(month, index, j));
    const factors = this.factorsOf(month, index, tasks.candidateSeed(month, index, keep));
    // the mask was that of no other candidate's question: only this one's is ever asked
    const factor = modulus.toForm(modulus.read(factors[0], 'factor'));
    const question = modulus.write(modulus.multiply(factor, modulus.read(factors[1], 'mask')));
    const body = encodeOpened({ month: month.month, index: index, question: question, seeds: seeds });
    tasks.say(body, () => this.openNext(batch, modulus, at + 1));
  }

  /** Unblinds, verifies, and has it kept. */
  take(message: SignedMessage): void {
    const tasks = this.tasks;
    const batch = this.batch;
    tasks.busy = true;
    const at = batch ? message.index - batch.first : -1;
    if (!batch || batch.month.month !== message.month || at < 0 || at >= batch.count || batch.kept[at] > 0) {
      tasks.end();
      return;
    }
    const month = batch.month;
    const state = tasks.parts.credentials.stateOf(month, message.index);
    if (state !== (month.candidatesEach > 1 ? STATE_OPENED : STATE_NONE)) {
      tasks.end();
      return;
    }
    const kept = tasks.parts.credentials.keptOf(month, message.index);
    const seed = tasks.candidateSeed(month, message.index, kept);
    const factors = this.factorsOf(month, message.index, seed);
    tasks.modulus(month.terms!.credentialKey, (modulus) => {
      if (!modulus.isBetween(message.inverse)) {
        this.refuse(ALARM_HELPER);
        return;
      }
      if (!modulus.isBetween(message.blindSignature)) {
        this.refuse(ALARM_SIGNATURE);
        return;
      }
      const inverse = new Inverse(modulus, factors[0], factors[1], message.inverse);
      tasks.run(inverse, () => {
        if (!inverse.inverse) {
          this.refuse(ALARM_HELPER);
          return;
        }
        const payload = this.payload(month, seed);
        const unblinding = new Unblinding(modulus, payload, message.blindSignature, inverse.inverse);
        tasks.run(unblinding, () => {
          if (unblinding.signature) this.keep(batch, at, joined([message.bid, unblinding.signature]));
          else this.refuse(ALARM_SIGNATURE);
        });
      });
    });
  }
  /** The batch is asked for again, soon. */
  refuse(alarm: number): void {
    this.againAtMs = Math.min(this.againAtMs, this.tasks.uptimeMs + FIRST_PATIENCE_MS);
    this.tasks.fail(alarm);
  }
  keep(batch: RegistrationBatch, at: number, value: Uint8Array): void {
    const tasks = this.tasks;
    const id = sealedId(batch.month, batch.first + at);
    const kept = () => tasks.aside(() => this.kept(batch, at));
    tasks.until(
      () => tasks.parts.store.put(CREDENTIAL_KIND, id, SIGNATURE_VERSION, value, kept),
      () => {
        tasks.well(ALARM_HELPER);
        tasks.well(ALARM_SIGNATURE);
        tasks.end();
      },
    );
  }
  kept(batch: RegistrationBatch, at: number): void {
    if (batch !== this.batch) return;
    batch.kept[at] = 1;
    const indices: number[] = [];
    for (let i = 0; i < batch.count; i++) {
      if (batch.kept[i] === 0) return;
      indices.push(batch.first + i);
    }
    this.tasks.parts.credentials.hold(batch.month, indices);
    this.batch = null;
    this.patienceMs = FIRST_PATIENCE_MS;
    if (!this.tasks.busy) this.tasks.next();
  }
}
