// A control centre that is killed (kill -9) right before or right after the commit of a sale: node killed-centre.ts FILE WHEN SALE
import { ControlCentre } from '../../../operator/control-centre/centre.ts';
import { SELLING_MS, settings } from './rig.ts';

const [, , file, when, sale] = process.argv;
const centre = new ControlCentre({
  file,
  settings,
  sign: () => {
    throw new Error('there is nothing new to sign');
  },
  workers: 1,
});
await centre.advance(SELLING_MS);
const { spent } = centre.books;
const spend = spent.spend.bind(spent);
spent.spend = async (one) => {
  if (when === 'before') process.kill(process.pid, 'SIGKILL');
  const outcome = await spend(one);
  process.kill(process.pid, 'SIGKILL');
  return outcome;
};
await centre.handle(Buffer.from(sale, 'hex'));
