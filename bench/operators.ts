/**
 * The grid side of a bench, put together: who is configured with whose keys, and in which order they start. Each party is a
 * process of its own (bench/party.ts).
 */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Tpm } from '../gateway/tpm/tpm.ts';
import { callAs } from '../operator/shared/client.ts';
import { NV_INDEX } from '../protocol/attestation/policy.ts';
import { type ControlOrder, controlSendCall } from '../protocol/control/services.ts';
import { rawReleaseKey } from '../protocol/updates/manifest.ts';
import type { BenchTariff } from './billing.ts';
import type { Grid } from './conductor.ts';
import { prepareConsole } from './console.ts';
import { GridCa } from './grid-ca.ts';
import { prepareGridSide } from './grid-side.ts';
import { type Letter, prepareIdentitySide } from './identity-side.ts';
import { Party } from './party.ts';
import { type PreparedProvider, type ProviderSpec, partyOf, prepareProvider, tariffNameOf } from './providers.ts';
import { BenchReleases, DELIVERED } from './releases.ts';
import type { ScenarioSelling } from './scenario.ts';
import { prepareSelling } from './selling-side.ts';
import { prepareVerifier } from './verifier-side.ts';

/** What the grid's wires cost. */
const GRID_FEE_MILLI_CENT_PER_KWH = 7_250;
const root = resolve(import.meta.dirname, '..');
/** Evidence once an hour; the meter's answer comes with the conductor's next step. */
const EVIDENCE_EVERY_MS = 3_600_000;

export interface OperatorsOptions {
  /** Made anew for every run. */
  runDir: string;
  /** Kept: the grid's authority. */
  caDir: string;
  /** swtpm's authority, which must have made a TPM already. */
  tpmCaDir: string;
  k: number;
  /** How many there are. */
  households: number;
  area: string;
  /** The meter's image as it is stored. */
  image: Uint8Array;
  /** Who supplies the area; the first one is the party `provider`. */
  providers: readonly ProviderSpec[];
  /** Absent: nobody sells. */
  selling?: ScenarioSelling;
  /** Port of the console's page; 0: any; null: no console. */
  consolePort: number | null;
}

/** What the technician leaves in a house, and the provider's letter. */
export interface Installation {
  /** Those parts of a gateway's configuration that are the grid's. */
  gatewayConfig: Record<string, unknown>;
  letter: Letter;
}

export interface Operators {
  grid: Grid;
  /** All of them, in the order in which they are to be ended. */
  parties: Party[];
  console: Party | null;
  /** What is released; who adds one here has it rolled out. */
  releases: BenchReleases;
  /** Starts everybody but the verifier, and tells them the time. */
  start(startMs: number): Promise<void>;
  /** Registers a household's TPM under an address, and its provider writes to its customer. */
  install(id: string, address: string, tcti: string, provider: string, tariff?: BenchTariff): Promise<Installation>;
  /** A provider writes to a household that wants to become its customer. */
  letter(id: string, provider: string): Promise<Letter>;
  /** All are installed: the register goes to the third party and, which starts now, to the verifier. */
  registered(startMs: number): Promise<void>;
  /**
   * A provider's people, the first one's unless told: tells the area's appliances something.
   * @returns the message's id, hexadecimal
   */
  order(order: Omit<ControlOrder, 'id' | 'area'>, provider?: string): Promise<string>;
}

export async function prepareOperators(options: OperatorsOptions): Promise<Operators> {
  const { runDir, area, k, image } = options;
  const ca = await GridCa.open(options.caDir);
  const folder = (name: string): string => join(runDir, name);
  const releases = new BenchReleases(folder('releases'), image);
  const { providers: specs } = options;
  const identity = await prepareIdentitySide({
    directory: folder('identity'),
    ca,
    tpmCaDir: options.tpmCaDir,
    providers: Object.fromEntries(specs.map((spec, n) => [partyOf(spec, n), spec.name])),
    releases,
  });
  const verifier = await prepareVerifier({
    directory: runDir,
    ca,
    endorsementRootsDir: identity.endorsementRootsDir,
    authorityFile: identity.authorityFile,
    releases,
    intervalMs: EVIDENCE_EVERY_MS,
    gridOperatorUrl: identity.urls.gridOperator,
  });
  const fees = generateKeyPairSync('ed25519');
  const feesKeyFile = folder('grid-fees.key');
  writeFileSync(feesKeyFile, fees.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const feesKey = Buffer.from(rawReleaseKey(fees.publicKey)).toString('hex');
  const providers: PreparedProvider[] = [];
  for (const [n, spec] of specs.entries())
    providers.push(
      await prepareProvider(spec, n, {
        directory: folder(`${partyOf(spec, n)}-keys`),
        ca,
        issuerFile: identity.authorityFile,
        gridOperator: { url: identity.urls.gridOperator, caFile: ca.caFile, key: feesKey },
      }),
    );
  const [first, ...others] = providers;
  const side = await prepareGridSide({
    directory: runDir,
    caDirectory: options.caDir,
    trust: { ...identity.collectorTrust, ...verifier.collectorTrust },
    k,
    provider: first.settings,
    otherProviders: Object.fromEntries(others.map(({ name, settings }) => [name, settings])),
  });
  const readingKeyOf = ({ name }: PreparedProvider): string =>
    Buffer.from(name === first.name ? side.providerPublicKey : side.otherProviders[name].publicKey).toString('hex');
  addToConfig(identity.configs.gridOperator, {
    gridFees: {
      name: `Grid of ${area}`,
      feeMilliCentPerKwh: GRID_FEE_MILLI_CENT_PER_KWH,
      keyFile: feesKeyFile,
      authorityFile: identity.authorityFile,
      providers: providers.map((one) => ({ party: one.party, ...one.terms, readingKey: readingKeyOf(one) })),
    },
  });
  const controlUrl = first.controlUrl;
  const party = (name: string, configPath: string, folderName = name): Party =>
    new Party({
      name,
      main: join(root, 'operator', folderName, 'main.ts'),
      configPath,
      logPath: folder(`${name}.log`),
    });
  const broker = party('broker', side.configs.broker);
  const thirdParty = party('trusted-third-party', identity.configs.trustedThirdParty);
  const gridOperator = party('grid-operator', identity.configs.gridOperator);
  const verifying = party('verifier', verifier.config);
  const collector = party('collector', side.configs.collector);
  const provider = party('provider', side.configs.provider);
  const otherProviders = others.map(({ name, party: role }) =>
    party(role, side.otherProviders[name].config, 'provider'),
  );
  const selling = options.selling
    ? await prepareSelling(options.selling, {
        directory: folder('selling'),
        ca,
        authorityFile: identity.authorityFile,
        k: Math.min(k, options.households),
      })
    : null;
  const controlCentre = selling && party('control-centre', selling.configs.controlCentre);
  const relay = selling && party('relay', selling.configs.relay);
  const sellers = [controlCentre, relay].filter((one) => one !== null);
  const consoleParty =
    options.consolePort === null
      ? null
      : party(
          'console',
          (
            await prepareConsole({
              directory: folder('console'),
              ca,
              services: {
                verifier: verifier.url,
                gridOperator: identity.urls.gridOperator,
                provider: controlUrl,
                controlCentre: selling?.url ?? null,
              },
              port: options.consolePort,
              name: `Grid operator, ${area}`,
            })
          ).config,
        );
  const services = [thirdParty, gridOperator, verifying, ...(controlCentre ? [controlCentre] : [])];

  return {
    grid: {
      broker,
      collector,
      provider,
      otherProviders,
      verifier: verifying,
      gridOperator,
      relay,
      controlCentre,
      services,
    },
    parties: [
      ...(consoleParty ? [consoleParty] : []),
      ...sellers.toReversed(),
      collector,
      provider,
      ...otherProviders,
      verifying,
      gridOperator,
      thirdParty,
      broker,
    ],
    console: consoleParty,
    releases,
    async start(startMs) {
      await broker.start();
      const others = [thirdParty, gridOperator, collector, provider, ...otherProviders, ...sellers];
      await Promise.all(others.map((one) => one.start()));
      for (const one of others) await one.advance(startMs, false);
    },
    async registered(startMs) {
      await gridOperator.advance(startMs, true);
      await verifying.start();
      await verifying.advance(startMs, true);
    },
    async order(order, name = first.name) {
      const { controlUrl: url, party: role } = providers.find((one) => one.name === name)!;
      const call = { url, caFile: ca.caFile, ...controlSendCall };
      const { id } = await callAs(await ca.client(role), { ...call, body: { ...order, area } });
      return Buffer.from(id).toString('hex');
    },
    async letter(id, provider) {
      const [letter] = await identity.sendLetters([customerNumberOf(id)], provider);
      return letter;
    },
    async install(id, address, tcti, providerName, tariff = 'flex') {
      const place = providers.findIndex(({ name }) => name === providerName);
      const chosen = providers[place];
      const tpm = await Tpm.open(tcti);
      try {
        const { certificate } = await tpm.endorsement();
        const { serial } = await identity.provision(certificate, { address, area });
        await identity.supply(serial, chosen.name);
        await tpm.defineCounter(NV_INDEX.version);
        await tpm.raiseCounter(NV_INDEX.version, DELIVERED);
      } finally {
        await tpm.close();
      }
      const [letter] = await identity.sendLetters([customerNumberOf(id)], chosen.name);
      return {
        letter,
        gatewayConfig: {
          broker: side.gatewayAccess,
          ...selling?.gateway,
          providerPublicKey: readingKeyOf(chosen),
          gridOperator: { url: identity.urls.gridOperator, caFile: ca.caFile, key: feesKey },
          identity: identity.gatewayIdentity,
          attestation: verifier.gatewayAttestation,
          billing: {
            ...chosen.billing.gateway,
            tariff: tariffNameOf(chosen, place, tariff),
            sealing: releases.sealing(folder(`authorizations-${id}.json`)),
          },
          updates: {
            source: { url: identity.urls.trustedThirdParty, caFile: ca.caFile },
            releaseKey: releases.releaseKey,
            delivered: DELIVERED,
          },
          control: {
            controlKey: chosen.controlKey,
            provider: { url: chosen.controlUrl, caFile: ca.caFile },
            appliances: [{ name: 'boiler', label: 'Boiler in the cellar', deviceClass: 'boiler', relay: true }],
          },
        },
      };
    },
  };
}

/** As the provider's customer list has it. */
const customerNumberOf = (id: string): string => `K-${id}`;

/** What is known only after the others were prepared. */
function addToConfig(file: string, more: Record<string, unknown>): void {
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, `${JSON.stringify({ ...config, ...more }, null, 2)}\n`);
}
