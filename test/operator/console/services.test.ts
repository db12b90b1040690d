// The console as a process, over mutual TLS, with the verifier's own routes and register's, and the roles that may not ask.
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import * as v from 'valibot';
import { prepareConsole } from '../../../bench/console.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import { freePorts } from '../../../bench/grid-side.ts';
import { askServices } from '../../../operator/console/parties.ts';
import { callAs, type ServiceOf } from '../../../operator/shared/client.ts';
import { type Route, roleRoute, startService } from '../../../operator/shared/service.ts';
import { consoleRoutes } from '../../../operator/verifier/console-routes.ts';
import type { FleetRow, Verifier } from '../../../operator/verifier/steps.ts';
import { VerifierStore } from '../../../operator/verifier/store.ts';
import { FLEET_PAGE_MOST, fleetDevicesCall } from '../../../protocol/attestation/fleet.ts';
import type { ReadyMessage } from '../../../protocol/conductor/messages.ts';
import { controlSentCall } from '../../../protocol/control/services.ts';
import { Client } from '../../gateway/web/client.ts';

const NOW_MS = Date.UTC(2026, 5, 18, 17);
const DEVICES = 2 * FLEET_PAGE_MOST + 3;
const LOOK = { state: null, text: '', open: null };
const serialOf = (n: number): string => (0x1a00 + n).toString(16);

async function openServices(t: { teardown(fn: () => Promise<void> | void): void }) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-console-services-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const ca = await GridCa.open(join(directory, 'ca'));
  const [verifierPort, gridOperatorPort, providerPort] = await freePorts(3);
  const start = async (name: string, port: number, routes: Route[]): Promise<string> => {
    const access = { host: '127.0.0.1', port, caFile: ca.caFile, requestsPerMinute: 10_000 };
    const certificate = await ca.server(`${name}-server`, ['127.0.0.1']);
    const service = await startService({ name, access: { ...access, ...certificate }, routes });
    t.teardown(() => service.close());
    return service.url;
  };

  const store = new VerifierStore(join(directory, 'verifier.sqlite'));
  t.teardown(() => store.close());
  const fleet = (): FleetRow[] =>
    Array.from({ length: DEVICES }, (_, n) => {
      const revocation = store.revocation(serialOf(n));
      const severity = revocation?.severity;
      return {
        device: serialOf(n),
        address: `Via Roma ${n}`,
        area: 'district-1',
        state: severity === undefined || severity === 'advisory' ? 'never seen' : severity,
        sinceMs: null,
        seenMs: null,
        expiresMs: null,
        why: ['The device has never been attested.'],
        warnings: [],
        gatewayVersion: null,
        meterVersion: null,
        restarts: 0,
        failures: 0,
      };
    });
  const verifier = {
    nowMs: NOW_MS,
    fleet,
    revoke: (device, severity, reason) =>
      store.revoke(device, { severity, reason }, { event: 'revoked', device, atMs: NOW_MS, reasons: [reason] }),
    reinstate: (device) => store.reinstate(device, { event: 'reinstated', device, atMs: NOW_MS, reasons: [] }),
  } as Partial<Verifier> as Verifier;
  const states: object[] = [];
  const urls = {
    verifier: await start(
      'verifier',
      verifierPort,
      consoleRoutes({ verifier, store, releases: { rollOut: () => [] } }),
    ),
    gridOperator: await start('grid-operator', gridOperatorPort, [
      roleRoute(['console'], {
        method: 'POST',
        path: '/devices/state',
        body: v.strictObject({ serial: v.string(), state: v.string() }),
        handle: (body) => {
          states.push(body);
          return { ...body, address: null, area: null };
        },
      }),
    ]),
    provider: await start('provider', providerPort, [
      roleRoute(['console'], { method: 'GET', path: controlSentCall.path, handle: () => ({ sent: [] }) }),
    ]),
  };
  return { directory, ca, urls, store, states };
}

test('the console asks page by page, revokes at the verifier and, for good, at the register', async (t) => {
  const { ca, urls, store, states } = await openServices(t);
  const certificate = await ca.client('console');
  const access = (url: string): ServiceOf => ({ url, caFile: ca.caFile, ...certificate });
  const parties = askServices({
    verifier: access(urls.verifier),
    gridOperator: access(urls.gridOperator),
    provider: access(urls.provider),
    controlCentre: null,
  });
  const { nowMs, devices, all, more } = await parties.fleet({ ...LOOK, most: 1000 });
  t.is(nowMs, NOW_MS);
  t.deepEqual([all.devices, more], [DEVICES, false]);
  const few = await parties.fleet({ ...LOOK, most: 50, text: 'ROMA 1' });
  t.like(few, { more: false, counts: { 'never seen': 11, trusted: 0 } });
  t.like(await parties.fleet({ ...LOOK, most: 50 }), { more: true, devices: { length: 50 } });
  t.deepEqual(
    devices.map(({ device }) => device),
    Array.from({ length: DEVICES }, (_, n) => serialOf(n)),
  );
  const device = serialOf(50);
  await parties.revoke({ device, severity: 'suspended', reason: 'the seal is broken' });
  t.deepEqual({ ...store.revocation(device) }, { severity: 'suspended', reason: 'the seal is broken', atMs: NOW_MS });
  t.deepEqual(states, [], 'a suspension is not for good');
  t.like(await parties.fleet({ ...LOOK, most: 1, open: device }), {
    opened: { device, state: 'suspended' },
    revoked: [{ device }],
    devices: [{ device }],
  });
  await parties.reinstate(device);
  t.is(store.revocation(device), null);
  await parties.revoke({ device, severity: 'revoked', reason: 'stolen' });
  await parties.revoke({ device, severity: 'revoked', reason: 'stolen' });
  t.deepEqual(
    states.map((state) => ({ ...state })),
    Array(2).fill({ serial: device, state: 'revoked' }),
  );
  t.deepEqual(await parties.evidenceOf(device), []);
  t.deepEqual(await parties.releases(), []);
  t.deepEqual(await parties.controlSent!(), []);
  t.is(await parties.accounts(), null, 'this grid operator keeps none');
  t.is(await parties.selling(), null, 'nobody sells here');
  await t.throwsAsync(parties.evidenceOf('abcd'), { message: 'there is no device abcd' });

  for (const role of ['collector', 'provider', 'technician'] as const) {
    const stranger = await ca.client(role);
    await t.throwsAsync(
      callAs(stranger, { url: urls.verifier, caFile: ca.caFile, ...fleetDevicesCall, body: { ...LOOK, from: 0 } }),
      { message: 'only console may ask this' },
      role,
    );
  }
});

test('the console as a process: says where it is, shows what the parties say, ends when told', async (t) => {
  const { directory, ca, urls } = await openServices(t);
  const { config } = await prepareConsole({ directory: join(directory, 'console'), ca, services: urls });
  const child = fork(join(import.meta.dirname, '../../../operator/console/main.ts'), [config], {
    serialization: 'advanced',
    env: { PATH: process.env.PATH },
    stdio: 'pipe',
  });
  t.teardown(() => void child.kill('SIGKILL'));
  let said = '';
  child.stderr!.on('data', (part) => {
    said += part;
  });
  const ready = await new Promise<ReadyMessage>((resolve, reject) => {
    child.once('message', (message) => resolve(message as ReadyMessage));
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${said}`)));
  });
  t.regex(ready.url!, /^https:\/\/localhost:\d+$/);
  const dataDir = join(directory, 'console/console');
  const client = new Client({ page: { url: ready.url! }, dataDir } as never);
  await client.logIn(ready.firstPassword!);
  const overview = JSON.parse((await client.request('/api/overview')).text);
  t.is(overview.fleet.devices.length, 20);
  t.is(overview.fleet.all.devices, DEVICES);
  t.deepEqual([overview.control, overview.troubles], [[], []]);
  const reason = randomBytes(8).toString('hex');
  const body = JSON.stringify({ device: serialOf(3), severity: 'advisory', reason });
  const answer = await client.request('/api/revoke', { body, headers: { 'content-type': 'application/json' } });
  t.is(answer.status, 200);
  const [row] = JSON.parse((await client.request('/api/overview')).text).fleet.revoked;
  t.is(row.revocation.reason, reason);
  t.false(readFileSync(config, 'utf8').includes(ready.firstPassword!));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.send({ type: 'stop' });
  t.is(await ended, 0, said);
});
