/**
 * The bus between gateway and TPM, with a hand on it: sees every command and answer, and loses or forges them. It stands on a port
 * of its own in front of a swtpm; one client that stays connected may send many commands, as through a device.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

/** TPM_CC (Part 2, 6.5.2) of the commands that tests look for. */
export const CC = {
  nvIncrement: 0x134,
  nvWrite: 0x137,
  startup: 0x144,
  unseal: 0x15e,
  getRandom: 0x17b,
  pcrExtend: 0x182,
} as const;

/**
 * `lose command`: it never reaches the TPM. `lose answer`: the TPM has done it, but nobody hears of it. A number: the TPM is not
 * asked, and this is the return code.
 */
export type Fate = 'pass' | 'lose command' | 'lose answer' | number;

export interface Bus {
  readonly tcti: string;
  readonly port: number;
  /** Decides over each command, by its code. */
  fate: (command: number) => Fate;
  /** Changes the TPM's answer in place. @returns whether it did */
  alter: (answer: Buffer) => boolean;
  /** How many answers were altered. */
  altered: number;
  /** Everything that went over it, both ways, joined. */
  seen(): Buffer;
  /** Codes of all commands, in order. */
  commands: number[];
}

const HEADER_BYTES = 10;

export async function busTo(t: ExecutionContext, tpm: { port: number }): Promise<Bus> {
  const seen: Buffer[] = [];
  const sockets = new Set<Socket>();
  const bus: Bus = {
    tcti: '',
    port: 0,
    fate: () => 'pass',
    alter: () => false,
    altered: 0,
    seen: () => Buffer.concat(seen),
    commands: [],
  };

  const serve = (client: Socket): void => {
    let waiting = Buffer.alloc(0);
    let busy: Promise<void> = Promise.resolve();
    const handle = async (command: Buffer): Promise<void> => {
      const code = command.readUInt32BE(6);
      bus.commands.push(code);
      seen.push(command);
      const fate = bus.fate(code);
      if (fate === 'lose command') return void client.destroy();
      const answer = typeof fate === 'number' ? refusal(fate) : await ask(tpm.port, command, sockets);
      if (fate === 'lose answer' || !answer) return void client.destroy();
      seen.push(Buffer.from(answer));
      if (bus.alter(answer)) bus.altered++;
      client.write(answer);
    };
    client.on('data', (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= HEADER_BYTES && waiting.length >= waiting.readUInt32BE(2)) {
        const command = waiting.subarray(0, waiting.readUInt32BE(2));
        waiting = waiting.subarray(command.length);
        busy = busy.then(() => handle(command));
      }
    });
  };
  /** swtpm's control channel, as it is. */
  const control = (client: Socket): void => {
    const through = track(connect(tpm.port + 1, '127.0.0.1'), sockets);
    client.pipe(through).pipe(client);
  };

  const servers: Server[] = [];
  const listen = (port: number, take: (client: Socket) => void): Promise<boolean> =>
    new Promise((done) => {
      const server = createServer((client) => take(track(client, sockets)));
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => {
        servers.push(server);
        done(true);
      });
    });
  t.teardown(() => {
    for (const server of servers) server.close();
    for (const socket of sockets) socket.destroy();
  });
  let port = 0;
  do port = 9_000 + 2 * Math.floor(Math.random() * 5_000);
  while (!((await listen(port, serve)) && (await listen(port + 1, control))));
  return Object.assign(bus, { port, tcti: `swtpm:host=127.0.0.1,port=${port}` });
}

function track(socket: Socket, all: Set<Socket>): Socket {
  all.add(socket);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => all.delete(socket));
  return socket;
}

/** The TPM's answer, on a connection of its own as swtpm wants it here; null where it gives none. */
const ask = (port: number, command: Buffer, sockets: Set<Socket>): Promise<Buffer | null> =>
  new Promise((done) => {
    const socket = track(connect(port, '127.0.0.1'), sockets);
    let answer = Buffer.alloc(0);
    socket.write(command);
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < HEADER_BYTES || answer.length < answer.readUInt32BE(2)) return;
      socket.destroy();
      done(answer);
    });
    socket.once('close', () => done(null));
  });

function refusal(rc: number): Buffer {
  const answer = Buffer.alloc(HEADER_BYTES);
  answer.writeUInt16BE(0x8001); // TPM_ST_NO_SESSIONS
  answer.writeUInt32BE(HEADER_BYTES, 2);
  answer.writeUInt32BE(rc, 6);
  return answer;
}
