/**
 * The firmware: the meter's parts bound to the board, and its heartbeat. (Espruino dialect)
 *
 * Two files of Storage, written once by whoever commissions the meter, are read at the start:
 *   calibration   firmware/metering/calibration.ts; without it the board as drawn. Later ones: calibration-files.ts
 *   household     {"generator": true} where there is a photovoltaic system or the like: export is no reversed clamp then;
 *                 {"phases": 3} where three are measured, whose second and third have files of their own: calibration2, calibration3
 */
import { FIRST_PROGRAMS, JOURNAL_REGION, layoutOf } from '../hardware/flash.ts';
import { PHASE_PINS } from '../hardware/pins.ts';
import {
  SESSION_CALIBRATION,
  SESSION_LEDGER,
  SESSION_RANDOM,
  SESSION_SELLING,
  SESSION_STORE,
} from '../protocol/wire/sessions.ts';
import { Moduli } from './arithmetic/moduli.ts';
import { Worker } from './arithmetic/worker.ts';
import { Adc } from './board/adc.ts';
import { arithmeticNatives } from './board/arithmetic.ts';
import { textNatives, vaultNatives } from './board/cipher.ts';
import { kickWatchdog, meterId, startWatchdog, uptimeMs } from './board/clock.ts';
import { flashPages, journalNatives } from './board/flash.ts';
import { imageAreas, imageNatives } from './board/images.ts';
import { randomNatives, randomSources } from './board/random.ts';
import { setRelayPin } from './board/relay.ts';
import { sellingNatives } from './board/selling.ts';
import { espruinoNatives, openGatewayPort } from './board/serial.ts';
import { MeterLink } from './link/meter-link.ts';
import { WallClock } from './link/wall-clock.ts';
import { Meter } from './meter.ts';
import { checkCalibration, nominalCalibration } from './metering/calibration.ts';
import { CalibrationFiles } from './metering/calibration-files.ts';
import { Metering, meteringConfig } from './metering/meter.ts';
import { type Phase, Phases } from './metering/phases.ts';
import { EnergyRegisters } from './metering/registers.ts';
import { ReversedClamp } from './metering/reversed-clamp.ts';
import { Random } from './random/random.ts';
import { Relay } from './relay.ts';
import { CalibrationSession } from './session/calibration.ts';
import { LedgerSession } from './session/ledger.ts';
import { Randomness } from './session/randomness.ts';
import { SealedValues } from './session/sealed-values.ts';
import { SellingSession } from './session/selling.ts';
import { ImageReceiver } from './update/image-receiver.ts';
import { Credentials } from './wallet/credentials.ts';
import { Journal } from './wallet/journal.ts';
import { AllocationLedger } from './wallet/ledger.ts';
import { Sealer } from './wallet/sealed.ts';
import { Vault } from './wallet/vault.ts';

/** First 16 hex digits of the bundle's SHA-256, taken with this text here and put in its place by the build. */
const FIRMWARE_DIGEST = '%FIRMWAREDIGEST%';

const storage = require('Storage');
const calibrationFiles = new CalibrationFiles(storage);
const household = storage.readJSON('household', true);
const calibration = calibrationFiles.open();
if (calibrationFiles.complaint !== '') print(calibrationFiles.complaint);

const journal = new Journal(flashPages(JOURNAL_REGION), journalNatives);
journal.open();

const metering = new Metering(E, calibration, meteringConfig());
const adc = new Adc(PHASE_PINS[0][0], PHASE_PINS[0][1]);
let phases: Phases | null = null;
if (household !== undefined && household.phases === 3) {
  const others: Phase[] = [];
  for (let n = 1; n < 3; n++) {
    const document = storage.readJSON('calibration' + (n + 1), true);
    const own = document === undefined ? nominalCalibration() : checkCalibration(document);
    others.push({
      sampler: new Adc(PHASE_PINS[n][0], PHASE_PINS[n][1], adc),
      metering: new Metering(E, own, meteringConfig(), metering),
    });
  }
  phases = new Phases(metering, others);
}
const power = phases || metering;
const meter = new Meter(
  adc,
  power,
  new EnergyRegisters(journal.importMwh, journal.exportMwh, power.noiseMw),
  new ReversedClamp(power.noiseMw, household !== undefined && household.generator === true),
  journal,
  new WallClock(),
  new Relay(setRelayPin),
);
meter.phases = phases;

let timer = 0;
function schedule(): void {
  timer = setTimeout(beat, meter.msToNextTick(uptimeMs()));
}
function beat(): void {
  try {
    meter.tick(uptimeMs());
    kickWatchdog();
  } finally {
    schedule();
  }
}
const port = openGatewayPort((piece) => {
  meter.link!.receive(piece, uptimeMs());
  clearTimeout(timer); // TIME may have moved the seconds
  schedule();
});
const identity = { meterId: meterId(), firmware: FIRMWARE_DIGEST };
meter.link = new MeterLink(port, espruinoNatives, journal, identity, meter, print);

// What is worth money: a vault where this build has flash for one, opened when there are random bytes.
const sessions = meter.link.sessions;
sessions.add(
  new CalibrationSession(
    calibrationFiles,
    metering.shown,
    textNatives,
    (body) => sessions.say(SESSION_CALIBRATION, body),
    () => {
      meter.restart = () => E.reboot();
      meter.restartWanted = true;
    },
  ),
);
const region = layoutOf(storage.getStats().totalBytes).wallet;
const random = new Random(randomNatives, randomSources(adc.raw, identity.meterId));
const vault = region ? new Vault(flashPages(region), vaultNatives, () => random.rootKey()) : null;
const randomness = new Randomness(random, vault, (body) => sessions.say(SESSION_RANDOM, body));
sessions.add(randomness);
meter.vault = vault;
randomness.ready = () => {
  if (!vault) return;
  const ledger = new AllocationLedger(vault, journal);
  sessions.add(new LedgerSession(ledger, (body) => sessions.say(SESSION_LEDGER, body)));
  const store = new SealedValues(new Sealer(vault), (body) => sessions.say(SESSION_STORE, body));
  sessions.add(store);
  const clock = {
    uptimeMs: uptimeMs,
    msToNextTick: () => meter.msToNextTick(uptimeMs()),
    later: (run: () => void, ms: number) => {
      setTimeout(run, ms);
    },
  };
  sessions.add(
    new SellingSession({
      natives: sellingNatives,
      cipher: vaultNatives,
      worker: new Worker(clock),
      moduli: new Moduli(arithmeticNatives),
      store: store,
      ledger: ledger,
      credentials: new Credentials(vault),
      random: (bytes) => random.bytes(bytes),
      meterId: bytesOfHex(identity.meterId),
      say: (body) => sessions.say(SESSION_SELLING, body),
      complain: print,
    }),
  );
};

function bytesOfHex(digits: string): Uint8Array {
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.substr(2 * i, 2), 16);
  return bytes;
}
const booted = global.bootedImage;
if (booted) {
  const areas = imageAreas();
  const text =
    booted.area < 0
      ? (offset: number, length: number) => storage.read(FIRST_PROGRAMS[-1 - booted.area], offset, length)!
      : (offset: number, length: number) => areas[booted.area].text(offset, length);
  const running = {
    area: booted.area,
    version: booted.version,
    length: booted.length,
    trial: booted.trial,
    text: text,
  };
  meter.link.images = new ImageReceiver(areas, imageNatives, running);
  meter.restart = () => E.reboot();
}

startWatchdog();
meter.start(uptimeMs());
schedule();
