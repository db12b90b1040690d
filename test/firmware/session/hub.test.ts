import test from 'ava';
import { type Session, SessionHub } from '../../../firmware/session/hub.ts';
import { LINK_RECORD, LINK_TELL, type MeterRecord, type Say } from '../../../protocol/wire/link-messages.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../../protocol/wire/sessions.ts';

class Recorder implements Session {
  readonly id: number;
  readonly log: string[] = [];
  constructor(id: number) {
    this.id = id;
  }
  receive(body: Uint8Array, uptimeMs: number) {
    this.log.push(`${body.length} at ${uptimeMs}`);
  }
  tick(unixMs: number, uptimeMs: number) {
    this.log.push(`tick ${unixMs} ${uptimeMs}`);
  }
  record({ number }: MeterRecord) {
    this.log.push(`record ${number}`);
  }
}
const record: MeterRecord = {
  type: LINK_RECORD,
  number: 4,
  boot: 1,
  uptimeMs: 0,
  slot: 0,
  importMwh: 0,
  exportMwh: 0,
  flags: 8,
};

function rig() {
  const sent: Say[] = [];
  const complaints: string[] = [];
  const hub = new SessionHub(
    (part) => sent.push(part),
    (what) => complaints.push(what),
  );
  const tell = (session: number, body: Uint8Array) => {
    for (let n = 0; n < partsOf(body.length); n++)
      hub.receive({ type: LINK_TELL, ...partOf(session, 0, body, n) }, 500);
  };
  return { hub, sent, complaints, tell };
}

test('each session gets what is for it, its tick and the quarter hours', (t) => {
  const { hub, tell, complaints } = rig();
  const [one, two] = [new Recorder(1), new Recorder(2)];
  hub.add(one);
  hub.add(two);
  tell(2, new Uint8Array(700));
  hub.tick(0, 1000);
  hub.record(record);
  tell(1, new Uint8Array(1));
  t.deepEqual(one.log, ['tick 0 1000', 'record 4', '1 at 500']);
  t.deepEqual(two.log, ['700 at 500', 'tick 0 1000', 'record 4']);
  t.deepEqual(complaints, []);
});

test('a session that throws is told about, and the others go on', (t) => {
  const { hub, tell, complaints } = rig();
  const bad: Session = {
    id: 1,
    receive: () => {
      throw new Error('no');
    },
    tick: () => {
      throw new Error('never');
    },
  };
  const good = new Recorder(2);
  hub.add(bad);
  hub.add(good);
  tell(1, new Uint8Array(3));
  hub.tick(5, 6);
  hub.record(record);
  t.deepEqual(good.log, ['tick 5 6', 'record 4']);
  t.deepEqual(complaints, ['session 1: Error: no', 'session 1: Error: never']);
  t.is(hub.faults, 2);
});

test('nothing is kept for a session that is not there', (t) => {
  const { hub, tell } = rig();
  hub.add(new Recorder(1));
  tell(9, new Uint8Array(5000));
  t.is(hub.strangers, partsOf(5000));
  t.is(hub.reader.body, null);
});

test('what is said goes out in order, some parts a second, and a full queue takes nothing more', (t) => {
  const { hub, sent } = rig();
  const first = Uint8Array.from({ length: 5000 }, (_, n) => n);
  const second = new Uint8Array(SESSION_MOST_BYTES - 5000).fill(7);
  t.true(hub.say(3, first));
  t.true(hub.say(4, second));
  t.false(hub.say(5, new Uint8Array(1)), 'full');
  t.is(sent.length, 0, 'nothing before the tick');
  hub.tick(0, 0);
  t.is(sent.length, 8);
  let ticks = 1;
  for (; hub.waiting.length > 0; ticks++) hub.tick(0, 0);
  t.is(ticks, Math.ceil((partsOf(5000) + partsOf(second.length)) / 8));
  t.is(hub.waitingBytes, 0);
  t.true(hub.say(5, new Uint8Array(SESSION_MOST_BYTES)), 'room again');
  const reader = new SessionReader();
  const heard = sent.map((part) => reader.push(part)).filter((message) => message !== null);
  t.deepEqual(
    heard.map(({ session, body }) => [session, Buffer.compare(body, session === 3 ? first : second)]),
    [
      [3, 0],
      [4, 0],
    ],
  );
  t.throws(() => hub.say(1, new Uint8Array(0)), { message: /a message of 0 bytes/ });
  t.throws(() => hub.say(1, new Uint8Array(SESSION_MOST_BYTES + 1)), { message: /a message of 16385 bytes/ });
});
