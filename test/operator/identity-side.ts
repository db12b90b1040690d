/** Trusted third party and grid operator's register as processes, households' TPMs, and gateways' identities in this one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { GridCa } from '../../bench/grid-ca.ts';
import { type IdentitySide, prepareIdentitySide } from '../../bench/identity-side.ts';
import { Party } from '../../bench/party.ts';
import {
  HouseholdIdentity,
  type IdentityState,
  type InitialisationTpm,
} from '../../gateway/identity/household-identity.ts';
import { Tpm } from '../../gateway/tpm/tpm.ts';
import { gridOperatorConfig } from '../../operator/grid-operator/config.ts';
import { openGridOperator } from '../../operator/grid-operator/party.ts';
import { loadConfig } from '../../operator/shared/config.ts';
import type { Role } from '../../operator/shared/party.ts';
import { trustedThirdPartyConfig } from '../../operator/trusted-third-party/config.ts';
import { openTrustedThirdParty } from '../../operator/trusted-third-party/party.ts';
import { DrivenClock } from '../../protocol/time/clock.ts';
import { type HouseholdTpm, householdTpm, tpmCa } from '../gateway/tpm/household-tpm.ts';
import { mainOf } from './grid.ts';

/** 2026-03-10 08:00 UTC. */
export const START_MS = Date.UTC(2026, 2, 10, 8);
export const TODAY = Math.floor(START_MS / 86_400_000);
export const AREA = 'north-1';
export const ADDRESS = 'Musterweg 5, 12345 Musterstadt';

/** What tests do with a party, be it a process or not. */
type Led = Pick<Party, 'start' | 'advance' | 'ask' | 'kill'>;

/** A party in this process, behind its real service: for tests that are not about its death. */
class Inside implements Led {
  readonly #open: () => Promise<Role>;
  #role: Role | null = null;
  constructor(open: () => Promise<Role>) {
    this.#open = open;
  }
  async start() {
    this.#role = await this.#open();
    return { type: 'ready' as const };
  }
  async advance(toMs: number) {
    this.#role!.advance(toMs);
    await this.#role!.delivered();
    return { type: 'settled' as const, atMs: toMs, pending: this.#role!.pending() };
  }
  async ask(question: string) {
    return this.#role!.questions[question]();
  }
  async kill() {
    await this.#role?.close();
    this.#role = null;
  }
}

export interface TestSide {
  directory: string;
  side: IdentitySide;
  thirdParty: Led;
  gridOperator: Led;
  clock: DrivenClock;
  /** Moves everybody's clock, and waits until the grid operator's list is delivered. */
  advance(toMs: number): Promise<void>;
}

/** @param makers PEM of more makers of TPMs that are trusted, besides swtpm's authority */
export async function startSide(
  t: ExecutionContext,
  {
    processes = false,
    makers = [],
    providers,
  }: { processes?: boolean; makers?: string[]; providers?: Record<string, string> } = {},
): Promise<TestSide> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-identity-'));
  const ca = await GridCa.open(join(directory, 'grid-ca'));
  const side = await prepareIdentitySide({ directory, ca, tpmCaDir: await tpmCa(), providers });
  makers.forEach((pem, i) => {
    writeFileSync(join(directory, 'endorsement-roots', `maker-${i}.pem`), pem);
  });
  const party = (name: string, configPath: string): Party =>
    new Party({ name, main: mainOf(name), configPath, logPath: join(directory, `${name}.log`) });
  const { trustedThirdParty: thirdFile, gridOperator: gridFile } = side.configs;
  const thirdParty: Led = processes
    ? party('trusted-third-party', thirdFile)
    : new Inside(() => openTrustedThirdParty(loadConfig(thirdFile, trustedThirdPartyConfig)));
  const gridOperator: Led = processes
    ? party('grid-operator', gridFile)
    : new Inside(() => openGridOperator(loadConfig(gridFile, gridOperatorConfig)));
  const clock = new DrivenClock(0);
  const advance = async (toMs: number): Promise<void> => {
    clock.advanceTo(toMs);
    await thirdParty.advance(toMs, true);
    await gridOperator.advance(toMs, true);
  };
  t.teardown(async () => {
    await Promise.all([thirdParty.kill(), gridOperator.kill()]);
    if (processes && !t.passed)
      for (const name of ['trusted-third-party', 'grid-operator'])
        t.log(`${name}:\n${readFileSync(join(directory, `${name}.log`), 'utf8').slice(-3000)}`);
    rmSync(directory, { recursive: true, force: true });
  });
  await Promise.all([thirdParty.start(), gridOperator.start()]);
  await advance(START_MS);
  return { directory, side, thirdParty, gridOperator, clock, advance };
}

export interface TestGateway {
  swtpm: HouseholdTpm;
  tpm: Tpm;
  identity: HouseholdIdentity;
  log: string[];
  /** EK serial, where `provision` was asked for. */
  serial: string;
  /** Ends the identity as a kill would, and opens it again. */
  reopen(more?: Partial<Parameters<typeof openIdentity>[1]>): Promise<HouseholdIdentity>;
}

export function openIdentity(
  test: TestSide,
  { file, tpm, url, log = [] }: { file: string; tpm: InitialisationTpm; url?: string; log?: string[] },
): HouseholdIdentity {
  const { gatewayIdentity: g } = test.side;
  return new HouseholdIdentity({
    tpm: async () => tpm,
    file,
    clock: test.clock,
    thirdParty: {
      url: url ?? g.url,
      ca: readFileSync(g.caFile, 'utf8'),
      publicKey: Buffer.from(g.publicKey, 'hex'),
      issuingKey: Buffer.from(g.issuingKey, 'hex'),
      authority: readFileSync(g.authorityFile, 'utf8'),
    },
    log: (line) => log.push(line),
  });
}

/** A gateway with a TPM of its own; at `ADDRESS` unless told otherwise, not registered where null. */
export async function gatewayOf(
  t: ExecutionContext,
  test: TestSide,
  installation: { address: string; area: string } | null | 'unregistered' = { address: ADDRESS, area: AREA },
  { fresh = false } = {},
): Promise<TestGateway> {
  const swtpm = await householdTpm(t, { fresh });
  const tpm = await Tpm.open(swtpm.tcti);
  t.teardown(() => tpm.close());
  const log: string[] = [];
  const file = join(swtpm.directory, 'identity.db');
  const gateway: TestGateway = {
    swtpm,
    tpm,
    log,
    serial: '',
    identity: openIdentity(test, { file, tpm, log }),
    async reopen(more) {
      await gateway.identity.close();
      gateway.identity = openIdentity(test, { file, tpm, log, ...more });
      gateway.identity.resume();
      return gateway.identity;
    },
  };
  t.teardown(() => gateway.identity.close());
  if (installation !== 'unregistered') {
    const { certificate } = await tpm.endorsement();
    gateway.serial = (await test.side.provision(certificate, installation)).serial;
    await test.advance(test.clock.nowMs());
  }
  return gateway;
}

/** What the customer types. */
export const form = (letter: { provider: string; customerNumber: string; pin: string }, more = {}) => ({
  name: 'Erika Mustermann',
  address: 'Musterweg 5',
  ...letter,
  ...more,
});

/** Types it and waits until it is decided. */
export async function initialise(identity: HouseholdIdentity, typed: object): Promise<IdentityState> {
  await identity.initialise(typed);
  await identity.settled();
  return identity.state;
}
