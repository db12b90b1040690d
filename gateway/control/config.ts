/** What the gateway's configuration says of appliances and of who may tell them something. */
import * as v from 'valibot';
import { APPLIANCE } from '../../protocol/control/policies.ts';
import { ED25519_PUBLIC_KEY_BYTES } from '../../protocol/crypto/ed25519.ts';

const path = v.pipe(v.string(), v.minLength(1, 'is empty'));
const port = v.pipe(
  v.number(),
  v.integer('is no whole number'),
  v.minValue(0),
  v.maxValue(65535, 'is more than 65535'),
);

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const controlSettings = v.strictObject({
  /** The provider's control key, Ed25519, hexadecimal; absent: nobody outside the house has a say. */
  controlKey: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        new RegExp(`^[0-9a-f]{${2 * ED25519_PUBLIC_KEY_BYTES}}$`),
        `is not ${2 * ED25519_PUBLIC_KEY_BYTES} lower-case hexadecimal digits`,
      ),
    ),
  ),
  /** The provider's service, which is asked for what was missed. */
  provider: v.optional(
    v.strictObject({
      url: v.pipe(v.string(), v.regex(/^https:\/\/[^/\s]+$/, 'is not of the form https://host:port')),
      /** The authority of its certificate, PEM. */
      caFile: path,
    }),
  ),
  /** IANA; the machine's own unless told. */
  timeZone: v.optional(v.pipe(v.string(), v.check(isTimeZone, 'is no time zone'))),
  appliances: v.optional(
    v.pipe(
      v.array(APPLIANCE, 'is no list'),
      v.maxLength(32, 'are more than 32'),
      v.check((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has a name twice'),
    ),
    [],
  ),
  /** The home's own MQTT broker, where appliances listen (home-broker.ts). */
  homeBroker: v.optional(
    v.strictObject({
      url: v.pipe(v.string(), v.regex(/^mqtts?:\/\/[^/\s]+$/, 'is not of the form mqtt://host or mqtts://host')),
      /** The authority of its certificate, PEM, where it is none that the machine trusts. */
      caFile: v.optional(path),
      username: v.optional(v.string()),
      passwordFile: v.optional(path),
      prefix: v.optional(
        v.pipe(v.string(), v.regex(/^[\w-]+(\/[\w-]+)*$/, 'is no beginning of a topic')),
        'quietmeter',
      ),
    }),
  ),
  /** Where appliances of the home read events of OpenADR 3 (openadr-server.ts). */
  openadr: v.optional(v.strictObject({ host: v.string(), port })),
});
export type ControlSettings = v.InferOutput<typeof controlSettings>;

/** With its paths made absolute. */
export function resolvedControl(settings: ControlSettings, absolute: (path: string) => string): ControlSettings {
  const { provider, homeBroker } = settings;
  return {
    ...settings,
    ...(provider && { provider: { ...provider, caFile: absolute(provider.caFile) } }),
    ...(homeBroker && {
      homeBroker: {
        ...homeBroker,
        ...(homeBroker.caFile && { caFile: absolute(homeBroker.caFile) }),
        ...(homeBroker.passwordFile && { passwordFile: absolute(homeBroker.passwordFile) }),
      },
    }),
  };
}
