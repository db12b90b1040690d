/**
 * Trusted third party and verifier as their signatures show them: certifies pseudonyms and signs passes for anybody who asks, and
 * writes the files that a collector is given. For tests of those who check; the parties themselves have tests of their own.
 */
import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blindPasses, finishPass } from '../../protocol/attestation/pass.ts';
import { publishPassKeys } from '../../protocol/attestation/pass-keys.ts';
import {
  type BlindSigningKey,
  blindSign,
  generateBlindSigningKey,
  importBlindRsaKey,
} from '../../protocol/crypto/blind-rsa.ts';
import { type Ed25519Key, generateEd25519Key, signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { generateSigningKey, signP256 } from '../../protocol/crypto/p256.ts';
import { issuePseudonymCertificate } from '../../protocol/identity/pseudonym-certificate.ts';
import { issueRevocationList } from '../../protocol/identity/revocation-list.ts';

/** So many keys are made and take turns by day, which nothing forbids, and costs a test less than one for each. */
const KEYS = 3;

export class TestAuthority {
  readonly issuer = generateSigningKey();
  readonly master: Ed25519Key = generateEd25519Key();
  readonly #keys: BlindSigningKey[];
  #number = 0;

  private constructor(keys: BlindSigningKey[]) {
    this.#keys = keys;
  }

  static async create(): Promise<TestAuthority> {
    return new TestAuthority(await Promise.all(Array.from({ length: KEYS }, () => generateBlindSigningKey())));
  }

  /** The signing key of a day. */
  passKey(day: number): BlindSigningKey {
    return this.#keys[day % KEYS];
  }

  certify(day: number, publicKey: Uint8Array, area: string): Promise<Uint8Array> {
    const sign = (message: Uint8Array): Uint8Array => signP256(this.issuer.privateKey, message);
    return issuePseudonymCertificate({ day, publicKey, area }, sign);
  }

  /** @param signer another key than the day's, where a test wants that */
  pass(day: number, pseudonym: Uint8Array, signer = this.passKey(day)): Uint8Array {
    const key = importBlindRsaKey(signer.modulus);
    const [{ blinded, inverse, ...claims }] = blindPasses([{ key, day, pseudonym }], randomBytes);
    return finishPass(key, claims, blindSign(signer, blinded), inverse);
  }

  passKeys(firstDay: number, days: number): Uint8Array {
    const moduli = Array.from({ length: days }, (_, i) => this.passKey(firstDay + i).modulus);
    return publishPassKeys({ firstDay, moduli }, (message) => signEd25519(this.master.privateKey, message));
  }

  revocations(pseudonyms: readonly Uint8Array[], number = ++this.#number): Promise<Uint8Array> {
    return issueRevocationList(number, pseudonyms, (message) => signP256(this.issuer.privateKey, message));
  }

  /** What a collector is configured with (operator/collector/config.ts); the files are written to `directory`. */
  async trustOf(directory: string, firstDay: number, days: number) {
    const revocationFile = join(directory, 'revocations.bin');
    const passKeysFile = join(directory, 'pass-keys.bin');
    replaceFile(revocationFile, await this.revocations([]));
    replaceFile(passKeysFile, this.passKeys(firstDay, days));
    return {
      pseudonymIssuers: [Buffer.from(this.issuer.publicKey).toString('hex')],
      revocationFile,
      passMasterKey: Buffer.from(this.master.publicKey).toString('hex'),
      passKeysFile,
    };
  }
}

/** Whole: who reads meanwhile sees the old one or the new one. */
export function replaceFile(file: string, bytes: Uint8Array): void {
  writeFileSync(`${file}.new`, bytes, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
