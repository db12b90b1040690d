import test from 'ava';
import fc from 'fast-check';
import { type CommandHandlers, MeterLink } from '../../../firmware/link/meter-link.ts';
import { Journal } from '../../../firmware/wallet/journal.ts';
import { decodeMessage, encodeMessage } from '../../../protocol/wire/link-codec.ts';
import { encodeFrame, FrameReader } from '../../../protocol/wire/link-frame.ts';
import {
  CLAMP_REVERSED,
  type GatewayCommand,
  LINK_ACK,
  LINK_CHECK_CLAMP,
  LINK_CLAMP,
  LINK_HELLO,
  LINK_LIVE,
  LINK_READ,
  LINK_RECORD,
  LINK_REFUSED,
  LINK_RELAY,
  LINK_RELAY_STATE,
  LINK_STATUS,
  LINK_TIME,
  type Live,
  type MeterMessage,
  type MeterRecord,
  REFUSED_MALFORMED,
  REFUSED_NO_CLOCK,
  REFUSED_NOT_KEPT,
  REFUSED_UNKNOWN,
  RELAY_OFF,
  RELAY_ON,
} from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import { MemoryFlash, natives } from '../wallet/memory-flash.ts';

const NOW = 1_700_000_000_000;
const LIVE: Live = {
  type: LINK_LIVE,
  boot: 1,
  uptimeMs: 0,
  powerMw: 1,
  reactiveMvar: 0,
  apparentMva: 1,
  voltageMv: 230_000,
  currentMa: 0,
  powerFactorE4: 10_000,
  frequencyMhz: 50_000,
  importMwh: 0,
  exportMwh: 0,
  flags: 0,
};

/** A meter's half with a journal of `records` records, and what it says, second by second. */
class Rig {
  readonly flash = new MemoryFlash(16);
  readonly journal = new Journal(this.flash, natives);
  readonly link: MeterLink;
  readonly times: number[] = [];
  readonly complaints: string[] = [];
  readonly #reader = new FrameReader(nodeNatives);
  #said: MeterMessage[] = [];
  uptimeMs = 0;

  constructor(records = 0, restart = false) {
    this.journal.open();
    for (let n = 0; n < records; n++) this.record();
    if (restart) {
      this.journal = new Journal(this.flash, natives);
      this.journal.open();
    }
    const port = {
      write: (text: string) => this.#said.push(...this.#reader.push(text).map((b) => decodeMessage(b) as MeterMessage)),
    };
    const identity = { meterId: '00000000a1b2c3d4', firmware: '0123456789abcdef' };
    const handlers: CommandHandlers = {
      setTime: (unixMs) => this.times.push(unixMs),
      checkClamp: () => ({ type: LINK_CLAMP, verdict: CLAMP_REVERSED, powerMw: -2_000_000, powerFactorE4: -9990 }),
      setRelay: (on, untilMs) =>
        this.times.length === 0
          ? undefined
          : { type: LINK_RELAY_STATE, state: on ? RELAY_ON : RELAY_OFF, untilMs: on ? 0 : untilMs },
    };
    this.link = new MeterLink(port, nodeNatives, this.journal, identity, handlers, (what) =>
      this.complaints.push(what),
    );
    this.link.start(0);
  }
  record() {
    const slot = this.journal.newestRecord() + 1_000_000;
    this.journal.checkpoint(this.journal.importMwh + 1000, 0, slot * 900_000);
    this.journal.appendRecord(slot * 900_000, slot, 0);
  }
  /** What was said since the last call; live values only where asked for. */
  said(live = false): MeterMessage[] {
    const said = this.#said.filter((message) => live || message.type !== LINK_LIVE);
    this.#said = [];
    return said;
  }
  records(): number[] {
    return this.said()
      .filter((message) => message.type === LINK_RECORD)
      .map((record) => (record as MeterRecord).number);
  }
  seconds(count: number) {
    for (let i = 0; i < count; i++) {
      this.uptimeMs += 1000;
      this.link.tick({ ...LIVE, uptimeMs: this.uptimeMs }, this.uptimeMs);
    }
    return this;
  }
  hear(command: GatewayCommand | string) {
    const text = typeof command === 'string' ? command : encodeFrame(encodeMessage(command), nodeNatives);
    this.link.receive(text, this.uptimeMs);
    return this;
  }
  hearBody(...body: number[]) {
    return this.hear(encodeFrame(Uint8Array.from(body), nodeNatives));
  }
}

test('a start: HELLO says who and what; again after 10 s … 5 min until TIME has come', (t) => {
  const rig = new Rig(3, true);
  t.deepEqual(
    rig.said().map((message) => ({ ...message })),
    [
      {
        type: LINK_HELLO,
        meterId: '00000000a1b2c3d4',
        boot: 2,
        uptimeMs: 0,
        oldestRecord: 1,
        newestRecord: 3,
        firmware: '0123456789abcdef',
      },
    ],
  );
  const hellos = [];
  for (let second = 1; second <= 1500; second++) {
    for (const message of rig.seconds(1).said()) if (message.type === LINK_HELLO) hellos.push(second);
  }
  t.deepEqual(hellos, [10, 30, 70, 150, 310, 610, 910, 1210]);
  rig.hear({ type: LINK_TIME, unixMs: NOW });
  t.deepEqual(rig.times, [NOW]);
  t.deepEqual(rig.seconds(1000).said(), []);
});

test('a live value each second, acknowledged or not', (t) => {
  const rig = new Rig();
  rig.said();
  t.is(
    rig
      .seconds(5)
      .said(true)
      .filter((message) => message.type === LINK_LIVE).length,
    5,
  );
});

test('a record is sent at once, then after 10 s, 20 s … 5 min, and never again once it is acknowledged', (t) => {
  const rig = new Rig().hear({ type: LINK_TIME, unixMs: NOW });
  rig.said();
  rig.record();
  const sent = [];
  for (let second = 1; second <= 2000; second++) if (rig.seconds(1).records().length > 0) sent.push(second);
  t.deepEqual(sent, [1, 11, 31, 71, 151, 311, 611, 911, 1211, 1511, 1811]);
  rig.hear({ type: LINK_ACK, number: 1 });
  t.deepEqual(rig.seconds(1000).records(), []);
});

test('while the gateway is silent one record asks for it, not all; its answer brings the others', (t) => {
  const rig = new Rig().hear({ type: LINK_TIME, unixMs: NOW });
  for (let n = 0; n < 50; n++) {
    rig.record();
    rig.seconds(900);
  }
  const asked = new Set(rig.records());
  t.is(asked.size, 1, 'each time the oldest');
  rig.hear({ type: LINK_ACK, number: 1 });
  t.deepEqual(
    rig.seconds(10).records(),
    Array.from({ length: 49 }, (_, i) => i + 2),
  );
  rig.hear({ type: LINK_ACK, number: 50 });
  t.deepEqual(rig.seconds(900).records(), []);
});

test('what came before the start is sent when it is asked for: 35 days, eight a second, a day ahead of the answers', (t) => {
  const rig = new Rig(3400, true).hear({ type: LINK_TIME, unixMs: NOW });
  t.deepEqual(rig.seconds(100).records(), [], 'nobody asked');
  rig.hear({ type: LINK_READ, from: 11 });
  t.is(rig.seconds(1).records().length, 8);
  t.is(Math.max(...rig.seconds(60).records()), 11 + 95, 'without an answer no further');
  rig.hear({ type: LINK_READ, from: 11 });
  const got = new Set<number>();
  let seconds = 0;
  while (!got.has(3400)) {
    const now = rig.seconds(1).records();
    t.true(now.length <= 8);
    for (const number of now) got.add(number);
    if (++seconds % 5 === 0) rig.hear({ type: LINK_ACK, number: Math.max(...got) });
  }
  t.is(got.size, 3390);
  t.true(seconds < 500, `${seconds} s`);
});

test('acknowledgements that are doubled, stale, or of records that never were change nothing', (t) => {
  const rig = new Rig(5, true).hear({ type: LINK_TIME, unixMs: NOW });
  rig.hear({ type: LINK_READ, from: 1 });
  t.deepEqual(rig.seconds(1).records(), [1, 2, 3, 4, 5]);
  for (const number of [0, 99, 4_000_000_000, 3, 3, 2, 0]) rig.hear({ type: LINK_ACK, number });
  t.deepEqual(rig.seconds(11).records(), [4], 'from the first one that is missing');
  rig.hear({ type: LINK_ACK, number: 5 }).hear({ type: LINK_ACK, number: 3 });
  t.deepEqual(rig.seconds(1000).records(), []);
  rig.record();
  t.deepEqual(rig.seconds(1).records(), [6]);
});

test('READ of what is not kept is refused; of the next one that will come it waits', (t) => {
  const rig = new Rig(4100, true);
  const oldest = rig.journal.oldestRecord();
  t.true(oldest > 1);
  rig.said();
  for (const from of [1, oldest - 1, 4102]) {
    rig.hear({ type: LINK_READ, from });
    t.like(rig.said(), [{ type: LINK_REFUSED, command: LINK_READ, reason: REFUSED_NOT_KEPT }]);
  }
  rig.hear({ type: LINK_READ, from: 4101 });
  t.deepEqual(rig.said(), []);
  t.deepEqual(rig.seconds(2).records(), []);
  rig.record();
  t.deepEqual(rig.seconds(1).records(), [4101]);
});

test('a damaged record: HELLO names the one after it as the oldest, then that one comes', (t) => {
  const rig = new Rig(20, true).hear({ type: LINK_TIME, unixMs: NOW });
  const recordPage = 4 * 4096;
  rig.flash.image[recordPage + 48 + 12 * 4 + 5] ^= 1; // in record 6: no short entry after it can be trusted
  const journal = rig.journal;
  journal.appendRecord(1, 2_000_000, 0); // in full, number 21
  rig.said();
  rig.hear({ type: LINK_READ, from: 1 }).seconds(5);
  const said = rig.said();
  t.deepEqual(
    said.map((message) =>
      message.type === LINK_RECORD ? message.number : (message as { oldestRecord: number }).oldestRecord,
    ),
    [1, 2, 3, 4, 5, 21, 21],
  );
  t.is(said[5].type, LINK_HELLO);
  rig.hear({ type: LINK_READ, from: 6 });
  t.like(rig.said(), [{ type: LINK_REFUSED, reason: REFUSED_NOT_KEPT }]);
});

test('STATUS and CHECK_CLAMP are answered; what is unknown or malformed is refused and changes nothing', (t) => {
  const rig = new Rig();
  rig.said();
  t.like(rig.hear({ type: LINK_STATUS }).said(), [{ type: LINK_HELLO }]);
  t.like(rig.hear({ type: LINK_CHECK_CLAMP }).said(), [
    { type: LINK_CLAMP, verdict: CLAMP_REVERSED, powerMw: -2_000_000 },
  ]);
  t.like(rig.hearBody(0xf0, 1, 2, 3).said(), [{ type: LINK_REFUSED, command: 0xf0, reason: REFUSED_UNKNOWN }]);
  t.like(rig.hearBody(LINK_ACK, 1).said(), [{ type: LINK_REFUSED, command: LINK_ACK, reason: REFUSED_MALFORMED }]);
  t.like(rig.hearBody(LINK_TIME, 0, 0, 0, 0, 0, 0, 0, 0).said(), [{ type: LINK_REFUSED, command: LINK_TIME }]);
  t.deepEqual(rig.times, []);
});

test('its own words reflected by an open line are passed over: no storm of refusals', (t) => {
  const rig = new Rig(2, true);
  rig.hear({ type: LINK_READ, from: 1 }).seconds(3);
  rig.hearBody(LINK_STATUS);
  for (const message of rig.said(true)) rig.hear(encodeFrame(encodeMessage(message), nodeNatives));
  rig.hearBody(LINK_REFUSED, 0x90, 1).hearBody(0x08, 1, 2);
  t.deepEqual(rig.said(), []);
});

test('property: whatever comes in, the meter goes on, and the next command is obeyed', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 300 }),
          fc.uint8Array({ maxLength: 60 }).map((body) => encodeFrame(body, nodeNatives)),
          fc
            .constantFrom(LINK_TIME, LINK_ACK, LINK_READ, LINK_STATUS)
            .chain((type) =>
              fc.uint8Array({ maxLength: 9 }).map((rest) => encodeFrame(Uint8Array.of(type, ...rest), nodeNatives)),
            ),
        ),
        { maxLength: 30 },
      ),
      (pieces) => {
        const rig = new Rig(2, true);
        for (const piece of pieces) rig.hear(piece).seconds(1);
        rig.said();
        rig.hear(`\n${encodeFrame(encodeMessage({ type: LINK_STATUS }), nodeNatives)}`);
        t.like(rig.said(), [{ type: LINK_HELLO, boot: 2, newestRecord: 2 }]);
      },
    ),
    { numRuns: 100 },
  );
});

test('RELAY is answered with what the relay does now; before TIME it is refused', (t) => {
  const rig = new Rig();
  rig.said();
  const off: GatewayCommand = { type: LINK_RELAY, state: RELAY_OFF, untilMs: NOW + 60_000 };
  rig.hear(off);
  t.deepEqual(rig.said(), [{ type: LINK_REFUSED, command: LINK_RELAY, reason: REFUSED_NO_CLOCK }]);
  rig.hear({ type: LINK_TIME, unixMs: NOW }).hear(off);
  t.deepEqual(rig.said(), [{ type: LINK_RELAY_STATE, state: RELAY_OFF, untilMs: NOW + 60_000 }]);
  rig.hearBody(LINK_RELAY, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  t.deepEqual(rig.said(), [{ type: LINK_REFUSED, command: LINK_RELAY, reason: REFUSED_MALFORMED }]);
});
