/**
 * The grid side as a gateway meets it: a real MQTT broker over TLS, and behind it a collector that checks and keeps
 * submissions and answers them. Both can be stopped and started; the collector's memory survives, as its disk would.
 */
import { mkdtempSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import { generateHpkeKeyPair, type HpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { encodeAcknowledgement, type Verdict } from '../../../protocol/readings/acknowledgement.ts';
import { openReading, type Reading } from '../../../protocol/readings/reading.ts';
import {
  decodeSubmission,
  type Submission,
  submissionDigest,
  verifySubmission,
} from '../../../protocol/readings/submission.ts';
import { parseSubmitTopic, TOPICS } from '../../../protocol/readings/topics.ts';
import { openServerCertificate, type ServerCertificate } from '../../../web/certificates.ts';

export interface Submitted {
  slot: number;
  bytes: Uint8Array;
  address: string;
  certificate: string;
}

export class FakeGrid {
  readonly directory = mkdtempSync(join(tmpdir(), 'quietmeter-grid-'));
  provider!: HpkeKeyPair;
  /** By slot: the first submission of it. */
  readonly stored = new Map<number, Submitted>();
  /** Everything that arrived while the collector ran, in order. */
  readonly arrived: Submitted[] = [];
  /** Client identifiers that the broker has seen. */
  readonly clients: string[] = [];
  collecting = true;
  /** Stored without an answer: a collector that is killed between its disk and its answer. */
  mute = false;
  /** What to answer instead of storing, by slot. */
  readonly verdicts = new Map<number, Verdict>();
  #certificate!: ServerCertificate;
  #broker: Aedes | null = null;
  #server: Server | null = null;
  #sockets = new Set<TLSSocket>();
  #port = 0;
  #waiters: (() => void)[] = [];

  static async start(): Promise<FakeGrid> {
    const grid = new FakeGrid();
    grid.provider = await generateHpkeKeyPair();
    grid.#certificate = await openServerCertificate({ directory: grid.directory, nowMs: Date.now() });
    await grid.startBroker();
    return grid;
  }

  get url(): string {
    return `mqtts://127.0.0.1:${this.#port}`;
  }
  get ca(): string {
    return this.#certificate.authorityPem;
  }

  async startBroker(): Promise<void> {
    const broker = await Aedes.createBroker();
    const { keyPem, certificatePem } = this.#certificate;
    const server = createServer({ key: keyPem, cert: certificatePem, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      broker.handle(socket);
    });
    server.on('tlsClientError', () => {});
    broker.on('client', (client) => this.clients.push(client.id));
    broker.subscribe(
      TOPICS.everySubmit,
      (packet, done) => {
        this.#collect(packet.topic, packet.payload as Buffer);
        done();
      },
      () => {},
    );
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#broker = broker;
    this.#server = server;
  }

  async stopBroker(): Promise<void> {
    const server = this.#server!;
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
    await new Promise<void>((closed) => this.#broker!.close(closed));
  }

  /** For good. */
  async stop(): Promise<void> {
    if (this.#server?.listening) await this.stopBroker();
  }

  stopCollector(): void {
    this.collecting = false;
  }
  startCollector(): void {
    this.collecting = true;
    this.#say(TOPICS.listening, new Uint8Array());
  }

  /** Resolves when `condition` holds after some arrival. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((arrived) => this.#waiters.push(arrived));
  }

  /** What the provider would read, in order of slots. */
  async readings(area: string): Promise<Reading[]> {
    const found: Reading[] = [];
    for (const { slot, bytes } of [...this.stored.values()].sort((a, b) => a.slot - b.slot)) {
      const { sealed } = verified(bytes);
      found.push(await openReading(sealed, slot, area, this.provider.privateKey));
    }
    return found;
  }

  #collect(topic: string, payload: Buffer): void {
    if (!this.collecting) return;
    const { address } = parseSubmitTopic(topic)!;
    const bytes = new Uint8Array(payload);
    const submission = verified(bytes);
    const { slot } = submission;
    const submitted = { slot, bytes, address, certificate: Buffer.from(submission.certificate).toString('hex') };
    this.arrived.push(submitted);
    const first = this.stored.get(slot);
    let verdict = this.verdicts.get(slot) ?? 'stored';
    if (verdict === 'stored' && first && Buffer.compare(first.bytes, bytes) !== 0) verdict = 'conflict';
    if (verdict === 'stored' && !first) this.stored.set(slot, submitted);
    if (!this.mute) {
      this.#say(TOPICS.answer(address), encodeAcknowledgement({ verdict, digest: submissionDigest(bytes) }));
    }
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Anything that a broker could send. */
  say(topic: string, payload: Uint8Array): void {
    this.#say(topic, payload);
  }

  #say(topic: string, payload: Uint8Array): void {
    const packet = { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false } as const;
    this.#broker!.publish(packet, () => {});
  }
}

/** @throws what the collector would refuse it for, but for its trust */
function verified(bytes: Uint8Array): Submission {
  const submission = decodeSubmission(bytes);
  verifySubmission(submission, bytes);
  return submission;
}
