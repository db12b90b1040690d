import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Vault, type VaultNatives } from '../../../firmware/wallet/vault.ts';
import { UPDATE_LAYOUT } from '../../../hardware/flash.ts';
import { MemoryFlash, seeded } from './memory-flash.ts';

const COUNTER = Buffer.from([0, 0, 0, 1]);
/** What Espruino does natively for the vault, on Node. */
export const vaultNatives: VaultNatives = {
  hmac: (key, message) => new Uint8Array(createHmac('sha256', key).update(message).update(COUNTER).digest()),
  encrypt: (key, iv, blocks) =>
    new Uint8Array(createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false).update(blocks)),
  decrypt: (key, iv, blocks) =>
    new Uint8Array(createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false).update(blocks)),
  crc32,
};

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** The same for who opens the same pages thousands of times: what was computed once is remembered. */
export function rememberingNatives(): VaultNatives {
  const known = new Map<string, Uint8Array>();
  const remembered = (name: string, compute: () => Uint8Array): Uint8Array => {
    const found = known.get(name);
    if (found) return found;
    if (known.size > 50_000) known.clear();
    const result = compute();
    known.set(name, result);
    return result;
  };
  return {
    ...vaultNatives,
    hmac: (key, message) => remembered(latin1(key) + latin1(message), () => vaultNatives.hmac(key, message)),
    decrypt: (key, iv, blocks) => remembered(latin1(iv) + latin1(blocks), () => vaultNatives.decrypt(key, iv, blocks)),
  };
}

export const WALLET_PAGES = UPDATE_LAYOUT.wallet!.pageCount;
export const newWalletFlash = () => new MemoryFlash(WALLET_PAGES);
/** A root key that a test knows. */
export const rootOf = (seed: number) => {
  const random = seeded(seed);
  return () => Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
};

export function openVault(flash: MemoryFlash, natives = vaultNatives): Vault {
  const vault = new Vault(flash, natives, rootOf(1));
  vault.open();
  return vault;
}
