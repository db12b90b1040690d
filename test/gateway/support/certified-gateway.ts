/**
 * Loaded before gateway/main.ts: a gateway that has no third party to ask gets names all the same. Its pseudonym is a key in its TPM,
 * made at each start, and whoever runs the test certifies it. Households with a real third party have tests of their own
 * (identity/process).
 */
import { makeReadingSigner, ReadingSigners } from '../../../gateway/identity/reading-signer.ts';
import type { TpmKey } from '../../../gateway/tpm/keys.ts';
import { IdentityKeeper } from '../../../gateway/uplink/identity-keeper.ts';
import { generateSigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import { issuePseudonymCertificate } from '../../../protocol/identity/pseudonym-certificate.ts';

const area = process.env.QUIETMETER_TEST_AREA!;
const issuer = generateSigningKey();
const signersOf = new WeakMap<IdentityKeeper, ReadingSigners>();

function certified(keeper: IdentityKeeper): ReadingSigners {
  let key: TpmKey | undefined;
  return new ReadingSigners(async (day) => {
    const tpm = await keeper.tpm();
    key ??= await tpm.loadKey(await tpm.createSigningKey());
    const { publicKey } = key;
    const sign = (message: Uint8Array): Uint8Array => signP256(issuer.privateKey, message);
    return makeReadingSigner(tpm, key, day, await issuePseudonymCertificate({ day, publicKey, area }, sign));
  });
}

IdentityKeeper.prototype.signerFor = function (this: IdentityKeeper, slot: number) {
  const signers = signersOf.get(this) ?? certified(this);
  signersOf.set(this, signers);
  return signers.ofSlot(slot);
};
