import { fileURLToPath } from 'node:url';
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary, runEspruino } from '../../../bench/espruino/process.ts';
import { Cipher, paddedLength, sameSecret } from '../../../firmware/wallet/cipher.ts';
import { buildFirmware } from '../../../scripts/build.mjs';
import { vaultNatives } from './vault-natives.ts';

/** What _cipher.js does, on Node. */
function expected(): string {
  const root = Uint8Array.from({ length: 32 }, (_, i) => i);
  const cipher = new Cipher(vaultNatives, root, 'test');
  const lines: string[] = [];
  for (const length of [0, 16, 48, 1984]) {
    const message = Uint8Array.from({ length: 20 + length }, (_, i) => (i * 11) & 255);
    const tag = cipher.seal(message, 20);
    lines.push(Buffer.concat([tag, message.subarray(0, 60)]).toString('base64'));
  }
  return lines.join(' ');
}

test('sealed and opened; another context, text, tag or label is none of it', (t) => {
  const root = new Uint8Array(32).fill(9);
  const cipher = new Cipher(vaultNatives, root, 'a');
  const plain = Uint8Array.from({ length: 12 + 48 }, (_, i) => i);
  const sealed = Uint8Array.from(plain);
  const tag = cipher.seal(sealed, 12);
  t.deepEqual(sealed.subarray(0, 12), plain.subarray(0, 12));
  t.notDeepEqual(sealed.subarray(12), plain.subarray(12));
  const opened = Uint8Array.from(sealed);
  t.true(cipher.open(opened, 12, tag));
  t.deepEqual(opened, plain);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed);
    changed[at] ^= 0x10;
    t.false(cipher.open(changed, 12, tag), `byte ${at}`);
  }
  t.false(
    cipher.open(
      Uint8Array.from(sealed),
      12,
      tag.map((byte, i) => (i === 15 ? byte ^ 1 : byte)),
    ),
  );
  t.false(new Cipher(vaultNatives, root, 'b').open(Uint8Array.from(sealed), 12, tag));
});

test('what is compared in secret, and whole blocks', (t) => {
  const a = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  t.true(sameSecret(a, Uint8Array.from([1, 2, 3, 4, 6]), 4));
  for (let i = 0; i < 8; i++)
    t.false(
      sameSecret(
        a,
        a.map((byte, at) => (at === i ? byte ^ 128 : byte)),
        8,
      ),
    );
  t.false(sameSecret(a, a, 12), 'shorter than that');
  t.deepEqual([0, 1, 16, 17].map(paddedLength), [0, 16, 16, 32]);
});

test('the virtual board seals as Node does', async (t) => {
  const { code: bundle } = await buildFirmware({ entry: fileURLToPath(new URL('_cipher.js', import.meta.url)) });
  const board = new VirtualBoard({ bundle, seed: 1, startMs: 0 });
  board.start();
  t.deepEqual(board.output, [`\x02${expected()}`]);
});

(espruinoBinary() ? test : test.skip)('real Espruino seals as Node does (skipped where there is none)', async (t) => {
  const { code } = await buildFirmware({ entry: fileURLToPath(new URL('_cipher.js', import.meta.url)) });
  t.deepEqual(await runEspruino(`${code}\nprint('\\x02END');`), [expected()]);
});
