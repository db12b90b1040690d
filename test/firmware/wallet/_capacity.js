/**
 * Runs on real Espruino (capacity.test.ts): a vault on flash in RAM with CREDENTIALS in sheets and ENTRIES beside them; how many variables
 * it takes, how long it does, and whether all is there after a start.
 */
import { vaultNatives } from '../../../firmware/board/cipher.ts';
import { Sealer } from '../../../firmware/wallet/sealed.ts';
import { Vault } from '../../../firmware/wallet/vault.ts';
import { UPDATE_LAYOUT } from '../../../hardware/flash.ts';

const region = UPDATE_LAYOUT.wallet;
const images = [];
for (let page = 0; page < region.pageCount; page++) {
  const image = new Uint8Array(region.pageBytes);
  image.fill(255);
  images.push(image);
}
const flash = {
  pageBytes: region.pageBytes,
  pageCount: region.pageCount,
  read: (page, offset, length) => new Uint8Array(images[page].subarray(offset, offset + length)),
  write: (page, offset, bytes) => {
    // bits only clear; in words, or it would take longer than what is measured
    const to = new Uint32Array(images[page].buffer, offset, bytes.length / 4);
    const from = new Uint32Array(new Uint8Array(bytes).buffer);
    to.set(from.map((word, i) => word & to[i]));
  },
  erase: (page) => {
    images[page].fill(255);
  },
};
const root = new Uint8Array(32);
root.fill(3);
const sheetOf = (n) => {
  const sheet = new Uint8Array(global.SHEET_BYTES);
  sheet.fill(n & 255);
  return sheet;
};
const ms = (from) => Math.round((getTime() - from) * 1000);

const first = new Vault(flash, vaultNatives, () => root);
first.open();
let from = getTime();
for (let n = 0; n < global.SHEETS; n++) {
  first.commit([{ space: 3, id: n, value: sheetOf(n) }]);
  first.tidy();
}
const small = new Uint8Array(64);
for (let n = 0; n < global.ENTRIES; n++) {
  first.commit([{ space: 5, id: n, value: small }]);
  first.tidy();
}
const fillMs = ms(from);
from = getTime();
for (let n = 0; n < 50; n++) first.commit([{ space: 3, id: n, value: sheetOf(n) }]);
const sheetMs = ms(from) / 50;
from = getTime();
for (let n = 0; n < 50; n++) first.get(3, n);
const getMs = ms(from) / 50;
from = getTime();
const sealer = new Sealer(first);
const signatures = new Uint8Array(7 * 256);
const sealed = sealer.sealValue(0x30, 1, 1, signatures);
const opens = sealer.openSealed(0x30, 1, 1, sealed).length === signatures.length;
const sealMs = ms(from);

const before = process.memory().usage;
const vault = new Vault(flash, vaultNatives, () => root);
from = getTime();
vault.open();
const openMs = ms(from);
const variables = process.memory().usage - before;
let wrong = 0;
for (let n = 0; n < global.SHEETS; n++) {
  const sheet = vault.get(3, n);
  if (!sheet || sheet.length !== global.SHEET_BYTES || sheet[0] !== (n & 255)) wrong++;
}
for (let n = 0; n < global.ENTRIES; n += 10) if (vault.get(5, n).length !== 64) wrong++;
print(
  `\x02${JSON.stringify({ fillMs, sheetMs, getMs, sealMs, openMs, variables, variableBytes: process.memory().blocksize, wrong, opens, free: vault.freeBytes() })}`,
);
