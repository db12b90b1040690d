// What the meter says in selling, for given seeds: the same on every interpreter. (Espruino dialect)
import { claimOf } from '../../../protocol/selling/amount.ts';
import {
  decodeSale,
  encodeAnswer,
  encodeSale,
  MODE_M_OF_N,
  MODE_RECEIPTS,
  openAnswer,
  SALE_ACCEPTED,
  SALE_USED,
  saleHeader,
  saleIdOf,
} from '../../../protocol/selling/messages.ts';
import type { SellingNatives } from '../../../protocol/selling/natives.ts';
import { commitmentOf, usedListTag } from '../../../protocol/selling/reconciliation.ts';
import {
  decodeSetUp,
  encodeSetUp,
  listStart,
  listStep,
  registrationTag,
  setUpHeader,
} from '../../../protocol/selling/registration.ts';
import {
  CREDENTIAL,
  factorOfSeed,
  idOfSeed,
  isFactor,
  RECEIPT,
  valueIdentity,
  valuePayload,
} from '../../../protocol/selling/values.ts';

const KEY_BYTES = 256;

function filled(length: number, start: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (start + 7 * i) % 256;
  return bytes;
}
function hex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += (256 + bytes[i]).toString(16).substr(1);
  return text;
}

export function transcript(natives: SellingNatives): string[] {
  const lines: string[] = [];
  const say = (name: string, value: string | number | boolean): void => {
    lines.push(`${name} ${value}`);
  };
  const keyId = filled(32, 1);
  const modulus = filled(KEY_BYTES, 200);
  const seed = filled(32, 90);
  for (const kind of [CREDENTIAL, RECEIPT] as ('credential' | 'receipt')[]) {
    const id = idOfSeed(natives, kind, seed, keyId);
    say(`${kind} id`, hex(id));
    say(`${kind} factor`, hex(factorOfSeed(natives, kind, seed, keyId, modulus)));
    say(`${kind} identity`, hex(valueIdentity(natives, keyId, valuePayload(id, 677, 4000000000))));
  }
  // a modulus that begins low, so that draws are thrown away
  const low = filled(KEY_BYTES, 3);
  say('low factor', hex(factorOfSeed(natives, CREDENTIAL, seed, keyId, low)));
  const edge = new Uint8Array(modulus);
  say('n itself', isFactor(edge, modulus));
  edge[KEY_BYTES - 1]--;
  say('n - 1', isFactor(edge, modulus));
  const small = new Uint8Array(KEY_BYTES);
  for (let value = 0; value < 3; value++) {
    small[KEY_BYTES - 1] = value;
    say(`number ${value}`, isFactor(small, modulus));
  }

  const setUp = encodeSetUp({ meterId: filled(8, 4), secretValue: filled(32, 5), sharedKey: filled(32, 6) });
  say('set-up', hex(setUp));
  say('set-up again', hex(encodeSetUp(decodeSetUp(setUp))));
  say('set-up header', hex(setUpHeader(keyId)));
  let digest = listStart();
  for (let i = 0; i < 3; i++) digest = listStep(natives, digest, filled(KEY_BYTES, i));
  say('digest', hex(digest));
  const batch = { keyId: keyId, first: 70000, candidatesEach: 1, count: 3, digest: digest };
  say('registration tag', hex(registrationTag(natives, filled(32, 5), batch)));

  for (const mode of [MODE_RECEIPTS, MODE_M_OF_N]) {
    const receipts = mode === MODE_RECEIPTS;
    const sale = encodeSale(
      {
        mode: mode,
        slot: 1979040,
        weightVersion: 3,
        nonce: filled(32, 8),
        keyId: keyId,
        receiptKeyId: receipts ? filled(32, 9) : new Uint8Array(32),
        credentials: [{ id: filled(32, 10), signature: filled(KEY_BYTES, 11) }],
        blindedReceipts: receipts ? [filled(KEY_BYTES, 12)] : [],
      },
      KEY_BYTES,
    );
    say('sale', hex(sale));
    say('sale again', hex(encodeSale(decodeSale(sale, KEY_BYTES), KEY_BYTES)));
    say('sale id', hex(saleIdOf(natives, sale)));
    const accepted = encodeAnswer(natives, sale, SALE_ACCEPTED, receipts ? [filled(KEY_BYTES, 13)] : [], KEY_BYTES);
    const used = encodeAnswer(natives, sale, SALE_USED, [], KEY_BYTES);
    say('answer', hex(accepted));
    say('answer lengths', accepted.length === used.length);
    const opened = openAnswer(natives, sale, accepted, KEY_BYTES)!;
    say('opened', `${opened.code} ${opened.blindSignatures.map(hex).join()}`);
    say('opened used', openAnswer(natives, sale, used, KEY_BYTES)!.code);
    accepted[20] ^= 1;
    say('altered', openAnswer(natives, sale, accepted, KEY_BYTES) === null);
  }
  say('sale header', hex(saleHeader(keyId)));

  const reveal = { bid: filled(16, 14), seed: seed, salt: filled(32, 15) };
  say('commitment', hex(commitmentOf(natives, reveal, keyId, modulus)));
  say('list tag', hex(usedListTag(natives, filled(32, 6), { keyId: keyId, count: 2, lapsed: 1, digest: digest })));
  for (const sold of [0, 49999, 50000, 1234567, 11500000]) {
    const claim = claimOf(sold, 100, 7, 5, 200);
    say(`claim ${sold}`, `${claim.count} ${claim.carriedMicrocredits}`);
  }
  return lines;
}
