/**
 * Whom the collector believes. It pins two keys, of the trusted third party and of the verifier, and looks up nobody: what it needs
 * to judge a submission travels in the submission. Two files change beside it, each signed by one of the two:
 *
 *   revocation list   pseudonyms that are no longer believed     protocol/identity/revocation-list.ts
 *   pass keys         the verifier's key of each day             protocol/attestation/pass-keys.ts
 */
import { readFileSync, statSync } from 'node:fs';
import {
  joinPassKeys,
  openPassKeys,
  type PassKeys,
  PassKeysError,
  passKeyOf,
} from '../../protocol/attestation/pass-keys.ts';
import type { BlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import {
  type PseudonymCertificate,
  verifyPseudonymCertificate,
} from '../../protocol/identity/pseudonym-certificate.ts';
import {
  isRevoked,
  openRevocationList,
  type RevocationList,
  RevocationListError,
} from '../../protocol/identity/revocation-list.ts';
import { MalformedError } from '../../protocol/wire/bytes.ts';
import { ConfigError } from '../shared/config.ts';
import type { TrustConfig } from './config.ts';

/** What the collector's steps ask. */
export interface Trust {
  /** @throws PseudonymError where no third party that is believed certified it for the slot's day */
  believe(pseudonym: PseudonymCertificate, slot: number): void;
  isRevoked(pseudonym: Uint8Array): boolean;
  /** The verifier's key of a day, or undefined where it was not published here. */
  passKeyOf(day: number): BlindRsaKey | undefined;
}

export class TrustFiles implements Trust {
  readonly #issuers: readonly Uint8Array[];
  readonly #revocations: WatchedFile<RevocationList>;
  readonly #passKeys: WatchedFile<PassKeys>;

  /**
   * The verifier may publish its keys later: until then nobody's pass can be judged, and each is asked for again.
   * @throws ConfigError where the list of revocations is not there, or a file is not signed by the key that is pinned
   */
  constructor({ pseudonymIssuers, revocationFile, passMasterKey, passKeysFile }: TrustConfig) {
    this.#issuers = pseudonymIssuers;
    this.#revocations = new WatchedFile<RevocationList>(revocationFile, (bytes, known) => {
      const list = openRevocationList(bytes, pseudonymIssuers);
      if (known && list.number < known.number)
        throw new RevocationListError('revocationList.number', `is ${list.number}, older than ${known.number}`);
      return list;
    });
    if (!this.#revocations.content) throw new ConfigError(revocationFile, '', 'is not there');
    this.#passKeys = new WatchedFile<PassKeys>(passKeysFile, (bytes, known) =>
      joinPassKeys(known, openPassKeys(bytes, passMasterKey)),
    );
  }

  /**
   * Reads again what was written since.
   * @returns whether anything was
   * @throws ConfigError once for each writing; then what was read before holds
   */
  refresh(): boolean {
    const revocations = this.#revocations.refresh();
    return this.#passKeys.refresh() || revocations;
  }

  believe(pseudonym: PseudonymCertificate, slot: number): void {
    verifyPseudonymCertificate(pseudonym, this.#issuers, slot, 'submission.pseudonymCertificate');
  }

  isRevoked(pseudonym: Uint8Array): boolean {
    return isRevoked(this.#revocations.content!, pseudonym);
  }

  passKeyOf(day: number): BlindRsaKey | undefined {
    const keys = this.#passKeys.content;
    return keys && passKeyOf(keys, day);
  }
}

/** A file that another party replaces whole. */
class WatchedFile<T> {
  readonly #file: string;
  readonly #open: (bytes: Uint8Array, known: T | undefined) => T;
  #content: T | undefined;
  #writtenMs: number | undefined;

  constructor(file: string, open: (bytes: Uint8Array, known: T | undefined) => T) {
    this.#file = file;
    this.#open = open;
    this.refresh();
  }

  /** Undefined where it was not there yet. */
  get content(): T | undefined {
    return this.#content;
  }

  /** @returns whether it was read */
  refresh(): boolean {
    const writtenMs = statSync(this.#file, { throwIfNoEntry: false })?.mtimeMs;
    if (writtenMs === this.#writtenMs) return false;
    this.#writtenMs = writtenMs;
    if (writtenMs === undefined) throw new ConfigError(this.#file, '', 'is not there');
    try {
      this.#content = this.#open(readFileSync(this.#file), this.#content);
      return true;
    } catch (error) {
      if (error instanceof MalformedError) throw new ConfigError(this.#file, error.path, error.problem);
      if (error instanceof RevocationListError || error instanceof PassKeysError)
        throw new ConfigError(this.#file, error.path, error.message.slice(error.path.length + 1));
      throw error;
    }
  }
}
