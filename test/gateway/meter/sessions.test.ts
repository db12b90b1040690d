import test from 'ava';
import { MeterSessions } from '../../../gateway/meter/sessions.ts';
import {
  type Hello,
  LINK_HELLO,
  LINK_LIVE,
  LINK_SAY,
  type Live,
  type MeterMessage,
  type Tell,
} from '../../../protocol/wire/link-messages.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../../protocol/wire/sessions.ts';

const hello = (boot: number) => ({ type: LINK_HELLO, boot }) as Hello;
const live = { type: LINK_LIVE } as Live;
const said = (session: number, body: Uint8Array): MeterMessage[] =>
  Array.from({ length: partsOf(body.length) }, (_, n) => ({ type: LINK_SAY, ...partOf(session, 0, body, n) }));

function rig() {
  const sent: Tell[] = [];
  const log: string[] = [];
  const sessions = new MeterSessions({ send: (part) => sent.push(part), log: (line) => log.push(line) });
  return { sessions, sent, log };
}

test('a message goes to its handler; one that throws is told about; idle waits for the slow ones', async (t) => {
  const { sessions, log } = rig();
  const heard: string[] = [];
  sessions.on(3, (body) => void heard.push(`3: ${body.length}`));
  sessions.on(4, async (body) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    heard.push(`4: ${body.length}`);
    throw new Error('the TPM is gone');
  });
  t.throws(() => sessions.on(3, () => {}), { message: 'session 3 has its handler' });
  sessions.receive([
    hello(1),
    ...said(3, new Uint8Array(700)),
    ...said(4, new Uint8Array(2)),
    ...said(8, new Uint8Array(2)),
  ]);
  await sessions.idle();
  t.deepEqual(heard, ['3: 700', '4: 2']);
  t.deepEqual(log, ['session 4: the TPM is gone']);
  t.is(sessions.strangers, 1);
  sessions.receive(said(3, new Uint8Array(700)).slice(1));
  t.is(sessions.dropped, 2);
});

test('the line opens for a few parts with each sign of life, and the rest waits', (t) => {
  const { sessions, sent } = rig();
  const body = Uint8Array.from({ length: 5000 }, (_, n) => n);
  t.true(sessions.tell(5, body));
  t.is(sent.length, 0, 'no meter was heard');
  sessions.receive([hello(1)]);
  t.is(sent.length, 4);
  sessions.receive([]);
  t.is(sent.length, 4);
  sessions.receive([live, live, live]);
  t.is(sent.length, 16);
  sessions.receive([live, live, live]);
  t.is(sent.length, 20);
  const reader = new SessionReader();
  const whole = sent.map((part) => reader.push(part)).at(-1)!;
  t.is(Buffer.compare(whole!.body, body), 0);
  sessions.tell(5, Uint8Array.of(1));
  t.is(sent.length, 21, 'at once: the line was open for more');
});

test('what was not sent when the meter starts anew is thrown away; what waited for a first meter is not', (t) => {
  const { sessions, sent } = rig();
  sessions.tell(5, new Uint8Array(2560));
  sessions.receive([hello(7)]);
  t.is(sent.length, 4);
  sessions.receive([hello(8), live, live, live]);
  t.is(sent.length, 4);
  sessions.tell(6, Uint8Array.of(1));
  t.like(sent.at(-1), { session: 6 });
});

test('what waits is bounded', (t) => {
  const { sessions } = rig();
  let taken = 0;
  while (sessions.tell(5, new Uint8Array(SESSION_MOST_BYTES))) taken++;
  t.is(taken, 64);
  t.throws(() => sessions.tell(5, new Uint8Array(SESSION_MOST_BYTES + 1)), { instanceOf: RangeError });
  t.throws(() => sessions.tell(5, new Uint8Array(0)), { instanceOf: RangeError });
});
