import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import { Yearly } from '../../../operator/grid-operator/yearly.ts';
import { type IdentifiedCaller, Refusal } from '../../../operator/shared/service.ts';
import { generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { openInvoice } from '../../../protocol/grid-fees/invoice.ts';
import { openProviderChange } from '../../../protocol/grid-fees/provider-change.ts';
import {
  decodeRegisterReading,
  type RegisterReading,
  signRegisterReading,
  yearFirstSlot,
  yearOf,
} from '../../../protocol/grid-fees/register-reading.ts';
import { DocumentError } from '../../../protocol/grid-fees/signed-document.ts';
import { slotStartMs } from '../../../protocol/time/slots.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const DEVICE = '0a1b2c';
const END_2026 = yearFirstSlot(2027);
const NOW = slotStartMs(END_2026) + 60_000;
const newProvider = {
  name: 'Sunny Power',
  readingKey: '11'.repeat(32),
  controlKey: '22'.repeat(32),
  tariff: 'sunny',
  tariffKey: `02${'33'.repeat(32)}`,
  url: 'https://sunny:8443',
  controlUrl: 'https://sunny:8444',
};

class Desk {
  readonly key = generateEd25519Key();
  readonly household = generateSigningKey();
  readonly yearly: Yearly;
  constructor(t: ExecutionContext) {
    const database = new DatabaseSync(':memory:');
    t.teardown(() => database.close());
    this.yearly = new Yearly({
      database,
      name: 'City Grid',
      feeMilliCentPerKwh: 7_250,
      key: this.key.privateKey,
      isInstalled: (device) => device === DEVICE,
    });
    this.yearly.supply(DEVICE, 'Old Power', yearFirstSlot(2026));
  }
  caller(change: Partial<IdentifiedCaller> = {}): IdentifiedCaller {
    const { publicKey } = this.household;
    return {
      kind: 'household',
      ekSerial: DEVICE,
      area: 'north-1',
      publicKey,
      serialNumber: '41',
      notAfterMs: 0,
      ...change,
    } as IdentifiedCaller;
  }
  signed(change: Partial<RegisterReading> = {}, by = this.household): Promise<Uint8Array> {
    const reading: RegisterReading = {
      reason: 'year',
      slot: END_2026,
      ekSerial: DEVICE,
      importKwh: 3500,
      exportKwh: 200,
      ...change,
    };
    return signRegisterReading(reading, async (message) => signP256(by.privateKey, message));
  }
  async send(change: Partial<RegisterReading> = {}, nowMs = NOW): Promise<Uint8Array> {
    return this.yearly.receive(await this.signed(change), this.caller(), nowMs).digest;
  }
}
async function refused(t: ExecutionContext, work: () => Promise<unknown>): Promise<string> {
  return (await t.throwsAsync(work, { instanceOf: Refusal }))!.message;
}

test('the layout of a reading; years end where they end', async (t) => {
  const bytes = await new Desk(t).signed();
  const slot = END_2026.toString(16).padStart(8, '0');
  t.is(
    Buffer.from(bytes.subarray(0, -64)).toString('hex'),
    `0100${slot}06${Buffer.from(DEVICE).toString('hex')}00000dac000000c8`,
  );
  t.deepEqual(decodeRegisterReading(bytes), {
    reason: 'year',
    slot: END_2026,
    ekSerial: DEVICE,
    importKwh: 3500,
    exportKwh: 200,
  });
  t.is(yearOf(END_2026), 2026);
  t.is(yearOf(END_2026 + 1), 2027);
  t.throws(() => decodeRegisterReading(bytes.subarray(1)), { instanceOf: MalformedError });
});

test('the yearly reading twice: one line, one invoice, the same answer', async (t) => {
  const desk = new Desk(t);
  const digest = await desk.send();
  t.deepEqual(await desk.send({}, NOW + 5000), digest, 'signed anew, the same registers');
  t.deepEqual(desk.yearly.lines(), [
    {
      device: DEVICE,
      slot: END_2026,
      reason: 'year',
      provider: 'Old Power',
      year: 2026,
      importKwh: 3500,
      exportKwh: 200,
      feeMilliCent: 3500 * 7_250,
      invoice: null,
    },
  ]);
  const [text, ...more] = desk.yearly.invoices('Old Power', 2026, NOW);
  t.deepEqual(more, []);
  t.deepEqual(openInvoice(text, desk.key.publicKey), {
    kind: 'grid fee invoice',
    number: 1,
    gridOperator: 'City Grid',
    provider: 'Old Power',
    year: 2026,
    issuedMs: NOW,
    readings: 1,
    importKwh: 3500,
    exportKwh: 200,
    feeMilliCentPerKwh: 7_250,
    totalMilliCent: 25_375_000,
  });
  t.false(text.includes(DEVICE), 'no household is named');
  t.deepEqual(desk.yearly.invoices('Old Power', 2026, NOW + 1000), [text], 'asked again, none is made');
  t.deepEqual(desk.yearly.invoices('Sunny Power', 2026, NOW), []);
  await desk.send({ slot: yearFirstSlot(2028), importKwh: 7000, exportKwh: 200 }, slotStartMs(yearFirstSlot(2028)));
  t.is(desk.yearly.lines()[1].importKwh, 3500, 'the difference to the year before');
});

test('an invoice or its signature changed: refused', async (t) => {
  const desk = new Desk(t);
  await desk.send();
  const [text] = desk.yearly.invoices('Old Power', 2026, NOW);
  const { publicKey } = desk.key;
  t.throws(() => openInvoice(text.replace('City Grid', 'Other Grid'), publicKey), {
    instanceOf: DocumentError,
    message: 'signature was not made by the grid operator over this document',
  });
  t.throws(() => openInvoice(text, generateEd25519Key().publicKey), { instanceOf: DocumentError });
  t.throws(() => openInvoice(text.replace('25375000', '25375001'), publicKey), {
    message: 'document: does not add up',
  });
  t.throws(() => openInvoice('{}', publicKey), { instanceOf: MalformedError });
});

test('refused, each with its own sentence, and nothing is written', async (t) => {
  const desk = new Desk(t);
  await desk.send();
  const next = yearFirstSlot(2028);
  const later = slotStartMs(next) + 1000;
  const why = (change: Partial<RegisterReading>, nowMs = later): Promise<string> =>
    refused(t, () => desk.send(change, nowMs));
  t.is(
    await why({ importKwh: 3501 }),
    'registerReading.importKwh is another one than was read for this instant before',
  );
  t.is(
    await why({ slot: next, importKwh: 3499 }),
    'registerReading.importKwh is 3499, less than the 3500 of the last reading',
  );
  t.is(
    await why({ slot: next, exportKwh: 199 }),
    'registerReading.exportKwh is 199, less than the 200 of the last reading',
  );
  t.is(await why({ slot: next }, NOW), 'registerReading.slot lies in the future');
  t.is(await why({ slot: next - 1 }), 'registerReading.slot is not the end of a year');
  t.is(await why({ slot: yearFirstSlot(2026) }), 'registerReading.slot is before the last reading');
  t.is(await why({ reason: 'first', slot: next }), 'registerReading.reason is the first reading, but there are others');
  t.is(await why({ ekSerial: 'ffff' }), 'registerReading.ekSerial is not the one of the certificate');
  const foreign = await desk.signed({ slot: next }, generateSigningKey());
  t.is(
    await refused(t, async () => desk.yearly.receive(foreign, desk.caller(), later)),
    "registerReading.signature was not made by the household's key over these registers",
  );
  const bytes = await desk.signed({ slot: next });
  t.is(
    await refused(t, async () => desk.yearly.receive(bytes, desk.caller({ kind: 'identifier' } as never), later)),
    'registers are signed by a household key, not by a person',
  );
  const elsewhere = await desk.signed({ slot: next, ekSerial: 'ffff' });
  t.is(
    await refused(t, async () => desk.yearly.receive(elsewhere, desk.caller({ ekSerial: 'ffff' } as never), later)),
    'registerReading.ekSerial is of no device that is installed',
  );
  t.is(desk.yearly.lines().length, 1);
});

test('a change of provider: each is charged for its own part, and not before the registers of the change have come', async (t) => {
  const desk = new Desk(t);
  const fromSlot = yearFirstSlot(2026) + 96 * 100;
  const text = desk.yearly.change(DEVICE, fromSlot, newProvider, slotStartMs(fromSlot) - 1000);
  t.deepEqual(openProviderChange(text, desk.key.publicKey), {
    kind: 'change of provider',
    number: 1,
    device: DEVICE,
    fromSlot,
    provider: newProvider,
  });
  t.is(desk.yearly.change(DEVICE, fromSlot, newProvider, NOW), text, 'said twice, one change');
  t.is(desk.yearly.newestChange(DEVICE), text);
  t.is(
    await refused(t, async () => desk.yearly.change(DEVICE, fromSlot + 1, newProvider, NOW)),
    'fromSlot has begun: what was reported cannot go to another',
  );
  t.is(
    await refused(t, () => desk.send()),
    'registerReading.slot is after a change of provider whose registers have not come',
  );
  await desk.send({ reason: 'change of provider', slot: fromSlot, importKwh: 1000, exportKwh: 50 });
  await desk.send();
  t.deepEqual(
    desk.yearly.lines().map(({ provider, importKwh, exportKwh }) => [provider, importKwh, exportKwh]),
    [
      ['Old Power', 1000, 50],
      ['Sunny Power', 2500, 150],
    ],
  );
});

test('the first reading of a device that takes over a meter is no line', async (t) => {
  const desk = new Desk(t);
  await desk.send({ reason: 'first', slot: yearFirstSlot(2026) + 10, importKwh: 3000, exportKwh: 0 });
  await desk.send();
  t.deepEqual(
    desk.yearly.lines().map(({ importKwh }) => importKwh),
    [500],
  );
});
