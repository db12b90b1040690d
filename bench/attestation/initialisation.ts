/**
 * A household's initialisation on a real TPM (software or not), against trusted third party and grid operator behind their own
 * HTTPS in this process: how long it takes, and what it refuses.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HouseholdIdentity, type IdentityState } from '../../gateway/identity/household-identity.ts';
import { TpmError } from '../../gateway/tpm/error.ts';
import { Tpm } from '../../gateway/tpm/tpm.ts';
import { gridOperatorConfig } from '../../operator/grid-operator/config.ts';
import { openGridOperator } from '../../operator/grid-operator/party.ts';
import { loadConfig } from '../../operator/shared/config.ts';
import { trustedThirdPartyConfig } from '../../operator/trusted-third-party/config.ts';
import { openTrustedThirdParty } from '../../operator/trusted-third-party/party.ts';
import { makeCredential } from '../../protocol/attestation/credential.ts';
import { DrivenClock } from '../../protocol/time/clock.ts';
import { GridCa } from '../grid-ca.ts';
import { prepareIdentitySide } from '../identity-side.ts';
import { setUpTpm, startTpm } from '../software-tpm.ts';
import type { OtherAttack } from './other-attacks.ts';

const START_MS = Date.UTC(2026, 2, 10, 8);

export interface InitialisationFigures {
  /** From the customer's click to all certificates, those of 35 days included. */
  initialisationMs: number;
  attacks: { name: string; refused: boolean; reason: string | null }[];
}

/** @param state a software TPM of `tpmCa`, which runs at `tpm` */
export async function measureInitialisation(
  directory: string,
  tpm: Tpm,
  tpmCa: string,
): Promise<InitialisationFigures> {
  const ca = await GridCa.open(join(directory, 'grid-ca'));
  const side = await prepareIdentitySide({ directory, ca, tpmCaDir: tpmCa });
  const clock = new DrivenClock(START_MS);
  const parties = [
    await openTrustedThirdParty(loadConfig(side.configs.trustedThirdParty, trustedThirdPartyConfig)),
    await openGridOperator(loadConfig(side.configs.gridOperator, gridOperatorConfig)),
  ];
  const advance = async (): Promise<void> => {
    for (const party of parties) {
      party.advance(clock.nowMs());
      await party.delivered();
    }
  };
  await advance();
  const { gatewayIdentity } = side;
  let names = 0;
  const identityOf = (its: Tpm): HouseholdIdentity =>
    new HouseholdIdentity({
      tpm: async () => its,
      file: join(directory, `identity-${++names}.db`),
      clock,
      thirdParty: {
        url: gatewayIdentity.url,
        ca: readFileSync(gatewayIdentity.caFile, 'utf8'),
        publicKey: Buffer.from(gatewayIdentity.publicKey, 'hex'),
        issuingKey: Buffer.from(gatewayIdentity.issuingKey, 'hex'),
        authority: readFileSync(gatewayIdentity.authorityFile, 'utf8'),
      },
      log: () => {},
    });
  const tries = async (its: Tpm, form: object): Promise<IdentityState> => {
    const identity = identityOf(its);
    await identity.initialise({ name: 'Erika Mustermann', address: 'Musterweg 5', ...form });
    await identity.settled();
    const { state } = identity;
    await identity.close();
    return state;
  };
  const refusal = ({ state, reason }: IdentityState): string | null => (state === 'ready' ? null : reason);

  const other = join(directory, 'other-tpm');
  await setUpTpm(other, { ca: tpmCa });
  const otherProcess = await startTpm(other);
  const otherTpm = await Tpm.open(otherProcess.tcti);
  try {
    const [letter] = await side.sendLetters(['C-1001', 'C-1002']);
    const attacks: OtherAttack[] = [
      {
        name: 'initialisation of a gateway that the grid operator does not know',
        run: async () => refusal(await tries(tpm, letter)),
      },
      {
        name: 'initialisation with a wrong PIN',
        run: async () => {
          const { certificate } = await tpm.endorsement();
          await side.provision(certificate, { address: 'Musterweg 5, 12345 Musterstadt', area: 'north-1' });
          await advance();
          const pin = letter.pin === '12345678' ? '87654321' : '12345678';
          return refusal(await tries(tpm, { ...letter, pin }));
        },
      },
      { name: "another TPM's activation of a credential", run: () => activateElsewhere(tpm, otherTpm) },
    ];
    const rows = [];
    for (const { name, run } of attacks) {
      const reason = await run();
      rows.push({ name, refused: reason !== null, reason });
    }
    const before = performance.now();
    const state = await tries(tpm, letter);
    if (state.state !== 'ready') throw new Error(`initialisation: ${state.reason}`);
    return { initialisationMs: performance.now() - before, attacks: rows };
  } finally {
    await otherTpm.close();
    await otherProcess.stop();
    for (const party of parties) await party.close();
  }
}

/** A credential for one TPM's endorsement key and attestation key, opened by another TPM. */
async function activateElsewhere(tpm: Tpm, other: Tpm): Promise<string | null> {
  const key = await other.loadKey(await other.createAttestationKey());
  const { publicBlob } = await tpm.endorsement();
  const credential = makeCredential(publicBlob, key.name, randomBytes(32));
  try {
    await other.activateCredential(key, credential);
    return null;
  } catch (error) {
    if (error instanceof TpmError) return error.message;
    throw error;
  }
}
