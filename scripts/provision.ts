/**
 * The technician's step (tpm-privacy-concept.txt: the grid operator keeps track of which device is supplied to which household):
 * reads the certificate of a gateway's endorsement key, from its TPM or from a file, and registers it with the grid operator.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Tpm } from '../gateway/tpm/tpm.ts';
import { callAs } from '../operator/shared/client.ts';
import { ADDRESS, AREA, DEVICE, EK_SERIAL } from '../protocol/identity/devices.ts';
import { forgetTriesCall } from '../protocol/identity/pin.ts';
import { fitting } from '../protocol/services/call.ts';

const USAGE = `usage: scripts/provision (--gateway-ek FILE | --tcti TCTI) --operator https://HOST:PORT
                         (--address "STREET 1, 12345 TOWN" --area AREA | --in-stock)
                         --ca FILE --cert FILE --key FILE
       scripts/provision --unlock DEVICE --third-party https://HOST:PORT --ca FILE --cert FILE --key FILE

  --gateway-ek FILE  the gateway's endorsement certificate, DER or PEM
  --tcti TCTI        where its TPM is: device:/dev/tpmrm0 on the gateway itself, swtpm:host=127.0.0.1,port=2321
  --address, --area  where it is installed: for the field visit, and the leaf of the grid's tree
  --in-stock         not installed yet
  --unlock DEVICE    a gateway that was locked after wrong PINs may try again: when its customer has shown who they are
  --third-party      the trusted third party's service, for --unlock
  --ca               the grid's certificate authority, PEM
  --cert, --key      the technician's certificate and key, PEM`;

/** What the person at the keyboard did wrong, or what failed: one sentence, no stack. */
class Complaint extends Error {}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        'gateway-ek': { type: 'string' },
        tcti: { type: 'string' },
        operator: { type: 'string' },
        unlock: { type: 'string' },
        'third-party': { type: 'string' },
        address: { type: 'string' },
        area: { type: 'string' },
        'in-stock': { type: 'boolean', default: false },
        ca: { type: 'string' },
        cert: { type: 'string' },
        key: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new Complaint((error as Error).message);
  }
}
type Options = ReturnType<typeof readOptions>;

type Needed = 'operator' | 'third-party' | 'ca' | 'cert' | 'key';
function needed(options: Options, name: Needed): string {
  const value = options[name];
  if (!value) throw new Complaint(`--${name} is missing`);
  if (name === 'operator' || name === 'third-party') {
    if (!/^https:\/\/[^/\s]+$/.test(value)) throw new Complaint(`--${name} is not of the form https://host:port`);
  } else if (!existsSync(value)) throw new Complaint(`--${name}: there is no file ${value}`);
  return value;
}

function readInstallation({ address, area, 'in-stock': inStock }: Options): { address: string; area: string } | null {
  if (inStock) {
    if (address !== undefined || area !== undefined)
      throw new Complaint('--in-stock: then there is neither --address nor --area');
    return null;
  }
  const found = { address: fitting(ADDRESS, address), area: fitting(AREA, area) };
  for (const [name, field] of Object.entries(found))
    if ('problem' in field) throw new Complaint(`--${name} ${field.problem}`);
  return { address: address!.trim(), area: area! };
}

async function readCertificate({ 'gateway-ek': file, tcti }: Options): Promise<Uint8Array> {
  if ((file === undefined) === (tcti === undefined)) throw new Complaint('one of --gateway-ek and --tcti is needed');
  if (tcti !== undefined) {
    const tpm = await Tpm.open(tcti);
    try {
      return (await tpm.endorsement()).certificate;
    } finally {
      await tpm.close();
    }
  }
  if (!existsSync(file!)) throw new Complaint(`--gateway-ek: there is no file ${file}`);
  try {
    return new X509Certificate(readFileSync(file!)).raw;
  } catch {
    throw new Complaint(`--gateway-ek: ${file} holds no certificate`);
  }
}

try {
  const options = readOptions();
  if (options.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const url = needed(options, options.unlock === undefined ? 'operator' : 'third-party');
  const files = { certFile: needed(options, 'cert'), keyFile: needed(options, 'key') };
  const caFile = needed(options, 'ca');
  if (options.unlock !== undefined) {
    const device = fitting(EK_SERIAL, options.unlock);
    if ('problem' in device) throw new Complaint(`--unlock ${device.problem}`);
    const { forgotten } = await callAs(files, { url, caFile, ...forgetTriesCall, body: { device: device.value } });
    console.log(`gateway ${device.value}: ${forgotten} wrong PINs forgotten`);
    process.exit(0);
  }
  const installation = readInstallation(options);
  const ekCertificate = await readCertificate(options);
  const body = { ekCertificate, installation };
  const { serial, state, address, area } = await callAs(files, { url, caFile, path: '/devices', body, answer: DEVICE });
  console.log(`gateway ${serial}: ${state}${address ? ` at ${address} (${area})` : ''}`);
} catch (error) {
  console.error(`provision: ${(error as Error).message}`);
  if (error instanceof Complaint) console.error(`\n${USAGE}`);
  process.exit(1);
}
