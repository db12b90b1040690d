// A gateway and its verifier: one pass for each day, fetched the day before, and no day half with a pass.
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PASS_FILE, PassKeeper, type PassKeeperOptions } from '../../../gateway/attestation/passes.ts';
import { PassOffice } from '../../../operator/verifier/passes.ts';
import { checkPassClaims, decodePass, verifyPass } from '../../../protocol/attestation/pass.ts';
import type { PassRequest } from '../../../protocol/attestation/pass-issue.ts';
import { openPassKeys, passKeyOf } from '../../../protocol/attestation/pass-keys.ts';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { DAY_MS } from '../../../protocol/time/slots.ts';
import { freshDir } from '../support/bench-link.ts';

const D = 20_000;
const HOUR_MS = 3_600_000;
const master = generateEd25519Key();
const pseudonyms = new Map<number, Uint8Array>();
function pseudonymOf(day: number): Uint8Array {
  const known = pseudonyms.get(day) ?? generateSigningKey().publicKey;
  pseudonyms.set(day, known);
  return known;
}

class Bench {
  readonly dataDir = freshDir();
  readonly clock = new DrivenClock(D * DAY_MS);
  readonly office = new PassOffice({
    file: join(freshDir(), 'passes.sqlite'),
    sign: (message) => signEd25519(master.privateKey, message),
    leastDaysAhead: 3,
    batchDays: 1,
  });
  readonly log: string[] = [];
  /** When, in hours since the first day's begin, and for which days it was asked. */
  readonly asked: { hour: number; days: number[]; blinded: Uint8Array[] }[] = [];
  trusted = true;
  /** Thrown instead of an answer, before or after the verifier has heard the question. */
  lost: { question?: Error; answer?: Error } = {};
  keeper!: PassKeeper;

  constructor(t: ExecutionContext, options: Partial<PassKeeperOptions> = {}) {
    this.open(options);
    t.teardown(() => this.office.close());
  }

  open(options: Partial<PassKeeperOptions> = {}): void {
    this.keeper = new PassKeeper({
      dataDir: this.dataDir,
      clock: this.clock,
      masterKey: master.publicKey,
      ask: (request) => this.#ask(request),
      fetchKeys: async () => {
        await this.office.advance(this.clock.nowMs());
        return this.office.passKeys!;
      },
      pseudonymOf,
      log: (line) => this.log.push(line),
      ...options,
    });
  }

  /** @param hour since the begin of day D */
  async at(hour: number): Promise<void> {
    this.clock.advanceTo(D * DAY_MS + hour * HOUR_MS);
    await this.office.advance(this.clock.nowMs());
    this.keeper.tick();
    await this.keeper.settled();
  }

  async #ask(request: PassRequest) {
    const nowMs = this.clock.nowMs();
    const hour = (nowMs - D * DAY_MS) / HOUR_MS;
    const days = request.passes.map(({ day }) => day - D);
    this.asked.push({ hour, days, blinded: request.passes.map(({ blinded }) => blinded) });
    if (this.lost.question) throw this.lost.question;
    const answer = this.office.issuePasses({ device: 'ek-1', request, trusted: this.trusted, nowMs });
    if (this.lost.answer) throw this.lost.answer;
    return answer;
  }

  good(pass: Uint8Array | null, day: number): boolean {
    const read = decodePass(pass!)!;
    checkPassClaims(read, day, pseudonymOf(day));
    verifyPass(read, passKeyOf(openPassKeys(this.office.passKeys!, master.publicKey), day)!);
    return true;
  }
}

test('the running day at once, every other day the day before, each once, and kept over a restart', async (t) => {
  const bench = new Bench(t);
  await bench.at(0);
  t.deepEqual(bench.asked[0]?.days[0], 0);
  t.true(bench.good(await bench.keeper.passFor(D, pseudonymOf(D)), D));
  for (let hour = 1; hour <= 72; hour++) {
    await bench.at(hour);
    if (hour === 30) bench.open();
  }
  for (const day of [D + 1, D + 2, D + 3]) {
    const pass = await bench.keeper.passFor(day, pseudonymOf(day));
    t.true(bench.good(pass, day));
    t.deepEqual(await bench.keeper.passFor(day, pseudonymOf(day)), pass, 'the same for every reading of the day');
  }
  const asked = bench.asked.flatMap(({ hour, days }) => days.map((day) => ({ hour, day })));
  t.deepEqual(
    asked.map(({ day }) => day),
    [0, 1, 2, 3],
  );
  for (const { hour, day } of asked.slice(1)) t.true(hour >= 24 * (day - 1) && hour <= 24 * day - 1, `${day}: ${hour}`);
  t.is(bench.keeper.trouble, null);
  t.is(statSync(join(bench.dataDir, PASS_FILE)).mode & 0o077, 0);
});

test('the time of the day is drawn evenly, whatever the slots do', async (t) => {
  const hours: number[] = [];
  for (let i = 0; i < 12; i++) {
    const bench = new Bench(t, { randomBelow: (below) => Math.floor(((i + 0.5) / 12) * below) });
    for (let hour = 0; hour < 24; hour++) await bench.at(hour);
    hours.push(bench.asked.find(({ days }) => days.includes(1))!.hour);
  }
  t.true(new Set(hours).size >= 11, `${hours}`);
});

test('a day is with a pass or without: what comes after the first reading is not used', async (t) => {
  const bench = new Bench(t);
  bench.lost.question = new Error('the verifier does not answer');
  await bench.at(0);
  t.is(bench.keeper.trouble, 'the verifier does not answer');
  t.is(await bench.keeper.passFor(D, pseudonymOf(D)), null, 'and the reading does not wait');
  t.true(bench.log.some((line) => /no attestation pass for day 20000: the verifier does not answer/.test(line)));
  bench.lost = {};
  for (let hour = 1; hour <= 12; hour++) await bench.at(hour);
  t.is(await bench.keeper.passFor(D, pseudonymOf(D)), null);
  bench.open();
  await bench.at(13);
  t.is(await bench.keeper.passFor(D, pseudonymOf(D)), null, 'not even after a restart');
  t.false(
    bench.asked.slice(1).some(({ days }) => days.includes(0)),
    'nor is it asked for',
  );
  for (let hour = 14; hour <= 24; hour++) await bench.at(hour);
  t.true(bench.good(await bench.keeper.passFor(D + 1, pseudonymOf(D + 1)), D + 1), 'the next day is good again');
});

test('an answer that was lost is asked for again with the same bytes, also after a kill', async (t) => {
  const bench = new Bench(t);
  bench.lost.answer = new Error('connection reset');
  await bench.at(0);
  bench.lost = {};
  bench.open();
  await bench.at(0.5);
  t.true(bench.asked.length >= 2);
  const questions = bench.asked.filter(({ days }) => days.includes(0)).map(({ blinded }) => blinded[0]);
  for (const question of questions) t.deepEqual(Buffer.from(question), Buffer.from(questions[0]));
  t.true(bench.good(await bench.keeper.passFor(D, pseudonymOf(D)), D));
});

test('what was asked and then lost from the disk is lost: one pass for a day', async (t) => {
  const bench = new Bench(t);
  bench.lost.answer = new Error('connection reset');
  await bench.at(0);
  rmSync(join(bench.dataDir, PASS_FILE));
  bench.lost = {};
  bench.open();
  await bench.at(0.5);
  t.is(await bench.keeper.passFor(D, pseudonymOf(D)), null);
  t.regex(bench.keeper.trouble!, /has a pass for the day already/);
});

test('no pass for a device that is not in order, and one as soon as it is', async (t) => {
  const bench = new Bench(t);
  bench.trusted = false;
  await bench.at(0);
  t.regex(bench.keeper.trouble!, /does not find meter and gateway in order/);
  bench.trusted = true;
  await bench.at(0.1);
  t.true(bench.good(await bench.keeper.passFor(D, pseudonymOf(D)), D));
});

test('a signature that is none is found before the pass is used', async (t) => {
  const bench = new Bench(t, {
    ask: async ({ passes }) => ({
      passes: passes.map(({ day }) => ({ day, signature: randomBytes(256).fill(0, 0, 1) })),
    }),
  });
  await bench.at(0);
  t.regex(bench.keeper.trouble!, /none of what was blinded/);
  t.is(await bench.keeper.passFor(D, pseudonymOf(D)), null);
});

test("keys of the gateway's own would be a mark: a key that changes, or another master's, is refused", async (t) => {
  const bench = new Bench(t);
  await bench.at(0);
  const digest = bench.keeper.keysDigest;
  t.regex(digest!, /^[0-9a-f]{64}$/);
  const own = new PassOffice({
    file: join(freshDir(), 'own.sqlite'),
    sign: (message) => signEd25519(master.privateKey, message),
    leastDaysAhead: 9,
  });
  t.teardown(() => own.close());
  await own.advance(D * DAY_MS);
  bench.open({ fetchKeys: async () => own.passKeys! });
  for (let hour = 1; hour <= 24 * 5; hour += 6) await bench.at(hour);
  t.regex(bench.keeper.trouble!, /another key for day 20000 than was published/);
  t.is(bench.keeper.keysDigest, digest, 'what was published holds');

  const stranger = new Bench(t, { masterKey: generateEd25519Key().publicKey });
  await stranger.at(0);
  t.regex(stranger.keeper.trouble!, /not made by the verifier's master key/);
  t.is(stranger.asked.length, 0, 'and nothing is asked under them');
});

test('a reading waits for a pass that is on its way, but not for long', async (t) => {
  let answer: (() => void) | undefined;
  const bench = new Bench(t);
  const slow = bench.office;
  bench.open({
    ask: (request) =>
      new Promise((resolve) => {
        answer = () =>
          resolve(slow.issuePasses({ device: 'ek-1', request, trusted: true, nowMs: bench.clock.nowMs() }));
      }),
  });
  await bench.office.advance(bench.clock.nowMs());
  bench.keeper.tick();
  const pass = bench.keeper.passFor(D, pseudonymOf(D));
  while (!answer) await new Promise((later) => setImmediate(later));
  answer();
  t.true(bench.good(await pass, D));

  const never = new Bench(t, { ask: () => new Promise(() => {}) });
  await never.office.advance(never.clock.nowMs());
  never.keeper.tick();
  t.is(await never.keeper.passFor(D, pseudonymOf(D)), null);
});

test('a household that was initialised anew does not show the pass of its old pseudonym', async (t) => {
  const bench = new Bench(t);
  await bench.at(0);
  t.is(await bench.keeper.passFor(D, generateSigningKey().publicKey), null);
});

test('a pass file that cannot be read is said and begun anew', async (t) => {
  const bench = new Bench(t);
  await bench.at(0);
  for (const text of ['{', '{"version": 1}', '{"version": 2, "days": [], "keys": null}']) {
    writeFileSync(join(bench.dataDir, PASS_FILE), text);
    bench.open();
    t.regex(bench.log.at(-1)!, /passes in it are lost/);
  }
  await bench.at(30);
  t.notThrows(() => JSON.parse(readFileSync(join(bench.dataDir, PASS_FILE), 'utf8')));
});

test('without a pseudonym for the day nothing is asked', async (t) => {
  const bench = new Bench(t, { pseudonymOf: () => undefined });
  await bench.at(0);
  t.deepEqual(bench.asked, []);
  t.regex(bench.keeper.trouble!, /no pseudonym for that day yet/);
});
