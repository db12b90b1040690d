/**
 * MQTT topics of control messages; the rules of protocol/readings/topics.ts hold here, too: nothing is retained, nothing relies on
 * the broker's memory. What is published is the news; who missed it asks the provider's service (services.ts).
 *
 *   topic                             written by     read by
 *   quietmeter/control/<area>/<key>   that provider  every gateway of the area whose provider it is
 *
 * `key` names the provider's control key: first 8 B of SHA-256("quietmeter/v1/control-key" ‖ 00 ‖ control key), hexadecimal. So
 * gateways hear their own provider and nobody else's, and a change of provider is another topic.
 */
import { createHash } from 'node:crypto';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';

const CONTROL = 'quietmeter/control';
const KEY_PATTERN = /^[0-9a-f]{16}$/;

/** @param controlKey the provider's, Ed25519, 32 B */
export const controlTopic = (area: string, controlKey: Uint8Array): string =>
  `${CONTROL}/${area}/${createHash('sha256').update(labelled(LABELS.controlKey, controlKey)).digest('hex').slice(0, 16)}`;

/** The area of a control topic, or undefined. */
export function parseControlTopic(topic: string): string | undefined {
  if (!topic.startsWith(`${CONTROL}/`)) return undefined;
  const [area, key = '', ...rest] = topic.slice(CONTROL.length + 1).split('/');
  return AREA_PATTERN.test(area) && KEY_PATTERN.test(key) && rest.length === 0 ? area : undefined;
}
