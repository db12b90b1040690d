// The grid operator's register: what it takes, and that the third party gets every change, whoever forgets what.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test, { type ExecutionContext } from 'ava';
import { DeviceDelivery } from '../../../operator/grid-operator/delivery.ts';
import { Register } from '../../../operator/grid-operator/register.ts';
import { RegisterStore } from '../../../operator/grid-operator/store.ts';
import { Refusal } from '../../../operator/shared/service.ts';
import { AREA_MOST_DEVICES, type Device, type DeviceChanges } from '../../../protocol/identity/devices.ts';
import { BATCH_MOST_ITEMS } from '../../../protocol/readings/batch.ts';

const PLACE = { address: 'Musterweg 5', area: 'north-1' };

function setUp(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-register-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'grid-operator.sqlite');
  const store = new RegisterStore(file);
  // a certificate is its own serial number here: chains are tested with their own tests
  const serialOf = (certificate: Uint8Array): string => {
    if (certificate[0] === 0xff) throw new Error('the certificate leads to no maker');
    return Buffer.from(certificate.subarray(0, 4)).toString('hex');
  };
  let changes = 0;
  const register = new Register(store, serialOf, () => changes++);
  return { store, register, file, changes: () => changes };
}
const certificate = (serial: string): Uint8Array => Buffer.concat([Buffer.from(serial, 'hex'), Buffer.alloc(8, 1)]);

test('an area takes as many devices as one batch of its readings, and no more', (t) => {
  t.true(AREA_MOST_DEVICES < BATCH_MOST_ITEMS);
  const { store } = setUp(t);
  const register = new Register(
    store,
    (ek) => Buffer.from(ek.subarray(0, 4)).toString('hex'),
    () => {},
    2,
  );
  for (const serial of ['0a000001', '0a000002']) register.register(certificate(serial), PLACE);
  register.register(certificate('0a000002'), { ...PLACE, address: 'Nebenweg 1' });
  const third = certificate('0a000003');
  t.throws(() => register.register(third, PLACE), {
    instanceOf: Refusal,
    message: 'the area north-1 has 2 devices, as many as one batch of readings takes: divide it',
  });
  t.like(register.register(third, { ...PLACE, area: 'north-2' }), { state: 'installed' });
  register.setState('0a000001', 'in stock');
  t.like(register.register(third, PLACE), { area: 'north-1' });
});

test('a device is in stock, installed, moved, revoked for ever; the same again changes nothing', (t) => {
  const { register, store, changes } = setUp(t);
  const ek = certificate('0a0b0c0d');
  t.deepEqual(register.register(ek, null), { serial: '0a0b0c0d', address: null, area: null, state: 'in stock' });
  t.like(register.register(ek, PLACE), { ...PLACE, state: 'installed' });
  register.register(ek, PLACE);
  t.is(changes(), 2);
  t.is(store.version, 2);
  t.like(register.register(ek, { ...PLACE, address: 'Nebenweg 1' }), { address: 'Nebenweg 1' });
  t.like(register.setState('0a0b0c0d', 'in stock'), { address: null, state: 'in stock' });
  register.register(ek, PLACE);
  t.like(register.setState('0a0b0c0d', 'revoked'), { ...PLACE, state: 'revoked' }, 'the field visit goes there');
  const no = (message: string) => ({ instanceOf: Refusal, message });
  t.throws(() => register.register(ek, PLACE), no('the device 0a0b0c0d is revoked and stays so'));
  t.throws(() => register.setState('0a0b0c0d', 'in stock'), no('the device 0a0b0c0d is revoked and stays so'));
  t.throws(() => register.setState('01', 'revoked'), no('no device 01 is registered'));
  t.throws(() => register.register(Buffer.alloc(9, 0xff), PLACE), no('the certificate leads to no maker'));
  const twin = Buffer.concat([Buffer.from('0a0b0c0d', 'hex'), randomBytes(8)]);
  t.throws(
    () => register.register(twin, PLACE),
    no('another certificate with the serial number 0a0b0c0d is registered'),
  );
});

test('no column of the register could hold a person', (t) => {
  const { file } = setUp(t);
  const database = new DatabaseSync(file);
  const columns = (table: string): unknown[] =>
    database
      .prepare(`PRAGMA table_info(${table})`)
      .all()
      .map(({ name }) => name);
  t.deepEqual(columns('devices'), ['serial', 'ekCertificate', 'address', 'area', 'state', 'version']);
  t.deepEqual(columns('state'), ['name', 'value']);
  database.close();
});

/** The third party's half, as it takes changes. */
class Taker {
  version = 0;
  devices = new Map<string, Device>();
  failures = 0;
  calls = 0;
  take = async ({ after, version, devices }: DeviceChanges): Promise<{ version: number }> => {
    this.calls++;
    if (this.failures-- > 0) throw new Error('out of reach');
    if (after === this.version) {
      this.version = version;
      for (const device of devices) this.devices.set(device.serial, device);
    }
    return { version: this.version };
  };
}

test('every change arrives, in portions, through failures and when either side has lost its memory', async (t) => {
  const { register, store } = setUp(t);
  const serials = Array.from({ length: 400 }, (_, i) => (0x01000000 + i).toString(16).padStart(8, '0'));
  for (const serial of serials) register.register(certificate(serial), PLACE);
  const taker = new Taker();
  const lines: string[] = [];
  const delivery = new DeviceDelivery(store, taker.take, (line) => lines.push(line));
  t.teardown(() => delivery.close());
  taker.failures = 1;
  await delivery.delivered();
  t.is(taker.devices.size, 400);
  t.deepEqual(lines, ['trusted third party: out of reach']);
  t.is(delivery.pending, 0);

  register.setState(serials[7], 'revoked');
  await delivery.delivered();
  t.is(taker.devices.get(serials[7])!.state, 'revoked');

  const forgetful = new Taker();
  const anew = new DeviceDelivery(store, forgetful.take, () => {});
  register.setState(serials[8], 'revoked');
  await anew.delivered();
  t.is(forgetful.devices.size, 400, 'the third party had lost all of it');

  const restored = setUp(t);
  restored.register.register(certificate('02000000'), PLACE);
  const back = new DeviceDelivery(restored.store, forgetful.take, () => {});
  await back.delivered();
  t.like(forgetful.devices.get('02000000'), PLACE, 'the register had lost all of it');
  await Promise.all([anew.close(), back.close()]);
});
