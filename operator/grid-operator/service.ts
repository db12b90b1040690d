/**
 * What the grid operator's register offers over HTTPS: to technicians (scripts/provision), to the company's console and verifier.
 * More routes of the grid operator (the yearly reading) are given by who makes them.
 */
import * as v from 'valibot';
import { ADDRESS, AREA, DEVICE_STATES, EK_SERIAL } from '../../protocol/identity/devices.ts';
import { bytes } from '../../protocol/services/call.ts';
import { Refusal, type Route, roleRoute } from '../shared/service.ts';
import type { Register } from './register.ts';

const PAGE_MOST = 150;

export function registerRoutes(register: Register): Route[] {
  return [
    roleRoute(['technician', 'console'], {
      method: 'POST',
      path: '/devices',
      body: v.strictObject({
        ekCertificate: bytes(100, 3_000),
        /** Null: in stock. */
        installation: v.nullable(v.strictObject({ address: ADDRESS, area: AREA })),
      }),
      handle: ({ ekCertificate, installation }) => register.register(ekCertificate, installation),
    }),
    roleRoute(['technician', 'console', 'verifier'], {
      method: 'POST',
      path: '/devices/state',
      body: v.strictObject({
        serial: EK_SERIAL,
        state: v.picklist(
          ['in stock', 'revoked'],
          `is none of ${DEVICE_STATES.filter((s) => s !== 'installed').join(', ')}`,
        ),
      }),
      handle: ({ serial, state }, { role }) => {
        if (role === 'verifier' && state !== 'revoked')
          throw new Refusal('not this role', 'the verifier may only revoke', 'final', { status: 403 });
        return register.setState(serial, state);
      },
    }),
    roleRoute(['console', 'verifier', 'technician'], {
      method: 'POST',
      path: '/devices/list',
      body: v.strictObject({
        /** Serial of the last device of the page before; empty for the first page. */
        after: v.pipe(v.string(), v.maxLength(56)),
      }),
      handle: ({ after }) => ({ devices: register.devicesAfter(after, PAGE_MOST) }),
    }),
  ];
}
