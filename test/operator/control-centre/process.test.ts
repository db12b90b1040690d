/**
 * The control centre as a process: a household registers under its name over HTTPS, sells through the door from nobody, proves its exports
 * from commitments and is paid; with a kill in the middle. Firmware and gateway are played here.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type * as v from 'valibot';
import { prepareControlCentre } from '../../../bench/control-centre-side.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { Party } from '../../../bench/party.ts';
import { prepareDoorKeys } from '../../../bench/relay-side.ts';
import { callService, type RequestIdentity } from '../../../gateway/services/client.ts';
import { callAs } from '../../../operator/shared/client.ts';
import { readPlan } from '../../../operator/shared/door.ts';
import { identifierReference } from '../../../protocol/billing/bill.ts';
import {
  commitReading,
  monthKey,
  openingOf,
  openWeightedSum,
  type Series,
  signCommitments,
} from '../../../protocol/billing/commitments.ts';
import { finalize } from '../../../protocol/crypto/blind-rsa.ts';
import { type Keyset, keyFor, openKeyset } from '../../../protocol/crypto/keyset.ts';
import { sealAsMeter } from '../../../protocol/crypto/meter-seal.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { entryOf, openList } from '../../../protocol/door/answer-list.ts';
import { openEntry, sealCell } from '../../../protocol/door/cell.ts';
import { destinationOf } from '../../../protocol/door/plan.ts';
import { CELLS_PATH, cellsAnswer, LIST_PATH, partAnswer } from '../../../protocol/door/services.ts';
import { issueHolderCertificate } from '../../../protocol/identity/certificates.ts';
import { openAcceptanceList } from '../../../protocol/selling/acceptance-list.ts';
import { candidateOf } from '../../../protocol/selling/candidates.ts';
import {
  encodeSale,
  MODE_RECEIPTS,
  openAnswer,
  SALE_ACCEPTED,
  saleHeader,
} from '../../../protocol/selling/messages.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import {
  encodeSetUp,
  listStart,
  listStep,
  registrationTag,
  setUpHeader,
} from '../../../protocol/selling/registration.ts';
import {
  DEPOSIT_PATH,
  depositAnswer,
  EXPORTS_PATH,
  exportsAnswer,
  KEYSET_PATH,
  keysetAnswer,
  REGISTER_PATH,
  registerAnswer,
  SET_UP_PATH,
  SETTLEMENT_PATH,
  settlementAnswer,
  setUpAnswer,
  TERMS_PATH,
  termsAnswer,
} from '../../../protocol/selling/services.ts';
import { depositRoot, openStatement } from '../../../protocol/selling/statement.ts';
import { openTerms, openWeights } from '../../../protocol/selling/terms.ts';
import { CREDENTIAL, RECEIPT } from '../../../protocol/selling/values.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { monthFirstSlot, monthOf, monthStartMs } from '../../../protocol/time/months.ts';
import { SLOT_MS, slotOf } from '../../../protocol/time/slots.ts';
import { PURPOSE_CENTRE } from '../../../protocol/wire/ledger.ts';
import { makeAuthority } from '../../support/x509-authority.ts';
import { mainOf } from '../grid.ts';
import { valueKey } from './rig.ts';

const CENTRE = 'control-centre';
const HOUR_MS = 4 * SLOT_MS;
const START_MS = Date.UTC(2026, 5, 30);
const MONTH = monthOf(START_MS);
const KEY_BYTES = 256;
const VALUE = 10;
/** mWh of each of two slots: worth 25 and 15 credits at 100 credits per kWh. */
const SOLD = [250_000, 150_000];

async function build(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-centre-process-'));
  const ca = await GridCa.open(join(directory, 'ca'));
  const authority = await makeAuthority(START_MS);
  const authorityFile = join(directory, 'authority.pem');
  writeFileSync(authorityFile, authority.certificate);
  // what a SALE of k = 1 under RSA-2048 takes
  const doors = await prepareDoorKeys({
    directory: join(directory, 'door'),
    destinations: [{ name: CENTRE, cells: 1, messageBytes: 928, answerBytes: 289 }],
  });
  const side = await prepareControlCentre({
    directory,
    ca,
    authorityFile,
    door: doors.party(CENTRE),
    controlCentre: { value: VALUE, amount: 6, windowSlots: 8, lateRegistrationMs: HOUR_MS, workers: 1 },
  });
  t.deepEqual(side.doorSizes, { messageBytes: 928, answerBytes: 289 });
  const logPath = join(directory, 'centre.log');
  const party = new Party({ name: CENTRE, main: mainOf(CENTRE), configPath: side.config, logPath });
  t.teardown(async () => {
    await party.kill();
    if (!t.passed) t.log(readFileSync(logPath, 'utf8').slice(-3000));
    rmSync(directory, { recursive: true, force: true });
  });
  await party.start();
  await party.advance(START_MS, true);
  let nowMs = START_MS;
  const key = generateSigningKey();
  const certificate = await issueHolderCertificate(
    { kind: 'identifier', name: 'Anna Example', provider: 'utility', customerNumber: 'C-1' },
    key.publicKey,
    {
      issuer: authority,
      notBeforeMs: START_MS - 1000,
      notAfterMs: START_MS + 100 * 24 * HOUR_MS,
      serialNumber: randomBytes(16),
    },
  );
  const identity: RequestIdentity = {
    certificate,
    audience: CENTRE,
    nowMs: () => nowMs,
    sign: async (message) => signP256(key.privateKey, message),
  };
  const address = { url: side.url, ca: readFileSync(side.gatewaySelling.caFile, 'utf8') };
  return {
    party,
    side,
    key,
    ca,
    doors,
    named: <S extends v.GenericSchema>(path: string, body: object, answer: S) =>
      callService({ ...address, path, body, answer, identity }),
    open: <S extends v.GenericSchema>(path: string, answer: S) => callService({ ...address, path, answer }),
    async advance(toMs: number): Promise<void> {
      nowMs = toMs;
      await party.advance(toMs, true);
    },
  };
}

test('registered by name, sold by nobody, proved by one sum, and paid', async (t) => {
  const { party, side, key, ca, doors, named, open, advance } = await build(t);
  const masterKey = Buffer.from(side.gatewaySelling.masterKey, 'hex');
  const keyset: Keyset = openKeyset((await open(KEYSET_PATH, keysetAnswer)).keyset, CENTRE, masterKey);
  const announcement = keyFor(keyset, 'selling-announcement', MONTH)!;
  const sealing = keyFor(keyset, 'selling-sealing', MONTH)!;
  const credentialKey = valueKey(keyFor(keyset, 'selling-credential', MONTH)!);
  const receiptKey = valueKey(keyFor(keyset, 'selling-receipt', MONTH)!);
  const documents = await open(TERMS_PATH, termsAnswer);
  t.like(openTerms(documents.terms[0], announcement.publicKey), { mode: MODE_RECEIPTS, value: VALUE, amount: 6 });
  const weights = openWeights(documents.weights[0], announcement.publicKey);

  const secretValue = randomBytes(32);
  const setUp = encodeSetUp({ meterId: randomBytes(8), secretValue, sharedKey: randomBytes(32) });
  const sealed = sealAsMeter(sealing.publicKey, setUpHeader(sealing.keyId), setUp);
  t.deepEqual(await named(SET_UP_PATH, { sealed }, setUpAnswer), { customer: 'utility/C-1' });
  const seeds = Array.from({ length: 4 }, () => randomBytes(32));
  const made = seeds.map((seed) => candidateOf(CREDENTIAL, credentialKey, seed));
  const digest = made.reduce((all, { blinded }) => listStep(nodeNatives, all, blinded), listStart());
  const batch = { keyId: credentialKey.keyId, first: 0, candidatesEach: 1, count: made.length, digest };
  const request = {
    keyId: credentialKey.keyId,
    first: 0,
    candidates: made.map(({ blinded }) => [blinded]),
    tag: registrationTag(nodeNatives, secretValue, batch),
  };
  const registered = await named(REGISTER_PATH, request, registerAnswer);
  if (!('signed' in registered)) throw new Error('c is not 1');
  const credentials = made.map(({ id, payload, inverse }, i) => ({
    id,
    signature: finalize(credentialKey.key, payload, registered.signed[i].signature, inverse),
  }));

  // sold: two slots, four credentials, through the door
  const firstSlot = slotOf(START_MS) + 4;
  await advance(START_MS + 2 * HOUR_MS);
  const plan = readPlan(doors.party(CENTRE));
  const destination = destinationOf(plan, CENTRE);
  const relay = await ca.client('relay');
  const to = { url: side.url, caFile: side.gatewaySelling.caFile };
  const sales = credentials.map((credential, i) => {
    const receipt = candidateOf(RECEIPT, receiptKey, randomBytes(32));
    const sale = encodeSale(
      {
        mode: MODE_RECEIPTS,
        slot: firstSlot + (i < 2 ? 0 : 1),
        weightVersion: weights.number,
        nonce: randomBytes(32),
        keyId: credentialKey.keyId,
        receiptKeyId: receiptKey.keyId,
        credentials: [credential],
        blindedReceipts: [receipt.blinded],
      },
      KEY_BYTES,
    );
    return { receipt, sale, message: sealAsMeter(sealing.publicKey, saleHeader(sealing.keyId), sale) };
  });
  const send = async (messages: (Uint8Array | null)[]): Promise<(Uint8Array | null)[]> => {
    const cells = messages.map((message) => sealCell(destination, message));
    const call = { batch: randomBytes(32), part: 0, parts: 1, cells: cells.map(({ cell }) => cell) };
    const { list } = await callAs(relay, { ...to, path: CELLS_PATH, body: call, answer: cellsAnswer });
    const part = await callAs(relay, { ...to, path: LIST_PATH, body: { number: list!, part: 0 }, answer: partAnswer });
    const opened = openList(destination, part.bytes);
    if (opened.notice.length > 0) openAcceptanceList(opened.notice, announcement.publicKey);
    return cells.map(({ answer }) => {
      const entry = entryOf(opened, answer.id);
      return entry ? openEntry(destination, opened.number, answer, entry) : null;
    });
  };
  const answers = await send([...sales.map(({ message }) => message), null]);
  t.is(answers[4], null, 'a dummy has none');
  await party.kill();
  await party.start();
  await advance(START_MS + 2 * HOUR_MS + SLOT_MS);
  const again = await send(sales.map(({ message }) => message));
  t.deepEqual(again.map(hex), answers.slice(0, 4).map(hex), 'after kill -9, byte for byte');
  const receipts = sales.map(({ receipt, sale }, i) => {
    const { code, blindSignatures } = openAnswer(nodeNatives, sale, again[i]!, KEY_BYTES)!;
    t.is(code, SALE_ACCEPTED);
    return {
      id: receipt.id,
      identity: receipt.identity,
      signature: finalize(receiptKey.key, receipt.payload, blindSignatures[0], receipt.inverse),
    };
  });

  // settled
  const series: Series = {
    meter: identifierReference(key.publicKey),
    month: MONTH,
    purpose: PURPOSE_CENTRE,
    register: 'export',
    revision: 0,
    sinceSlot: slotOf(START_MS),
    unitMwh: 1,
    bits: 24,
  };
  const slots = Array.from({ length: monthFirstSlot(MONTH + 1) - series.sinceSlot }, (_, i) => series.sinceSlot + i);
  const exported = slots.map((slot) => SOLD[slot - firstSlot] ?? 0);
  const secret = monthKey(randomBytes(32), MONTH);
  const commitments = slots.map((slot, i) => commitReading(secret, series, slot, exported[i]));
  await advance(monthStartMs(MONTH + 1) + 8 * SLOT_MS);
  const deposit = {
    keyId: receiptKey.keyId,
    count: receipts.length,
    root: depositRoot(receipts.map(({ identity }) => identity)),
    receipts: receipts.map(({ id, signature }) => ({ id, signature })),
  };
  const deposited = await named(DEPOSIT_PATH, deposit, depositAnswer);
  t.true('statement' in deposited);
  const { statement } = deposited as { statement: Uint8Array };
  t.like(openStatement(statement, announcement.publicKey), { customer: 'utility/C-1', count: 4 });

  const opened = openWeightedSum(
    slots.map((slot) => BigInt(weights.weights[slot % 96])),
    slots.map((slot, i) => openingOf(secret, series, slot, exported[i])),
  );
  const settlement = { keyId: receiptKey.keyId, sumMicrocredits: String(opened.sum), opening: opened.randomness };
  const refused = await t.throwsAsync(named(SETTLEMENT_PATH, settlement, settlementAnswer));
  t.is((refused as ServiceError).code, 'not proved', 'nothing was committed to yet');
  const bytes = await signCommitments(series, slots[0], commitments, (message) => signP256(key.privateKey, message));
  await named(EXPORTS_PATH, { commitments: bytes }, exportsAnswer);
  await named(EXPORTS_PATH, { commitments: bytes }, exportsAnswer);
  const more = { ...settlement, sumMicrocredits: String(opened.sum + 1n) };
  await t.throwsAsync(named(SETTLEMENT_PATH, more, settlementAnswer), { instanceOf: ServiceError });
  const expected = { count: 4, credits: 40, milliCent: 3200, carriedMicrocredits: 0 };
  t.deepEqual(await named(SETTLEMENT_PATH, settlement, settlementAnswer), expected);
  t.like(await party.ask('totals'), { customers: 1, registered: 4, used: 4, deposited: 4, credits: 40 });
  const accounts = (await party.ask('accounts')) as { customer: string; count: number; payment: object }[];
  t.like(accounts[0], { customer: 'utility/C-1', registered: 4, count: 4 });
  t.like(accounts[0].payment, { compared: true, credits: 40 });
  t.deepEqual(
    ((await party.ask('seen')) as { slot: number }[]).map(({ slot }) => slot - firstSlot),
    [0, 0, 1, 1],
  );
});

const hex = (bytes: Uint8Array | null): string => (bytes ? Buffer.from(bytes).toString('hex') : 'none');
