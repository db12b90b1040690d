/**
 * Built as a firmware of its own by vault-cuts.test.ts: commits a few times a second what follows from a count, which is in each commit,
 * and says after each commit how far it has come. At its start it looks whether all of it is there.
 */
import { vaultNatives } from '../../firmware/board/cipher.ts';
import { flashPages } from '../../firmware/board/flash.ts';
import { Vault } from '../../firmware/wallet/vault.ts';
import { UPDATE_LAYOUT } from '../../hardware/flash.ts';

const COUNT = 1;
const VALUES = 2;
const ENTRIES = 40;
const COMMITS_A_TICK = 5;

function valueFor(count) {
  const value = new Uint8Array(20 + ((count * 37) % 400));
  for (let i = 0; i < value.length; i++) value[i] = (count * 7 + i) & 255;
  return value;
}
function isRight(value, count) {
  const expected = valueFor(count);
  if (!value || value.length !== expected.length) return false;
  for (let i = 0; i < value.length; i++) if (value[i] !== expected[i]) return false;
  return true;
}

const vault = new Vault(flashPages(UPDATE_LAYOUT.wallet), vaultNatives, () => valueFor(12).subarray(0, 32));
vault.open();
const kept = vault.get(COUNT, 0);
let count = kept ? new DataView(kept.buffer, kept.byteOffset, 4).getUint32(0, true) : 0;
let wrong = 0;
for (let n = Math.max(1, count - ENTRIES + 1); n <= count; n++)
  if (!isRight(vault.get(VALUES, n % ENTRIES), n)) wrong++;
print(`open ${count} ${wrong}`);

setInterval(() => {
  for (let i = 0; i < COMMITS_A_TICK; i++) {
    const next = count + 1;
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, next, true);
    vault.commit([
      { space: VALUES, id: next % ENTRIES, value: valueFor(next) },
      { space: COUNT, id: 0, value: bytes },
    ]);
    count = next;
    print(`kept ${count}`);
  }
  vault.tidy();
}, 1000);
