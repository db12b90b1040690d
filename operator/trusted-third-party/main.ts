/** node operator/trusted-third-party/main.ts CONFIG.json */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HPKE_PRIVATE_KEY_BYTES } from '../../protocol/crypto/hpke.ts';
import { loadConfig, readSecretKey } from '../shared/config.ts';
import { readEkRoots } from '../shared/endorsement.ts';
import { runParty, startParty } from '../shared/party.ts';
import { readSigningKey, readWebKey } from '../shared/private-key.ts';
import { trustedThirdPartyConfig } from './config.ts';
import { Issuer } from './issuer.ts';
import { startThirdPartyService } from './service.ts';
import { TrustedThirdParty } from './steps.ts';
import { type ListName, ThirdPartyStore } from './store.ts';

/** Names of the published files. */
const LIST_FILES: Record<ListName, string> = {
  revokedPseudonyms: 'revoked-pseudonyms.list',
  revokedCertificates: 'revoked-certificates.list',
};

await startParty('trusted-third-party', async (configFile) => {
  const config = loadConfig(configFile, trustedThirdPartyConfig);
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
  });

  runParty(
    {
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
    },
    config.clock,
  );
});
