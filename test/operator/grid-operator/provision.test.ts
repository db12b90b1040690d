// scripts/provision as a technician runs it: against a real register, from a TPM and from a file.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { GridCa } from '../../../bench/grid-ca.ts';
import { ADDRESS, AREA, gatewayOf, START_MS, startSide } from '../identity-side.ts';

const SCRIPT = resolve(import.meta.dirname, '../../../scripts/provision.ts');

function provision(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

test('a gateway is registered from its TPM, and found by the third party; mistakes are one sentence', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side, 'unregistered');
  const ca = await GridCa.open(join(side.directory, 'grid-ca'));
  const { certFile, keyFile } = await ca.client('technician');
  const access = ['--operator', side.side.urls.gridOperator, '--ca', ca.caFile, '--cert', certFile, '--key', keyFile];
  const { certificate } = await gateway.tpm.endorsement();
  const file = join(side.directory, 'ek.der');
  writeFileSync(file, certificate);

  const stock = await provision('--gateway-ek', file, '--in-stock', ...access);
  t.regex(stock.stdout, /^gateway [0-9a-f]+: in stock\n$/);
  const installed = await provision('--tcti', gateway.swtpm.tcti, '--address', ADDRESS, '--area', AREA, ...access);
  t.regex(installed.stdout, /^gateway [0-9a-f]+: installed at Musterweg 5, 12345 Musterstadt \(north-1\)\n$/);
  t.is(installed.code, 0);
  await side.advance(START_MS);
  t.like(await side.thirdParty.ask('identities'), { devices: 1 });

  const collector = await ca.client('collector');
  const place = ['--address', ADDRESS, '--area', AREA];
  for (const [args, sentence] of [
    [['--gateway-ek', file, '--address', ADDRESS, ...access], '--area is missing'],
    [
      ['--gateway-ek', file, '--address', ADDRESS, '--area', 'North', ...access],
      '--area is no area: lower-case letters',
    ],
    [['--gateway-ek', join(side.directory, 'none'), ...place, ...access], '--gateway-ek: there is no file'],
    [['--gateway-ek', ca.caFile, ...place, ...access], 'certificate'],
    [['--gateway-ek', keyFile, ...place, ...access], 'holds no certificate'],
    [[...place, ...access], 'one of --gateway-ek and --tcti is needed'],
    [
      ['--gateway-ek', file, ...place, '--operator', side.side.urls.gridOperator, '--ca', ca.caFile],
      '--cert is missing',
    ],
    [
      ['--gateway-ek', file, ...place, ...access, '--cert', collector.certFile, '--key', collector.keyFile],
      'only technician, console may ask this',
    ],
  ] as const) {
    const { code, stderr } = await provision(...args);
    t.is(code, 1, sentence);
    const [line] = stderr.split('\n');
    t.true(line.startsWith('provision: ') && line.includes(sentence), line);
  }
});
