/** `scripts/plan-challenge`: the trade between finding false claims and seeing sale times, as a table and a chart. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ChallengePlan, leastChallenge, PlanError, planChallenge } from '../protocol/selling/planner.ts';

const HELP = `usage: scripts/plan-challenge [--claims N] [--false K] [--svg FILE] [--json]

  --claims N   claims in a customer's list of a month (3000)
  --false K    false ones among them (30)
  --svg FILE   draws probabilities against the share of sale times that is revealed
  --json       {rows: [{n, m, k, foundAlone, foundPair, revealed}], least: {alone95, pair95}}

One round of m-of-n mode: of N claims m are opened. "alone": the probability to find any of K false claims of one customer; "pair": two
customers who claim the same K used credentials. Each opened claim shows the slot of one sale. With receipts, the default, nothing is
opened and none of this is needed. Ends with 0, or 2 where the numbers make no plan.`;

/** Shares of the claims that stand in the table. */
const SHARES = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1];
/** Points of each line of the chart. */
const POINTS = 100;
const CERTAIN = 0.95;

function run(): number {
  const { values } = parseArgs({
    options: {
      claims: { type: 'string', default: '3000' },
      false: { type: 'string', default: '30' },
      svg: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const n = wholeNumber('--claims', values.claims);
  const k = wholeNumber('--false', values.false);
  const rows = [...new Set(SHARES.map((share) => Math.ceil(share * n)))].map((m) => planChallenge(n, m, k));
  const least = {
    alone95: leastChallenge(n, k, CERTAIN, 'alone'),
    pair95: leastChallenge(n, k, CERTAIN, 'pair'),
  };
  if (values.svg) {
    const line = Array.from({ length: POINTS + 1 }, (_, i) => planChallenge(n, Math.round((i * n) / POINTS), k));
    writeFileSync(values.svg, chart(line));
  }
  if (values.json) console.log(JSON.stringify({ rows, least }));
  else console.log(table(rows, least));
  return 0;
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new PlanError(option, `is ${text}, no whole number`);
  return Number(text);
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function table(rows: readonly ChallengePlan[], least: { alone95: number; pair95: number }): string {
  const { n, k } = rows[0];
  const cells = (texts: readonly string[]): string => texts.map((text) => text.padStart(17)).join('');
  return [
    `${n} claims, ${k} of them false`,
    '',
    cells(['m', 'times revealed', 'found alone', 'found, a pair']),
    ...rows.map((row) =>
      cells([String(row.m), percent(row.revealed), percent(row.foundAlone), percent(row.foundPair)]),
    ),
    '',
    `found in 95 %: alone from m = ${least.alone95} on (${percent(least.alone95 / n)} revealed), a pair from m = ${least.pair95} on (${percent(least.pair95 / n)})`,
  ].join('\n');
}

/** Lines over the unit square, in pixels from the upper left. */
function chart(points: readonly ChallengePlan[]): string {
  const [left, top, width, height] = [64, 40, 520, 320];
  const { n, k } = points[0];
  const x = (share: number): string => (left + share * width).toFixed(1);
  const y = (share: number): string => (top + (1 - share) * height).toFixed(1);
  const line = (name: 'foundAlone' | 'foundPair', colour: string, dash: string): string => {
    const path = points.map((point) => `${x(point.revealed)},${y(point[name])}`).join(' ');
    return `<polyline fill="none" stroke="${colour}" stroke-width="2.5"${dash} points="${path}"/>`;
  };
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => `
  <line x1="${left}" x2="${left + width}" y1="${y(share)}" y2="${y(share)}" stroke="#d8dee4"/>
  <text x="${left - 8}" y="${y(share)}" text-anchor="end" dominant-baseline="middle">${100 * share} %</text>
  <text x="${x(share)}" y="${top + height + 20}" text-anchor="middle">${100 * share} %</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="440" viewBox="0 0 640 440" role="img" aria-label="Probability of finding ${k} false claims among ${n} against the share of sale times revealed" font-family="system-ui, sans-serif" font-size="13" fill="#24292f">
  <rect width="640" height="440" fill="#ffffff"/>
  <text x="${left}" y="22" font-size="15" font-weight="600">${k} false claims among ${n}: how surely they are found</text>${grid.join('')}
  ${line('foundAlone', '#0b6bcb', '')}
  ${line('foundPair', '#b35900', ' stroke-dasharray="7 4"')}
  <text x="${left + width / 2}" y="${top + height + 44}" text-anchor="middle">share of sale times that the control centre sees (m/n)</text>
  <line x1="${left + 20}" x2="${left + 50}" y1="418" y2="418" stroke="#0b6bcb" stroke-width="2.5"/>
  <text x="${left + 58}" y="422">a customer alone</text>
  <line x1="${left + 240}" x2="${left + 270}" y1="418" y2="418" stroke="#b35900" stroke-width="2.5" stroke-dasharray="7 4"/>
  <text x="${left + 278}" y="422">a pair that claims the same credentials</text>
</svg>
`;
}

try {
  process.exitCode = run();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
