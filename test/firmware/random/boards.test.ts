// The generator with its session on boards: what the gateway gives, what is drawn, and power that fails in every flash operation.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { runOnEspruino, type Step } from '../../../bench/espruino/run.ts';
import { MeterRandomness } from '../../../gateway/meter/randomness.ts';
import { MeterSessions } from '../../../gateway/meter/sessions.ts';
import { type FlashLayout, STOCK_LAYOUT, UPDATE_LAYOUT } from '../../../hardware/flash.ts';
import { decodeMessage } from '../../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../../protocol/wire/link-frame.ts';
import { LINK_LIVE, LINK_SAY, type Live, type MeterMessage } from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import {
  CONDITION_NO_WALLET,
  CONDITION_READY,
  CONDITION_STUCK,
  CONDITION_WAITING,
  CONDITION_WALLET_DAMAGED,
} from '../../../protocol/wire/random-messages.ts';
import { buildFirmware } from '../../../scripts/build.mjs';
import { frameOf } from '../gateway-peer.ts';

const firmware = async () =>
  (await buildFirmware({ entry: fileURLToPath(new URL('_drawing.js', import.meta.url)) })).code;
/** What the gateway gives: that it comes from a TPM is its matter; here it is the same at every start, the worst that can be. */
const given = (name: string) => async (length: number) =>
  createHash('sha256').update(name).digest().subarray(0, length);

/** A board, and the gateway's half of the session at its line. */
class House {
  readonly board: VirtualBoard;
  readonly sessions: MeterSessions;
  readonly randomness: MeterRandomness;
  readonly #reader = new FrameReader(nodeNatives);
  #answers: Uint8Array[] = [];
  #nowMs = 0;

  constructor(
    bundle: string,
    gateway: string,
    options: { flash?: Uint8Array; seed?: number; layout?: FlashLayout } = {},
  ) {
    const { flash, seed = 1, layout = UPDATE_LAYOUT } = options;
    this.board = new VirtualBoard({ bundle, seed, layout, flash, startMs: 0 });
    this.sessions = new MeterSessions({ send: (part) => this.#answers.push(frameOf(part)), log: () => {} });
    this.randomness = new MeterRandomness({ sessions: this.sessions, randomBytes: given(gateway) });
  }
  async seconds(count: number): Promise<this> {
    for (let n = 0; n < count && this.board.running; n++) {
      this.#nowMs += 1000;
      this.board.advanceTo(this.#nowMs);
      const said = this.#reader
        .push(Buffer.from(this.board.take()).toString('latin1'))
        .map((body) => decodeMessage(body) as MeterMessage);
      this.sessions.receive([{ type: LINK_LIVE } as Live, ...said]);
      await this.sessions.idle();
      if (this.board.running) this.board.receive(Buffer.concat(this.#answers.splice(0)));
    }
    return this;
  }
  async start(seconds = 25): Promise<this> {
    this.board.start();
    return this.seconds(seconds);
  }
  get drawn(): string[] {
    return this.board.output.filter((line) => line.startsWith('drawn ')).map((line) => line.slice(6));
  }
}

test('two boards with identical images, identical hardware and identical E.hwRand never draw the same value', async (t) => {
  const bundle = await firmware();
  const first = await new House(bundle, 'one TPM').start();
  const second = await new House(bundle, 'another TPM').start();
  t.is(first.drawn.length, 1);
  t.is(second.drawn.length, 1);
  t.not(first.drawn[0], second.drawn[0]);
  t.is(first.randomness.condition, CONDITION_READY);
  // and from the same image on, with vault and seed in it
  const { flash } = first.board;
  const again = await Promise.all(['a', 'b'].map((name) => new House(bundle, name, { flash, seed: 4 }).start()));
  const all = [first, second, ...again].flatMap(({ drawn }) => drawn);
  t.is(new Set(all).size, 4);
  // identical to the last byte from the gateway, too: then the seed in flash has moved on
  const replayed = await new House(bundle, 'one TPM', { flash, seed: 2 }).start();
  t.false(all.includes(replayed.drawn[0]));
  for (const { board } of [first, second, ...again, replayed])
    t.deepEqual(
      board.output.filter((line) => !line.startsWith('drawn')),
      [],
    );
});

test('power fails in each flash operation of the first starts: what was drawn is never drawn again', async (t) => {
  const bundle = await firmware();
  const whole = await new House(bundle, 'g').start();
  const operations = whole.board.flashOperations;
  t.true(operations >= 4);
  for (let n = 0; n < operations; n++) {
    const house = new House(bundle, 'g');
    house.board.armCut({ afterFlashOperations: n, kind: n % 2 ? 'torn' : 'words', words: n % 5 });
    await house.start();
    t.false(house.board.running);
    t.deepEqual(house.drawn, [], 'nothing is drawn before all is in flash');
    await house.start();
    t.is(house.drawn.length, 1, house.board.output.join(' | '));
    await house.start();
    const later = await new House(bundle, 'g', { flash: house.board.flash, seed: 2 }).start();
    const drawn = [...house.drawn, ...later.drawn];
    t.is(drawn.length, 3);
    t.is(new Set(drawn).size, 3);
  }
});

test('a stuck source, a board without room for a wallet, a wallet that was changed: no value, and the reason arrives', async (t) => {
  const bundle = await firmware();
  const stuck = await new House(bundle.replace('peek32(', '(()=>1234567)('), 'g').start();
  t.deepEqual(stuck.drawn, []);
  t.is(stuck.randomness.condition, CONDITION_STUCK);
  t.regex(stuck.sessions.alarms.join(), /the same value again and again/);

  const stock = await new House(bundle, 'g', { layout: STOCK_LAYOUT }).start();
  t.deepEqual(stock.drawn, []);
  t.is(stock.randomness.condition, CONDITION_NO_WALLET);
  t.false(stock.randomness.hasWallet);
  t.deepEqual(stock.sessions.alarms, [], 'that is no fault');

  const whole = await new House(bundle, 'g').start();
  const { flash } = whole.board;
  const at = flash.length - 48 * 4096;
  for (let n = 0; n < 40; n++) flash[at + n] ^= 0x55; // the root key
  const changed = await new House(bundle, 'h', { flash, seed: 3 }).start();
  t.deepEqual(changed.drawn, []);
  t.is(changed.randomness.condition, CONDITION_WALLET_DAMAGED);
  t.regex(changed.sessions.alarms.join(), /damaged or changed/);
});

test('an answer to another start is passed over; the meter asks again, less and less often', async (t) => {
  const bundle = await firmware();
  const house = new House(bundle, 'g');
  const asked: Uint8Array[] = [];
  const sent: Uint8Array[] = [];
  const sessions = new MeterSessions({ send: (part) => sent.push(frameOf(part)), log: () => {} });
  sessions.on(1, (body) => {
    asked.push(body);
    const other = Uint8Array.from(body);
    other[5] ^= 1;
    const give = Buffer.concat([Uint8Array.of(0x81), other.subarray(1), new Uint8Array(32)]);
    sessions.tell(1, give);
    sessions.tell(1, give.subarray(1));
    sessions.tell(1, Uint8Array.of(0x81));
  });
  house.board.start();
  const reader = new FrameReader(nodeNatives);
  for (let second = 1; second <= 400; second++) {
    house.board.advanceTo(second * 1000);
    const said = reader.push(Buffer.from(house.board.take()).toString('latin1')).map((body) => decodeMessage(body));
    sessions.receive([{ type: LINK_LIVE } as Live, ...said.filter(({ type }) => type === LINK_SAY)] as MeterMessage[]);
    house.board.receive(Buffer.concat(sent.splice(0)));
  }
  t.deepEqual(house.drawn, []);
  t.true(asked.length >= 5 && asked.length <= 8, `${asked.length} in 400 s`);
  t.deepEqual(new Set(asked.map((body) => Buffer.from(body).toString('hex'))).size, 1, 'the same question');
  t.is(house.randomness.condition, CONDITION_WAITING);
});

const onEspruino = espruinoBinary() ? test : test.skip;
onEspruino('real Espruino: the same, over two starts (skipped where there is none)', async (t) => {
  const bundle = await firmware();
  /** What it asks at this seed, and what it draws when it is answered. */
  const run = async (seed: number, fresh: number, flash?: Uint8Array) => {
    const options = { bundle, seed, flash, layout: UPDATE_LAYOUT };
    const asking = await runOnEspruino({ ...options, steps: [{ toMs: 17_500 }] });
    const [ask] = new FrameReader(nodeNatives)
      .push(Buffer.concat(asking.serial).toString('latin1'))
      .map((body) => decodeMessage(body) as MeterMessage)
      .filter((message) => message.type === LINK_SAY);
    const bytes = Buffer.concat([Uint8Array.of(0x81), ask.bytes.subarray(1), new Uint8Array(32).fill(fresh)]);
    const give = frameOf({ type: 0x8b, session: 1, message: 0, part: 0, parts: 1, bytes });
    const steps: Step[] = [{ toMs: 17_500 }, { receive: give, toMs: 19_500 }];
    const answered = await runOnEspruino({ ...options, steps });
    t.is(answered.output.length, 1, answered.output.join(' | '));
    return { drawn: answered.output[0], flash: answered.flash };
  };
  const first = await run(1, 1);
  const second = await run(1, 2);
  const third = await run(2, 1, first.flash);
  const restored = await run(3, 1, first.flash);
  for (const { drawn } of [first, second, third, restored]) t.regex(drawn, /^drawn [A-Za-z0-9+/]{43}=$/);
  t.is(new Set([first, second, third, restored].map(({ drawn }) => drawn)).size, 4);
});
