/**
 * `npm run -s measure -- issuing [--json]`: blind signatures and redemptions a second, on one worker and on two, against what
 * `openssl speed rsa2048` does on one core in the same run. A redemption verifies a credential, marks it as spent on disk, together
 * with the answer, and signs a receipt blindly: all that the control centre does for a sale but reading it.
 *
 *   opensslSignPerS   private operations of RSA-2048 on one core
 *   signPerS          blind signatures on one worker           signRatio     of OpenSSL; goal ≥ 0.95
 *   redeemPerS        redemptions on one worker                redeemRatio   of OpenSSL; goal ≥ 0.85
 *   twoWorkersRatio   redemptions on two workers / on one; goal ≥ 1.85
 *
 * Each figure is the median of rounds that follow each other in turn, so that whatever else the machine does meets all alike.
 */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SigningEngine } from '../../operator/shared/signing-engine.ts';
import { SpentSet } from '../../operator/shared/spent-set.ts';
import { openStore } from '../../operator/shared/store.ts';
import { blind, blindSign, blindSigningKey, finalize, importBlindRsaKey } from '../../protocol/crypto/blind-rsa.ts';

const ROUNDS = 5;
const ROUND_MS = 1500;
/** Asked for at once; a door's batch brings as many. */
const AT_ONCE = 512;
/** Different credentials; their identities are made different for each redemption. */
const CREDENTIALS = 256;
const PAYLOAD_BYTES = 40;

export interface IssuingMeasurement {
  opensslSignPerS: number;
  signPerS: number;
  signRatio: number;
  redeemPerS: number;
  redeemRatio: number;
  twoWorkersRatio: number;
}

/** Private operations of RSA-2048 a second on one core. */
function opensslSignPerS(ms: number): number {
  const seconds = String(Math.max(1, Math.round(ms / 1000)));
  const output = execFileSync('openssl', ['speed', '-elapsed', '-mr', '-seconds', seconds, 'rsa2048'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // +F2:index:bits:private operations a second:public operations a second
  const line = /^\+F2:\d+:2048:([\d.]+):/m.exec(output);
  if (!line) throw new Error('openssl speed says nothing of rsa2048');
  return Number(line[1]);
}

interface Credential {
  message: Uint8Array;
  signature: Uint8Array;
  blinded: Uint8Array;
}

export async function measureIssuing(rounds = ROUNDS, roundMs = ROUND_MS): Promise<IssuingMeasurement> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const signer = blindSigningKey(privateKey);
  const key = importBlindRsaKey(signer.modulus);
  const keyId = createHash('sha256').update(signer.modulus).digest();
  const messages = Array.from({ length: CREDENTIALS }, () => randomBytes(PAYLOAD_BYTES));
  const credentials: Credential[] = blind(key, messages).map(({ blinded, inverse }, i) => ({
    message: messages[i],
    signature: finalize(key, messages[i], blindSign(signer, blinded), inverse),
    blinded,
  }));
  const directory = mkdtempSync(join(tmpdir(), 'quietmeter-issuing-'));
  const database = openStore(join(directory, 'spent.sqlite'), '');
  const spent = new SpentSet(database, 'measured');
  const engines = [1, 2].map((workers) => {
    const engine = new SigningEngine({ workers });
    engine.addKey(keyId, signer.modulus, privateKey);
    return engine;
  });
  let redeemed = 0;
  const sign = async (engine: SigningEngine, i: number): Promise<void> => {
    await engine.redeem([], [{ keyId, blinded: credentials[i % CREDENTIALS].blinded }]);
  };
  const redeem = async (engine: SigningEngine, i: number): Promise<void> => {
    const { message, signature, blinded } = credentials[i % CREDENTIALS];
    const answer = await engine.redeem([{ keyId, message, signature }], [{ keyId, blinded }]);
    if (typeof answer === 'string') throw new Error(`a good credential is ${answer}`);
    const id = createHash('sha256').update(message).update(String(redeemed++)).digest();
    const { outcome } = await spent.spend({ period: 0, ids: [id], request: id, answer: answer[0] });
    if (outcome !== 'spent') throw new Error('a new credential was spent before');
  };
  /** So many at once, for a while; a second. */
  const rate = async (engine: SigningEngine, work: typeof sign): Promise<number> => {
    let done = 0;
    const startMs = performance.now();
    const untilMs = startMs + roundMs;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, lane) => {
        for (let i = lane; performance.now() < untilMs; i += AT_ONCE) {
          await work(engine, i);
          done++;
        }
      }),
    );
    return (done * 1000) / (performance.now() - startMs);
  };
  try {
    await Promise.all(engines.map((engine) => Promise.all([sign(engine, 0), redeem(engine, 0)])));
    const series = { openssl: [] as number[], sign: [] as number[], one: [] as number[], two: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      series.openssl.push(opensslSignPerS(roundMs));
      series.sign.push(await rate(engines[0], sign));
      series.one.push(await rate(engines[0], redeem));
      series.two.push(await rate(engines[1], redeem));
    }
    const ratio = (above: number[], below: number[]): number =>
      Math.round(1000 * median(above.map((value, i) => value / below[i]))) / 1000;
    return {
      opensslSignPerS: Math.round(median(series.openssl)),
      signPerS: Math.round(median(series.sign)),
      signRatio: ratio(series.sign, series.openssl),
      redeemPerS: Math.round(median(series.one)),
      redeemRatio: ratio(series.one, series.openssl),
      twoWorkersRatio: ratio(series.two, series.one),
    };
  } finally {
    for (const engine of engines) await engine.close();
    database.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

export async function run({ json }: { json: boolean }): Promise<number> {
  const measured = await measureIssuing();
  if (json) {
    console.log(JSON.stringify(measured));
    return 0;
  }
  const rows: [string, number, number][] = [
    ['openssl speed rsa2048: private operations', measured.opensslSignPerS, 1],
    ['blind signatures, one worker', measured.signPerS, measured.signRatio],
    ['redemptions, one worker', measured.redeemPerS, measured.redeemRatio],
  ];
  for (const [what, perSecond, ratio] of rows)
    console.log(`${what.padEnd(44)} ${String(perSecond).padStart(8)} /s  ${ratio.toFixed(3)} of OpenSSL`);
  console.log(`${'redemptions, two workers / one'.padEnd(44)} ${measured.twoWorkersRatio.toFixed(3).padStart(8)} ×`);
  return 0;
}
