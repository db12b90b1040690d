/**
 * `scripts/verify-bill FILE`: one payment, one verdict, no state and no network, nothing secret. FILE is a dispute as
 * protocol/billing/public-data.ts describes it; the checks are the provider's own (protocol/billing/payment.ts).
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Payment } from '../protocol/billing/payment.ts';
import { type Dispute, judgeDispute, readDispute } from '../protocol/billing/public-data.ts';
import { HolderCheck } from '../protocol/identity/certificates.ts';
import { slotStartMs } from '../protocol/time/slots.ts';

const HELP = `usage: scripts/verify-bill FILE [--provider-key HEX] [--authority FILE | --meter-key HEX] [--json]

  FILE                a dispute: payment, signed policy and prices, signed commitments (JSON)
  --provider-key HEX  the provider's offline key that you trust, compressed P-256, 33 bytes
  --authority FILE    the trusted third party's X.509 authority, PEM: it says whose the meter's key is
  --meter-key HEX     the meter's key, where you know it otherwise
  --json              the verdict as JSON

Without these the keys of the file are believed, with a warning: the verdict is then about the file alone.
Ends with 0 where the fee is right, 1 where it is not, 2 where that cannot be said.`;

/** What keeps it from saying anything. */
class Unusable extends Error {}

const hexKey = (name: string, text: string): Uint8Array => {
  if (!/^0[23][0-9a-f]{64}$/.test(text)) throw new Unusable(`--${name}: is no compressed P-256 key in hexadecimal`);
  return Buffer.from(text, 'hex');
};
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** The meter's key that is to be believed. @throws Error in words where the file's is not it */
function meterKeyOf(dispute: Dispute, authority: string | undefined, known: string | undefined): Uint8Array {
  if (authority !== undefined) {
    if (dispute.meterCertificate === null) throw new Unusable('dispute.meterCertificate: is missing');
    const holders = new HolderCheck(readFileSync(authority, 'utf8'));
    return holders.check(dispute.meterCertificate, ['identifier'], slotStartMs(dispute.endSlot)).publicKey;
  }
  return known === undefined ? dispute.meterKey : hexKey('meter-key', known);
}

function run(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'provider-key': { type: 'string' },
      authority: { type: 'string' },
      'meter-key': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [file, ...more] = positionals;
  if (!file || more.length > 0) throw new Unusable('one FILE is needed; --help tells more');
  let dispute: Dispute;
  try {
    dispute = readDispute(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Unusable((error as Error).message);
  }
  const providerKey = values['provider-key'] === undefined ? null : hexKey('provider-key', values['provider-key']);
  const warnings: string[] = [];
  if (providerKey === null) warnings.push("the provider's key is the one in the file");
  if (values.authority === undefined && values['meter-key'] === undefined)
    warnings.push("the meter's key is the one in the file");

  let payment: Payment | null = null;
  let reason: string | null = null;
  try {
    if (providerKey !== null && !same(providerKey, dispute.providerKey))
      throw new Error('dispute.providerKey: is not the key of the provider');
    payment = judgeDispute(dispute, meterKeyOf(dispute, values.authority, values['meter-key']), randomBytes);
  } catch (error) {
    if (error instanceof Unusable) throw error;
    reason = (error as Error).message;
  }
  if (values.json) {
    const { feeMilliCent, exactFee, firstSlot, endSlot, name, number } = payment ?? {};
    const shown = payment && {
      feeMilliCent,
      exactFee: String(exactFee),
      firstSlot,
      endSlot,
      policy: `${name} ${number}`,
    };
    console.log(JSON.stringify({ right: payment !== null, reason, warnings, payment: shown }));
  } else {
    console.log(
      payment
        ? `right: ${(payment.feeMilliCent / 100_000).toFixed(5)} is the fee by policy ${payment.name} ${payment.number}`
        : `WRONG: ${reason}`,
    );
    for (const warning of warnings) console.log(`  warning: ${warning}`);
  }
  return payment ? 0 : 1;
}

try {
  process.exitCode = run();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
