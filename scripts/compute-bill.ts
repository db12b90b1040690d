/**
 * `scripts/compute-bill FILE`: what the gateway would compute, on whatever device the customer likes (protocol/billing/public-data.ts).
 * It needs no key that signs; the payment that it writes is checked by the provider like any other.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readPayment } from '../protocol/billing/payment.ts';
import { computePayment, readDelegation } from '../protocol/billing/public-data.ts';

const HELP = `usage: scripts/compute-bill FILE [--out PAYMENT] [--json]

  FILE            a delegation, as the household's page gives it; it holds the readings of a month: keep it secret
  --out PAYMENT   where the payment message is written
  --json          the fee as JSON

Ends with 0 where the payment was computed, 2 where it could not be.`;

function run(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const [file, ...more] = positionals;
  if (!file || more.length > 0) throw new Error('one FILE is needed; --help tells more');
  const startMs = performance.now();
  const payment = computePayment(readDelegation(readFileSync(file, 'utf8')), randomBytes);
  const ms = Math.round(performance.now() - startMs);
  if (values.out) writeFileSync(values.out, payment);
  const { name, number, month, firstSlot, endSlot, exactFee, feeMilliCent } = readPayment(payment);
  const told = { policy: `${name} ${number}`, month, firstSlot, endSlot, feeMilliCent, exactFee: String(exactFee) };
  if (values.json)
    console.log(
      JSON.stringify({ ...told, bytes: payment.length, payment: Buffer.from(payment).toString('base64url') }),
    );
  else
    console.log(
      `${(feeMilliCent / 100_000).toFixed(5)} by policy ${told.policy}, ${endSlot - firstSlot} quarter hours; ` +
        `payment of ${payment.length} bytes, proved in ${ms} ms`,
    );
}

try {
  run();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
