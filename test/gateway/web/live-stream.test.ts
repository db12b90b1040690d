import { EventEmitter } from 'node:events';
import test from 'ava';
import { type EventSink, LiveStream } from '../../../gateway/web/live-stream.ts';
import { MemoryHousehold } from '../../page/household.ts';

/** A tab that reads as long as it is told to. */
class Tab extends EventEmitter implements EventSink {
  readonly written: string[] = [];
  reads = true;
  ended = false;
  write(text: string): boolean {
    this.written.push(text);
    return this.reads;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.ended = true;
  }
  events(kind: string): { powerW: number }[] {
    return this.written
      .filter((text) => text.startsWith(`event: ${kind}\n`))
      .map((text) => JSON.parse(text.slice(text.indexOf('data: ') + 6)));
  }
}

const always = () => true;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a flood of values becomes one now and the newest later', async (t) => {
  const view = new MemoryHousehold();
  const live = new LiveStream(view);
  t.teardown(() => live.close());
  const tab = new Tab();
  live.attach(tab, always);
  for (let watts = 1; watts <= 5_000; watts++) view.measure(watts);
  t.deepEqual(
    tab.events('live').map(({ powerW }) => powerW),
    [tab.events('live')[0].powerW, 1],
    'what was known, and the first',
  );
  while (tab.events('live').length < 3) await sleep(20);
  t.is(tab.events('live')[2].powerW, 5_000);
});

test('a tab that does not read holds one event of each kind, and gets the newest when it reads again', (t) => {
  const view = new MemoryHousehold();
  const live = new LiveStream(view);
  t.teardown(() => live.close());
  const [slow, quick] = [new Tab(), new Tab()];
  slow.reads = false;
  live.attach(slow, always);
  live.attach(quick, always);
  const before = slow.written.length;
  t.is(before, 2, 'the greeting and one event; then its buffer was full');
  view.measure(42);
  t.is(slow.written.length, before, 'nothing is pushed into a full buffer');
  t.is(quick.events('live').at(-1)!.powerW, 42);
  slow.reads = true;
  slow.emit('drain');
  t.deepEqual(
    slow.events('live').map(({ powerW }) => powerW),
    [42],
    'the value in between is skipped',
  );
});

test('the household is listened to only while a tab is open', (t) => {
  const view = new MemoryHousehold();
  const live = new LiveStream(view);
  t.is(view.listeners, 0);
  const [first, second] = [new Tab(), new Tab()];
  live.attach(first, always);
  live.attach(second, always);
  t.is(view.listeners, 1);
  first.emit('close');
  t.is(view.listeners, 1);
  second.emit('close');
  second.emit('error');
  t.deepEqual([view.listeners, live.tabs], [0, 0]);
  view.measure(1);
  t.is(first.events('live').length, 1);
});

test('a session that has ended gets nothing more', (t) => {
  const view = new MemoryHousehold();
  const live = new LiveStream(view);
  t.teardown(() => live.close());
  const [out, stays] = [new Tab(), new Tab()];
  let allowed = true;
  live.attach(out, () => allowed);
  live.attach(stays, always);
  allowed = false;
  live.prune();
  view.measure(7);
  t.true(out.ended);
  t.false(out.events('live').some(({ powerW }) => powerW === 7));
  t.true(stays.events('live').some(({ powerW }) => powerW === 7));
});

test('there is room for so many tabs and no more', (t) => {
  const live = new LiveStream(new MemoryHousehold());
  t.teardown(() => live.close());
  while (live.hasRoom) live.attach(new Tab(), always);
  t.is(live.tabs, 64);
});
