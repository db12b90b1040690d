/** Runs on boards (cipher.test.ts): seals what it is asked to and prints it; opens it again. */
import { vaultNatives } from '../../../firmware/board/cipher.ts';
import { Cipher } from '../../../firmware/wallet/cipher.ts';

const root = new Uint8Array(32);
for (let i = 0; i < 32; i++) root[i] = i;
const cipher = new Cipher(vaultNatives, root, 'test');
const lines = [];
for (const length of [0, 16, 48, 1984]) {
  const message = new Uint8Array(20 + length);
  for (let i = 0; i < message.length; i++) message[i] = (i * 11) & 255;
  const tag = cipher.seal(message, 20);
  lines.push(btoa(E.toString(tag, new Uint8Array(message.subarray(0, Math.min(60, message.length))))));
  if (!cipher.open(message, 20, tag) || (length > 0 && message[20] !== 220)) lines.push('does not open');
}
print(`\x02${lines.join(' ')}`);
