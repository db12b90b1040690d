/**
 * `npm run -s measure -- linkage [--party NAME] [--mode MODE] [--trials N] [--seed N] [--json]`: the linkage game for every party built
 * so far. Positive controls come first: where one is missed the game is void. Expected leaks are printed with their reason. The exit
 * code is 1 where a party learned what it must not, or a control was missed.
 */
import { parseArgs } from 'node:util';
import {
  CONTROL_ADVANTAGE,
  type Control,
  isVoid,
  playControl,
  playGame,
  playRun,
  type Run,
  type Verdict,
} from '../privacy/game.ts';
import { LEAKS } from '../privacy/leaks.ts';
import { CONTROLLED, PARTIES } from '../privacy/parties.ts';
import { ACCEPTANCE_TRIALS, ACCEPTED_ADVANTAGE, mostRight } from '../privacy/statistics.ts';
import { Progress } from '../progress.ts';

/** 100 guesses for the record, as many for training. */
const CONTROL_RUNS = 8;

export async function playControls(seed: number, runs = CONTROL_RUNS, pairs?: number): Promise<Control[]> {
  const played: Run[] = [];
  for (let i = 0; i < runs; i++) played.push(await playRun(CONTROLLED, seed + i, pairs));
  return LEAKS.map((leak) => playControl(leak, played, seed));
}

export async function run({ json, args }: { json: boolean; args: string[] }): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      party: { type: 'string' },
      mode: { type: 'string' },
      trials: { type: 'string', default: String(ACCEPTANCE_TRIALS) },
      seed: { type: 'string', default: '1' },
    },
  });
  const [trials, seed] = [Number(values.trials), Number(values.seed)];
  if (!Number.isInteger(trials) || trials < 1 || !Number.isInteger(seed)) {
    console.error('--trials and --seed take whole numbers');
    return 2;
  }
  const parties = PARTIES.filter(({ name, mode }) => (values.party ?? name) === name && (values.mode ?? mode) === mode);
  if (parties.length === 0) {
    const names = PARTIES.map(({ name, mode }) => (mode ? `${name} (${mode})` : name));
    console.error(`nobody of that name and mode; there are: ${names.join(', ')}`);
    return 2;
  }
  const progress = new Progress();
  progress.task('positive controls');
  const controls = await playControls(seed);
  const verdicts: Verdict[] = [];
  for (const party of parties) {
    const title = party.mode ? `${party.name}, ${party.mode}` : party.name;
    progress.task(title);
    verdicts.push(await playGame(party, { trials, seed: seed + 1000, progress: (share) => progress.at(share) }));
  }
  progress.done();
  if (json) console.log(JSON.stringify({ rows: verdicts.map(({ row }) => row), controls }));
  else print(verdicts, controls, trials);
  const found = trials >= ACCEPTANCE_TRIALS && verdicts.some(({ accepted }) => accepted === false);
  return isVoid(controls) || found ? 1 : 0;
}

function print(verdicts: readonly Verdict[], controls: readonly Control[], trials: number): void {
  const share = (value: number): string => value.toFixed(3).padStart(7);
  console.log('planted leak                 advantage');
  for (const { leak, advantage } of controls)
    console.log(
      `${leak.padEnd(28)} ${share(advantage)}${advantage < CONTROL_ADVANTAGE ? '  MISSED: the game is void' : ''}`,
    );
  console.log('\nparty                 mode        guesses  advantage   ≤ (99 %)  by runs   best adversary');
  for (const { row, adversary, bootstrap99, accepted, reason } of verdicts) {
    const refused = trials < ACCEPTANCE_TRIALS ? 'undecided' : 'not accepted';
    const verdict = accepted === null ? `expected: ${reason}` : accepted ? 'accepted' : refused;
    console.log(
      `${row.party.padEnd(21)} ${row.mode.padEnd(11)} ${String(row.trials).padStart(7)}    ${share(row.advantage)}    ${share(row.upperBound99)}  ${share(bootstrap99)}   ${adversary}; ${verdict}`,
    );
  }
  console.log(
    trials >= ACCEPTANCE_TRIALS
      ? `\naccepted: with 99 % confidence the advantage is at most ${ACCEPTED_ADVANTAGE}, that is at most ${mostRight(trials)} of ${trials} right`
      : `\n${trials} guesses accept an honest party by luck only: ${ACCEPTANCE_TRIALS} are meant`,
  );
}
