/** node operator/control-centre/main.ts CONFIG.json */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { slotOf } from '../../protocol/time/slots.ts';
import { loadConfig } from '../shared/config.ts';
import { doorRoutes, readDoorKeys } from '../shared/door.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import { runParty, startParty } from '../shared/party.ts';
import { readPrivateKey } from '../shared/private-key.ts';
import { startService } from '../shared/service.ts';
import { PARTY } from './calendar.ts';
import { type CentreSettings, ControlCentre } from './centre.ts';
import { type ControlCentreConfig, controlCentreConfig } from './config.ts';
import { accounts, seenSales, totals } from './questions.ts';
import { centreRoutes } from './service.ts';

await startParty(PARTY, async (configFile) => {
  const config = loadConfig(configFile, controlCentreConfig);
  const masterKey = readPrivateKey(config.masterKeyFile);
  const centre = new ControlCentre({
    file: join(config.stateDir, 'centre.sqlite'),
    settings: settingsOf(config),
    sign: (message) => signEd25519(masterKey, message),
    workers: config.workers,
    verifyOpenedSum: config.compareExports ? undefined : null,
  });
  const { books } = centre;
  const door = config.door
    ? doorRoutes({
        ...readDoorKeys(config.door, PARTY),
        database: books.database,
        handle: (message) => centre.handle(message),
        slot: () => (books.nowMs === undefined ? undefined : slotOf(books.nowMs)),
        // everybody who fetches an answer sees what was accepted
        notice: () => centre.announcements.list(null)?.bytes ?? new Uint8Array(),
      })
    : [];
  const service = await startService({
    name: PARTY,
    access: config.service,
    identification: {
      holders: new HolderCheck(readFileSync(config.authorityFile, 'utf8')),
      nowMs: () => books.nowMs,
      isRevoked: () => false,
      nonces: new StoredNonces(books.database),
    },
    routes: [...centreRoutes(centre), ...door],
  });

  let working: Promise<void> = Promise.resolve();
  runParty(
    {
      name: PARTY,
      advance: (nowMs) => {
        working = centre.advance(nowMs).then(
          () => publish(config.keysetFile, books.keys.bytes),
          (error: Error) => console.error(`${PARTY}: ${error.message}`),
        );
      },
      delivered: async () => {
        await working;
      },
      pending: () => 0,
      questions: {
        totals: () => totals(centre),
        accounts: () => accounts(centre),
        payments: () => centre.settlement.payments(),
        seen: () => seenSales(centre),
        health: () => ({ ...books.counters.read(), requests: service.counters.read() }),
      },
      close: async () => {
        await service.close();
        await working;
        await centre.close();
      },
    },
    config.clock,
  );
});

function settingsOf(config: ControlCentreConfig): CentreSettings {
  return {
    value: config.value,
    bits: config.keyBits,
    windowSlots: config.windowSlots,
    registrationDays: config.registrationDays,
    lateRegistrationMs: config.lateRegistrationMs,
    settlementDays: config.settlementDays,
    terms: {
      mode: config.mode,
      amount: config.amount,
      candidatesEach: config.candidatesEach,
      perSale: config.perSale,
      creditMilliCent: config.creditMilliCent,
    },
    weights: config.weights,
    challengeShare: config.challengeShare,
    listDays: config.listDays,
  };
}

/** Replaced whole: who reads it meanwhile sees the old one or the new one. */
function publish(file: string | undefined, keyset: Uint8Array | undefined): void {
  if (!file || !keyset || (existsSync(file) && Buffer.compare(readFileSync(file), keyset) === 0)) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, keyset);
  renameSync(`${file}.new`, file);
}
