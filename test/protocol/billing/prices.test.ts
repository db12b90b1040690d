import test from 'ava';
import {
  checkOrder,
  openPrices,
  openTariff,
  PriceError,
  type PriceList,
  type SlotPrice,
  signPrices,
  signTariff,
  type Tariff,
} from '../../../protocol/billing/prices.ts';
import { parsePricesTopic, pricesTopic } from '../../../protocol/billing/topics.ts';
import { generateSigningKey } from '../../../protocol/crypto/p256.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const offline = generateSigningKey();
const online = generateSigningKey();
const tariff: Tariff = {
  name: 'flex',
  currency: 'EUR',
  number: 2,
  leastImportMilliCentPerKwh: 5000,
  priceKey: online.publicKey,
};
const FIRST = 20_000 * 96;
const day = (importMilliCentPerKwh = 30_000, exportMilliCentPerKwh = 8000): SlotPrice[] =>
  Array.from({ length: 96 }, () => ({ importMilliCentPerKwh, exportMilliCentPerKwh }));
const list = (more: Partial<PriceList> = {}): PriceList => ({
  tariff: 'flex',
  currency: 'EUR',
  number: 4,
  firstSlot: FIRST,
  prices: day(),
  ...more,
});
const refusal = (bytes: Uint8Array): { path: string; message: string } => {
  try {
    openPrices(bytes, tariff);
  } catch (error) {
    if (error instanceof PriceError || error instanceof MalformedError) return error;
    throw error;
  }
  return { path: 'accepted', message: '' };
};

test('tariff and prices arrive as they were signed', (t) => {
  const opened = openTariff(signTariff(tariff, offline.privateKey), offline.publicKey);
  t.deepEqual(
    { ...opened, priceKey: Buffer.from(opened.priceKey) },
    { ...tariff, priceKey: Buffer.from(tariff.priceKey) },
  );
  const prices = [...day(), ...day(5000, -1200)];
  const bytes = signPrices(list({ prices }), online.privateKey);
  t.is(bytes.length, 1 + 5 + 4 + 4 + 4 + 2 + 2 * 96 * 8 + 64);
  t.deepEqual(openPrices(bytes, tariff), list({ prices }));
});

test('unsigned', (t) => {
  const bytes = signPrices(list(), online.privateKey);
  t.like(refusal(bytes.subarray(0, -64)), { path: 'prices.signature', message: 'prices.signature: is missing' });
  t.like(refusal(bytes.subarray(0, -1)), { path: 'prices.signature' });
  t.like(refusal(Buffer.concat([bytes.subarray(0, -64), Buffer.alloc(64)])), { path: 'prices.signature' });
});

test('signed by another key, under another label, or with something behind its end', (t) => {
  t.like(refusal(signPrices(list(), offline.privateKey)), {
    path: 'prices.signature',
    message: "prices.signature: was not made by the tariff's price key over these bytes",
  });
  const bytes = signPrices(list(), online.privateKey);
  t.like(refusal(Buffer.concat([bytes, Buffer.alloc(1)])), { path: 'prices' });
  const error = t.throws(() => openTariff(signTariff(tariff, online.privateKey), offline.publicKey), {
    instanceOf: PriceError,
  });
  t.is(error.path, 'tariff.signature');
});

test('altered, whichever byte', (t) => {
  const bytes = signPrices(list(), online.privateKey);
  for (let at = 0; at < bytes.length; at += 7) {
    const altered = Buffer.from(bytes);
    altered[at] ^= 1;
    t.not(refusal(altered).path, 'accepted', `byte ${at}`);
  }
});

test('a price below the least one of the tariff, though signed', (t) => {
  const prices = day().with(17, { importMilliCentPerKwh: 4999, exportMilliCentPerKwh: 0 });
  t.like(refusal(signPrices(list({ prices }), online.privateKey)), {
    path: 'prices.17.import',
    message: 'prices.17.import: is 4999 milli-cent per kWh, below the least price 5000 of the tariff',
  });
});

test('a price that would have the bill tell one quarter hour', (t) => {
  const prices = day().with(40, { importMilliCentPerKwh: 3_000_001, exportMilliCentPerKwh: 8000 });
  t.like(refusal(signPrices(list({ prices }), online.privateKey)), { path: 'prices.40.import' });
  const one = day(30_000, 0).with(3, { importMilliCentPerKwh: 30_000, exportMilliCentPerKwh: 1 });
  t.is(
    refusal(signPrices(list({ prices: one }), online.privateKey)).path,
    'accepted',
    'the median of those that are not zero',
  );
  const most = day().with(40, { importMilliCentPerKwh: 3_000_000, exportMilliCentPerKwh: -800_000 });
  t.is(refusal(signPrices(list({ prices: most }), online.privateKey)).path, 'accepted');
});

test('another tariff or another currency', (t) => {
  t.like(refusal(signPrices(list({ tariff: 'night' }), online.privateKey)), { path: 'prices.tariff' });
  t.like(refusal(signPrices(list({ currency: 'CHF' }), online.privateKey)), { path: 'prices.currency' });
});

test('whole days only, and no nonsense is signed', (t) => {
  t.throws(() => signPrices(list({ firstSlot: FIRST + 1 }), online.privateKey), { message: /prices\.firstSlot/ });
  t.throws(() => signPrices(list({ prices: day().slice(1) }), online.privateKey), { message: /prices\.days/ });
  t.throws(() => signPrices(list({ prices: day(0.5) }), online.privateKey), { message: /prices\.0\.import/ });
  t.throws(() => signTariff({ ...tariff, currency: 'euro' }, offline.privateKey), { message: /tariff\.currency/ });
});

test('order: never older than the last, no gap, no second price for a day', (t) => {
  const held = { number: 4, endSlot: FIRST + 96 };
  const next = list({ number: 5, firstSlot: FIRST + 96 });
  t.notThrows(() => checkOrder(next, held, 0));
  const wrong: [Partial<PriceList>, string, string][] = [
    [{ number: 3 }, 'prices.number', 'never'],
    [{ number: 4 }, 'prices.number', 'again'],
    [{ number: 6 }, 'prices.number', 'gap'],
    [{ firstSlot: FIRST }, 'prices.firstSlot', 'never'],
    [{ firstSlot: FIRST + 192 }, 'prices.firstSlot', 'never'],
  ];
  for (const [change, path, recovery] of wrong) {
    const error = t.throws(() => checkOrder({ ...next, ...change }, held, 0), { instanceOf: PriceError });
    t.like(error, { path, recovery });
  }
});

test('the first list has the first slot that needs a price, unless nothing older is to be had', (t) => {
  t.notThrows(() => checkOrder(list(), null, FIRST + 95));
  t.is(t.throws(() => checkOrder(list(), null, FIRST + 96), { instanceOf: PriceError }).recovery, 'never');
  t.is(t.throws(() => checkOrder(list(), null, FIRST - 1), { instanceOf: PriceError }).recovery, 'gap');
  t.notThrows(() => checkOrder(list(), null, FIRST - 1, true));
});

test('topics', (t) => {
  t.is(parsePricesTopic(pricesTopic('flex')), 'flex');
  for (const topic of [
    'quietmeter/prices/',
    'quietmeter/prices/a/b',
    'quietmeter/prices/+',
    'quietmeter/prices/#',
    'prices/flex',
  ])
    t.is(parsePricesTopic(topic), undefined, topic);
});
