import { connect } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { crc16, startP1, telegram, timestamp } from '../../../gateway/integrations/p1.ts';
import { HouseSource, point } from './_source.ts';

test('the checksum is CRC-16/ARC', (t) => {
  t.is(crc16('123456789'), 'BB3D'); // the catalogue's check value
  t.is(crc16(''), '0000');
});

test('time stamps say summer and winter', (t) => {
  t.is(timestamp(Date.UTC(2026, 0, 15, 12), 'Europe/Amsterdam'), '260115130000W');
  t.is(timestamp(Date.UTC(2026, 6, 15, 12), 'Europe/Amsterdam'), '260715140000S');
  // the hour that comes twice
  t.is(timestamp(Date.UTC(2026, 9, 25, 0, 30), 'Europe/Amsterdam'), '261025023000S');
  t.is(timestamp(Date.UTC(2026, 9, 25, 1, 30), 'Europe/Amsterdam'), '261025023000W');
  t.is(timestamp(Date.UTC(2026, 6, 15, 12), 'UTC'), '260715120000W');
});

test('a telegram has the standard’s lines and its checksum', (t) => {
  const source = new HouseSource();
  source.say(point());
  const text = telegram(source, 'UTC')!;
  t.true(text.startsWith('/QMT5quietmeter\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(260603120020W)\r\n'));
  for (const line of [
    '1-0:1.8.1(000123.456*kWh)', // never more than the register says
    '1-0:2.8.1(000004.321*kWh)',
    '1-0:1.7.0(00.000*kW)',
    '1-0:2.7.0(01.234*kW)',
    '1-0:32.7.0(231.4*V)',
    '1-0:31.7.0(005*A)',
  ])
    t.true(text.includes(`\r\n${line}\r\n`), line);
  const end = text.indexOf('!') + 1;
  t.is(text.slice(end), `${crc16(text.slice(0, end))}\r\n`);
  t.false(text.includes('Oak'), 'the name stays in the house’s own papers');
});

test('any value keeps the fields’ widths, and registers never shrink', (t) => {
  const source = new HouseSource();
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 999_999_000_000 }),
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.integer({ min: -99_000, max: 99_000 }),
      (importMwh, more, powerW) => {
        const value = (mwh: number): number => {
          source.say(point({ importMwh: mwh, powerW }));
          const text = telegram(source, 'UTC')!;
          const [, kwh] = /1-0:1\.8\.1\((\d{6}\.\d{3})\*kWh\)/.exec(text)!;
          t.regex(text, /1-0:1\.7\.0\(\d\d\.\d{3}\*kW\)\r\n1-0:2\.7\.0\(\d\d\.\d{3}\*kW\)/);
          return Number(kwh);
        };
        return value(importMwh) <= value(Math.min(importMwh + more, 999_999_000_000));
      },
    ),
    { numRuns: 200 },
  );
});

test('readers get telegrams once something is known; what they send is thrown away', async (t) => {
  const source = new HouseSource();
  const server = await startP1(source, { host: '127.0.0.1', port: 0, everySeconds: 1 }, 'UTC');
  t.teardown(() => server.close());
  t.is(telegram(source, 'UTC'), null);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  let received = '';
  const first = new Promise<void>((resolve) =>
    socket.on('data', (piece) => {
      received += piece.toString('latin1');
      if (received.includes('!')) resolve();
    }),
  );
  socket.write('/QMT5quietmeter\r\nsomething that nobody wants\r\n');
  source.say(point());
  await first;
  socket.destroy();
  t.true(received.startsWith('/QMT5quietmeter'));
});
