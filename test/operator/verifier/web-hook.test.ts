import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Workbench } from '../../../bench/attestation/workbench.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { type Post, postOverHttps, signNotice, WEB_HOOK_HEADER, WebHook } from '../../../operator/verifier/web-hook.ts';
import { workbench } from './bench.ts';

const KEY = Buffer.alloc(32, 7);

interface Heard {
  headers: Record<string, string>;
  notice: { id: number; event: string; device: string; reasons: string[] };
}

/** A receiver that answers with the next of these statuses, and with 200 afterwards; 0: nobody is there. */
function receiver(statuses: number[] = []): { heard: Heard[]; post: Post } {
  const heard: Heard[] = [];
  return {
    heard,
    post: async (_url, headers, body) => {
      const status = statuses.shift() ?? 200;
      if (status === 0) throw new Error('connection refused');
      if (status < 300) heard.push({ headers, notice: JSON.parse(body) });
      return status;
    },
  };
}
function hookOf(t: ExecutionContext, bench: Workbench, post: Post, nowMs: () => number = () => 0): WebHook {
  const hook = new WebHook({ url: 'https://hook.example/', key: KEY, store: bench.store, post, nowMs });
  t.teardown(() => hook.close());
  return hook;
}

test('failed, recovered, revoked: each told once, in order, signed', async (t) => {
  const bench = await workbench(t);
  const { heard, post } = receiver();
  const hook = hookOf(t, bench, post, () => 1_790_000_000_000);
  const device = await bench.device();
  bench.attest(device);
  bench.attest(device, { claims: { measurement: null } });
  bench.attest(device, { claims: { measurement: null } }); // fails for the same reason: nothing new
  bench.attest(device);
  bench.verifier.revoke(device.ekSerial, 'revoked', 'stolen');
  hook.wake();
  await hook.idle();
  t.deepEqual(
    heard.map(({ notice }) => [notice.event, notice.device, notice.reasons]),
    [
      ['failed', device.ekSerial, ['The meter did not answer what image it runs.']],
      ['recovered', device.ekSerial, []],
      ['revoked', device.ekSerial, ['stolen']],
    ],
  );
  const body = JSON.stringify(heard[0].notice);
  const tag = createHmac('sha256', KEY).update(`quietmeter/v1/web-hook\0${1_790_000_000}.${body}`).digest('hex');
  t.is(heard[0].headers[WEB_HOOK_HEADER], `t=1790000000,v1=${tag}`);
  t.is(signNotice(KEY, body, 1_790_000_000_999), `t=1790000000,v1=${tag}`);
  t.is(bench.store.noticesWaiting(), 0);
});

test('a hook that is down is tried again, later each time, and holds nobody up', async (t) => {
  const bench = await workbench(t);
  const { heard, post } = receiver([0, 503, 302]);
  let nowMs = 0;
  const hook = hookOf(t, bench, post, () => nowMs);
  bench.verifier.revoke('ab', 'revoked', 'stolen');
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    hook.wake();
    await hook.idle();
    waits.push(bench.store.nextNotice()!.notBeforeMs - nowMs);
    nowMs = bench.store.nextNotice()!.notBeforeMs - 1;
    hook.wake();
    await hook.idle();
    t.is(bench.store.nextNotice()!.attempts, i + 1, 'not before its time');
    nowMs++;
  }
  t.deepEqual(waits, [1000, 2000, 4000]);
  t.is(heard.length, 0);
  const device = await bench.device();
  t.true(bench.attest(device).trusted, 'attestation goes on meanwhile');
  hook.wake();
  await hook.idle();
  t.deepEqual(
    heard.map(({ notice }) => notice.event),
    ['revoked'],
  );
});

test('notices wait on the disk for a hook that comes later', async (t) => {
  const bench = await workbench(t);
  const never: Post = () => new Promise(() => {});
  const killed = new WebHook({ url: 'https://hook.example/', key: KEY, store: bench.store, post: never });
  bench.verifier.revoke('ab', 'revoked', 'stolen');
  killed.wake(); // and is never heard of again
  const { heard, post } = receiver();
  const hook = hookOf(t, bench, post);
  hook.wake();
  await hook.idle();
  t.is(heard.length, 1);
});

test('over a real socket', async (t) => {
  const bodies: string[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-hook-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const ca = await GridCa.open(directory);
  const { certFile, keyFile } = await ca.server('receiver', ['127.0.0.1']);
  const identity = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const server = createServer(identity, (request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      bodies.push(`${request.method} ${request.headers[WEB_HOOK_HEADER]?.slice(0, 2)} ${body}`);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const headers = { [WEB_HOOK_HEADER]: signNotice(KEY, '{}', 0) };
  const url = `https://127.0.0.1:${port}/`;
  t.is(await postOverHttps(readFileSync(ca.caFile, 'utf8'))(url, headers, '{}'), 204);
  await t.throwsAsync(
    postOverHttps()(url, headers, '{}'),
    undefined,
    'of an authority that this machine does not know',
  );
  t.deepEqual(bodies, ['POST t= {}']);
});
