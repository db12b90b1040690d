// A substation that is killed (kill -9) right before or after the commit of a pairing:
// node killed-substation.ts FILE WHEN NOW GROUPKEY MESSAGE…
import { randomBytes } from 'node:crypto';
import { Substation } from '../../../operator/substation/substation.ts';
import { settings } from './rig.ts';

const [, , file, when, now, groupKey, ...messages] = process.argv;
const substation = new Substation({
  ...{ file, settings, workers: 1, random: randomBytes, broadcast: () => {} },
  groupKey: Buffer.from(groupKey, 'hex'),
  sign: () => {
    throw new Error('there is nothing new to sign');
  },
});
await substation.tick(Number(now));
for (const message of messages) await substation.take(Buffer.from(message, 'hex'));
const { pairing, books } = substation;
if (when === 'before') {
  const signed = books.signed.bind(books);
  // inside the transaction, when everything but the batch is written
  books.signed = (label, body) => {
    process.kill(process.pid, 'SIGKILL');
    return signed(label, body);
  };
}
await pairing.tick();
process.kill(process.pid, 'SIGKILL');
