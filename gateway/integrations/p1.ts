/**
 * The household's values as DSMR P1 telegrams (P1 Companion Standard 5.0.2), one a second to whoever is connected to a TCP port:
 * what HomeWizard's readers, evcc, DSMR-reader and the like understand. Read only: what a client sends is thrown away.
 *
 * There is one tariff, so all energy stands under tariff 1; the equipment's identifier is derived and names nobody.
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { readNow, type Source } from './source.ts';

const MOST_CLIENTS = 8;
const EQUIPMENT_BYTES = 17;
/** A reader that does not read: what it has not taken is not kept for it. */
const BEHIND_MOST_BYTES = 16_384;

/** CRC-16/ARC (x¹⁶ + x¹⁵ + x² + 1, reflected, from 0), four upper-case digits, over everything from `/` to `!`. */
export function crc16(text: string): string {
  let crc = 0;
  for (const byte of Buffer.from(text, 'latin1')) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
  }
  return crc.toString(16).toUpperCase().padStart(4, '0');
}

/** `YYMMDDhhmmssX`, X is S in summer time and W otherwise (§6.4). */
export function timestamp(unixMs: number, zone: string): string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    year: '2-digit',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  });
  const part = Object.fromEntries(format.formatToParts(unixMs).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second } = part;
  return `${year}${month}${day}${hour}${minute}${second}${isSummer(unixMs, zone) ? 'S' : 'W'}`;
}

function isSummer(unixMs: number, zone: string): boolean {
  const offset = (ms: number): number => {
    const name = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(ms);
    const [, sign, hours, minutes] = /GMT(?:([+-])(\d+):(\d+))?/.exec(
      name.find((p) => p.type === 'timeZoneName')!.value,
    )!;
    return sign === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  };
  const year = new Date(unixMs).getUTCFullYear();
  const standard = Math.min(offset(Date.UTC(year, 0, 1)), offset(Date.UTC(year, 6, 1)));
  return offset(unixMs) !== standard;
}

/** One telegram, or null while nothing is known. */
export function telegram(source: Source, zone: string): string | null {
  const now = readNow(source);
  if (now === null) return null;
  const { point } = now;
  const kwh = (mwh: number): string => `${(Math.floor(mwh / 1000) / 1000).toFixed(3).padStart(10, '0')}*kWh`;
  const kw = (watt: number): string => `${(Math.max(0, Math.round(watt)) / 1000).toFixed(3).padStart(6, '0')}*kW`;
  const equipment = createHash('sha256').update(`quietmeter p1 ${source.householdName}`).digest('hex');
  const lines = [
    '/QMT5quietmeter',
    '',
    '1-3:0.2.8(50)',
    `0-0:1.0.0(${timestamp(point.unixMs, zone)})`,
    `0-0:96.1.1(${equipment.slice(0, 2 * EQUIPMENT_BYTES).toUpperCase()})`,
    `1-0:1.8.1(${kwh(point.importMwh)})`,
    `1-0:1.8.2(${kwh(0)})`,
    `1-0:2.8.1(${kwh(point.exportMwh)})`,
    `1-0:2.8.2(${kwh(0)})`,
    '0-0:96.14.0(0001)',
    `1-0:1.7.0(${kw(point.powerW)})`,
    `1-0:2.7.0(${kw(-point.powerW)})`,
    `1-0:32.7.0(${point.voltageV.toFixed(1).padStart(5, '0')}*V)`,
    `1-0:31.7.0(${String(Math.round(Math.abs(point.currentA))).padStart(3, '0')}*A)`,
    `1-0:21.7.0(${kw(point.powerW)})`,
    `1-0:22.7.0(${kw(-point.powerW)})`,
    '!',
  ];
  const text = lines.join('\r\n');
  return `${text}${crc16(text)}\r\n`;
}

export interface P1Server {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws Error where the port is taken */
export async function startP1(
  source: Source,
  { host, port, everySeconds }: { host: string; port: number; everySeconds: number },
  zone: string = Intl.DateTimeFormat().resolvedOptions().timeZone,
): Promise<P1Server> {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clients.delete(socket));
    socket.resume(); // nothing that is sent here is read
  });
  server.maxConnections = MOST_CLIENTS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const timer = setInterval(() => {
    if (clients.size === 0) return;
    const text = telegram(source, zone);
    if (text === null) return;
    for (const client of clients) if (client.writableLength < BEHIND_MOST_BYTES) client.write(text, 'latin1');
  }, everySeconds * 1000);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      clearInterval(timer);
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
