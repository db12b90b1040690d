/**
 * Calibrates the meter of a gateway that runs, over its page's API: what the wizard on the page does, for who has a reference meter and
 * many points.
 *
 *   log in ─► forget old points ─► point, point, … ─► what they come to ─► keep
 */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';

const USAGE = `usage: scripts/calibrate --page https://HOST:PORT --ca FILE [--password-file FILE] [--keep | --swap]
                         [--point VOLTS,WATTS[,VARS][@WINDOWS]] …

  --page           the gateway's page
  --ca             its authority's certificate: web/ca.crt of the gateway's data, or from the page's help
  --password-file  with the page's password; asked for where it is not given
  --point          what is really there: volts and watts as a reference meter shows them, or a known load; 0 watts: nothing is on, or the
                   clamp is open. vars: 0 for what only heats, inductive +. A window takes a second; 30 unless told. Without --point
                   each one is asked for
  --keep           keep what comes out without asking
  --swap           turn the clamp round in software, and nothing else

  Several points between a twentieth of the clamp's range and all of it, and one with nothing on, give the class (docs/flash-and-calibrate.md).`;

/** What the person at the keyboard did wrong, or the gateway's sentence. */
class Complaint extends Error {}

interface Point {
  volts: number;
  watts: number;
  vars: number;
  windows?: number;
}
interface Fit {
  reversed: boolean;
  points: { watts: number; beforePercent: number | null; afterPercent: number | null }[];
  warnings: string[];
}

class Page {
  readonly #session: ClientHttp2Session;
  readonly #origin: string;
  #cookie = '';

  constructor(origin: string, ca: string) {
    this.#origin = origin;
    this.#session = connect(origin, { ca });
    this.#session.on('error', () => {}); // the request says it
  }

  async logIn(password: string): Promise<void> {
    const form = new URLSearchParams({ password }).toString();
    const { status, cookie } = await this.#send('/login', form, 'application/x-www-form-urlencoded');
    if (status !== 303 || !cookie) throw new Complaint('that is not the password');
    this.#cookie = cookie.split(';')[0];
  }
  async post<T>(path: string, body: object = {}): Promise<T> {
    const { status, text } = await this.#send(path, JSON.stringify(body), 'application/json');
    const answer = JSON.parse(text) as T & { error?: string };
    if (status !== 200) throw new Complaint(answer.error ?? `the gateway answers ${status}`);
    return answer;
  }
  close(): void {
    this.#session.close();
  }

  #send(path: string, body: string, type: string): Promise<{ status: number; text: string; cookie?: string }> {
    return new Promise((resolve, reject) => {
      this.#session.on('error', (error) => reject(new Complaint(`${this.#origin}: ${error.message}`)));
      const stream = this.#session.request({
        ':path': path,
        ':method': 'POST',
        'content-type': type,
        origin: this.#origin,
        ...(this.#cookie && { cookie: this.#cookie }),
      });
      let status = 0;
      let cookie: string | undefined;
      let text = '';
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
        cookie = headers['set-cookie']?.[0];
      });
      stream.setEncoding('utf8');
      stream.on('data', (part: string) => {
        text += part;
      });
      stream.on('end', () => resolve({ status, text, cookie }));
      stream.on('error', reject);
      stream.end(body);
    });
  }
}

const POINT = /^(\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)(?:,(-?\d+(?:\.\d+)?))?(?:@(\d+))?$/;
function readPoint(text: string): Point {
  const match = POINT.exec(text.replaceAll(' ', ''));
  if (!match) throw new Complaint(`${text}: a point is VOLTS,WATTS[,VARS][@WINDOWS], such as 231.4,1985`);
  const [, volts, watts, vars, windows] = match;
  const point = { volts: Number(volts), watts: Number(watts), vars: Number(vars ?? 0) };
  return windows === undefined ? point : { ...point, windows: Number(windows) };
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        page: { type: 'string' },
        ca: { type: 'string' },
        'password-file': { type: 'string' },
        point: { type: 'string', multiple: true, default: [] },
        keep: { type: 'boolean', default: false },
        swap: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Complaint((error as Error).message);
  }
}

function showFit({ reversed, points, warnings }: Fit): void {
  if (reversed) console.log('The clamp is the wrong way round: keeping this turns it in software.');
  console.log('       real, W    error before, %    after, %');
  const percent = (value: number | null) => (value === null ? '–' : value.toFixed(2));
  for (const { watts, beforePercent, afterPercent } of points)
    console.log(
      `${watts.toFixed(1).padStart(14)} ${percent(beforePercent).padStart(18)} ${percent(afterPercent).padStart(11)}`,
    );
  for (const warning of warnings) console.log(warning);
}

const people = createInterface({ input: process.stdin, output: process.stderr });
let page: Page | null = null;
try {
  const options = readOptions();
  if (options.help) {
    console.log(USAGE);
    process.exit(0);
  }
  if (!/^https:\/\/[^/\s]+$/.test(options.page ?? ''))
    throw new Complaint('--page is not of the form https://host:port');
  if (options.ca === undefined) throw new Complaint('--ca is missing');
  const given = options.point.map(readPoint);
  const file = options['password-file'];
  const password = file ? readFileSync(file, 'utf8').trim() : await people.question('Password of the page: ');
  page = new Page(options.page!, readFileSync(options.ca, 'utf8'));
  await page.logIn(password);
  if (options.swap) {
    await page.post('/api/calibration/swap');
    console.log('The clamp is turned in software; the meter starts anew within ten seconds.');
    process.exit(0);
  }
  await page.post('/api/calibration/forget');
  const take = async (point: Point): Promise<void> => {
    process.stderr.write(`the meter looks at ${point.watts} W for ${point.windows ?? 30} s …\n`);
    await page!.post('/api/calibration/point', point);
  };
  for (const point of given) await take(point);
  while (given.length === 0) {
    const typed = await people.question('What is there now? VOLTS,WATTS[,VARS], or nothing when that was all: ');
    if (typed.trim() === '') break;
    try {
      await take(readPoint(typed));
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      console.error(error.message);
    }
  }
  showFit((await page.post<{ fit: Fit }>('/api/calibration/fit')).fit);
  const keep = options.keep || (given.length === 0 && /^y/i.test(await people.question('Keep it? (yes/no) ')));
  if (keep) await page.post('/api/calibration/keep');
  console.log(
    keep ? 'Signed and kept; the meter starts anew with it within ten seconds.' : 'Nothing was written (--keep).',
  );
  process.exit(0);
} catch (error) {
  console.error(`calibrate: ${(error as Error).message}`);
  if (error instanceof Complaint && page === null) console.error(`\n${USAGE}`);
  process.exit(1);
}
