/** scripts/verify-evidence: offline, stateless, with an exit code. */
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { RELEASES, type Workbench } from '../../../bench/attestation/workbench.ts';
import { encodeArchive } from '../../../protocol/updates/archive.ts';
import { rawReleaseKey, signManifest } from '../../../protocol/updates/manifest.ts';
import { workbench } from './bench.ts';

const SCRIPT = fileURLToPath(new URL('../../../scripts/verify-evidence', import.meta.url));

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}
const verify = (...args: string[]): Promise<Said> =>
  new Promise((done) => {
    execFile(SCRIPT, args, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });

/** What somebody has who wants to judge for themselves. */
function folder(t: ExecutionContext, bench: Workbench): { directory: string; trust: string[]; reference: string[] } {
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-evidence-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string): string => join(directory, name);
  mkdirSync(at('roots'));
  mkdirSync(at('releases'));
  writeFileSync(at('roots/root.pem'), bench.maker.root);
  writeFileSync(at('roots/intermediate.pem'), bench.maker.intermediate);
  writeFileSync(at('authority.pem'), bench.thirdParty.certificate);
  const archive = encodeArchive([{ path: 'gateway/main.ts', bytes: Buffer.from('of another release') }]);
  mkdirSync(at('releases/1'));
  writeFileSync(at('releases/1/manifest.bin'), signManifest(bench.manifest(1), bench.releaseKey));
  writeFileSync(at('releases/1/firmware.js'), RELEASES[0].image);
  writeFileSync(at('releases/1/gateway.bin'), archive);
  const key = Buffer.from(rawReleaseKey(createPublicKey(bench.releaseKey))).toString('hex');
  return {
    directory,
    trust: ['--roots', at('roots'), '--authority', at('authority.pem')],
    reference: ['--reference', at('releases'), '--release-key', key],
  };
}

test('kept evidence is verified again, in words and as JSON', async (t) => {
  const bench = await workbench(t);
  const { directory, trust, reference } = folder(t, bench);
  const device = await bench.device();
  bench.attest(device);
  const [{ digest }] = bench.verifier.evidenceOf(device.ekSerial);
  const file = join(directory, 'evidence.json');
  writeFileSync(file, JSON.stringify(bench.verifier.keptEvidence(Buffer.from(digest, 'hex'))));

  const words = await verify(file, ...trust, ...reference);
  t.is(words.code, 0, words.stderr);
  t.regex(words.stdout, /^trusted, judged for 2026-06-01T00:00:00.000Z\n/);
  t.true(words.stdout.includes(`device ${device.ekSerial}, area north-1, Lindenweg 4`));
  t.true(words.stdout.includes('warning (6): Whether the challenge was fresh was not checked.'));
  const json = JSON.parse((await verify(file, ...trust, '--json')).stdout);
  t.true(json.trusted);
  t.deepEqual(
    json.warnings.map(({ code }: { code: string }) => code),
    ['challenge unchecked', 'gateway anything', 'meter anything'],
  );

  const late = await verify(file, ...trust, ...reference, '--at', '2050-01-01T00:00:00Z');
  t.is(late.code, 1);
  t.regex(late.stdout, /^NOT trusted, judged for 2050-01-01/);
  t.true(late.stdout.includes('refused (1): The endorsement key is not one of a TPM that is trusted here'));
});

test('evidence of a changed meter, without a maker to trust, of another form', async (t) => {
  const bench = await workbench(t);
  const { directory, trust, reference } = folder(t, bench);
  const device = await bench.device();
  device.image = Buffer.from('another program');
  const file = join(directory, 'evidence.bin');
  writeFileSync(file, device.evidence(bench.verifier.challenge(device.ekSerial).nonce));
  const at = ['--at', new Date(bench.nowMs).toISOString()];
  const refused = await verify(file, ...trust, ...reference, ...at);
  t.is(refused.code, 1);
  t.true(refused.stdout.includes('refused (12): The meter runs another image than the gateway flashed to it.'));

  t.like(await verify(file, ...reference), {
    code: 2,
    stderr: '--roots: is missing; without makers of TPMs to trust there is nothing to verify\n',
  });
  writeFileSync(file, 'no evidence');
  t.like(await verify(file, ...trust), { code: 2, stderr: 'not evidence: evidence.version: is 110, not 3\n' });
});
