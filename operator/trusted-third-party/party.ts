/** The trusted third party, put together from its configuration; what drives it stands in main.ts. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HPKE_PRIVATE_KEY_BYTES } from '../../protocol/crypto/hpke.ts';
import { readSecretKey } from '../shared/config.ts';
import { readEkRoots } from '../shared/endorsement.ts';
import type { Role } from '../shared/party.ts';
import { readSigningKey, readWebKey } from '../shared/private-key.ts';
import type { TrustedThirdPartyConfig } from './config.ts';
import { Issuer } from './issuer.ts';
import { Releases } from './releases.ts';
import { startThirdPartyService } from './service.ts';
import { TrustedThirdParty } from './steps.ts';
import { type ListName, ThirdPartyStore } from './store.ts';

/** Names of the published files. */
const LIST_FILES: Record<ListName, string> = {
  revokedPseudonyms: 'revoked-pseudonyms.list',
  revokedCertificates: 'revoked-certificates.list',
};

export async function openTrustedThirdParty(config: TrustedThirdPartyConfig): Promise<Role> {
  const authority = readFileSync(config.authorityCertFile, 'utf8');
  const store = new ThirdPartyStore(join(config.stateDir, 'trusted-third-party.sqlite'));
  const publish = (name: ListName, list: Uint8Array): void => {
    if (!config.publicDir) return;
    const file = join(config.publicDir, LIST_FILES[name]);
    mkdirSync(config.publicDir, { recursive: true });
    writeFileSync(`${file}.new`, list);
    renameSync(`${file}.new`, file);
  };
  for (const name of Object.keys(LIST_FILES) as ListName[]) {
    const list = store.list(name);
    if (list) publish(name, list); // a kill may have come between
  }
  const keys = {
    issuing: readSigningKey(config.issuingKeyFile),
    authority: { certificate: authority, privateKey: await readWebKey(config.authorityKeyFile) },
  };
  const roots = readEkRoots(config.endorsementRootsDir);
  const thirdParty = new TrustedThirdParty({
    store,
    issuer: new Issuer(keys, store, publish),
    // makers' certificates know no time but the calendar's
    ekSerialOf: (certificate, ekPublic) => roots.checkWithKey(certificate, ekPublic, Date.now()).ekSerial,
    privateKey: readSecretKey(config.privateKeyFile, HPKE_PRIVATE_KEY_BYTES),
  });
  const service = await startThirdPartyService({
    thirdParty,
    store,
    access: config.service,
    authority,
    providers: config.providers,
    releases: config.releases
      ? new Releases(config.releases.folder, Buffer.from(config.releases.releaseKey, 'hex'))
      : null,
  });

  return {
    name: 'trusted-third-party',
    advance: (nowMs) => thirdParty.advance(nowMs),
    delivered: () => thirdParty.settled(),
    pending: () => 0,
    questions: {
      identities: () => store.counts(),
      health: () => service.counters.read(),
    },
    close: async () => {
      await service.close();
      await thirdParty.settled();
      store.close();
    },
  };
}
