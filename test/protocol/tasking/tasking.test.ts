import { randomBytes } from 'node:crypto';
import test from 'ava';
import { generateEd25519Key, signEd25519 } from '../../../protocol/crypto/ed25519.ts';
import { enoughResults, examineTask } from '../../../protocol/tasking/acceptance.ts';
import { type AreaNode, AreaTree, openAreaTree, publishAreaTree } from '../../../protocol/tasking/areas.ts';
import {
  chooses,
  DEFAULT_TASK_POLICY,
  openTaskList,
  publishTaskList,
  taskListDigest,
} from '../../../protocol/tasking/list.ts';
import { NO_TARIFF, openTask, signTask, type Task, TaskError } from '../../../protocol/tasking/task.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const SLOT = 1_900_000;
const TARIFF = randomBytes(32);
const operator = generateEd25519Key();
const provider = generateEd25519Key();
const server = generateEd25519Key();
const keyOf = (name: string) => (name === 'utility' ? provider.publicKey : undefined);
const signAs = (key: typeof provider) => (message: Uint8Array) => signEd25519(key.privateKey, message);

const leaf = (name: string, parent: string, all: number, producers = 0, storage = 0, chargers = 0): AreaNode => ({
  name,
  parent,
  households: { all, producers, storage, chargers },
});
const nodes: AreaNode[] = [
  { name: 'town', parent: null, households: null },
  { name: 'north', parent: 'town', households: null },
  leaf('north-1', 'north', 30, 12, 0, 1),
  leaf('north-2', 'north', 10, 9, 5),
  leaf('south', 'town', 40, 15, 15),
];
const tree = new AreaTree({ month: 680, least: 5, nodes });
const context = { tree, slot: SLOT, isLogged: (tariff: Uint8Array) => Buffer.compare(tariff, TARIFF) === 0 };

const task = (change: Partial<Task> = {}): Task => ({
  id: randomBytes(16),
  provider: 'utility',
  issuedMs: 1_700_000_000_000,
  area: 'north-1',
  audience: 'all',
  kind: 'read',
  result: 'sum',
  firstSlot: SLOT + 4,
  slots: 96,
  reportEverySlots: 4,
  sampleEveryS: 60,
  low: 0,
  high: 0,
  tariff: NO_TARIFF,
  reward: 'bank',
  amount: 50,
  ...change,
});
const examine = (one: Task, earlier: Task[] = []) => examineTask(one, { ...context, earlier });

test('the tree: as signed, and only where each leaf has k', (t) => {
  const bytes = publishAreaTree(tree, signAs(operator));
  const opened = openAreaTree(bytes, operator.publicKey);
  t.deepEqual(opened.nodes, nodes);
  t.deepEqual(
    opened.leavesOf('north').map(({ name }) => name),
    ['north-1', 'north-2'],
  );
  t.true(opened.contains('town', 'south') && opened.contains('south', 'south') && !opened.contains('north', 'south'));
  t.throws(() => openAreaTree(bytes, provider.publicKey), { instanceOf: MalformedError });
  const wrong = (change: AreaNode[]) => t.throws(() => new AreaTree({ month: 1, least: 5, nodes: change })).message;
  t.regex(wrong([nodes[0], leaf('a', 'town', 4)]), /households: are 4, fewer than 5/);
  t.regex(wrong([nodes[0], leaf('a', 'town', 9, 10)]), /more than all/);
  t.regex(wrong([nodes[0], leaf('a', 'nowhere', 9)]), /no area before it/);
  t.regex(wrong([nodes[0]]), /neither households nor parts/);
});

test('a task is its provider’s, whole (Algorithm 3, lines 3 to 5 as corrected)', (t) => {
  const one = task({ kind: 'watch-voltage', low: 207_000, high: 253_000 });
  const bytes = signTask(one, signAs(provider));
  t.deepEqual({ ...openTask(bytes, keyOf), id: Buffer.from(one.id), tariff: Buffer.from(one.tariff) }, {
    ...one,
    id: Buffer.from(one.id),
    tariff: Buffer.from(one.tariff),
  } as Task);
  t.throws(() => openTask(signTask(one, signAs(server)), keyOf), { instanceOf: TaskError, message: /task\.signature/ });
  t.throws(() => openTask(signTask(task({ provider: 'other' }), signAs(provider)), keyOf), {
    message: /task\.provider/,
  });
  const altered = Buffer.from(bytes);
  altered[60] ^= 1;
  t.throws(() => openTask(altered, keyOf));
});

test('what can be done is accepted', (t) => {
  t.deepEqual(examine(task()), { verdict: 'accepted', reasons: [] });
  t.is(examine(task({ area: 'town', audience: 'producers' })).verdict, 'accepted');
  t.is(examine(task({ kind: 'watch-frequency', low: 49_800, high: 50_200, result: 'rounded' })).verdict, 'accepted');
  const tariff = { kind: 'tariff', result: 'none', reward: 'none', amount: 0 } as const;
  t.is(examine(task({ ...tariff, tariff: TARIFF })).verdict, 'accepted');
});

test('a price task only names a tariff version of the public log', (t) => {
  const tariff = { kind: 'tariff', result: 'none', reward: 'none', amount: 0 } as const;
  t.deepEqual(examine(task({ ...tariff, tariff: randomBytes(32) })).reasons, [
    'it names no tariff version of the public log',
  ]);
  t.is(examine(task(tariff)).verdict, 'refused');
  t.deepEqual(examine(task({ tariff: TARIFF })).reasons, ['it names a tariff and is about something else']);
});

test('refused in plain words', (t) => {
  const reason = (change: Partial<Task>) => {
    const { verdict, reasons } = examine(task(change));
    t.is(verdict, 'refused');
    return reasons[0];
  };
  t.is(reason({ area: 'house-7' }), 'house-7 is no area of the tree');
  t.is(reason({ firstSlot: SLOT }), 'it begins in a slot that has begun already');
  t.is(reason({ firstSlot: SLOT + 5000 }), 'it begins more than a month from now');
  t.is(reason({ slots: 0, reportEverySlots: 1 }), 'it does not last from one slot to a month');
  t.is(reason({ reportEverySlots: 5 }), 'its reports do not fill its slots');
  t.is(reason({ sampleEveryS: 7 }), 'its samples do not fill a slot');
  t.is(reason({ result: 'none' }), 'it asks for no result');
  t.is(reason({ amount: 51 }), 'its reward is no denomination that there is');
  t.is(reason({ low: 1, high: 2 }), 'its band is none');
  t.is(reason({ audience: 'storage' }), 'nobody can do it');
  const one = task();
  t.deepEqual(examine(one, [one]).reasons, ['there is a task of this id already']);
});

test('k − 1 meters in one leaf are refused, however many the whole area has', (t) => {
  t.deepEqual(examine(task({ audience: 'chargers' })).reasons, [
    'in north-1 only 1 of at least 5 households can do it',
  ]);
  // 1 in north-1: whoever asks elsewhere, too, has it left over
  t.deepEqual(examine(task({ area: 'town', audience: 'chargers' })).reasons, [
    'in north-1 only 1 of at least 5 households can do it',
  ]);
  t.true(enoughResults(5, tree));
  t.false(enoughResults(4, tree));
});

test('two tasks whose difference isolates one are not both accepted, in either order', (t) => {
  // north-2: ten households, nine of them producers
  const all = task({ area: 'north' });
  const producers = task({ area: 'north-2', audience: 'producers', firstSlot: SLOT + 50 });
  const words = 'in north-2 the difference to an earlier task is 1 of at least 5 households';
  t.deepEqual(examine(producers), { verdict: 'accepted', reasons: [] });
  t.deepEqual(examine(producers, [all]).reasons, [words]);
  t.deepEqual(examine(all, [producers]).reasons, [words]);
  // other slots, another quantity, another leaf, a difference of k: nothing to subtract, or enough
  t.is(examine({ ...producers, firstSlot: SLOT + 100 }, [all]).verdict, 'accepted');
  const watch = { kind: 'watch-voltage', low: 207_000, high: 253_000 } as const;
  t.is(examine({ ...producers, ...watch }, [all]).verdict, 'accepted');
  t.is(examine(task({ area: 'south', audience: 'producers' }), [all]).verdict, 'accepted');
  t.is(examine(task({ audience: 'producers' }), [all]).verdict, 'accepted');
  t.is(examine(task({ area: 'north' }), [all]).verdict, 'accepted');
  // nobody counts who has one and not the other: in the south they might be the same fifteen, but for one
  const storage = task({ area: 'south', audience: 'storage' });
  t.regex(examine(storage, [task({ area: 'south', audience: 'producers' })]).reasons[0], /nobody counts who belongs/);
});

test('selective tasking is flagged, and the customer decides', (t) => {
  const earlier = Array.from({ length: 4 }, (_, i) => task({ firstSlot: SLOT + 200 + i }));
  const found = examine(task(), earlier);
  t.is(found.verdict, 'flagged');
  t.deepEqual(found.reasons, ["5 of the provider's 5 tasks are for north-1 alone"]);
  t.is(examine(task({ area: 'south' }), earlier).verdict, 'accepted');
  t.is(examine(task({ area: 'town' }), earlier).verdict, 'accepted');
});

test('everybody gets the same list; the policy chooses', (t) => {
  const tasks = [
    { one: task(), flag: null },
    { one: task({ area: 'south' }), flag: "5 of the provider's 5 tasks are for south alone" },
    { one: task({ result: 'rounded' }), flag: null },
  ];
  const offered = tasks.map(({ one, flag }) => ({ bytes: signTask(one, signAs(provider)), flag }));
  const list = publishTaskList(SLOT, offered, signAs(server));
  const opened = openTaskList(list, server.publicKey, keyOf);
  t.is(opened.slot, SLOT);
  t.deepEqual(
    opened.tasks.map(({ flag }) => flag),
    tasks.map(({ flag }) => flag),
  );
  t.is(taskListDigest(list).length, 32);
  const mine = { inArea: true, audience: (audience: string) => audience === 'all' };
  const chosen = (policy = DEFAULT_TASK_POLICY, where = mine) => opened.tasks.map((one) => chooses(policy, one, where));
  t.deepEqual(chosen(), [true, false, false]);
  t.deepEqual(chosen({ ...DEFAULT_TASK_POLICY, flagged: true, rounded: true }), [true, true, true]);
  t.deepEqual(chosen({ ...DEFAULT_TASK_POLICY, leastAmount: 100 }), [false, false, false]);
  t.deepEqual(chosen(DEFAULT_TASK_POLICY, { ...mine, inArea: false }), [false, false, false]);
  t.throws(() => openTaskList(list, provider.publicKey, keyOf), { message: /tasks\.signature/ });
  const foreign = [{ bytes: signTask(task(), signAs(server)), flag: null }];
  const made = publishTaskList(SLOT, foreign, signAs(server));
  t.throws(() => openTaskList(made, server.publicKey, keyOf), { message: /tasks\[0\]\.signature/ });
});
