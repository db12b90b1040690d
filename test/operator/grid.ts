/** The operator's parties as processes over a real TLS broker, and gateways that are not more than their submissions. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import mqtt, { type MqttClient } from 'mqtt';
import { type GridSide, type GridSideOptions, prepareGridSide } from '../../bench/grid-side.ts';
import { Party } from '../../bench/party.ts';
import { NO_PASS } from '../../protocol/attestation/pass.ts';
import { generateSigningKey, type SigningKey, signP256 } from '../../protocol/crypto/p256.ts';
import { dayOfSlot } from '../../protocol/identity/pseudonym-certificate.ts';
import { type Acknowledgement, decodeAcknowledgement } from '../../protocol/readings/acknowledgement.ts';
import { issueCertificate } from '../../protocol/readings/certificate.ts';
import { providerReference } from '../../protocol/readings/provider.ts';
import { type Reading, sealReading } from '../../protocol/readings/reading.ts';
import { signSubmission, submissionDigest } from '../../protocol/readings/submission.ts';
import { ADDRESS_BYTES, TOPICS } from '../../protocol/readings/topics.ts';
import { SLOT_MS, SLOTS_PER_DAY, slotOf } from '../../protocol/time/slots.ts';
import { TestAuthority } from '../support/authority.ts';

export const AREA = 'north-1';
/** 2026-03-10 00:00 UTC, and its first slot. */
export const START_MS = Date.UTC(2026, 2, 10);
export const START_SLOT = slotOf(START_MS);
/** Just past the end of a slot: the conductor's step. */
export const afterSlot = (slot: number): number => (slot + 1) * SLOT_MS + 500;
/** When a slot's batch is closed. */
export const closed = (slot: number): number => afterSlot(slot) + 300_000;

/** Whom the collectors of these tests believe. */
export const authority = await TestAuthority.create();
export const START_DAY = dayOfSlot(START_SLOT);
/** Pass keys that a collector knows: from two months before to four after. */
export const passKeysFrom = START_DAY - 60;
export const PASS_KEY_DAYS = 180;

/** What a household has for a day: a TPM key (here in software), what it certifies, and what others say of it. */
export interface HouseholdDay {
  pseudonym: SigningKey;
  software: SigningKey;
  pseudonymCertificate: Uint8Array;
  certificate: Uint8Array;
  pass: Uint8Array;
}

/** A household as the grid sees it. */
export class TestHousehold {
  readonly area: string;
  /** False: it sends its readings without a pass. */
  attested = true;
  readonly #authority: TestAuthority;
  readonly #days = new Map<number, Promise<HouseholdDay>>();

  /** @param by whoever certifies it and signs its passes */
  constructor(area = AREA, by = authority) {
    this.area = area;
    this.#authority = by;
  }

  day(slot: number): Promise<HouseholdDay> {
    const day = dayOfSlot(slot);
    let made = this.#days.get(day);
    if (!made) {
      made = this.#make(day);
      this.#days.set(day, made);
    }
    return made;
  }

  async submission(reading: Reading, providerPublicKey: Uint8Array): Promise<Uint8Array> {
    const sealed = await sealReading(reading, this.area, providerPublicKey);
    return this.submissionOf(reading.slot, sealed, providerPublicKey);
  }

  /** @param change of what an honest household would send */
  async submissionOf(
    slot: number,
    sealed: Uint8Array,
    providerPublicKey: Uint8Array,
    change: Partial<HouseholdDay> = {},
  ): Promise<Uint8Array> {
    const { software, pseudonymCertificate, certificate, pass } = { ...(await this.day(slot)), ...change };
    const provider = providerReference(providerPublicKey);
    const sent = { slot, pseudonymCertificate, certificate, pass: this.attested ? pass : NO_PASS, provider, sealed };
    return signSubmission(sent, (message) => signP256(software.privateKey, message));
  }

  async #make(day: number): Promise<HouseholdDay> {
    const [pseudonym, software] = [generateSigningKey(), generateSigningKey()];
    const firstSlot = day * SLOTS_PER_DAY;
    const key = { firstSlot, lastSlot: firstSlot + SLOTS_PER_DAY - 1, publicKey: software.publicKey };
    return {
      pseudonym,
      software,
      pseudonymCertificate: await this.#authority.certify(day, pseudonym.publicKey, this.area),
      certificate: await issueCertificate({ ...key, pseudonym: pseudonym.publicKey }, (message) =>
        signP256(pseudonym.privateKey, message),
      ),
      pass: this.#authority.pass(day, pseudonym.publicKey),
    };
  }
}

/** A gateway's connection: sends until everything is answered, by a new client on a new address after each break. */
export class TestGateway {
  readonly #access: { url: string; ca: Buffer };
  readonly #waiting = new Map<string, { area: string; bytes: Uint8Array; done: (answer: Acknowledgement) => void }>();
  readonly #listeners: ((topic: string, payload: Buffer) => void)[] = [];
  #client!: MqttClient;
  #subscribed = false;
  #closed = false;
  address = '';
  disconnects = 0;

  constructor({ url, caFile }: { url: string; caFile: string }) {
    this.#access = { url, ca: readFileSync(caFile) };
    this.#connect();
  }

  /** Resolves with the collector's answer, however often broker and collector are killed before. */
  submit(bytes: Uint8Array, area = AREA): Promise<Acknowledgement> {
    return new Promise((done) => {
      const letter = { area, bytes, done };
      this.#waiting.set(Buffer.from(submissionDigest(bytes)).toString('hex'), letter);
      if (this.#subscribed) this.publish(TOPICS.submit(area, this.address), bytes);
    });
  }

  publish(topic: string, payload: Uint8Array, options: mqtt.IClientPublishOptions = { qos: 1 }): void {
    this.#client.publish(topic, payload as Buffer, options, () => {});
  }
  /** The quality that was granted; 128 where it was refused. */
  subscribe(topic: string): Promise<number> {
    return new Promise((done) =>
      this.#client.subscribe(topic, { qos: 1 }, (error, granted) => done(error ? 128 : granted![0].qos)),
    );
  }
  onMessage(listener: (topic: string, payload: Buffer) => void): void {
    this.#listeners.push(listener);
  }
  get connected(): boolean {
    return this.#subscribed;
  }
  async close(): Promise<void> {
    this.#closed = true;
    await this.#client.endAsync(true);
  }

  #connect(): void {
    this.address = randomBytes(ADDRESS_BYTES).toString('hex');
    const client = mqtt.connect(this.#access.url, {
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      ca: this.#access.ca,
      clientId: this.address,
    });
    this.#client = client;
    client.on('connect', () => {
      (client.stream as Socket).setNoDelay(true);
      client.subscribe([TOPICS.answer(this.address), TOPICS.listening], { qos: 1 }, (error) => {
        if (error) return;
        this.#subscribed = true;
        this.#sendAll();
      });
    });
    client.once('close', () => {
      if (this.#subscribed) this.disconnects++;
      this.#subscribed = false;
      client.end(true);
      if (!this.#closed) setTimeout(() => this.#connect(), 50);
    });
    client.on('error', () => {});
    client.on('message', (topic, payload) => {
      for (const listener of this.#listeners) listener(topic, payload);
      if (topic === TOPICS.listening) return this.#sendAll();
      if (topic !== TOPICS.answer(this.address)) return;
      const answer = decodeAcknowledgement(payload);
      const name = Buffer.from(answer.digest).toString('hex');
      this.#waiting.get(name)?.done(answer);
      this.#waiting.delete(name);
    });
  }
  #sendAll(): void {
    for (const { area, bytes } of this.#waiting.values()) this.publish(TOPICS.submit(area, this.address), bytes);
  }
}

export interface TestGrid {
  side: GridSide;
  directory: string;
  households: TestHousehold[];
  broker: Party;
  collector: Party;
  provider: Party;
  gateway(): TestGateway;
  /** Moves collector and provider, and waits until everything due is delivered. */
  advance(toMs: number): Promise<void>;
}

export const mainOf = (party: string): string => join(import.meta.dirname, `../../operator/${party}/main.ts`);

/** Parties that a test started, whatever becomes of it, are ended with it. */
export async function startGrid(
  t: ExecutionContext,
  options: Partial<GridSideOptions> & { households?: number; withoutBroker?: boolean } = {},
): Promise<TestGrid> {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-grid-'));
  const households = Array.from({ length: options.households ?? 3 }, () => new TestHousehold());
  const trust = await authority.trustOf(directory, passKeysFrom, PASS_KEY_DAYS);
  const side = await prepareGridSide({ trust, ...options, directory });
  const party = (name: 'broker' | 'collector' | 'provider'): Party =>
    new Party({
      name,
      main: mainOf(name),
      configPath: side.configs[name],
      logPath: join(directory, `${name}.log`),
    });
  const gateways: TestGateway[] = [];
  const grid: TestGrid = {
    side,
    directory,
    households,
    broker: party('broker'),
    collector: party('collector'),
    provider: party('provider'),
    gateway: () => {
      const gateway = new TestGateway(side.gatewayAccess);
      gateways.push(gateway);
      return gateway;
    },
    advance: async (toMs) => {
      await grid.collector.advance(toMs, true);
      await grid.provider.advance(toMs, true);
    },
  };
  t.teardown(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await Promise.all([grid.broker, grid.collector, grid.provider].map((p) => p.kill()));
    if (!t.passed) for (const log of logsOf(directory)) t.log(log);
    rmSync(directory, { recursive: true, force: true });
  });
  if (!options.withoutBroker) await grid.broker.start();
  await Promise.all([grid.collector.start(), grid.provider.start()]);
  return grid;
}

function logsOf(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .map((name) => `${name}:\n${readFileSync(join(directory, name), 'utf8').slice(-2000)}`);
}

/** Every byte of the files of a party's store, as it stands on disk. */
export function bytesOf(directory: string): Buffer {
  return Buffer.concat(
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name))),
  );
}
