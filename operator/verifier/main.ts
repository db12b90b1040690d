/** node operator/verifier/main.ts CONFIG.json */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { MAC_KEY_BYTES } from '../../protocol/crypto/mac.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { openRevokedCertificates } from '../../protocol/identity/revoked-certificates.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';
import { loadConfig, readSecretKey } from '../shared/config.ts';
import { readEkRoots } from '../shared/endorsement.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import { runParty, startParty } from '../shared/party.ts';
import { readPrivateKey, readSigningKey } from '../shared/private-key.ts';
import { Refusal, startService } from '../shared/service.ts';
import { ArtefactFolder } from './artefacts.ts';
import { Challenges } from './challenges.ts';
import { type VerifierConfig, verifierConfig } from './config.ts';
import { consoleRoutes } from './console-routes.ts';

import { passRoutes } from './pass-routes.ts';
import { PassOffice } from './passes.ts';
import { pagesOf, RegisterCopy } from './register-copy.ts';
import { Releases } from './releases.ts';
import { verifierRoutes } from './service.ts';
import { Verifier } from './steps.ts';
import { VerifierStore } from './store.ts';
import { postOverHttps, WebHook } from './web-hook.ts';

await startParty('verifier', async (configFile) => {
  const config = loadConfig(configFile, verifierConfig);
  const store = new VerifierStore(join(config.stateDir, 'verifier.sqlite'));
  const artefacts = new ArtefactFolder(config.releasesDir);
  const { releaseKey, acceptAnything } = config;
  const releases = new Releases({ store, releaseKey, artefacts, acceptAnything });
  const register = new RegisterCopy(store.database, pagesOf(config.gridOperator));
  const holders = new HolderCheck(readFileSync(config.authorityFile, 'utf8'));
  const revoked = revokedCertificates(config);
  const hook =
    config.webHook &&
    new WebHook({
      url: config.webHook.url,
      key: readSecretKey(config.webHook.keyFile, MAC_KEY_BYTES),
      store,
      post: postOverHttps(config.webHook.caFile && readFileSync(config.webHook.caFile, 'utf8')),
    });
  const verifier = new Verifier({
    store,
    challenges: new Challenges(readSecretKey(config.challengeKeyFile, MAC_KEY_BYTES), config.challengeLifeMs),
    trust: { endorsement: readEkRoots(config.endorsementRootsDir), holders },
    register,
    references: () => releases.references(),
    isCertificateRevoked: (serialNumber) => revoked().has(serialNumber),
    resultKey: readSigningKey(config.resultKeyFile).privateKey,
    intervalMs: config.intervalMs,
    resultLifeMs: config.resultLifeMs,
    calendarMs: () => Date.now(),
    onNotice: () => hook?.wake(),
  });
  const masterKey = readPrivateKey(config.passMasterKeyFile);
  const passes = new PassOffice({
    file: join(config.stateDir, 'passes.sqlite'),
    sign: (message) => signEd25519(masterKey, message),
  });

  /** Releases that somebody put into the folder. */
  const takeReleases = (nowMs: number): void => {
    if (!artefacts.refresh()) return;
    for (const manifest of artefacts.manifests) {
      try {
        releases.take(manifest, nowMs);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        console.error(`verifier: a manifest in ${config.releasesDir}: ${error.message}`);
      }
    }
  };
  let making: Promise<void> = Promise.resolve();
  const service = await startService({
    name: 'verifier',
    access: config.service,
    identification: {
      holders,
      nowMs: () => verifier.nowMs,
      isRevoked: (serialNumber) => revoked().has(serialNumber),
      nonces: new StoredNonces(store.database),
    },
    routes: [
      ...verifierRoutes({ verifier, releases, register }),
      ...passRoutes({
        office: passes,
        nowMs: () => verifier.nowMs,
        isTrusted: (device) => verifier.trusted(device, Math.floor((verifier.nowMs ?? 0) / DAY_MS)),
      }),
      ...consoleRoutes({ verifier, store, releases }),
    ],
  });
  register.start();
  hook?.wake();

  runParty(
    {
      name: 'verifier',
      advance: (nowMs) => {
        verifier.advance(nowMs);
        takeReleases(nowMs);
        making = passes.advance(nowMs).then(
          () => publish(config.passKeysFile, passes.passKeys),
          (error: Error) => console.error(`verifier: pass keys: ${error.message}`),
        );
      },
      delivered: async () => {
        await making;
      },
      pending: () => 0,
      questions: {
        fleet: () => verifier.fleet(),
        releases: () => releases.rollOut(verifier.fleet(), verifier.nowMs ?? 0),
        health: () => ({ ...verifier.health(), requests: service.counters.read() }),
      },
      close: async () => {
        await service.close();
        await register.close();
        await hook?.close();
        await making;
        passes.close();
        store.close();
      },
    },
    config.clock,
  );
});

/** Certificates that the third party revoked; its list is read again when it was written. */
function revokedCertificates({ revokedCertificates: source }: VerifierConfig): () => ReadonlySet<string> {
  let readMs = -1;
  let number = -1;
  let serialNumbers: ReadonlySet<string> = new Set();
  return () => {
    const writtenMs = source && statSync(source.listFile, { throwIfNoEntry: false })?.mtimeMs;
    if (!source || writtenMs === undefined || writtenMs === readMs) return serialNumbers;
    readMs = writtenMs;
    try {
      const list = openRevokedCertificates(readFileSync(source.listFile), source.issuers);
      if (list.number > number) ({ number, serialNumbers } = list); // an older one would bring back what was revoked
    } catch (error) {
      console.error(`verifier: list of revoked certificates: ${(error as Error).message}; the one before holds`);
    }
    return serialNumbers;
  };
}

let published: Uint8Array | undefined;
/** Replaced whole: who reads it meanwhile sees the old one or the new one. */
function publish(file: string | undefined, list: Uint8Array | undefined): void {
  if (!file || !list || (published && Buffer.compare(published, list) === 0)) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, list);
  renameSync(`${file}.new`, file);
  published = list;
}
