/**
 * What the gateway's configuration says of the home's other systems. Each is off unless it stands here, and each says what
 * it reveals to whom (docs/integrations.md): they carry what the grid side is never told.
 */
import * as v from 'valibot';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));
const port = v.pipe(
  v.number(),
  v.integer('is no whole number'),
  v.minValue(0, 'is less than 0'),
  v.maxValue(65535, 'is more than 65535'),
);
const listener = v.strictObject({
  /** The address to listen on. Nothing here asks for a password: `127.0.0.1`, or an address of the home's network. */
  host: v.pipe(v.string(), v.minLength(1, 'is empty')),
  port,
});
const seconds = v.pipe(
  v.number(),
  v.integer('is no whole number'),
  v.minValue(1, 'is less than 1'),
  v.maxValue(3600, 'is more than 3600'),
);

export const integrationsConfig = v.strictObject({
  /** Home Assistant, by MQTT discovery on the home's own broker. */
  homeAssistant: v.optional(
    v.strictObject({
      url: v.pipe(v.string(), v.regex(/^mqtts?:\/\/[^/\s]+$/, 'is not of the form mqtt://host or mqtts://host')),
      /** The authority of its certificate, PEM, where it is none that the machine trusts. */
      caFile: v.optional(path),
      username: v.optional(v.string()),
      passwordFile: v.optional(path),
      discoveryPrefix: v.optional(
        v.pipe(v.string(), v.regex(/^[\w-]+(\/[\w-]+)*$/, 'is no beginning of a topic')),
        'homeassistant',
      ),
      /** Between two states. */
      everySeconds: v.optional(seconds, 10),
    }),
  ),
  /** `/metrics` for the home's own Prometheus. */
  prometheus: v.optional(listener),
  /** DSMR P1 telegrams on a TCP port, read only. */
  p1: v.optional(v.strictObject({ ...listener.entries, everySeconds: v.optional(seconds, 1) })),
});
export type IntegrationsConfig = v.InferOutput<typeof integrationsConfig>;

/** With the paths made absolute. */
export function resolveIntegrationsConfig(
  config: IntegrationsConfig,
  absolute: (path: string) => string,
): IntegrationsConfig {
  const { homeAssistant } = config;
  if (!homeAssistant) return config;
  const { caFile, passwordFile } = homeAssistant;
  return {
    ...config,
    homeAssistant: {
      ...homeAssistant,
      ...(caFile && { caFile: absolute(caFile) }),
      ...(passwordFile && { passwordFile: absolute(passwordFile) }),
    },
  };
}
