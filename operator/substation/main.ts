/** node operator/substation/main.ts CONFIG.json */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { HolderCheck } from '../../protocol/identity/certificates.ts';
import { SUBSTATION_PARTY } from '../../protocol/trading/coins.ts';
import { BUS_KEY_BYTES } from '../../protocol/wire/bus-frame.ts';
import { loadConfig, readSecretKey } from '../shared/config.ts';
import { StoredNonces } from '../shared/nonce-memory.ts';
import { runParty, startParty } from '../shared/party.ts';
import { readPrivateKey } from '../shared/private-key.ts';
import { startService } from '../shared/service.ts';
import type { SubstationSettings } from './books.ts';
import { type SubstationConfig, substationConfig } from './config.ts';
import { substationTotals } from './questions.ts';
import { substationRoutes } from './service.ts';
import { Substation } from './substation.ts';

/** What nobody fetches for the line is old news. */
const OUTGOING_MOST = 10_000;
const DAY_EPOCHS_MS = 86_400_000;

await startParty(SUBSTATION_PARTY, async (configFile) => {
  const config = loadConfig(configFile, substationConfig);
  const masterKey = readPrivateKey(config.masterKeyFile);
  const outgoing: Uint8Array[] = [];
  const substation = new Substation({
    file: join(config.stateDir, 'substation.sqlite'),
    settings: settingsOf(config),
    sign: (message) => signEd25519(masterKey, message),
    groupKey: readSecretKey(config.groupKeyFile, BUS_KEY_BYTES),
    broadcast: (frames) => {
      outgoing.push(...frames);
      outgoing.splice(0, Math.max(0, outgoing.length - OUTGOING_MOST));
    },
    random: randomBytes,
    workers: config.workers,
  });
  const { books } = substation;
  const service = await startService({
    name: SUBSTATION_PARTY,
    access: config.service,
    identification: {
      holders: new HolderCheck(readFileSync(config.authorityFile, 'utf8')),
      nowMs: () => books.nowMs,
      isRevoked: () => false,
      nonces: new StoredNonces(books.database),
    },
    routes: substationRoutes(substation, outgoing, config.clock === 'conductor'),
  });

  let working: Promise<void> = Promise.resolve();
  runParty(
    {
      name: SUBSTATION_PARTY,
      advance: (nowMs) => {
        // the modem may have brought a later time already
        const atMs = Math.max(nowMs, books.nowMs ?? 0);
        working = substation.tick(atMs).catch((error: Error) => console.error(`${SUBSTATION_PARTY}: ${error.message}`));
      },
      delivered: async () => {
        await working;
      },
      pending: () => 0,
      questions: {
        totals: () => substationTotals(substation),
        bills: () => substation.accounts.bills(),
        health: () => ({
          ...books.counters.read(),
          frames: substation.receiver.counters,
          requests: service.counters.read(),
        }),
      },
      close: async () => {
        await service.close();
        await working;
        await substation.close();
      },
    },
    config.clock,
  );
});

function settingsOf(config: SubstationConfig): SubstationSettings {
  const { value, keyBits, epochMs, dsoLeadMs, surplusThreshold, standardCoins } = config;
  const { loadingDays, exchangeDays, depositDays, cell } = config;
  return {
    ...{ value, bits: keyBits, loadingDays, exchangeDays, depositDays, epochMs, dsoLeadMs, standardCoins },
    cell: Buffer.from(cell, 'hex'),
    guardEpochs: 1,
    aheadEpochs: Math.ceil(DAY_EPOCHS_MS / epochMs),
    surplusThreshold: surplusThreshold ?? -1,
    resendMs: epochMs / 2,
    checkPass: null,
  };
}
