// The verifier's half of passes: one for each device and day, whatever happens, and nothing in its store that leads on.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import { PassOffice } from '../../../operator/verifier/passes.ts';
import { blindPasses, decodePass, finishPass, verifyPass } from '../../../protocol/attestation/pass.ts';
import { openPassKeys, type PassKeys, passKeyOf, passKeysDigest } from '../../../protocol/attestation/pass-keys.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';

const D = 20_522;
const NOON_MS = D * DAY_MS + DAY_MS / 2;
const master = generateEd25519Key();

async function setUp(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-passes-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  let signatures = 0;
  const open = async (nowMs = NOON_MS): Promise<PassOffice> => {
    const office = new PassOffice({
      file: join(directory, 'passes.sqlite'),
      sign: (message) => {
        signatures++;
        return signEd25519(master.privateKey, message);
      },
      leastDaysAhead: 3,
      batchDays: 2,
    });
    await office.advance(nowMs);
    return office;
  };
  return { directory, open, signatures: () => signatures };
}
const keysOf = (office: PassOffice): PassKeys => openPassKeys(office.passKeys!, master.publicKey);
function question(office: PassOffice, day: number) {
  const pseudonym = generateSigningKey().publicKey;
  const key = passKeyOf(keysOf(office), day)!;
  const [asked] = blindPasses([{ key, day, pseudonym }], randomBytes);
  return { ...asked, key };
}
/** The one answer to one question. */
function answer(office: PassOffice, day: number, blinded: Uint8Array, change: object = {}) {
  const request = { passes: [{ day, blinded }] };
  const { passes } = office.issuePasses({ device: 'ek-1', request, trusted: true, nowMs: NOON_MS, ...change });
  return passes[0] as { day: number; signature?: Uint8Array; refusal?: string };
}

test('a device that is trusted gets a pass for today and for each of the next days', async (t) => {
  const office = await (await setUp(t)).open();
  for (const day of [D, D + 1, D + 2]) {
    const { blinded, inverse, key, ...claims } = question(office, day);
    const { signature } = answer(office, day, blinded);
    t.notThrows(() => verifyPass(decodePass(finishPass(key, claims, signature!, inverse))!, key));
  }
  for (const day of [D - 1, D + 3, 0]) t.is(answer(office, day, randomBytes(256)).refusal, 'day out of reach');
  office.close();
});

test('one for each device and day: the same question the same answer, another question none, over a kill', async (t) => {
  const { open } = await setUp(t);
  const office = await open();
  const [first, second] = [question(office, D), question(office, D)];
  const given = answer(office, D, first.blinded);
  t.deepEqual(Buffer.from(answer(office, D, first.blinded).signature!), Buffer.from(given.signature!));
  t.is(answer(office, D, second.blinded).refusal, 'already issued');
  // never closed, as after a kill
  const back = await open();
  t.deepEqual(Buffer.from(answer(back, D, first.blinded).signature!), Buffer.from(given.signature!));
  t.is(answer(back, D, second.blinded).refusal, 'already issued');
  t.truthy(answer(back, D, second.blinded, { device: 'ek-2' }).signature, 'another device has its own');
  const both = { passes: [first, question(back, D + 1)].map(({ day, blinded }) => ({ day, blinded })) };
  t.is(back.issuePasses({ device: 'ek-3', request: both, trusted: true, nowMs: NOON_MS }).passes.length, 2);
  const twice = { passes: [second, question(back, D)].map(({ day, blinded }) => ({ day, blinded })) };
  const answers = back.issuePasses({ device: 'ek-4', request: twice, trusted: true, nowMs: NOON_MS }).passes;
  t.deepEqual(
    answers.map((one) => ('refusal' in one ? one.refusal : 'signed')),
    ['signed', 'already issued'],
    'nor two in one question',
  );
  for (const one of [office, back]) one.close();
});

test('none for a device that is not trusted, not even the one it had', async (t) => {
  const office = await (await setUp(t)).open();
  const { blinded } = question(office, D);
  t.is(answer(office, D, blinded, { trusted: false }).refusal, 'not trusted');
  t.truthy(answer(office, D, blinded).signature, 'and nothing was used up');
  t.is(answer(office, D, blinded, { trusted: false }).refusal, 'not trusted');
  office.close();
});

test('what is no number below the modulus is refused, and the day is still there', async (t) => {
  const office = await (await setUp(t)).open();
  t.is(answer(office, D, new Uint8Array(256).fill(0xff)).refusal, 'malformed');
  t.truthy(answer(office, D, question(office, D).blinded).signature);
  office.close();
});

test('keys are made ahead, never change, and are signed in batches; the private ones go when their day is over', async (t) => {
  const { open, directory, signatures } = await setUp(t);
  const office = await open();
  const first = keysOf(office);
  t.deepEqual([first.firstDay, first.moduli.length], [D, 5]);
  t.is(signatures(), 1);
  await office.advance(NOON_MS + DAY_MS);
  t.deepEqual(passKeysDigest(keysOf(office)), passKeysDigest(first), 'nothing to do yet');
  await Promise.all([office.advance(NOON_MS + 2 * DAY_MS), office.advance(NOON_MS + 2 * DAY_MS)]);
  const second = keysOf(office);
  t.deepEqual([second.firstDay, second.moduli.length], [D, 7]);
  t.is(signatures(), 2);
  t.deepEqual(second.moduli.slice(0, 5).map(Buffer.from), first.moduli.map(Buffer.from));
  const back = await open(NOON_MS + 2 * DAY_MS);
  t.deepEqual(back.passKeys, office.passKeys, 'nor after a restart');

  const private_ = (day: number): unknown => {
    const database = new DatabaseSync(join(directory, 'passes.sqlite'), { readOnly: true });
    const kept = database.prepare('SELECT private FROM keys WHERE day = ?').get(day)!.private;
    database.close();
    return kept;
  };
  t.deepEqual([private_(D), private_(D + 1)], [null, null]);
  t.truthy(private_(D + 2));
  t.is(answer(back, D + 1, randomBytes(256), { nowMs: NOON_MS + 2 * DAY_MS }).refusal, 'day out of reach');
  // after two months of silence there is no gap, after half a year nothing of the old days is left
  await back.advance(NOON_MS + 60 * DAY_MS);
  t.deepEqual(keysOf(back).moduli.length, 60 + 5);
  await back.advance(NOON_MS + 180 * DAY_MS);
  const late = keysOf(back);
  t.is(late.firstDay, D + 180);
  t.truthy(passKeyOf(late, D + 183));
  for (const one of [office, back]) one.close();
});

test('the store holds nothing that leads from a household to a pseudonym, and is for its owner only', async (t) => {
  const { open, directory } = await setUp(t);
  const office = await open();
  const { blinded, inverse, key, ...claims } = question(office, D);
  const pass = finishPass(key, claims, answer(office, D, blinded).signature!, inverse);
  const disk = Buffer.concat(readdirSync(directory).map((name) => readFileSync(join(directory, name))));
  t.true(disk.includes('ek-1'), 'the search finds what is there');
  for (const secret of [claims.pseudonym.subarray(1), claims.random, inverse, pass.subarray(70)])
    t.false(disk.includes(Buffer.from(secret)));
  t.is(statSync(join(directory, 'passes.sqlite')).mode & 0o077, 0);
  office.close();
});
