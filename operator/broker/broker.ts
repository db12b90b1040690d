/**
 * The embedded broker (MQTT 3.1.1 over TLS 1.3). It carries messages and keeps none: killed and started again, it has forgotten
 * everything, and nothing is lost by that (protocol/readings/topics.ts).
 *
 * Gateways and parties have a listener each. Gateways show no certificate: any that they could show would outlast the day's
 * pseudonym. What they send is judged by the collector, by signature; what the broker must do is keep them apart and keep a flood
 * out. Parties show a certificate of the grid's CA.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import { Counters } from '../shared/counters.ts';
import { Admission } from './admission.ts';
import type { BrokerConfig } from './config.ts';
import { type Excess, ExcessError, GuardedConnection, PacketGuard, type PacketLimits } from './guarded-connection.ts';
import { connectObjection, mayPublish, maySubscribe, type Role, roleOfParty } from './permissions.ts';

/** MQTT 3.1.1, table 3.1. */
const NOT_AUTHORIZED = 5;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5000;
/** A client that does not read for so long is disconnected, or its answers would pile up here. */
const DRAIN_TIMEOUT_MS = 5000;
/** The operator's own parties are not held back. */
const UNLIMITED = { packetBurst: Number.MAX_SAFE_INTEGER, packetsPerSecond: 1 };

type Count = Excess | 'published' | 'tooManyConnections' | 'connectRefused' | 'publishRefused' | 'subscribeRefused';

export interface Broker {
  health(): Record<string, number>;
  close(): Promise<void>;
}

export async function startBroker(config: BrokerConfig): Promise<Broker> {
  const counters = new Counters<Count>();
  const { limits } = config;
  const aedes = await createAedes(counters);

  const tlsOptions = {
    cert: readFileSync(config.certFile),
    key: readFileSync(config.keyFile),
    minVersion: 'TLSv1.3' as const,
    noDelay: true,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
  const take = (socket: TLSSocket, role: Role, packetLimits: PacketLimits, name?: string): void => {
    aedes.handle(new GuardedConnection(socket, role, new PacketGuard(packetLimits, () => performance.now()), name));
  };

  const gateways = createServer(tlsOptions, (socket) =>
    take(socket, 'gateway', {
      packetBytes: limits.gatewayPacketBytes,
      packetBurst: limits.gatewayPacketBurst,
      packetsPerSecond: limits.gatewayPacketsPerSecond,
    }),
  );
  gateways.maxConnections = limits.gateways;

  const parties = createServer(
    { ...tlsOptions, ca: readFileSync(config.caFile), requestCert: true, rejectUnauthorized: true },
    (socket) => {
      const name = String(socket.getPeerCertificate().subject?.CN);
      const role = roleOfParty(name);
      if (role) return take(socket, role, { packetBytes: limits.partyPacketBytes, ...UNLIMITED }, name);
      counters.add('connectRefused');
      socket.destroy();
    },
  );
  const admission = new Admission(limits, () => performance.now());
  for (const server of [gateways, parties]) {
    server.on('connection', (socket) => {
      const address = socket.remoteAddress ?? '';
      if (admission.enter(address)) {
        socket.once('close', () => admission.leave(address));
        return;
      }
      counters.add('tooManyConnections');
      socket.destroy();
    });
    server.on('drop', () => counters.add('tooManyConnections'));
    server.on('tlsClientError', () => counters.add('connectRefused'));
  }

  await Promise.all([listen(gateways, config.gateways), listen(parties, config.parties)]);
  return {
    health: () => ({ connections: aedes.connectedClients, ...counters.read() }),
    close: async () => {
      gateways.close();
      parties.close();
      await new Promise<void>((done) => aedes.close(done));
    },
  };
}

function createAedes(counters: Counters<Count>): Promise<Aedes> {
  return Aedes.createBroker({
    connectTimeout: CONNECT_TIMEOUT_MS,
    drainTimeout: DRAIN_TIMEOUT_MS,
    authenticate: (client, username, _password, done) => {
      const objection = connectObjection(roleOf(client), {
        clientId: client.id,
        username,
        clean: client.clean,
        name: (client.conn as GuardedConnection).partyName,
      });
      if (!objection) return done(null, true);
      counters.add('connectRefused');
      done(Object.assign(new Error(objection), { returnCode: NOT_AUTHORIZED }) as AuthenticateError, null);
    },
    authorizePublish: (client, packet, done) => {
      // without a client it is the broker's own ($SYS), which nobody may subscribe to
      if (!client || mayPublish(roleOf(client), client.id, packet)) {
        counters.add('published');
        return done();
      }
      counters.add('publishRefused');
      done(new Error('not authorised'));
    },
    authorizeSubscribe: (client, subscription, done) => {
      if (maySubscribe(roleOf(client), client.id, subscription.topic)) return done(null, subscription);
      counters.add('subscribeRefused');
      done(null, null);
    },
  }).then((aedes) => {
    const ended = (_client: Client, error: Error): void => {
      if (error instanceof ExcessError) counters.add(error.excess);
    };
    aedes.on('clientError', ended);
    aedes.on('connectionError', ended);
    return aedes;
  });
}

const roleOf = (client: Client): Role => (client.conn as GuardedConnection).role;

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(port, host, () => {
      server.removeListener('error', failed);
      done();
    });
  });
}
