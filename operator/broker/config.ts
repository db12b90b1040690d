import * as v from 'valibot';
import { clockKind, count, port } from '../shared/config.ts';

const listener = v.strictObject({ host: v.optional(v.string(), '127.0.0.1'), port });

const limits = v.strictObject({
  /** Open connections on the gateways' listener, all together. */
  gateways: v.optional(count, 10_000),
  connectionsPerAddress: v.optional(count, 256),
  newConnectionsPerSecond: v.optional(count, 200),
  /** A submission has less than 740 bytes. */
  gatewayPacketBytes: v.optional(count, 1024),
  /** A batch of the most items that one may have. */
  partyPacketBytes: v.optional(count, 1_048_576),
  /** A backlog of 35 days is 3,360 submissions, each answer is acknowledged. */
  gatewayPacketBurst: v.optional(count, 16_000),
  gatewayPacketsPerSecond: v.optional(count, 400),
});

export const brokerConfig = v.strictObject({
  /** Where gateways connect, without a name. */
  gateways: listener,
  /** Where collector and provider connect, with a certificate of the grid's CA. */
  parties: listener,
  caFile: v.string(),
  certFile: v.string(),
  keyFile: v.string(),
  clock: clockKind,
  limits: v.optional(limits, {}),
});
export type BrokerConfig = v.InferOutput<typeof brokerConfig>;
