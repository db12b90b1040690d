import test, { type ExecutionContext } from 'ava';
import { GatewayStore } from '../../../gateway/store.ts';
import { type PassSource, Uplink } from '../../../gateway/uplink/uplink.ts';
import { encodePass } from '../../../protocol/attestation/pass.ts';
import { verifyPseudonymCertificate } from '../../../protocol/identity/pseudonym-certificate.ts';
import { encodeAcknowledgement } from '../../../protocol/readings/acknowledgement.ts';
import { decodeSubmission } from '../../../protocol/readings/submission.ts';
import { ADDRESS_PATTERN, TOPICS } from '../../../protocol/readings/topics.ts';
import { SLOTS_PER_DAY, slotEndMs } from '../../../protocol/time/slots.ts';
import { TestAuthority } from '../../support/authority.ts';
import { freshDir } from '../support/bench-link.ts';
import { FakeGrid } from '../support/fake-grid.ts';
import { SoftwareSigners } from '../support/software-signers.ts';

const S = 20_000 * SLOTS_PER_DAY;
const AREA = 'north-1';

const authority = await TestAuthority.create();
const certify = (day: number, publicKey: Uint8Array): Promise<Uint8Array> => authority.certify(day, publicKey, AREA);

interface BenchOptions {
  /** Has the address that the gateway was told, and not the certificate. */
  impostor?: FakeGrid;
  passes?: PassSource;
}

class Bench {
  readonly grid: FakeGrid;
  readonly dataDir = freshDir();
  readonly signers = new SoftwareSigners(certify);
  readonly passes: PassSource | undefined;
  readonly log: string[] = [];
  store!: GatewayStore;
  uplink!: Uplink;

  readonly #broker: { url: string; ca: string };

  private constructor(grid: FakeGrid, { impostor, passes }: BenchOptions) {
    this.grid = grid;
    this.passes = passes;
    this.#broker = { url: (impostor ?? grid).url, ca: grid.ca };
    this.open();
  }
  static async build(t: ExecutionContext, options: BenchOptions = {}): Promise<Bench> {
    const { impostor } = options;
    const bench = new Bench(await FakeGrid.start(), options);
    t.teardown(async () => {
      await bench.close();
      await bench.grid.stop();
      await impostor?.stop();
    });
    return bench;
  }
  open(): void {
    this.store = new GatewayStore(this.dataDir);
    this.uplink = new Uplink({
      store: this.store,
      clock: { nowMs: () => slotEndMs(S) },
      signers: this.signers,
      passes: this.passes,
      area: AREA,
      providerPublicKey: this.grid.provider.publicKey,
      broker: this.#broker,
      log: (line) => this.log.push(line),
    });
    this.uplink.start();
  }
  async close(): Promise<void> {
    await this.uplink.close();
    this.store.close();
  }
  /** The readings of `count` quarter hours from `from` on, `10 × slot` Wh each. */
  report(from: number, count = 1): void {
    const reports = Array.from({ length: count }, (_, i) => ({
      slot: from + i,
      importWh: 10 * (from + i - S),
      exportWh: 0,
    }));
    this.store.write({ lives: [], records: [], edges: [], marks: [], slots: [], reports });
    this.uplink.reportsAdded();
  }
  /** What the provider would read is what was reported. */
  async hasDelivered(t: ExecutionContext, slots: number[]): Promise<void> {
    const readings = await this.grid.readings(AREA);
    t.deepEqual(
      readings,
      slots.map((slot) => ({ slot: S + slot, importWh: 10 * slot, exportWh: 0 })),
    );
  }
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('readings reach the provider as they were, and are delivered once acknowledged', async (t) => {
  const bench = await Bench.build(t);
  bench.report(S, 50);
  await bench.uplink.idle();
  t.is(bench.store.totals().quarterHoursDelivered, 50);
  t.is(bench.grid.arrived.length, 50);
  t.is(bench.uplink.pending, 0);
  await bench.hasDelivered(t, range(0, 50));
});

test('nothing that travels has a length or a name that tells households apart', async (t) => {
  const bench = await Bench.build(t);
  bench.report(S, 3);
  await bench.uplink.idle();
  await bench.close();
  bench.open();
  bench.report(S + 3);
  await bench.uplink.idle();
  t.is(new Set(bench.grid.arrived.map(({ bytes }) => bytes.length)).size, 1);
  t.true(bench.grid.clients.every((id) => ADDRESS_PATTERN.test(id)));
  t.is(new Set(bench.grid.clients).size, bench.grid.clients.length, 'an address is never used again');
  await bench.hasDelivered(t, range(0, 4));
});

test('what the collector had before it was killed is sent again, byte for byte, and stored once', async (t) => {
  const bench = await Bench.build(t);
  bench.grid.mute = true;
  bench.report(S, 5);
  await bench.grid.until(() => bench.grid.stored.size === 5);
  t.true(bench.uplink.isSent(S));
  bench.grid.stopCollector();
  bench.grid.mute = false;
  bench.grid.startCollector(); // "listening": nobody waits for a timer
  await bench.uplink.idle();
  t.is(bench.grid.arrived.length, 10);
  await bench.hasDelivered(t, range(0, 5));
});

test('a broker that is away and comes back: readings made meanwhile are delivered', async (t) => {
  const bench = await Bench.build(t);
  bench.report(S);
  await bench.uplink.idle();
  await bench.grid.stopBroker();
  bench.report(S + 1, 20);
  await new Promise((later) => setTimeout(later, 300));
  t.false(bench.uplink.connected);
  t.is(bench.uplink.pending, 20);
  await bench.grid.startBroker();
  await bench.uplink.idle();
  t.true(bench.uplink.connected);
  t.true(bench.log.some((line) => line.startsWith('broker: ')));
  await bench.hasDelivered(t, range(0, 21));
});

test('a gateway that ends before the answer sends the same bytes after its start', async (t) => {
  const bench = await Bench.build(t);
  bench.grid.mute = true;
  bench.report(S, 4);
  await bench.grid.until(() => bench.grid.stored.size === 4);
  await bench.close();
  bench.grid.mute = false;
  bench.open();
  await bench.uplink.idle();
  const bySlot = (slot: number) => bench.grid.arrived.filter((submitted) => submitted.slot === slot);
  for (const slot of range(S, S + 4)) {
    t.is(bySlot(slot).length, 2);
    t.deepEqual(bySlot(slot)[0].bytes, bySlot(slot)[1].bytes);
  }
  await bench.hasDelivered(t, range(0, 4));
});

test('a connection carries one reading key only: a backlog of three days takes three addresses', async (t) => {
  const bench = await Bench.build(t);
  const days = [0, 1, 2].map((day) => day * SLOTS_PER_DAY);
  bench.signers.away = new Error('not yet');
  for (const day of days) bench.report(S + day, 40);
  bench.signers.away = null;
  await bench.uplink.idle();
  const certificates = new Map<string, Set<string>>();
  for (const { address, certificate } of bench.grid.arrived) {
    certificates.set(address, (certificates.get(address) ?? new Set()).add(certificate));
  }
  t.deepEqual(
    [...certificates.values()].map(({ size }) => size),
    [1, 1, 1],
  );
  await bench.hasDelivered(
    t,
    days.flatMap((day) => range(day, day + 40)),
  );
});

test('"not now" is asked again, "never" is given up and said', async (t) => {
  const bench = await Bench.build(t);
  bench.grid.verdicts.set(S, 'passKeyMissing').set(S + 1, 'badSignature');
  bench.report(S, 3);
  await bench.grid.until(() => bench.grid.arrived.filter(({ slot }) => slot === S).length === 2);
  t.is(bench.uplink.pending, 1);
  t.is(bench.store.reports(S + 1, S + 2)[0].refusal, 'badSignature');
  t.true(bench.log.some((line) => line.includes('for good: badSignature')));
  bench.grid.verdicts.delete(S);
  bench.grid.startCollector(); // it has the verifier's keys now
  await bench.uplink.idle();
  await bench.hasDelivered(t, [0, 2]);
});

test('without the TPM readings wait unsealed, and that is said; they leave when it is back', async (t) => {
  const bench = await Bench.build(t);
  bench.signers.away = new Error('the TPM went away');
  bench.report(S, 3);
  await new Promise((later) => setTimeout(later, 50));
  t.is(bench.uplink.trouble, 'the TPM went away');
  t.is(bench.store.unsealed(9).length, 3);
  bench.signers.away = null;
  await bench.uplink.idle();
  t.is(bench.uplink.trouble, null);
  t.deepEqual(bench.log, ['readings wait, they cannot be signed: the TPM went away', 'readings are signed again']);
  await bench.hasDelivered(t, [0, 1, 2]);
});

test('malformed, foreign and doubled answers change nothing', async (t) => {
  const bench = await Bench.build(t);
  bench.grid.mute = true;
  bench.report(S);
  await bench.grid.until(() => bench.grid.stored.size === 1);
  const { address } = bench.grid.arrived[0];
  const foreign = encodeAcknowledgement({ verdict: 'stored', digest: new Uint8Array(32).fill(7) });
  for (const payload of [new Uint8Array(), foreign.subarray(1), new Uint8Array(100_000), foreign, foreign]) {
    bench.grid.say(TOPICS.answer(address), payload);
  }
  bench.grid.mute = false;
  bench.grid.say(TOPICS.listening, new Uint8Array(9));
  await bench.uplink.idle();
  t.is(bench.uplink.malformed, 3);
  await bench.hasDelivered(t, [0]);
});

test('a broker that the grid’s authority did not certify gets nothing', async (t) => {
  const impostor = await FakeGrid.start();
  const bench = await Bench.build(t, { impostor });
  bench.report(S);
  await new Promise((later) => setTimeout(later, 400));
  t.false(bench.uplink.connected);
  t.is(impostor.clients.length, 0);
  t.regex(bench.log.join('\n'), /certificate|self-signed|issuer/i);
});

test('certificate and pass go along whole, a day with a pass and a day without, in the same number of bytes', async (t) => {
  const asked = new Set<string>();
  const attested = S / SLOTS_PER_DAY;
  const passes = new Map<string, Uint8Array>();
  const source: PassSource = {
    async passFor(day, pseudonym) {
      const name = `${day - attested} ${Buffer.from(pseudonym).toString('hex')}`;
      asked.add(name);
      if (day !== attested) return null;
      const pass = passes.get(name) ?? authority.pass(day, pseudonym);
      passes.set(name, pass);
      return pass;
    },
  };
  const bench = await Bench.build(t, { passes: source });
  bench.report(S, 3);
  bench.report(S + SLOTS_PER_DAY, 3);
  await bench.uplink.idle();
  t.is(asked.size, 2, 'each day by its own pseudonym');
  const [pass] = passes.values();
  const { arrived } = bench.grid;
  for (const { slot, bytes } of arrived) {
    const { pseudonym, pass: shown } = decodeSubmission(bytes);
    const day = Math.floor(slot / SLOTS_PER_DAY);
    t.notThrows(() => verifyPseudonymCertificate(pseudonym, [authority.issuer.publicKey], slot));
    t.is(pseudonym.area, AREA);
    t.deepEqual(shown && Buffer.from(encodePass(shown)), day === attested ? Buffer.from(pass) : null);
  }
  t.is(new Set(arrived.map(({ bytes }) => bytes.length)).size, 1);
  t.is(new Set(arrived.map(({ address }) => address)).size, 2, 'and no address carries two days');
  await bench.hasDelivered(t, [...range(0, 3), ...range(SLOTS_PER_DAY, SLOTS_PER_DAY + 3)]);
});

test('a gateway without a source of passes sends its readings all the same', async (t) => {
  const bench = await Bench.build(t);
  bench.report(S, 2);
  await bench.uplink.idle();
  await bench.hasDelivered(t, [0, 1]);
  t.true(bench.grid.arrived.every(({ bytes }) => decodeSubmission(bytes).pass === null));
});
