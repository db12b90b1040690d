/** Private keys in PKCS #8 PEM files that nobody but their owner may read. */
import { createPrivateKey, createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { compressPoint } from '../../protocol/crypto/p256.ts';
import { ConfigError } from './config.ts';

/** @throws ConfigError; the message never holds any of the content */
export function readPrivateKey(file: string): KeyObject {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new ConfigError(file, '', 'is not there');
  if ((mode & 0o077) !== 0) throw new ConfigError(file, '', 'others than its owner may read it (chmod 600)');
  try {
    return createPrivateKey(readFileSync(file));
  } catch {
    throw new ConfigError(file, '', 'holds no private key in PEM');
  }
}

/** A P-256 key pair; the public key compressed, 33 B. @throws ConfigError */
export function readSigningKey(file: string): { publicKey: Uint8Array; privateKey: KeyObject } {
  const privateKey = readPrivateKey(file);
  const { crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (crv !== 'P-256') throw new ConfigError(file, '', 'holds a key that is not on P-256');
  return { publicKey: compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')), privateKey };
}

/** For what signs X.509 certificates. @throws ConfigError */
export function readWebKey(file: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = readPrivateKey(file).export({ format: 'der', type: 'pkcs8' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return webcrypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), algorithm, false, ['sign']);
}
