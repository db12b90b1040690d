/**
 * What is asked of the provider's service about control (frame: protocol/services/call.ts).
 *
 *   POST /control/messages  {area}          → {messages: bytes[]}  what has not expired, oldest first; whoever asks
 *   POST /control/send      {area, …}       → {id, message}        by the provider's own people (console)
 *   POST /control/openadr   an event        → {id, message}        the same, as OpenADR 3 has it (openadr.ts)
 *   GET  /control/sent                      → {sent: […]}          newest first, for the console
 */
import * as v from 'valibot';
import { AREA_PATTERN } from '../readings/area.ts';
import { bytes } from '../services/call.ts';
import { CONTROL_COMMANDS, CONTROL_ID_BYTES, DEVICE_CLASS_PATTERN, LIMIT_MOST_W } from './message.ts';

export const CONTROL_BYTES_MOST = 200;
/** In one answer, whose bytes grow by a third as text: the newest ones. */
export const CONTROL_MESSAGES_MOST = 200;

const area = v.pipe(v.string('is missing'), v.regex(AREA_PATTERN, 'is no area'));
const timeMs = v.pipe(
  v.number('is missing'),
  v.integer('is no whole number'),
  v.multipleOf(1000, 'is no whole second'),
);

export const controlMessagesCall = {
  path: '/control/messages',
  body: v.strictObject({ area }),
  answer: v.object({
    messages: v.pipe(
      v.array(bytes(1, CONTROL_BYTES_MOST)),
      v.maxLength(CONTROL_MESSAGES_MOST, `are more than ${CONTROL_MESSAGES_MOST}`),
    ),
  }),
};

/** What the console's form says. */
export const CONTROL_ORDER = v.strictObject({
  /** Drawn by whoever orders, so that an order that is sent again is one order; without it every order is a new one. */
  id: v.optional(bytes(CONTROL_ID_BYTES)),
  area,
  deviceClass: v.pipe(v.string('is missing'), v.regex(DEVICE_CLASS_PATTERN, 'is no class of devices')),
  command: v.picklist(CONTROL_COMMANDS, `is none of ${CONTROL_COMMANDS.join(', ')}`),
  /** W, for `limit`. */
  limitW: v.optional(
    v.nullable(
      v.pipe(
        v.number('is no number'),
        v.integer('is no whole number'),
        v.minValue(1, 'is less than 1'),
        v.maxValue(LIMIT_MOST_W, `is more than ${LIMIT_MOST_W}`),
      ),
    ),
    null,
  ),
  /** Unix ms, whole seconds. */
  notBeforeMs: timeMs,
  expiresMs: timeMs,
});
export type ControlOrder = v.InferOutput<typeof CONTROL_ORDER>;

export const controlSendCall = {
  path: '/control/send',
  body: CONTROL_ORDER,
  answer: v.object({ id: bytes(CONTROL_ID_BYTES), message: bytes(1, CONTROL_BYTES_MOST) }),
};
export const controlOpenAdrCall = { path: '/control/openadr', answer: controlSendCall.answer };

/** One message as the console lists it. */
export const SENT_CONTROL = v.object({
  id: v.string(),
  area: v.string(),
  deviceClass: v.string(),
  command: v.picklist(CONTROL_COMMANDS),
  limitW: v.nullable(v.number()),
  issuedMs: v.number(),
  notBeforeMs: v.number(),
  expiresMs: v.number(),
});
export type SentControl = v.InferOutput<typeof SENT_CONTROL>;
export const controlSentCall = { path: '/control/sent', answer: v.object({ sent: v.array(SENT_CONTROL) }) };
