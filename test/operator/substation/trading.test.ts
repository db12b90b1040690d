// Everything that trade consists of, on a line without faults and with them; coins are neither lost nor made.
import test from 'ava';
import fc from 'fast-check';
import type { LineFaults } from '../../../bench/power-line/line.ts';
import { verifyEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { bodyOf, signatureOf, signedPart } from '../../../protocol/trading/batch.ts';
import { coinsRoot, decodeStatement, STATEMENT_LABEL } from '../../../protocol/trading/statement.ts';
import { balance, type Cell, DEPOSITS_MS, makeCell, settings } from './rig.ts';

const isBalanced = (cell: Cell): boolean => {
  const { loaded, bought, deposited, sold, inWallets } = balance(cell);
  return loaded + bought === deposited + sold + inWallets;
};
/** Seen coins are exchanged, everything is deposited, bills are made. */
async function settle(cell: Cell): Promise<void> {
  cell.line.faults = {};
  await cell.epochs(16);
  for (const meter of cell.meters) {
    const seen = meter.coins.filter(({ state }) => state === 'seen');
    for (let i = 0; i < seen.length; i += 8) meter.exchange(seen.slice(i, i + 8));
  }
  await cell.epochs(3);
  cell.nowMs = DEPOSITS_MS;
  await cell.substation.tick(cell.nowMs);
  for (const [i, meter] of cell.meters.entries())
    await cell.substation.accounts.deposit(`customer ${i}`, meter.deposit());
}

test('a pair: the payer may consume, the payee supplies and has earned a coin', async (t) => {
  const cell = await makeCell(t);
  await cell.load();
  const [seller, buyer] = cell.meters;
  const piece = cell.piece();
  seller.offer(piece);
  buyer.request(piece);
  await cell.epochs(2);
  t.deepEqual(
    cell.batches().flatMap(({ lines }) => lines.map(({ kind }) => kind)),
    ['P'],
  );
  t.is(seller.sold.length, 1);
  t.is(buyer.bought.length, 1);
  t.is(seller.free.length, settings.standardCoins + 1);
  t.is(buyer.free.length, settings.standardCoins - 1);
  t.true(isBalanced(cell));
  t.deepEqual(
    [seller, buyer].flatMap(({ alarms, evidence }) => [...alarms, ...evidence]),
    [],
  );

  await settle(cell);
  t.deepEqual(
    cell.substation.accounts.bills().map(({ customer, coins, isDeposited }) => ({ customer, coins, isDeposited })),
    [
      { customer: 'customer 0', coins: -1, isDeposited: true },
      { customer: 'customer 1', coins: 1, isDeposited: true },
      { customer: 'customer 2', coins: 0, isDeposited: true },
    ],
  );
  t.true(isBalanced(cell));
});

test('nobody offers: the DSO sells; too many offer: the DSO buys; nobody asks: what expired is said', async (t) => {
  const cell = await makeCell(t, { more: { surplusThreshold: 1 } });
  await cell.load();
  const [a, b, c] = cell.meters;
  a.request(cell.piece());
  await cell.epochs(1);
  t.is(a.bought.length, 1);
  const piece = cell.piece();
  for (const meter of [a, b, c]) meter.offer(piece);
  await cell.epochs(1);
  t.is(a.sold.length + b.sold.length + c.sold.length, 2, 'one offer is left open, as the threshold says');
  t.deepEqual(cell.substation.books.counters.read().dsoPurchases, 2);
  await cell.epochs(16);
  t.is(cell.substation.books.counters.read().expired, 1);
  t.deepEqual(
    cell.meters.flatMap(({ open }) => open),
    [],
  );
  t.true(isBalanced(cell));
  t.like(balance(cell), { sold: 1, bought: 2 });
});

test('a request waits for a neighbour as long as it may, another piece is not paired with it', async (t) => {
  const cell = await makeCell(t, { more: { dsoLeadMs: 0 } });
  await cell.load();
  const [a, b, c] = cell.meters;
  const piece = cell.piece();
  a.request(piece);
  b.offer({ ...piece, startSlot: piece.startSlot + 1 });
  await cell.epochs(3);
  t.is(a.bought.length, 0);
  c.offer(piece);
  await cell.epochs(1);
  t.is(c.sold.length, 1);
  t.is(a.bought.length, 1);
  const late = { ...cell.piece(), validUntil: Math.floor(cell.nowMs / 10_000) + 5 };
  a.request(late);
  await cell.epochs(7);
  t.is(a.bought.length, 2, 'before it expires the DSO sells');
});

test('a coin that was seen is used again or exchanged', async (t) => {
  const cell = await makeCell(t, { meters: 1 });
  await cell.load();
  const [meter] = cell.meters;
  cell.line.faults = { loss: 1 };
  meter.request(cell.piece());
  await cell.epochs(16);
  cell.line.faults = {};
  await cell.epochs(2);
  const seen = meter.coins.filter(({ state }) => state === 'seen');
  t.is(seen.length, 1, 'nothing was said of it, in unbroken batches');
  meter.exchange(seen);
  await cell.epochs(2);
  t.is(meter.free.length, settings.standardCoins);
  t.true(isBalanced(cell));
});

test('withdrawals and deposits may be repeated; amounts are the same for all; the statement is signed', async (t) => {
  const cell = await makeCell(t, { meters: 1 });
  const [meter] = cell.meters;
  const { accounts } = cell.substation;
  const { blinded, take } = meter.withdrawal(settings.standardCoins);
  const request = { keyId: meter.key.keyId, number: 0, blinded };
  const [once, twice] = await Promise.all([accounts.withdraw('a', request), accounts.withdraw('a', request)]);
  t.deepEqual(once.blindSignatures.map(Buffer.from), twice.blindSignatures.map(Buffer.from));
  take(once.blindSignatures);
  t.is(accounts.bills()[0].withdrawn, settings.standardCoins);
  const other = meter.withdrawal(settings.standardCoins).blinded;
  await t.throwsAsync(accounts.withdraw('a', { ...request, blinded: other }), { message: /has this number/ });
  await t.throwsAsync(accounts.withdraw('a', { ...request, number: 1, blinded: other.slice(1) }), {
    message: /everybody withdraws 4 coins/,
  });
  const deposit = meter.deposit();
  await t.throwsAsync(accounts.deposit('a', deposit), { message: /deposited when all trades of the month are over/ });
  cell.nowMs = DEPOSITS_MS;
  await cell.substation.tick(cell.nowMs);
  const half = { ...deposit, coins: deposit.coins.slice(0, 2) };
  t.deepEqual(await accounts.deposit('a', half), { missing: 2 });
  const answer = (await accounts.deposit('a', { ...deposit, coins: deposit.coins.slice(2) })) as {
    statement: Uint8Array;
  };
  t.deepEqual(
    Buffer.from(((await accounts.deposit('a', half)) as typeof answer).statement),
    Buffer.from(answer.statement),
  );
  t.like(decodeStatement(answer.statement), { customer: 'a', withdrawn: 4, deposited: 4 });
  const signer = cell.substation.books.keys.keys.find(
    ({ purpose, month }) => purpose === 'trade-announcement' && month === meter.key.month + 1,
  )!;
  const part = signedPart(STATEMENT_LABEL, bodyOf(answer.statement));
  t.true(verifyEd25519(signer.publicKey, part, signatureOf(answer.statement)));
  await t.throwsAsync(accounts.deposit('a', { ...deposit, root: coinsRoot([]) }), { message: /deposited already/ });
  await t.throwsAsync(accounts.deposit('b', deposit), { message: /4 of the coins were spent before/ });
});

const RATES: [string, LineFaults][] = [
  ['lost', { loss: 0.3 }],
  ['doubled', { duplication: 0.3 }],
  ['delayed and reordered', { reordering: 0.3, lateMs: 4000 }],
  ['in collision', { collision: 0.1, repeats: 2 }],
];
for (const [name, faults] of RATES)
  test(`messages ${name}, 30 %: no coin is lost or made, and trading goes on`, async (t) => {
    const cell = await makeCell(t, { faults, seed: 3 });
    await cell.load();
    const [a, b, c] = cell.meters;
    for (let i = 0; i < 3; i++) {
      const piece = cell.piece();
      a.offer(piece);
      b.request(piece);
      c.request(piece);
      await cell.epochs(4);
    }
    cell.line.faults = {};
    await cell.epochs(14);
    const trades = b.bought.length + c.bought.length;
    t.true(trades >= 4, `${trades} of 6 requests were served`);
    t.is(new Set([...b.bought, ...c.bought]).size, trades, 'each once');
    t.true(isBalanced(cell));
    t.true(cell.meters.every(({ chain }) => chain.missing() < 0 && chain.forked === 0));
    await settle(cell);
    t.true(isBalanced(cell));
    t.is(balance(cell).inWallets, 0);
  });

test('conservation and bills, whatever happens in whatever order', async (t) => {
  const rate = fc.integer({ min: 0, max: 30 }).map((percent) => percent / 100);
  const step = fc.record({ meter: fc.nat({ max: 2 }), what: fc.constantFrom('offer', 'request', 'wait', 'restart') });
  const schedule = fc.record({
    faults: fc.record({ loss: rate, duplication: rate, reordering: rate }),
    threshold: fc.constantFrom(-1, 0, 1),
    steps: fc.array(step, { minLength: 4, maxLength: 14 }),
    seed: fc.nat({ max: 1000 }),
  });
  await fc.assert(
    fc.asyncProperty(schedule, async ({ faults, threshold, steps, seed }) => {
      const cell = await makeCell(null, { faults, seed, more: { surplusThreshold: threshold } });
      try {
        await cell.load();
        for (const { meter, what } of steps) {
          if (what === 'offer') cell.meters[meter].offer(cell.piece());
          else if (what === 'request') cell.meters[meter].request(cell.piece());
          else if (what === 'wait') await cell.epochs(1);
          else await cell.restart();
        }
        await settle(cell);
        const { loaded, bought, deposited, sold, inWallets } = balance(cell);
        if (inWallets !== 0 || loaded + bought !== deposited + sold) return false;
        // each bill says what the meter bought and sold, to the coin
        return cell.substation.accounts
          .bills()
          .every(({ coins }, i) => coins === cell.meters[i].bought.length - cell.meters[i].sold.length);
      } finally {
        await cell.substation.close();
      }
    }),
    { numRuns: 5, seed: 5 },
  );
  t.pass();
});
