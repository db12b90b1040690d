// Attacks of protocols.md on selling, each shown to work on the paper's form and to fail on ours.
import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import { finalize } from '../../../protocol/crypto/blind-rsa.ts';
import { signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { keyIdOf, openKeyset, publishKeyset } from '../../../protocol/crypto/keyset.ts';
import { candidateOf } from '../../../protocol/selling/candidates.ts';
import { SALE_FORGED, SALE_MALFORMED } from '../../../protocol/selling/messages.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import { commitmentOf } from '../../../protocol/selling/reconciliation.ts';
import { bareHash, E, inverse, N, PHI, power, random, signRaw, toInteger, verifiesRaw } from './paper.ts';
import { code, M_OF_N, master, registered, SOLD_MS, startCentre, TestMeter } from './rig.ts';

const bytesOf = (value: bigint, length = 256): Uint8Array =>
  Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');

test('A1: the product of two raw signatures is a third one; of two credentials it is none', async (t) => {
  const [one, two] = [random(), random()];
  t.true(verifiesRaw((one * two) % N, (signRaw(one) * signRaw(two)) % N), 'works on the paper');

  const rig = await startCentre(t);
  const [meter] = await registered(rig, 1);
  const { key } = rig.key('selling-credential');
  const [a, b] = meter.credentials;
  const product = bytesOf((toInteger(a.signature) * toInteger(b.signature)) % key.n);
  for (const id of [a.candidate.id, b.candidate.id, randomBytes(32)])
    t.is(await meter.sell(a, { credentials: [{ id, signature: product }] }), SALE_FORGED);
});

test("A2: one's own blinded credential opens onto another's used CID; with seeds it does not", async (t) => {
  {
    // Anna used C_A and gives (C_A, s_A) to Ben, whose own B_B stands in L1
    const used = random();
    const signedUsed = signRaw(used);
    const [own, factor] = [random(), random()];
    const blinded = (own * power(factor, E)) % N;
    const signedOwn = (signRaw(blinded) * inverse(factor)) % N;
    const madeUp = (((signedOwn * factor) % N) * inverse(signedUsed)) % N;
    t.is((blinded * inverse(power(madeUp, E))) % N, used, 'works on the paper: B_B/F^e is C_A');
  }
  const rig = await startCentre(t, { with: M_OF_N });
  const { centre } = rig;
  const [anna, ben] = await registered(rig, 2);
  await anna.sell(anna.credentials[0]);
  await centre.advance(SOLD_MS);
  // Anna gives Ben everything that she has, and he claims her credential with his candidate
  const { seed } = anna.credentials[0];
  const list = ben.usedList([{ ...ben.credentials[0], seed }]);
  const answer = centre.reconciliation.takeList(ben.customer, list.request);
  t.is(answer.state, 'challenge');
  t.is(code(t.throws(() => ben.reveal(list, answer))), 'does not open');
  // nor with hers, which is not in his name
  const hers = ben.usedList([anna.credentials[0]]);
  t.is(code(t.throws(() => centre.reconciliation.takeList(ben.customer, hers.request))), 'already claimed');
  t.is(centre.reconciliation.credited(ben.customer, list.request.keyId), null);
});

test('A3b: values outside the range are signed and verify; ours are refused before and after', async (t) => {
  // two values of 1024 bits: their product is still an integer below N, and carries the product of the signatures
  const [one, two] = [random(128) >> 1n, random(128) >> 1n];
  t.true(one * two < N && verifiesRaw(one * two, (signRaw(one) * signRaw(two)) % N), 'works on the paper');
  t.true(verifiesRaw(1n, 1n) && verifiesRaw(N - 1n, N - 1n), 'nobody has to sign 1 or −1');

  const rig = await startCentre(t);
  const [meter] = await registered(rig, 1);
  const { key } = rig.key('selling-receipt');
  const credential = meter.credentials[0];
  for (const blinded of [0n, 1n, key.n - 1n, key.n, key.n + 2n].map((value) => bytesOf(value)))
    t.is(await meter.sell(credential, { blindedReceipts: [blinded] }), SALE_MALFORMED);
  const credentialKey = rig.key('selling-credential').key;
  const { id } = credential.candidate;
  const bigger = toInteger(credential.signature) + credentialKey.n;
  for (const value of [0n, 1n, credentialKey.n - 1n, bigger].filter((one) => one < 1n << 2048n))
    t.is(await meter.sell(credential, { credentials: [{ id, signature: bytesOf(value) }] }), SALE_FORGED);
  t.is(await meter.sell(credential), 0, 'and nothing was used up');

  const fresh = await startCentre(t);
  const other = new TestMeter(fresh, 'utility/9');
  other.setUp();
  for (const value of [0n, 1n, credentialKey.n]) {
    const request = other.tagged(0, [[bytesOf(value)]]);
    const refused = await t.throwsAsync(fresh.centre.registration.register(other.customer, request));
    t.regex(refused!.message, /candidates\.0\.0 is no number of the range/);
  }
});

test('A4: under one modulus a signature for one attribute becomes one for another; a keyset has no two keys with one', async (t) => {
  const greatest = (a: bigint, b: bigint): bigint => (b === 0n ? a : greatest(b, a % b));
  const [first, second] = [17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n].filter((prime) => greatest(prime, PHI) === 1n);
  const [e1, e2] = [E * first, E * first * second];
  const message = random();
  const signedForTwo = power(message, inverse(e2, PHI));
  t.is(power(power(signedForTwo, e2 / e1), e1), message, 'works where exponents stand for attributes');

  const rig = await startCentre(t);
  const keyset = rig.keyset();
  const sign = (bytes: Uint8Array): Uint8Array => signEd25519(master.privateKey, bytes);
  const [credential, ...rest] = keyset.keys.filter(({ kind }) => kind === 'blind');
  const doubled = { ...credential, value: credential.value * 10 };
  doubled.keyId = keyIdOf(keyset.party, doubled);
  const forged = publishKeyset({ ...keyset, keys: [...keyset.keys, doubled] }, sign);
  t.throws(() => openKeyset(forged, keyset.party, master.publicKey), { message: /publicKey is that of another entry/ });
  const moduli = new Set([credential, ...rest].map(({ publicKey }) => Buffer.from(publicKey).toString('hex')));
  t.is(moduli.size, 1 + rest.length, 'nor has ours');
});

test('A8: smooth bare hashes forge a raw signature; over the full width there is nothing to factor', async (t) => {
  // Desmedt and Odlyzko's attack. 32 bits instead of 160, so that a test can afford it: it is the same for both
  const primes = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n, 41n, 43n, 47n];
  const factors = (value: bigint): bigint[] | null => {
    let rest = value;
    const exponents = primes.map((prime) => {
      let times = 0n;
      for (; rest > 1n && rest % prime === 0n; rest /= prime) times++;
      return times;
    });
    return rest === 1n ? exponents : null;
  };
  const smooth: { hash: bigint; exponents: bigint[] }[] = [];
  for (let i = 0; smooth.length < primes.length + 25; i++) {
    const hash = bareHash(`message ${i}`, 32);
    const exponents = factors(hash);
    if (exponents) smooth.push({ hash, exponents });
  }
  const target = smooth.pop()!;
  const known = smooth.map(({ hash, exponents }) => ({ signature: signRaw(hash), exponents }));
  const combination = solve(
    primes.map((_, row) => known.map(({ exponents }) => exponents[row])),
    target.exponents,
  );
  t.truthy(combination, 'the known ones span the target');
  let forged = 1n;
  known.forEach(({ signature }, i) => {
    forged = (forged * power(signature, combination![i])) % N;
  });
  primes.forEach((prime, row) => {
    const sum = known.reduce((all, { exponents }, i) => all + exponents[row] * combination![i], 0n);
    const over = (target.exponents[row] - sum) / E; // whole: both are equal modulo e
    forged = (forged * (over < 0n ? inverse(power(prime, -over)) : power(prime, over))) % N;
  });
  t.true(verifiesRaw(target.hash, forged), 'a signature that nobody made');

  const rig = await startCentre(t);
  const [meter] = await registered(rig, 1);
  const [credential] = meter.credentials;
  const { key } = rig.key('selling-credential');
  const raw = power(toInteger(credential.signature), E, key.n);
  t.true(raw > 1n << 2000n, 'what is signed has the full width');
  const asHash = {
    id: credential.candidate.id,
    signature: bytesOf(power(toInteger(credential.candidate.id), 3n, key.n)),
  };
  t.is(await meter.sell(credential, { credentials: [asHash] }), SALE_FORGED);
});

/** x with matrix·x = wanted modulo e, or null. */
function solve(matrix: bigint[][], wanted: bigint[]): bigint[] | null {
  const mod = (value: bigint): bigint => ((value % E) + E) % E;
  const rows = matrix.map((row, i) => [...row.map(mod), mod(wanted[i])]);
  const columns = matrix[0].length;
  const pivots: number[] = [];
  let top = 0;
  for (let column = 0; column < columns && top < rows.length; column++) {
    const found = rows.findIndex((row, i) => i >= top && row[column] !== 0n);
    if (found < 0) continue;
    [rows[top], rows[found]] = [rows[found], rows[top]];
    const scale = inverse(rows[top][column], E);
    rows[top] = rows[top].map((value) => mod(value * scale));
    rows.forEach((row, i) => {
      const times = row[column];
      if (i !== top && times !== 0n) rows[i] = row.map((value, j) => mod(value - times * rows[top][j]));
    });
    pivots.push(column);
    top++;
  }
  if (rows.slice(top).some((row) => row[columns] !== 0n)) return null;
  const solution = new Array<bigint>(columns).fill(0n);
  pivots.forEach((column, i) => {
    solution[column] = rows[i][columns];
  });
  return solution;
}

test('A9: by the list of used credentials the centre links every sale, opening nothing; salted commitments say nothing', async (t) => {
  const rig = await startCentre(t, { with: M_OF_N });
  const meters = await registered(rig, 2);
  const { key, keyId, publicKey } = rig.key('selling-credential');
  // all that the centre has: BID and blind signature of each customer, CID and signature of each sale
  const l1 = meters.flatMap((meter) => meter.credentials.map((one) => ({ meter, ...one })));
  const sales = meters.flatMap((meter) => meter.credentials.slice(0, 3).map((one) => ({ meter, ...one })));
  const blindSignatureOf = new Map<string, bigint>();
  for (const { bid } of l1) {
    const row = rig.centre.books.database.prepare('SELECT signature FROM l1 WHERE bid = ?').get(bid)!;
    blindSignatureOf.set(hex(bid), toInteger(row.signature as Uint8Array));
  }
  const factorFor = (bid: Uint8Array, signature: Uint8Array): Uint8Array =>
    bytesOf((blindSignatureOf.get(hex(bid))! * inverse(toInteger(signature), key.n)) % key.n);
  /** For each sale, whose it is by the oracle. */
  const link = (owner: (bid: Uint8Array, cid: Uint8Array, factor: Uint8Array) => string | undefined): number =>
    sales.filter((sale) =>
      l1.some(({ bid, meter }) => {
        const found = owner(bid, sale.candidate.id, factorFor(bid, sale.signature));
        return found === meter.customer && found === sale.meter.customer;
      }),
    ).length;

  // the paper's L4: HMAC(sk, BID ‖ F)
  const paperLists = new Map<string, string>();
  const keyed = (sharedKey: Uint8Array, bid: Uint8Array, factor: Uint8Array): string =>
    createHmac('sha256', sharedKey).update(bid).update(factor).digest('hex');
  for (const { meter, bid, signature } of sales)
    paperLists.set(keyed(meter.sharedKey, bid, factorFor(bid, signature)), meter.customer);
  const byPaper = link((bid, _, factor) =>
    meters.map(({ sharedKey }) => paperLists.get(keyed(sharedKey, bid, factor))).find((owner) => owner !== undefined),
  );
  t.is(byPaper, sales.length, 'works on the paper: every sale');

  // ours, where the centre may even know the seeds: without u there is nothing to compare with
  const ourLists = new Map<string, string>();
  for (const meter of meters) {
    const { request } = meter.usedList(meter.credentials.slice(0, 3));
    for (const entry of request.entries) ourLists.set(hex(entry), meter.customer);
  }
  const guesses = [new Uint8Array(32), randomBytes(32), ...meters.map(({ sharedKey }) => sharedKey)];
  const seedOf = new Map(l1.map(({ bid, seed }) => [hex(bid), seed]));
  const byOurs = link((bid) =>
    guesses
      .map((salt) => commitmentOf(nodeNatives, { bid, seed: seedOf.get(hex(bid))!, salt }, keyId, publicKey))
      .map((entry) => ourLists.get(hex(entry)))
      .find((owner) => owner !== undefined),
  );
  t.is(byOurs, 0);
});

test("a forged signature, one of another key, one over another value: none is the centre's", async (t) => {
  const rig = await startCentre(t);
  const [meter] = await registered(rig, 1);
  const [credential] = meter.credentials;
  const { id } = credential.candidate;
  t.is(await meter.sell(credential, { credentials: [{ id, signature: randomBytes(256) }] }), SALE_FORGED);
  t.is(
    await meter.sell(credential, { credentials: [{ id: randomBytes(32), signature: credential.signature }] }),
    SALE_FORGED,
  );
  // a candidate that says ten times the value, signed blindly under this key
  const dear = { ...rig.key('selling-credential'), value: 50 };
  const seed = randomBytes(32);
  const candidate = candidateOf('credential', dear, seed);
  const [blindSignature] = await rig.centre.books.engine.signBlinded(dear.keyId, [candidate.blinded]);
  const signature = finalize(dear.key, candidate.payload, blindSignature as Uint8Array, candidate.inverse);
  t.is(await meter.sell({ ...credential, candidate, signature }), SALE_FORGED, 'month and value are those of the key');
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
