/**
 * MQTT topics of prices; the rules of protocol/readings/topics.ts hold here, too: nothing is retained, nothing relies on the
 * broker's memory. What is published is the news; who missed it asks the provider's service (services.ts).
 *
 *   topic                        written by   read by
 *   quietmeter/prices/<tariff>   provider     every gateway
 */
import { TARIFF_PATTERN } from './prices.ts';

const PRICES = 'quietmeter/prices';

export const pricesTopic = (tariff: string): string => `${PRICES}/${tariff}`;

/** The tariff of a prices topic, or undefined. */
export function parsePricesTopic(topic: string): string | undefined {
  const tariff = topic.startsWith(`${PRICES}/`) ? topic.slice(PRICES.length + 1) : '';
  return TARIFF_PATTERN.test(tariff) ? tariff : undefined;
}
