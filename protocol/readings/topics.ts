/**
 * The MQTT topics of the readings protocol, and who may do what with them. Every broker enforces this table: the embedded one
 * (operator/broker/permissions.ts) and mosquitto by its ACL file (operator/broker/mosquitto.md).
 *
 *   topic                                        written by              read by
 *   quietmeter/readings/submit/<area>/<address>  the gateway at address  collector
 *   quietmeter/readings/answer/<address>         collector               the gateway at address
 *   quietmeter/readings/listening                collector               every gateway
 *   quietmeter/batches/deliver/<provider>        collector               that provider
 *   quietmeter/batches/answer/<provider>         that provider           collector
 *
 * **A gateway's address** is its MQTT client identifier: 80 random bits that it draws afresh for every connection, and a new
 * connection whenever its pseudonym or software key changes; one connection carries one pseudonym's submissions. So nothing in MQTT or TLS lasts longer than the pseudonym: no
 * client certificate, user name, kept session or resumed TLS session would be as good. Who knows the pseudonym of the day and
 * the network address, as broker and collector do, learns nothing more from it. Nobody else can guess an address, and the
 * broker lets a gateway use its own only: neither answers nor submissions cross.
 *
 * The operator's parties connect to a listener of their own, with a client certificate of the grid's CA whose common name is
 * their role: `collector`, `provider`, and `provider-<name>` where there are several; that name is the one in the topics, so that
 * no provider sees or answers another one's batches.
 *
 * **Nothing relies on the broker's memory.** Quality of service is 1, sessions are clean, nothing is retained; what counts is the
 * answer that comes back when the bytes are on disk. Either side may be gone, so each first subscribes, then speaks: a gateway
 * sends all it has unanswered, the collector says `listening` (no content), upon which gateways send again. Whoever comes second
 * is heard by the first. Between collector and provider it is the same, with the provider's `expect` (batch.ts).
 */
import { AREA_PATTERN } from './area.ts';
import { PROVIDER_PARTY_PATTERN } from './provider.ts';

export const ADDRESS_BYTES = 10;
export const ADDRESS_PATTERN = /^[0-9a-f]{20}$/;

const SUBMIT = 'quietmeter/readings/submit';
const ANSWER = 'quietmeter/readings/answer';
const BATCH_ANSWER = 'quietmeter/batches/answer';

export const TOPICS = {
  submit: (area: string, address: string): string => `${SUBMIT}/${area}/${address}`,
  everySubmit: `${SUBMIT}/+/+`,
  answer: (address: string): string => `${ANSWER}/${address}`,
  listening: 'quietmeter/readings/listening',
  /** @param provider PROVIDER_PARTY_PATTERN */
  batches: (provider: string): string => `quietmeter/batches/deliver/${provider}`,
  batchAnswers: (provider: string): string => `${BATCH_ANSWER}/${provider}`,
  everyBatchAnswer: `${BATCH_ANSWER}/+`,
} as const;

/** Area and address of a submission's topic, or undefined where it is no such topic. */
export function parseSubmitTopic(topic: string): { area: string; address: string } | undefined {
  if (!topic.startsWith(`${SUBMIT}/`)) return undefined;
  const [area, address, ...rest] = topic.slice(SUBMIT.length + 1).split('/');
  if (!AREA_PATTERN.test(area) || !ADDRESS_PATTERN.test(address ?? '') || rest.length > 0) return undefined;
  return { area, address };
}

/** The address of an answer's topic, or undefined. */
export function parseAnswerTopic(topic: string): string | undefined {
  const address = topic.startsWith(`${ANSWER}/`) ? topic.slice(ANSWER.length + 1) : '';
  return ADDRESS_PATTERN.test(address) ? address : undefined;
}

/** The provider of a batch answer's topic, or undefined. */
export function parseBatchAnswerTopic(topic: string): string | undefined {
  const provider = topic.startsWith(`${BATCH_ANSWER}/`) ? topic.slice(BATCH_ANSWER.length + 1) : '';
  return PROVIDER_PARTY_PATTERN.test(provider) ? provider : undefined;
}
