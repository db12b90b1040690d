/**
 * MQTT topics of control messages; the rules of protocol/readings/topics.ts hold here, too: nothing is retained, nothing relies on
 * the broker's memory. What is published is the news; who missed it asks the provider's service (services.ts).
 *
 *   topic                       written by   read by
 *   quietmeter/control/<area>   provider     every gateway
 */
import { AREA_PATTERN } from '../readings/area.ts';

const CONTROL = 'quietmeter/control';

export const controlTopic = (area: string): string => `${CONTROL}/${area}`;

/** The area of a control topic, or undefined. */
export function parseControlTopic(topic: string): string | undefined {
  const area = topic.startsWith(`${CONTROL}/`) ? topic.slice(CONTROL.length + 1) : '';
  return AREA_PATTERN.test(area) ? area : undefined;
}
