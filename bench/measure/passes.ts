/**
 * `npm run -s measure -- passes [--json]`: attestation passes on one core. The verifier's signature is bounded by one RSA-2048
 * private operation of OpenSSL, measured in the same run; an issue is a signature that is on the disk before it leaves.
 */
import { constants, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassOffice } from '../../operator/verifier/passes.ts';
import { blindPasses, decodePass, finishPass, verifyPass } from '../../protocol/attestation/pass.ts';
import { blindSign, generateBlindSigningKey, importBlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';
import { generateEd25519Key, signEd25519 } from '../../protocol/crypto/ed25519.ts';
import { generateSigningKey } from '../../protocol/crypto/p256.ts';
import { DAY_MS } from '../../protocol/time/slots.ts';

const MEASURED_MS = 700;
const DAY = 20_000;

export interface PassMeasurement {
  /** The verifier: bare signatures, the bound, and their ratio. */
  signPerSecond: number;
  limitPerSecond: number;
  ratio: number;
  /** The verifier: asked, signed, and on its disk. */
  issuePerSecond: number;
  /** The collector, once for each pseudonym and day. */
  verifyPerSecond: number;
  /** The gateway, once a day. */
  blindPerSecond: number;
  finishPerSecond: number;
}

export async function measurePasses(measuredMs = MEASURED_MS): Promise<PassMeasurement> {
  const perSecond = (work: (i: number) => void): number => {
    work(0); // imports keys, fills caches
    const startMs = performance.now();
    let times = 0;
    while (performance.now() - startMs < measuredMs) work(++times);
    return Math.round((times * 1000) / (performance.now() - startMs));
  };
  const signer = await generateBlindSigningKey();
  const key = importBlindRsaKey(signer.modulus);
  const wanted = [{ key, day: DAY, pseudonym: generateSigningKey().publicKey }];
  const [{ blinded, inverse, ...claims }] = blindPasses(wanted, randomBytes);
  const answer = blindSign(signer, blinded);
  const pass = decodePass(finishPass(key, claims, answer, inverse))!;
  const plain = { key: signer.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 };

  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-passes-'));
  try {
    const master = generateEd25519Key();
    const office = new PassOffice({
      file: join(directory, 'passes.sqlite'),
      sign: (message) => signEd25519(master.privateKey, message),
      leastDaysAhead: 1,
      batchDays: 1,
    });
    const nowMs = DAY * DAY_MS;
    await office.advance(nowMs);
    // whatever is below every modulus of 2048 bits can be signed
    const request = { passes: [{ day: DAY, blinded: randomBytes(256).fill(0, 0, 1) }] };
    const issuePerSecond = perSecond((i) => {
      office.issuePasses({ device: `device-${i}`, request, trusted: true, nowMs });
    });
    office.close();
    const limitPerSecond = perSecond(() => sign('sha384', blinded, plain));
    const signPerSecond = perSecond(() => blindSign(signer, blinded));
    return {
      signPerSecond,
      limitPerSecond,
      ratio: Math.round((100 * signPerSecond) / limitPerSecond) / 100,
      issuePerSecond,
      verifyPerSecond: perSecond(() => verifyPass(pass, key)),
      blindPerSecond: perSecond(() => blindPasses(wanted, randomBytes)),
      finishPerSecond: perSecond(() => finishPass(key, claims, answer, inverse)),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function run({ json }: { json: boolean }): Promise<number> {
  const measured = await measurePasses();
  if (json) console.log(JSON.stringify(measured));
  else {
    const rows = [
      ['verifier: blind signature', measured.signPerSecond],
      ['  bound: one private operation of OpenSSL', measured.limitPerSecond],
      ['verifier: asked, signed, on disk', measured.issuePerSecond],
      ['collector: pass verified', measured.verifyPerSecond],
      ['gateway: pass blinded', measured.blindPerSecond],
      ['gateway: signature unblinded and verified', measured.finishPerSecond],
    ] as const;
    for (const [what, rate] of rows) console.log(`${what.padEnd(44)} ${String(rate).padStart(8)} /s`);
    console.log(`${'signature / bound'.padEnd(44)} ${measured.ratio.toFixed(2).padStart(8)}`);
  }
  return 0;
}
