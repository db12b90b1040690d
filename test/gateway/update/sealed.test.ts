// An update with a TPM (swtpm): what is sealed opens before, on the way and after, without being sealed anew, and never again in
// the state of the release before.
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { MeasuredBoot } from '../../../gateway/attestation/measured-boot.ts';
import { Tpm } from '../../../gateway/tpm/tpm.ts';
import { releasesInFolder } from '../../../gateway/update/release-source.ts';
import { NV_INDEX, type ReleaseAuthorization } from '../../../protocol/attestation/policy.ts';
import { compressPoint } from '../../../protocol/crypto/p256.ts';
import { type Manifest, openManifest } from '../../../protocol/updates/manifest.ts';
import { householdTpm } from '../tpm/household-tpm.ts';
import { keys, releaseKey, UpdatingHome } from './updating-home.ts';

const { x, y } = createPublicKey(keys.policy).export({ format: 'jwk' });
const policyKey = compressPoint(Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url'));

test('a sealed key opens along the way of an update, and not on the way back', async (t) => {
  const chip = await householdTpm(t);
  const tpm = await Tpm.open(chip.tcti);
  t.teardown(() => tpm.close());
  const boot = new MeasuredBoot(async () => tpm, join(chip.directory, 'gateway'));
  const home = await UpdatingHome.build();
  const releaseOf = async (): Promise<Manifest> =>
    openManifest((await releasesInFolder(home.releases.folder).newest())!, releaseKey);
  await home.releases.put(1);
  const first = await releaseOf();
  await home.releases.put(2);
  const second = await releaseOf();

  // release 1 runs: its software is measured, its counter set
  await tpm.defineCounter(NV_INDEX.version);
  t.is(await tpm.raiseCounter(NV_INDEX.version, 1), 1);
  await boot.ensure(first.gateway.digest, first.firmware.digest);
  const secret = Buffer.from('the key of the log, 32 bytes long');
  const sealed = await tpm.seal(secret, policyKey);
  const opens = async (authorizations: readonly ReleaseAuthorization[]): Promise<string> => {
    let why = '';
    for (const authorization of authorizations) {
      try {
        t.deepEqual(Buffer.from(await tpm.unseal(sealed, policyKey, authorization)), secret);
        return 'opens';
      } catch (error) {
        why = (error as { kind: string }).kind;
      }
    }
    return why;
  };
  t.is(await opens(first.authorizations!), 'opens');

  let kept: readonly ReleaseAuthorization[] = first.authorizations!;
  const seen: string[] = [];
  home.parts = {
    counter: {
      read: async () => (await tpm.readCounter(NV_INDEX.version)) ?? 0,
      raise: async (to) => {
        await tpm.raiseCounter(NV_INDEX.version, to);
      },
    },
    measureFirmware: async (digest) => {
      seen.push(await opens(kept));
      await boot.ensure(first.gateway.digest, digest);
      seen.push(await opens(kept));
    },
    gatewayPcr: async () => (await tpm.readPcrs([8])).get(8)!,
    keepAuthorizations: (authorizations) => {
      kept = authorizations;
    },
  };
  home.startGateway();
  const steps = async (done: () => boolean) => {
    for (let second = 0; second < 400 && !done(); second++) {
      await home.step();
      await new Promise((resolve) => setTimeout(resolve, 5)); // the TPM takes real time
    }
  };
  await steps(() => home.updater.view.state === 'committing' && home.updater.view.reason !== null);
  t.is(home.updater.view.reason, 'release 2 runs; it waits for this machine to be started anew');
  t.deepEqual(seen, ['opens', 'opens'], 'before it is measured, and after');
  await boot.ensure(second.gateway.digest, second.firmware.digest); // the gateway's own switch
  t.is(await opens(kept), 'opens');
  t.is(await tpm.readCounter(NV_INDEX.version), 1, 'not counted as long as that would close what is sealed');

  // the whole machine starts anew into the new release
  await chip.reset();
  await boot.ensure(second.gateway.digest, second.firmware.digest);
  home.nowMs += 60_000;
  home.startGateway();
  await steps(() => home.updater.view.version === 2);
  t.is(home.updater.view.version, 2, home.log.join('\n'));
  t.is(await tpm.readCounter(NV_INDEX.version), 2);
  t.is(await opens(kept), 'opens', 'with new PCRs, without being sealed anew');
  // and into the old one, which somebody has put back
  await chip.reset();
  await boot.ensure(first.gateway.digest, first.firmware.digest);
  t.is(await opens(first.authorizations!), 'rolled back');
  t.not(await opens(kept), 'opens', 'nor with what release 2 had authorized on the way');
  // which then pretends to be the new one
  await boot.ensure(second.gateway.digest, second.firmware.digest);
  t.not(await opens(kept), 'opens');
  // a software that nobody released
  await chip.reset();
  await boot.ensure(Buffer.alloc(32, 1), second.firmware.digest);
  t.is(await opens(kept), 'not released');
});
