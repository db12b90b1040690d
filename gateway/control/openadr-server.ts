/**
 * Events of OpenADR 3 for appliances in the home that read them: `GET /openadr3/3.0.1/events` as a VTN has it, and nothing else of
 * one. Plain HTTP on the home's network: what it says is what the provider says to a whole area, checked.
 */
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import type { ControlMessage } from '../../protocol/control/message.ts';
import { PROGRAM_ID, toOpenAdr } from '../../protocol/control/openadr.ts';

export interface OpenAdrServer {
  url: string;
  close(): Promise<void>;
}

/** @param messages in force or to come */
export async function startOpenAdrServer(
  { host, port }: { host: string; port: number },
  messages: () => readonly ControlMessage[],
): Promise<OpenAdrServer> {
  const server = Fastify({ logger: false, bodyLimit: 1024, forceCloseConnections: true });
  server.get('/openadr3/3.0.1/events', async (request) => {
    const { programID } = request.query as { programID?: string };
    return programID === undefined || programID === PROGRAM_ID ? messages().map(toOpenAdr) : [];
  });
  server.get('/openadr3/3.0.1/events/:id', async (request, reply) => {
    const { id } = request.params as { id: string };
    const event = messages()
      .map(toOpenAdr)
      .find((one) => one.id === id);
    return event ?? reply.code(404).send({ type: 'about:blank', title: 'Not Found', status: 404 });
  });
  await server.listen({ host, port });
  const { port: bound, family, address } = server.server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    close: () => server.close(),
  };
}
