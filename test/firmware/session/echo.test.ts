// Messages in parts through the firmware's line and hub on boards, and back.
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { VirtualBoard } from '../../../bench/board/virtual-board.ts';
import { espruinoBinary } from '../../../bench/espruino/process.ts';
import { runOnEspruino } from '../../../bench/espruino/run.ts';
import { decodeMessage } from '../../../protocol/wire/link-codec.ts';
import { FrameReader } from '../../../protocol/wire/link-frame.ts';
import { LINK_TELL, type Say } from '../../../protocol/wire/link-messages.ts';
import { nodeNatives } from '../../../protocol/wire/node-natives.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../../protocol/wire/sessions.ts';
import { buildFirmware } from '../../../scripts/build.mjs';
import { frameOf } from '../gateway-peer.ts';

type Run = (bundle: string, receive: Uint8Array, toMs: number) => Promise<{ serial: Uint8Array; output: string[] }>;
const boards: [name: string, there: boolean, run: Run][] = [
  [
    'the virtual board',
    true,
    async (bundle, receive, toMs) => {
      const board = new VirtualBoard({ bundle, seed: 1, startMs: 0 });
      board.start();
      board.receive(receive);
      board.advanceTo(toMs);
      return { serial: board.take(), output: board.output };
    },
  ],
  [
    espruinoBinary() ? 'real Espruino' : 'real Espruino (skipped: no espruino binary)',
    espruinoBinary() !== null,
    async (bundle, receive, toMs) => {
      const { serial, output } = await runOnEspruino({ bundle, steps: [{ receive, toMs }] });
      return { serial: Buffer.concat(serial), output };
    },
  ],
];

for (const [name, there, run] of boards) {
  (there ? test : test.skip)(`messages through the hub on ${name}`, async (t) => {
    const { code } = await buildFirmware({ entry: fileURLToPath(new URL('_echo.ts', import.meta.url)) });
    const bodies = [1, 256, 257, 3000, 9000].map((n) => Uint8Array.from({ length: n }, (_, i) => i * 31 + n));
    const line: Uint8Array[] = [];
    let message = 250; // wraps
    const tell = (session: number, body: Uint8Array, lost = -1) => {
      for (let n = 0; n < partsOf(body.length); n++)
        if (n !== lost) line.push(frameOf({ type: LINK_TELL, ...partOf(session, message, body, n) }));
      message = (message + 1) % 256;
    };
    for (const body of bodies) tell(5, body);
    tell(5, bodies[3], 4);
    tell(9, bodies[2]);
    tell(6, bodies[2]);
    tell(5, bodies[1]);
    const { serial, output } = await run(code, Buffer.concat(line), 8000);
    t.deepEqual(output, ['session 6: Error: body of 257']);
    const frames = new FrameReader(nodeNatives);
    const reader = new SessionReader();
    const heard = frames
      .push(Buffer.from(serial).toString('latin1'))
      .map((body) => reader.push(decodeMessage(body) as Say))
      .filter((whole) => whole !== null);
    const expected = [...bodies, bodies[1]].map((body) => Buffer.from(body).reverse());
    t.deepEqual(
      heard.map(({ session, body }) => [session, Buffer.from(body).toString('hex')]),
      expected.map((body) => [5, body.toString('hex')]),
    );
    t.true(bodies.reduce((sum, body) => sum + body.length, 0) < SESSION_MOST_BYTES);
  });
}
