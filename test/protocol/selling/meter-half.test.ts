// What the meter says in selling: the same bytes on Node, on the virtual board and on real Espruino; and what is not taken.
import { createHash, createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import fc from 'fast-check';
import { makeChip } from '../../../bench/board/adc-model.ts';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary, runEspruino } from '../../../bench/espruino/process.ts';
import { claimOf, MICROCREDITS } from '../../../protocol/selling/amount.ts';
import { decodeSale, encodeSale, MODE_M_OF_N, MODE_RECEIPTS, saleBytes } from '../../../protocol/selling/messages.ts';
import { nodeNatives } from '../../../protocol/selling/node-natives.ts';
import { CREDENTIAL, factorOfSeed, idOfSeed, isFactor } from '../../../protocol/selling/values.ts';
import { buildFirmware } from '../../../scripts/build.mjs';
import { transcript } from './_transcript.ts';

const program = async (): Promise<string> =>
  (await buildFirmware({ entry: fileURLToPath(new URL('_on-espruino.ts', import.meta.url)) })).code;
const expected = transcript(nodeNatives);

test('on the virtual board', async (t) => {
  const board = new VirtualBoard({ bundle: await program(), seed: 1, chip: makeChip(1), startMs: 0 });
  board.start();
  t.deepEqual(
    board.output.map((line) => line.replace('\x02', '')),
    expected,
  );
});

(espruinoBinary() ? test : test.skip)('on real Espruino (skipped where there is none)', async (t) => {
  t.deepEqual(await runEspruino(`${await program()}\nprint('\\x02END');`), expected);
});

test('ids and factors are what the comments say, by other means', (t) => {
  const [seed, keyId] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  const hmac = (label: string, ...parts: Uint8Array[]) => {
    const mac = createHmac('sha256', seed).update(label);
    for (const part of parts) mac.update(part);
    return mac.digest();
  };
  const counter = (i: number) => Buffer.of(0, 0, 0, i);
  t.deepEqual(
    Buffer.from(idOfSeed(nodeNatives, CREDENTIAL, seed, keyId)),
    hmac('quietmeter/v1/credential-id', keyId, counter(1)),
  );
  const modulus = Buffer.alloc(256, 0xff);
  const blocks = Array.from({ length: 8 }, (_, i) =>
    hmac('quietmeter/v1/credential-factor', keyId, counter(0), counter(i + 1)),
  );
  t.deepEqual(Buffer.from(factorOfSeed(nodeNatives, CREDENTIAL, seed, keyId, modulus)), Buffer.concat(blocks));
});

test('factors are in range and differ by seed, key and kind', (t) => {
  const modulus = Buffer.alloc(256, 0x5a);
  modulus[0] = 0x80;
  const seen = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const seed = createHash('sha256').update(String(i)).digest();
    for (const kind of ['credential', 'receipt'] as const)
      for (const key of [1, 2]) {
        const factor = factorOfSeed(nodeNatives, kind, seed, Buffer.alloc(32, key), modulus);
        t.true(isFactor(factor, modulus));
        seen.add(Buffer.from(factor).toString('hex'));
      }
  }
  t.is(seen.size, 160);
});

test('a SALE has one size and one form for each k; whatever is altered in its head is refused with its field', (t) => {
  const sale = (mode: number, k: number) => ({
    mode,
    slot: 5,
    weightVersion: 1,
    nonce: Buffer.alloc(32, 1),
    keyId: Buffer.alloc(32, 2),
    receiptKeyId: Buffer.alloc(32, mode === MODE_RECEIPTS ? 3 : 0),
    credentials: Array.from({ length: k }, (_, i) => ({ id: Buffer.alloc(32, i), signature: Buffer.alloc(256, 4) })),
    blindedReceipts: mode === MODE_RECEIPTS ? Array.from({ length: k }, () => Buffer.alloc(256, 5)) : [],
  });
  for (const k of [1, 2, 16])
    for (const mode of [MODE_RECEIPTS, MODE_M_OF_N]) {
      const bytes = encodeSale(sale(mode, k), 256);
      t.is(bytes.length, saleBytes(k, 256));
      t.deepEqual(encodeSale(decodeSale(bytes, 256), 256), bytes);
    }
  const altered = (at: number, value: number): Uint8Array => {
    const bytes = encodeSale(sale(MODE_M_OF_N, 1), 256);
    bytes[at] = value;
    return bytes;
  };
  const field = (bytes: Uint8Array): string => t.throws(() => decodeSale(bytes, 256))!.message.split(' ')[0];
  t.is(field(altered(0, 2)), 'sale.version');
  t.is(field(altered(1, 0)), 'sale.mode');
  t.is(field(altered(2, 0)), 'sale.k');
  t.is(field(altered(2, 17)), 'sale.k');
  t.is(field(altered(2, 2)), 'sale');
  t.is(field(altered(75, 1)), 'sale.receiptKeyId');
  t.is(field(altered(107 + 288, 1)), 'sale.blindedReceipts');
  t.is(field(altered(0, 1).subarray(1)), 'sale.version');
  t.is(field(new Uint8Array(3)), 'sale');
  t.throws(() => encodeSale({ ...sale(MODE_M_OF_N, 1), keyId: Buffer.alloc(31) }, 256), { message: /^sale\.keyId/ });
  t.throws(() => encodeSale({ ...sale(MODE_RECEIPTS, 1), blindedReceipts: [] }, 256), { message: /blindedReceipts/ });
});

test('no microcredit is lost or made: what is claimed and what is carried is what was sold', (t) => {
  const slots = fc.array(fc.record({ mwh: fc.nat(15_000_000), weight: fc.nat(65_535) }), { maxLength: 100 });
  fc.assert(
    fc.property(slots, fc.integer({ min: 1, max: 100_000 }), (sold, value) => {
      let carried = 0;
      let count = 0;
      let total = 0n;
      for (const { mwh, weight } of sold) {
        const claim = claimOf(mwh, weight, carried, value, 1_000_000);
        count += claim.count;
        carried = claim.carriedMicrocredits;
        total += BigInt(mwh) * BigInt(weight);
      }
      return (
        total === BigInt(count) * BigInt(value) * BigInt(MICROCREDITS) + BigInt(carried) &&
        carried < value * MICROCREDITS
      );
    }),
  );
  t.deepEqual(claimOf(1_000_000, 100, 0, 10, 3), { count: 3, carriedMicrocredits: 70_000_000 }, 'credentials ran out');
});
