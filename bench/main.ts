/** `scripts/run`: see options.ts for what it takes. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Neighbourhood } from './neighbourhood.ts';
import { parseRunOptions, UsageError, usage } from './options.ts';
import { Progress } from './progress.ts';
import { formatReport, isGood } from './report.ts';
import { planRun, runDays } from './run.ts';

const progress = new Progress();
let neighbourhood: Neighbourhood | null = null;
const ending = new AbortController();
/** The days are over, the page is up. */
let live = false;

async function run(): Promise<number> {
  const options = parseRunOptions(process.argv.slice(2));
  if (options === null) {
    console.log(usage);
    return 0;
  }
  const plan = await planRun(options);
  const { scenario, startMs, endMs } = plan;
  const port = options.report === null ? options.port : null;
  neighbourhood = await Neighbourhood.start({ scenario, startMs, endMs, stateDir: options.state, port, progress });
  const report = await runDays(neighbourhood, plan, options.speed, progress);
  console.log(`\n${plan.title}, seed ${report.seed}, ${report.startUtc}\n\n${formatReport(report, scenario.k)}\n`);
  for (const { fromMs, toMs } of plan.gaps) {
    const minute = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
    console.log(`the recording has a gap from ${minute(fromMs)} to ${minute(toMs)} UTC: nothing was drawn`);
  }
  if (options.report !== null) {
    writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
    return isGood(report) ? 0 : 1;
  }
  for (const page of neighbourhood.pages) {
    console.log(`${page.name}: ${page.url}`);
    if (page.firstPassword) console.log(`  password, shown this once: ${page.firstPassword}`);
    else console.log(`  password: as shown at its first start (forgotten: remove ${relative('.', page.passwordFile)})`);
    console.log(`  its certificate authority, SHA-256: ${page.authorityFingerprint}`);
  }
  console.log(
    `\nThe clock goes on at real speed. How to trust the page's certificate: ${neighbourhood.pages[0].url}/help`,
  );
  console.log('Ctrl-C ends it.');
  live = true;
  await neighbourhood.conductor.runLive(ending.signal);
  return 0;
}

/** The first signal ends the run in order; a second one does not wait. */
function end(): void {
  if (ending.signal.aborted) process.exit(130);
  ending.abort();
  // while the days run there is nobody to see the abort: what they wait for ends here
  void stop().then(() => process.exit(live ? 0 : 130));
}

let stopped: Promise<unknown> | null = null;
function stop(): Promise<unknown> {
  stopped ??= Promise.race([neighbourhood?.stop(), sleep(8000)]);
  return stopped;
}

process.on('SIGINT', end);
process.on('SIGTERM', end);
let code = 2;
try {
  code = await run();
} catch (error) {
  if (ending.signal.aborted) {
    code = 130;
  } else {
    progress.done();
    console.error(`\nquietmeter: ${(error as Error).message}`);
    if (error instanceof UsageError) console.error(`\n${usage}`);
    else if (process.env.DEBUG) console.error((error as Error).stack);
  }
}
await stop();
process.exit(code);
