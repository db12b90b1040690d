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

export const WALLET_PAGES = UPDATE_LAYOUT.wallet!.pageCount;
export const newWalletFlash = () => new MemoryFlash(WALLET_PAGES);
/** A root key that a test knows. */
export const rootOf = (seed: number) => {
  const random = seeded(seed);
  return () => Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
};

export function openVault(flash: MemoryFlash, seed = 1): Vault {
  const vault = new Vault(flash, vaultNatives, rootOf(seed));
  vault.open();
  return vault;
}
