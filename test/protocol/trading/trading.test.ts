// Codecs, chain of batches, decisions, tokens, and the rules of the paper's flow.
import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import {
  batchHash,
  decodeBatch,
  decodeBeacon,
  encodeBatchBody,
  encodeBeaconBody,
  type Line,
} from '../../../protocol/trading/batch.ts';
import { BatchChain } from '../../../protocol/trading/chain.ts';
import { coinFactorOfSeed, coinIdOfSeed, isToken } from '../../../protocol/trading/coins.ts';
import { atSupplysEnd, demandOf, needsTopUp, slotsOfPiece } from '../../../protocol/trading/decisions.ts';
import {
  decodeExchange,
  decodeFind,
  decodeOffer,
  decodeRequest,
  decodeResend,
  encodeExchange,
  encodeFind,
  encodeOffer,
  encodeRequest,
  encodeResend,
  tradeId,
} from '../../../protocol/trading/messages.ts';
import {
  afterTimeout,
  decodePaper,
  encodePaper,
  PAPER_OFFER,
  PAPER_RECEIPT,
  PAPER_REQUEST,
  type PaperPair,
  paperBytes,
  receiptFor,
  spentFor,
} from '../../../protocol/trading/paper-flow.ts';

/** With bytes as text, so that arrays and buffers of the same content are alike. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}
const piece = { keyId: randomBytes(32), startSlot: 1_900_000, slots: 2, validUntil: 178_000_000 };

test('messages come back as they were; ids are the first half of SHA-256; errors name the field', (t) => {
  const offer = { ...piece, pass: randomBytes(40), blinded: randomBytes(256) };
  const request = { ...piece, sealed: randomBytes(576) };
  const exchange = {
    keyId: piece.keyId,
    blinded: [randomBytes(256), randomBytes(256)],
    coins: 2,
    sealed: randomBytes(900),
  };
  t.deepEqual(plain(decodeOffer(encodeOffer(offer))), plain(offer));
  t.deepEqual(plain(decodeRequest(encodeRequest(request))), plain(request));
  t.deepEqual(plain(decodeExchange(encodeExchange(exchange), () => 256)), plain(exchange));
  t.is(decodeResend(encodeResend(77)), 77);
  const id = tradeId(nodeNatives, encodeOffer(offer));
  t.deepEqual(Buffer.from(id), createHash('sha256').update(encodeOffer(offer)).digest().subarray(0, 16));
  t.deepEqual(plain(decodeFind(encodeFind(id))), plain(id));
  t.throws(() => decodeOffer(encodeRequest(request)), { message: 'offer.type is another' });
  t.throws(() => decodeOffer(encodeOffer(offer).subarray(0, 60)), { message: /offer.pass needs 40 bytes/ });
  t.throws(() => decodeRequest(encodeRequest({ ...request, slots: 0 })), { message: 'request.slots is 0' });
  t.throws(() => decodeExchange(encodeExchange(exchange), () => 0), { message: 'exchange.keyId is unknown' });
  t.throws(() => decodeFind(Buffer.concat([encodeFind(id), Buffer.of(0)])), { message: /1 bytes too many/ });
});

const lines: Line[] = [
  { kind: 'P', request: randomBytes(16), offer: randomBytes(16), blindSignature: randomBytes(256) },
  { kind: 'D', request: randomBytes(16) },
  { kind: 'B', offer: randomBytes(16), blindSignature: randomBytes(384) },
  { kind: 'X', id: randomBytes(16), reason: 3 },
  { kind: 'E', exchange: randomBytes(16), blindSignatures: [randomBytes(256), randomBytes(256)] },
];
const signature = new Uint8Array(64);
const batchOf = (number: number, previous: Uint8Array, epoch = number): Uint8Array =>
  Buffer.concat([encodeBatchBody({ number, previous, epoch, lines }), signature]);

test('batches and beacons come back as they were', (t) => {
  t.deepEqual(plain(decodeBatch(batchOf(5, randomBytes(32))).lines), plain(lines));
  const beacon = {
    ...{ epoch: 9, utcS: 1_800_000_000, cell: randomBytes(8), keysetHash: randomBytes(32) },
    ...{ groupKeyHash: randomBytes(32), nextBatch: 7, passRequired: true },
  };
  t.deepEqual(plain(decodeBeacon(Buffer.concat([encodeBeaconBody(beacon), signature]))), plain(beacon));
  t.throws(() => decodeBatch(batchOf(5, randomBytes(32)).subarray(0, 300)), { message: /^batch\./ });
});

test('batches are worked in by their numbers, whatever the order in which they come; a gap keeps what is open alive', (t) => {
  const zero = new Uint8Array(32);
  const chained: Uint8Array[] = [];
  for (let n = 0; n < 8; n++) chained.push(batchOf(n, n === 0 ? zero : batchHash(nodeNatives, chained[n - 1])));
  fc.assert(
    fc.property(fc.shuffledSubarray(chained, { minLength: 8, maxLength: 8 }), (shuffled) => {
      const chain = new BatchChain(nodeNatives, 0, zero);
      const numbers = shuffled.flatMap((bytes) => chain.push(bytes).map(({ number }) => number));
      return `${numbers}` === '0,1,2,3,4,5,6,7' && chain.missing() < 0 && chain.forked === 0;
    }),
  );
  const chain = new BatchChain(nodeNatives, 0, zero);
  chain.push(chained[0]);
  chain.push(chained[5]);
  t.is(chain.missing(), 1);
  t.false(chain.isOver(2, 5), 'the missing ones may speak of it');
  t.false(chain.isOver(2, 4));
  for (const bytes of chained.slice(1, 5)) chain.push(bytes);
  t.true(chain.isOver(2, 5));
  t.false(chain.isOver(5, 5));
  chain.heardBeacon(6);
  t.true(chain.isOver(5, 9), 'nothing was traded since: the beacon says so');
  chain.heardBeacon(7);
  t.false(chain.isOver(5, 9));
  const other = new BatchChain(nodeNatives, 0, zero);
  other.push(chained[0]);
  t.deepEqual(other.push(batchOf(1, randomBytes(32))), []);
  t.is(other.forked, 1);
});

test('what a meter needs, in pieces, with hysteresis', (t) => {
  const rules = { pieceMw: 100_000, hysteresisMilli: 200 };
  t.is(demandOf(250_000, 0, rules), 3);
  t.is(demandOf(-250_000, 0, rules), -2, 'a begun piece is not offered');
  t.is(demandOf(50_000, 0, rules), 1);
  t.is(demandOf(15_000, 0, rules), 0, 'a little more than nothing buys nothing');
  t.is(demandOf(310_000, 3, rules), 3);
  t.is(demandOf(330_000, 3, rules), 4);
  t.is(demandOf(190_000, 3, rules), 3);
  t.is(demandOf(170_000, 3, rules), 2);
  fc.assert(
    fc.property(fc.integer({ min: -2e6, max: 2e6 }), fc.integer({ min: -20, max: 20 }), (powerMw, before) => {
      const pieces = demandOf(powerMw, before, rules);
      const again = demandOf(powerMw, pieces, rules);
      return again === pieces && Math.abs(pieces * rules.pieceMw - powerMw) <= 1.2 * rules.pieceMw;
    }),
  );
  t.is(slotsOfPiece(4, 100, 100), 4);
  t.is(slotsOfPiece(4, 100, 200), 2, 'dearer: shorter');
  t.is(slotsOfPiece(1, 100, 900), 1);
  t.is(atSupplysEnd(2, true), 'extend');
  t.is(atSupplysEnd(0, true), 'stop');
  t.is(atSupplysEnd(-1, false), 'extend');
  t.true(needsTopUp(3, 4) && !needsTopUp(4, 4));
});

test('tokens are in 2 … n − 2; id and factor of a coin have nothing in common', (t) => {
  const modulus = Buffer.alloc(256, 0xab);
  const number = (last: number): Buffer => Buffer.concat([Buffer.alloc(255), Buffer.of(last)]);
  const less = Buffer.from(modulus);
  less[255] -= 1;
  t.deepEqual(
    [number(0), number(1), number(2), less, modulus].map((token) => isToken(token, modulus)),
    [false, false, true, false, false],
  );
  less[0] -= 1;
  t.true(isToken(less, modulus));
  const [seed, keyId] = [randomBytes(32), randomBytes(32)];
  const id = Buffer.from(coinIdOfSeed(nodeNatives, seed, keyId));
  t.notDeepEqual(id, Buffer.from(coinFactorOfSeed(nodeNatives, seed, keyId, modulus)).subarray(0, 32));
  t.notDeepEqual(id, Buffer.from(coinIdOfSeed(nodeNatives, seed, randomBytes(32))));
});

test('the paper’s flow: garbage as payment with a good receipt completes nothing; a withheld receipt holds up nobody', (t) => {
  const receipt = randomBytes(32);
  const promised = createHash('sha256').update(receipt).digest();
  const paired: PaperPair = { state: 'paired', promised, spentMs: 0 };
  t.is(receiptFor(paired, receipt).state, 'paired', 'no coin was spent for this pair');
  t.is(afterTimeout(paired, 1e9, 1000).state, 'paired', 'a payer that vanished after pairing has bought nothing');
  const spent = spentFor(paired, 5000);
  t.is(receiptFor(spent, randomBytes(32)).state, 'spent');
  t.is(receiptFor(spent, receipt).state, 'complete');
  t.is(afterTimeout(spent, 5999, 1000).state, 'spent');
  t.is(afterTimeout(spent, 6000, 1000).state, 'complete');
  t.is(spentFor(receiptFor(spent, receipt), 9000).state, 'complete', 'twice is once');
});

test('the paper’s messages have one length each', (t) => {
  const [i, j] = [randomBytes(16), randomBytes(16)];
  const none = new Uint8Array(0);
  const lengths = paperBytes(256);
  const receipt = { type: PAPER_RECEIPT, i, j, rest: randomBytes(32) };
  const offer = { type: PAPER_OFFER, i, j: none, rest: randomBytes(68) };
  const request = { type: PAPER_REQUEST, i: none, j, rest: none };
  for (const message of [receipt, offer, request])
    t.deepEqual(plain(decodePaper(encodePaper(message), 256)), plain(message));
  t.is(encodePaper(receipt).length, lengths.receipt);
  t.throws(() => decodePaper(encodePaper(receipt).subarray(1), 256));
  t.throws(() => decodePaper(encodePaper({ ...receipt, rest: none }), 256), { message: /is 33 bytes long, not 65/ });
});
