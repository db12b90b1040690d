// Calibrating through the page's API, by hand and by scripts/calibrate: what is wrong is a sentence, what is right goes point by point.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openTestPage } from '../../page/browser.ts';
import { MemoryHousehold } from '../../page/household.ts';
import { Client } from './client.ts';

test('point by point, then what they come to, then kept; without a session nothing', async (t) => {
  const view = new MemoryHousehold();
  const made = await openTestPage(view);
  t.teardown(made.close);
  const client = new Client(made);
  const post = async (path: string, body: unknown = {}) => {
    const json = { 'content-type': 'application/json' };
    const { status, text } = await client.request(path, { body: JSON.stringify(body), method: 'POST', headers: json });
    return { status, ...JSON.parse(text) };
  };
  t.is((await post('/api/calibration/point', { volts: 230, watts: 2000 })).status, 401);
  await client.logIn(made.password);
  t.like(await post('/api/calibration/fit'), { status: 400, error: 'at least one known load is needed' });
  t.like(await post('/api/calibration/point', { volts: '230', watts: 1 }), {
    status: 400,
    error: 'body.volts: a number is wanted',
  });
  const { calibration } = await post('/api/calibration/point', { volts: 230, watts: 2000 });
  t.deepEqual(calibration.points, [{ volts: 230, watts: 2000, vars: 0, seenWatts: 2040 }]);
  t.like(await post('/api/calibration/fit'), { status: 200 });
  t.is(view.calibrationNumber, 0);
  t.like(await post('/api/calibration/keep'), { status: 200 });
  t.is(view.calibrationNumber, 1);
  t.is((await post('/api/calibration/forget')).calibration.points.length, 0);
  t.is((await post('/api/calibration/swap')).calibration.number, 2);
  t.is(JSON.parse((await client.request('/api/calibration')).text).calibration.number, 2);
});

test('scripts/calibrate takes points, shows the errors, and keeps only when it is told to', async (t) => {
  const view = new MemoryHousehold();
  const made = await openTestPage(view);
  t.teardown(made.close);
  const passwordFile = join(made.dataDir, 'password');
  writeFileSync(passwordFile, `${made.password}\n`, { mode: 0o600 });
  const calibrate = (...args: string[]) =>
    new Promise<{ code: number | null; said: string }>((resolve) => {
      const script = join(import.meta.dirname, '../../../scripts/calibrate.ts');
      const where = [
        '--page',
        made.page.url,
        '--ca',
        join(made.dataDir, 'web/ca.crt'),
        '--password-file',
        passwordFile,
      ];
      const child = spawn(process.execPath, [script, ...where, ...args]);
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (part) => {
          said += part;
        });
      child.on('close', (code) => resolve({ code, said }));
    });
  const looked = await calibrate('--point', '230,0', '--point', '229.5,1985,10@5');
  t.is(looked.code, 0, looked.said);
  t.deepEqual(view.calibrationPoints, [
    { volts: 230, watts: 0, vars: 0, seenWatts: 0 },
    { volts: 229.5, watts: 1985, vars: 10, seenWatts: 1985 * 1.02 },
  ]);
  t.regex(looked.said, /1985\.0\s+2\.00\s+0\.00\nNothing was written/);
  t.is(view.calibrationNumber, 0);
  t.is((await calibrate('--point', '229.5,1985', '--keep')).code, 0);
  t.is(view.calibrationNumber, 1);
  const wrong = await calibrate('--point', 'a kettle');
  t.is(wrong.code, 1);
  t.regex(wrong.said, /a kettle: a point is VOLTS,WATTS/);
  t.is((await calibrate('--swap')).code, 0);
  t.is(view.calibrationNumber, 2);
});
