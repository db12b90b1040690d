// The meter's half on boards: registered, sold, answered, with the same bytes as on Node; and the memory that 3,000 credentials take.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { VirtualBoard } from '../../bench/board/virtual-board.ts';
import { espruinoBinary, runEspruino } from '../../bench/espruino/process.ts';
import { ascii, word } from '../../protocol/selling/natives.ts';
import { nodeNatives } from '../../protocol/selling/node-natives.ts';
import { STATE_HELD, STATE_USED } from '../../protocol/wire/selling-session.ts';
import { buildFirmware } from '../../scripts/build.mjs';
import { rootOf } from '../firmware/wallet/vault-natives.ts';
import { MONTH } from '../operator/control-centre/rig.ts';
import { type House, registeredHouse, withTerms } from './house.ts';

const CREDENTIALS = 3000;
/** Of 14 B: an ESP32 has 16,383 at most. */
const BOARD_VARIABLE_BYTES = 14;

const ROOT = (rootOf(1) as () => Uint8Array)();

interface Played {
  hex: string;
  said: number;
  counts: number[];
  idle: number;
  most: number;
  blockBytes: number;
}

/** A house of which everything that its meter hears is known: a batch of 3,000 registered, two slots sold. */
let life: Promise<House> | null = null;
const lived = (t: ExecutionContext): Promise<House> => {
  life ??= live(t);
  return life;
};
async function live(t: ExecutionContext): Promise<House> {
  let draws = 0;
  let batches = 0;
  const house = await registeredHouse(t, withTerms({ amount: CREDENTIALS }), {
    slots: 1,
    lateSlots: 1,
    prepare: (one) => {
      one.random = (length) => nodeNatives.expand(ascii('draws'), word(draws++), 4 * Math.ceil(length / 4));
      one.line = (from, _session, body) => (from === 'meter' && body[0] === 4 && ++batches > 1 ? [] : [body]);
    },
  });
  for (let i = 0; i < 5; i++) await house.passSlot(i < 2 ? 101_000 : 0);
  const { counts } = house.meter.credentials.month(MONTH)!;
  t.true(counts[STATE_HELD] > 0 && counts[STATE_USED] >= 2, JSON.stringify(counts));
  t.deepEqual(house.meter.complaints, []);
  return house;
}
function digestOf(said: readonly Uint8Array[]): string {
  let digest = Buffer.alloc(32);
  for (const body of said) digest = createHash('sha256').update(digest).update(body).digest() as Buffer<ArrayBuffer>;
  return digest.toString('hex');
}

async function program({ played }: House): Promise<string> {
  const lines = played.map((one) =>
    'tick' in one ? `T ${one.tick.join(' ')}` : 'slot' in one ? `S ${one.slot.join(' ')}` : `H ${one.hear.join(' ')}`,
  );
  const given = { root: Buffer.from(ROOT).toString('base64'), text: lines.join(',') };
  const { code } = await buildFirmware({ entry: fileURLToPath(new URL('_player.js', import.meta.url)) });
  return `global.GIVEN=${JSON.stringify(given)};\n${code}`;
}
function same(t: ExecutionContext, house: House, [line]: readonly string[]): Played {
  const played = JSON.parse(line.replace('\x02', '')) as Played;
  t.is(played.said, house.said.length);
  t.is(played.hex, digestOf(house.said));
  t.deepEqual(played.counts, house.meter.credentials.months[0].counts);
  return played;
}

test('the virtual board says the same as Node', async (t) => {
  const house = await lived(t);
  const board = new VirtualBoard({ bundle: await program(house), seed: 1, startMs: 0 });
  board.start();
  t.log(`${house.said.length} messages`);
  same(t, house, board.output);
});

(espruinoBinary() ? test : test.skip)(
  'real Espruino says the same; memory with 3,000 credentials (skipped where there is none)',
  async (t) => {
    const house = await lived(t);
    const output = await runEspruino(`${await program(house)}\nprint('\\x02END');`, { timeoutMs: 120_000 });
    const { idle, most, blockBytes } = same(t, house, output);
    const onBoard = (variables: number) => Math.ceil((variables * blockBytes) / BOARD_VARIABLE_BYTES);
    t.log(
      `3,000 credentials: ${idle} variables of ${blockBytes} B at rest, ${most} at most; on an ESP32 ${onBoard(idle)} and ${onBoard(most)}`,
    );
    t.true(onBoard(most) < 6000);
  },
);
