/**
 * Calibrating the meter from the page or from a script: one point after the other, then what they come to, then yes. What the person did
 * wrong, and what cannot be, is answered with 400 and a sentence.
 */
import { BadInput } from '../../web/forms.ts';
import type { PageServer } from '../../web/page-server.ts';
import type { HouseholdView } from './household-view.ts';

/** Their messages are for people. */
const FOR_PEOPLE = ['CalibrationError', 'ImplausibleCalibration', 'TpmError'];

export function addCalibration(server: PageServer, view: HouseholdView): void {
  server.get('/api/calibration', async () => ({ nowMs: view.nowMs(), calibration: view.calibration() }));

  server.post('/api/calibration/point', async (request) => {
    const body = (request.body ?? {}) as Record<string, unknown>;
    const real = { volts: number(body, 'volts'), watts: number(body, 'watts'), vars: number(body, 'vars', 0) };
    const windows = body.windows === undefined ? undefined : number(body, 'windows');
    return { calibration: await inWords(() => view.calibrationPoint(real, windows)) };
  });
  // what the points come to, first to be looked at, then to be kept
  server.post('/api/calibration/fit', async () => ({ fit: await inWords(() => view.calibrate(false)) }));
  server.post('/api/calibration/keep', async () => ({ fit: await inWords(() => view.calibrate(true)) }));
  server.post('/api/calibration/swap', async () => ({ calibration: await inWords(() => view.swapClamp()) }));
  server.post('/api/calibration/forget', async () => ({
    calibration: await inWords(async () => view.forgetPoints()),
  }));
}

function number(body: Record<string, unknown>, field: string, otherwise?: number): number {
  const value = body[field] ?? otherwise;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new BadInput(`body.${field}: a number is wanted`, `body.${field}`);
  return value;
}

async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { name, message } = error as Error;
    if (FOR_PEOPLE.includes(name)) throw new BadInput(message);
    throw error;
  }
}
