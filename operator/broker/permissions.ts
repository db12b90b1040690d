/**
 * Who may do what at the broker: the table of protocol/readings/topics.ts, for both kinds of client. mosquitto does the same by
 * operator/broker/mosquitto/.
 */
import { parsePricesTopic } from '../../protocol/billing/topics.ts';
import { parseControlTopic } from '../../protocol/control/topics.ts';
import { PROVIDER_PARTY_PATTERN } from '../../protocol/readings/provider.ts';
import { ADDRESS_PATTERN, parseAnswerTopic, parseSubmitTopic, TOPICS } from '../../protocol/readings/topics.ts';

/** A gateway is nobody in particular; the others have shown a certificate of the grid's CA with that common name. */
export type Role = 'gateway' | 'collector' | 'provider';

/** The role of a party by its certificate's common name; undefined: none. Every provider has a name of its own. */
export function roleOfParty(name: string): Role | undefined {
  if (name === 'collector') return 'collector';
  return PROVIDER_PARTY_PATTERN.test(name) ? 'provider' : undefined;
}

/** What a client says when it connects. */
export interface Introduction {
  clientId: string;
  username?: string | undefined;
  clean: boolean;
  /** A party's, as its certificate says; the role's where it is left out. */
  name?: string | undefined;
}

/**
 * Why the client may not connect, or undefined. A gateway's identifier has to be a fresh address, and nothing else may tell one
 * gateway from another: no user name, no session that is kept for it. (A last will is a message like any other.)
 */
export function connectObjection(role: Role, introduction: Introduction): string | undefined {
  const { clientId, username, clean, name = role } = introduction;
  if (role === 'gateway' && !ADDRESS_PATTERN.test(clientId)) return 'the client identifier is no address';
  if (role !== 'gateway' && clientId !== name) return "the client identifier is not the party's name";
  if (username !== undefined) return 'a user name is not wanted';
  if (!clean) return 'sessions are not kept';
  return undefined;
}

export interface Publication {
  topic: string;
  qos: number;
  retain: boolean;
}

const DELIVER = TOPICS.batches('');
const isDelivery = (topic: string): boolean =>
  topic.startsWith(DELIVER) && PROVIDER_PARTY_PATTERN.test(topic.slice(DELIVER.length));

/** What a provider says to everybody. */
const isAnnouncement = (topic: string): boolean =>
  parsePricesTopic(topic) !== undefined || parseControlTopic(topic) !== undefined;

export function mayPublish(role: Role, clientId: string, { topic, qos, retain }: Publication): boolean {
  if (retain || qos > 1) return false;
  switch (role) {
    case 'gateway':
      return parseSubmitTopic(topic)?.address === clientId;
    case 'collector':
      return topic === TOPICS.listening || isDelivery(topic) || parseAnswerTopic(topic) !== undefined;
    case 'provider':
      return topic === TOPICS.batchAnswers(clientId) || isAnnouncement(topic);
  }
}

export function maySubscribe(role: Role, clientId: string, topic: string): boolean {
  switch (role) {
    case 'gateway':
      return topic === TOPICS.listening || topic === TOPICS.answer(clientId) || isAnnouncement(topic);
    case 'collector':
      return topic === TOPICS.everySubmit || topic === TOPICS.everyBatchAnswer;
    case 'provider':
      return topic === TOPICS.batches(clientId);
  }
}
