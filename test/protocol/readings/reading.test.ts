import test from 'ava';
import fc from 'fast-check';
import { generateHpkeKeyPair, HpkeError } from '../../../protocol/crypto/hpke.ts';
import {
  decodeReading,
  encodeReading,
  openReading,
  READING_BYTES,
  SEALED_READING_BYTES,
  sealReading,
} from '../../../protocol/readings/reading.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const provider = await generateHpkeKeyPair();
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyReading = fc.record({ slot: u32, importWh: u32, exportWh: u32 });

test('the layout is the one in the comment', (t) => {
  const bytes = encodeReading({ slot: 0x001e8480, importWh: 1250, exportWh: 50 });
  t.is(Buffer.from(bytes).toString('hex'), '01001e8480000004e200000032000000');
});

test('what was encoded is decoded, and every reading has the same size', (t) => {
  fc.assert(
    fc.property(anyReading, (reading) => {
      const bytes = encodeReading(reading);
      t.is(bytes.length, READING_BYTES);
      t.deepEqual(decodeReading(bytes), reading);
    }),
  );
});

test('bytes that are no reading are refused by field, and never otherwise', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      try {
        t.deepEqual(Buffer.from(encodeReading(decodeReading(bytes))), Buffer.from(bytes), 'one encoding only');
      } catch (error) {
        t.true(error instanceof MalformedError);
        t.regex((error as MalformedError).path, /^reading(\.(version|slot|importWh|exportWh|padding))?$/);
      }
    }),
    { examples: [[encodeReading({ slot: 1, importWh: 2, exportWh: 3 })]] },
  );
  const padded = encodeReading({ slot: 1, importWh: 2, exportWh: 3 });
  padded[15] = 1;
  t.is(t.throws(() => decodeReading(padded), { instanceOf: MalformedError })!.path, 'reading.padding');
  t.throws(() => encodeReading({ slot: 1, importWh: -50, exportWh: 0 }), { message: /reading\.importWh/ });
  t.throws(() => encodeReading({ slot: 1, importWh: 0.5, exportWh: 0 }), { message: /reading\.importWh/ });
});

test('sealed readings have one size, never repeat, and only the provider opens them', async (t) => {
  const reading = { slot: 1_968_000, importWh: 350, exportWh: 0 };
  const sealed = await sealReading(reading, 'north-1', provider.publicKey);
  const again = await sealReading(reading, 'north-1', provider.publicKey);
  t.is(sealed.length, SEALED_READING_BYTES);
  t.is(SEALED_READING_BYTES, 64);
  t.notDeepEqual(sealed, again);
  t.deepEqual(await openReading(sealed, reading.slot, 'north-1', provider.privateKey), reading);
  const other = await generateHpkeKeyPair();
  await t.throwsAsync(openReading(sealed, reading.slot, 'north-1', other.privateKey), { instanceOf: HpkeError });
});

test('a sealed reading belongs to one slot and one area', async (t) => {
  const sealed = await sealReading({ slot: 1000, importWh: 350, exportWh: 0 }, 'north-1', provider.publicKey);
  await t.throwsAsync(openReading(sealed, 1001, 'north-1', provider.privateKey), { instanceOf: HpkeError });
  await t.throwsAsync(openReading(sealed, 1000, 'north-2', provider.privateKey), { instanceOf: HpkeError });
});

test('no byte of a sealed reading can be changed', async (t) => {
  const sealed = await sealReading({ slot: 1000, importWh: 350, exportWh: 0 }, 'north-1', provider.publicKey);
  for (let i = 0; i < sealed.length; i++) {
    const altered = Uint8Array.from(sealed);
    altered[i] ^= 0x80;
    await t.throwsAsync(
      openReading(altered, 1000, 'north-1', provider.privateKey),
      { instanceOf: HpkeError },
      `byte ${i}`,
    );
  }
});
