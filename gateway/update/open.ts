/** Updates as the gateway runs them: the updater with the household's TPM, meter and disk. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PCR_GATEWAY } from '../../protocol/attestation/evidence.ts';
import { NV_INDEX } from '../../protocol/attestation/policy.ts';
import type { Clock } from '../../protocol/time/clock.ts';
import { authorizationsText } from '../billing/release-file.ts';
import type { Tpm } from '../tpm/tpm.ts';
import type { UpdatesConfig } from './config.ts';
import { writeDurably } from './durable-file.ts';
import { Installation } from './installation.ts';
import type { MeterImages } from './meter-images.ts';
import { releasesInFolder, releasesOverHttps } from './release-source.ts';
import { Updater } from './updater.ts';

export interface OpenUpdatesOptions {
  config: UpdatesConfig;
  dataDir: string;
  /** Opens the TPM where it is not open. @throws TpmError */
  tpm: () => Promise<Pick<Tpm, 'defineCounter' | 'readCounter' | 'raiseCounter' | 'readPcrs'>>;
  meter: MeterImages;
  /** Into the PCR of the meter's image, once. @throws TpmError */
  measureFirmware(digest: Uint8Array): Promise<void>;
  attest(): void;
  keepMeterImage(digest: Uint8Array | null): void;
  /** Where the states are kept in which sealed keys open; null: nothing is sealed. */
  authorizationsFile: string | null;
  /** Ends this process so that the launcher starts it anew; and so that the machine is. */
  restart(what: 'process' | 'machine'): void;
  clock: Clock;
  log(line: string): void;
}

export function openUpdates(options: OpenUpdatesOptions): Updater {
  const { config, dataDir, tpm, meter, authorizationsFile, clock, log } = options;
  const { source, installation, everyMinutes } = config;
  return new Updater({
    folder: join(dataDir, 'updates'),
    clock,
    source:
      'folder' in source
        ? releasesInFolder(source.folder)
        : releasesOverHttps({ url: source.url, ca: readFileSync(source.caFile, 'utf8') }),
    releaseKey: Buffer.from(config.releaseKey, 'hex'),
    counter: {
      read: async () => (await (await tpm()).readCounter(NV_INDEX.version)) ?? 0,
      raise: async (to) => {
        const opened = await tpm();
        await opened.defineCounter(NV_INDEX.version);
        await opened.raiseCounter(NV_INDEX.version, to);
      },
    },
    measureFirmware: options.measureFirmware,
    meter,
    keepMeterImage: options.keepMeterImage,
    installation: installation ? new Installation(installation) : null,
    gatewayPcr: async () => (await (await tpm()).readPcrs([PCR_GATEWAY])).get(PCR_GATEWAY)!,
    delivered: config.delivered,
    restart: () => options.restart('process'),
    // without a launcher nobody would hear it
    ...(installation && { restartMachine: () => options.restart('machine') }),
    keepAuthorizations: (authorizations) => {
      if (authorizationsFile && authorizations.length > 0)
        writeDurably(authorizationsFile, Buffer.from(authorizationsText(authorizations)), 0o600);
    },
    attest: options.attest,
    log,
    everyMs: everyMinutes * 60_000,
  });
}
