import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { BlindRsaError, blindSign, generateBlindSigningKey } from '../../../protocol/crypto/blind-rsa.ts';
import { type Ed25519Key, generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import {
  type Dealing,
  decryptShare,
  distribute,
  generateServerKey,
  Panel,
  recoverSum,
  sumShares,
  verifyDealings,
  verifyShare,
} from '../../../protocol/crypto/pvss.ts';
import { Ring, tagInRing } from '../../../protocol/crypto/ring-signature.ts';
import { openAreaSum, plainSum, publishAreaSum, serverOfSlot, strip } from '../../../protocol/reporting/aggregate.ts';
import { ReportError } from '../../../protocol/reporting/errors.ts';
import {
  identityOfTag,
  makeReport,
  openReport,
  REGULAR_REPORT,
  type ReportBody,
} from '../../../protocol/reporting/report.ts';
import { chooseAggregators, creditOf, reputationOf, type Work } from '../../../protocol/reporting/reputation.ts';
import {
  checkRoster,
  countEndorsements,
  decodeRoster,
  encodeRoster,
  endorseRoster,
  MemoryEndorsementBook,
  openEndorsement,
  type RosterEntry,
  rosterDigest,
  rosterEntry,
  rosterOf,
  safeQuorum,
} from '../../../protocol/reporting/roster.ts';
import {
  blindReportToken,
  finishReportToken,
  idOfSlotKey,
  keyOfSlot,
  openSlotKeys,
  publishSlotKeys,
} from '../../../protocol/reporting/token.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const SLOT = 1_900_000;
const AREA = 'north-1';
const K = 3;
const signers = await Promise.all([generateBlindSigningKey(), generateBlindSigningKey()]);
const master = generateEd25519Key();
const published = publishSlotKeys(
  SLOT,
  signers.map(({ modulus }) => modulus),
  (message) => signEd25519(master.privateKey, message),
);
const slotKeys = openSlotKeys(published, master.publicKey);
const slotKey = keyOfSlot(slotKeys, SLOT)!;
const keysOf = (slot: number) => ({ slotKey: keyOfSlot(slotKeys, slot) });

interface Right {
  token: Uint8Array;
  privateKey: Ed25519Key['privateKey'];
  identity: Uint8Array;
}
function right(slot = SLOT): Right {
  const oneTime = generateEd25519Key();
  const key = keyOfSlot(slotKeys, slot)!;
  const { blinded, inverse } = blindReportToken(key, slot, oneTime.publicKey);
  const answer = blindSign(signers[slot - SLOT], blinded);
  const token = finishReportToken(key, slot, oneTime.publicKey, answer, inverse);
  return { token, privateKey: oneTime.privateKey, identity: idOfSlotKey(key, slot, oneTime.publicKey) };
}
const body = (content: ReportBody['content'], change: Partial<ReportBody> = {}): ReportBody => ({
  slot: SLOT,
  area: AREA,
  task: REGULAR_REPORT,
  slip: randomBytes(32),
  content,
  ...change,
});

test('keys of slots: signed, for everybody the same, and no others', (t) => {
  t.is(Buffer.compare(slotKey.modulus, signers[0].modulus), 0);
  t.is(keyOfSlot(slotKeys, SLOT + 2), undefined);
  t.is(keyOfSlot(slotKeys, SLOT - 1), undefined);
  const error = t.throws(() => openSlotKeys(published, generateEd25519Key().publicKey), { instanceOf: ReportError });
  t.is(error.path, 'slotKeys.signature');
  const twice = publishSlotKeys(SLOT, [signers[0].modulus, signers[0].modulus], (m) =>
    signEd25519(master.privateKey, m),
  );
  t.throws(() => openSlotKeys(twice, master.publicKey), { message: /hold one key twice/ });
});

test('a report is taken for what its token allows, once and unaltered', (t) => {
  const { token, privateKey, identity } = right();
  const bytes = makeReport(body({ value: 1250 }), { token, privateKey });
  const report = openReport(bytes, keysOf);
  t.deepEqual(report.content, { value: 1250 });
  t.is(Buffer.compare(report.identity, identity), 0);
  t.is(bytes.length, makeReport(body({ value: 0 }), right()).length);

  const flaw = (change: Uint8Array) => t.throws(() => openReport(change, keysOf), { instanceOf: ReportError }).path;
  const altered = (at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] ^= 1;
    return copy;
  };
  t.is(flaw(altered(40)), 'report.signature'); // the slip of the reward: nobody else's can be put in
  t.is(flaw(altered(bytes.length - 1)), 'report.signature');
  t.is(flaw(altered(bytes.length - 70)), 'report.token.signature');
  t.throws(() => openReport(bytes.subarray(1), keysOf), { instanceOf: MalformedError });
  // somebody else's key, a token of another slot, one that the issuer did not sign
  t.is(
    flaw(makeReport(body({ value: 50 }), { token, privateKey: generateEd25519Key().privateKey })),
    'report.signature',
  );
  t.is(flaw(makeReport(body({ value: 50 }, { slot: SLOT + 1 }), { token, privateKey })), 'report.token.slot');
  t.is(flaw(makeReport(body({ value: 50 }, { slot: SLOT + 9 }), { token, privateKey })), 'report.authorisation');
  const oneTime = generateEd25519Key();
  const { blinded, inverse } = blindReportToken(slotKey, SLOT, oneTime.publicKey);
  const wrongSlot = blindSign(signers[1], importable(blinded));
  t.throws(() => finishReportToken(slotKey, SLOT, oneTime.publicKey, wrongSlot, inverse), {
    instanceOf: BlindRsaError,
  });
});
/** Below every modulus of 2048 bits. */
const importable = (bytes: Uint8Array): Uint8Array => Buffer.concat([Buffer.of(0), bytes.subarray(1)]);

test('single values leave the house at 50 Wh only; what a task asks for is in its own unit', (t) => {
  const one = right();
  t.throws(() => makeReport(body({ value: 3217 }), one), { message: /no multiple of 50 Wh/ });
  t.notThrows(() => makeReport(body({ value: 2317 }, { task: randomBytes(16) }), one));
});

test('without an issuer: one report of a slot from one of the ring', (t) => {
  const members = Array.from({ length: 4 }, () => generateServerKey(randomBytes));
  const ring = new Ring(members.map(({ publicKey }) => publicKey));
  const report = (value: number) =>
    openReport(makeReport(body({ value }), { ring, secret: members[1].secret, random: randomBytes }), () => ({ ring }));
  const [first, second] = [report(100), report(150)];
  t.is(Buffer.compare(first.identity, second.identity), 0);
  t.is(Buffer.compare(first.identity, identityOfTag(tagInRing(ring, SLOT, members[1].secret))), 0);
  const bytes = makeReport(body({ value: 100 }), { ring, secret: members[0].secret, random: randomBytes });
  t.throws(() => openReport(bytes, keysOf), { message: /authorisation/ });
  const altered = Buffer.from(bytes);
  altered[30] ^= 1;
  t.throws(() => openReport(altered, () => ({ ring })), { message: /member of the area's ring/ });
});

test('plain reports: stripped and summed, k of them or nothing; the sum is signed', (t) => {
  const reports = [700, 50, 1250].map((value) => ({ identity: randomBytes(32), content: { value } }));
  t.deepEqual(strip(reports, K), [50, 700, 1250]);
  t.throws(() => strip(reports.slice(1), K), { message: /fewer than 3/ });
  t.throws(() => strip([...reports, reports[0]], K), { message: /two of one household/ });
  const server = generateEd25519Key();
  const sign = (message: Uint8Array) => signEd25519(server.privateKey, message);
  const sum = {
    product: 'import',
    firstSlot: SLOT,
    slots: 1,
    area: AREA,
    households: 3,
    sum: plainSum(strip(reports, K)),
    roster: randomBytes(32),
  };
  const bytes = publishAreaSum(sum, K, sign);
  const opened = openAreaSum(bytes, server.publicKey, K);
  t.is(opened.sum, 2000);
  t.is(opened.households, 3);
  t.throws(() => publishAreaSum({ ...sum, households: 2 }, K, sign), { message: /fewer than 3/ });
  t.throws(() => openAreaSum(bytes, master.publicKey, K), { message: /areaSum\.signature/ });
});

test('disjoint subsets: each slot has one server, each server a third of each day, beginning elsewhere', (t) => {
  const day = Math.floor(SLOT / 96) * 96;
  const counts = [0, 0, 0];
  for (let slot = day; slot < day + 96; slot++) counts[serverOfSlot(AREA, slot, 3) - 1]++;
  t.deepEqual(counts, [32, 32, 32]);
  const starts = new Set(Array.from({ length: 30 }, (_, d) => serverOfSlot(AREA, day + 96 * d, 3)));
  t.is(starts.size, 3);
});

/** Households' dealings, as every server holds them. */
function dealt(panel: Panel, values: readonly number[]) {
  return values.map((value) => {
    const one = right();
    const where = { slot: SLOT, area: AREA, token: one.identity };
    const report = openReport(makeReport(body({ dealing: distribute(panel, where, value, randomBytes) }), one), keysOf);
    const bytes = (report.content as { dealing: Uint8Array }).dealing;
    const [verdict] = verifyDealings(panel, [{ context: { ...where, token: report.identity }, bytes }], randomBytes);
    if ('refusal' in verdict) throw new Error(verdict.refusal);
    return { entry: rosterEntry(report.identity, verdict.dealing.commitment, bytes), dealing: verdict.dealing };
  });
}

test('from reports to the sum: one roster, agreed first; a server that is down or lies does not stop it', (t) => {
  const keys = Array.from({ length: 5 }, () => generateServerKey(randomBytes));
  const signing = keys.map(() => generateEd25519Key());
  const panel = new Panel({ publicKeys: keys.map(({ publicKey }) => publicKey), threshold: 3, rangeBits: 16 });
  const held = dealt(panel, [100, 2000, 30]);
  const entries = held.map(({ entry }) => entry);
  const roster = decodeRoster(encodeRoster(rosterOf(SLOT, AREA, panel.digest, entries)));
  t.is(roster.entries.length, 3);
  const endorse = (server: number, what = roster, of: RosterEntry[] = entries, book = new MemoryEndorsementBook()) =>
    endorseRoster(what, of, K, server, book, (m) => signEd25519(signing[server - 1].privateKey, m));
  const open = (bytes: Uint8Array) =>
    openEndorsement(
      bytes,
      SLOT,
      AREA,
      signing.map(({ publicKey }) => publicKey),
    );
  // server 1 is down, server 2 endorses two rosters
  const lie = { ...roster, entries: [...roster.entries, Buffer.alloc(32, 255)] };
  const lying = [
    endorse(2),
    endorse(2, lie, [
      ...entries,
      { id: Buffer.alloc(32, 255), identity: randomBytes(32), commitment: randomBytes(64) },
    ]),
  ];
  const endorsements = [...lying, ...[3, 4, 5].map((server) => endorse(server))].map(open);
  const { agreed, liars } = countEndorsements(endorsements, 3);
  t.is(Buffer.compare(agreed!, rosterDigest(roster)), 0);
  t.deepEqual(liars, [2]);
  t.is(countEndorsements(endorsements.slice(0, 4), 3).agreed, null);
  const dealings: Dealing[] = held.map(({ dealing }) => dealing);
  const context = { slot: SLOT, area: AREA, roster: agreed! };
  const encrypted = (server: number) => sumShares(dealings, server);
  const shares = [3, 4, 5].map((server) =>
    verifyShare(
      panel,
      decryptShare(panel, server, keys[server - 1].secret, encrypted(server), context, randomBytes),
      encrypted,
      context,
    ),
  );
  t.is(recoverSum(panel, shares, 3 * 2 ** 16), 2130);
});

test('a roster that leaves somebody out, is too small, or is the second one is not endorsed', (t) => {
  const entries = Array.from({ length: 4 }, () => rosterEntry(randomBytes(32), randomBytes(64), randomBytes(8)));
  const panel = randomBytes(32);
  const rosterWith = (some: RosterEntry[]) => rosterOf(SLOT, AREA, panel, some);
  const book = new MemoryEndorsementBook();
  const { privateKey } = generateEd25519Key();
  const endorse = (some: RosterEntry[], held = some) =>
    endorseRoster(rosterWith(some), held, K, 1, book, (m) => signEd25519(privateKey, m));
  t.deepEqual(endorse(entries), endorse(entries)); // again: the same
  // what isolates a household by difference
  const error = t.throws(() => endorse(entries.slice(1)), { instanceOf: ReportError });
  t.is(error.flaw, 'repeated');
  t.throws(() => checkRoster(rosterWith(entries.slice(1)), entries, K), { message: /leave out 1/ });
  t.throws(() => checkRoster(rosterWith(entries), entries.slice(1), K), { message: /did not verify/ });
  t.throws(() => checkRoster(rosterWith(entries.slice(2)), entries.slice(2), K), { message: /fewer than 3/ });
  const shuffled = encodeRoster({ ...rosterWith(entries), entries: [...rosterWith(entries).entries].reverse() });
  t.throws(() => decodeRoster(shuffled), { message: /does not come after/ });
  t.deepEqual([safeQuorum(5, 3), safeQuorum(10, 6), safeQuorum(3, 3)], [4, 8, 3]);
});

test('A12: an equal C_0 in a slot counts once, and so does a household; all servers leave out the same', (t) => {
  const [a, b] = [randomBytes(32), randomBytes(32)];
  const c0 = randomBytes(64);
  const entries = [
    rosterEntry(a, c0, Buffer.from('dealing')),
    rosterEntry(b, c0, Buffer.from('copy')),
    rosterEntry(a, randomBytes(64), Buffer.from('second')),
  ];
  const one = rosterOf(SLOT, AREA, a, entries);
  t.deepEqual(one, rosterOf(SLOT, AREA, a, [...entries].reverse()));
  t.true(one.entries.length < 3);
  const identities = one.entries.map((id) => entries.find((entry) => Buffer.compare(entry.id, id) === 0)!);
  t.is(new Set(identities.map(({ commitment }) => Buffer.from(commitment).toString('hex'))).size, identities.length);
});

test('reputation grows with verified work, and a lie ends it; everybody chooses the same gateways', (t) => {
  const work = (served: number, failed = 0, lies = 0): Work => ({ served, failed, lies });
  t.is(reputationOf(work(0)), 500);
  t.is(reputationOf(work(98)), 990);
  t.is(reputationOf(work(0, 98)), 10);
  t.is(reputationOf(work(1000, 0, 1)), 0);
  t.deepEqual([creditOf(work(96, 3)), creditOf(work(96, 0, 1))], [96, 0]);
  const candidates = Array.from({ length: 20 }, (_, i) => ({
    publicKey: createHash('sha256').update(`candidate ${i}`).digest(),
    work: i < 10 ? work(98) : i === 10 ? work(98, 0, 1) : i < 15 ? work(0, 98) : work(0),
  }));
  const times = new Array<number>(20).fill(0);
  for (let i = 0; i < 60; i++) {
    const beacon = createHash('sha256').update(`beacon ${i}`).digest();
    const chosen = chooseAggregators(candidates, beacon, 5);
    t.deepEqual(chosen, chooseAggregators([...candidates].reverse(), beacon, 5));
    for (const one of chosen) times[candidates.indexOf(one)]++;
  }
  const total = (from: number, to: number) => times.slice(from, to).reduce((a, b) => a + b, 0);
  t.is(total(10, 15), 0);
  t.is(total(0, 20), 300);
  t.true(total(0, 10) > total(15, 20) * 2.5); // twice as many, twice as good: four times as often
  t.throws(() => chooseAggregators(candidates, randomBytes(32), 16), { message: /15 are fit, 16 are needed/ });
});
