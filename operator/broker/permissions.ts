/**
 * Who may do what at the broker: the table of protocol/readings/topics.ts, for both kinds of client. mosquitto does the same by
 * operator/broker/mosquitto/.
 */
import { parsePricesTopic } from '../../protocol/billing/topics.ts';
import { parseControlTopic } from '../../protocol/control/topics.ts';
import { ADDRESS_PATTERN, parseAnswerTopic, parseSubmitTopic, TOPICS } from '../../protocol/readings/topics.ts';

/** A gateway is nobody in particular; the others have shown a certificate of the grid's CA with that common name. */
export type Role = 'gateway' | 'collector' | 'provider';
export const PARTIES: readonly Role[] = ['collector', 'provider'];

/** What a client says when it connects. */
export interface Introduction {
  clientId: string;
  username?: string | undefined;
  clean: boolean;
}

/**
 * Why the client may not connect, or undefined. A gateway's identifier has to be a fresh address, and nothing else may tell one
 * gateway from another: no user name, no session that is kept for it. (A last will is a message like any other.)
 */
export function connectObjection(role: Role, introduction: Introduction): string | undefined {
  const { clientId, username, clean } = introduction;
  if (role === 'gateway' && !ADDRESS_PATTERN.test(clientId)) return 'the client identifier is no address';
  if (role !== 'gateway' && clientId !== role) return 'the client identifier is not the role';
  if (username !== undefined) return 'a user name is not wanted';
  if (!clean) return 'sessions are not kept';
  return undefined;
}

export interface Publication {
  topic: string;
  qos: number;
  retain: boolean;
}

/** What the provider says to everybody. */
const isAnnouncement = (topic: string): boolean =>
  parsePricesTopic(topic) !== undefined || parseControlTopic(topic) !== undefined;

export function mayPublish(role: Role, clientId: string, { topic, qos, retain }: Publication): boolean {
  if (retain || qos > 1) return false;
  switch (role) {
    case 'gateway':
      return parseSubmitTopic(topic)?.address === clientId;
    case 'collector':
      return topic === TOPICS.listening || topic === TOPICS.batches || parseAnswerTopic(topic) !== undefined;
    case 'provider':
      return topic === TOPICS.batchAnswers || isAnnouncement(topic);
  }
}

export function maySubscribe(role: Role, clientId: string, topic: string): boolean {
  switch (role) {
    case 'gateway':
      return topic === TOPICS.listening || topic === TOPICS.answer(clientId) || isAnnouncement(topic);
    case 'collector':
      return topic === TOPICS.everySubmit || topic === TOPICS.batchAnswers;
    case 'provider':
      return topic === TOPICS.batches;
  }
}
