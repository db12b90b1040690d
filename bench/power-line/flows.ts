/**
 * The two ways in which a request becomes a finished trade, as messages on the line and nothing else: for the paper's experiment
 * (microgrid-trading.txt, section 7), where time is what the line takes. The real protocol runs in operator/substation and in the meters;
 * lengths are those of its codecs.
 *
 *   paper   request · pairing · payment · check · answer · [withdrawal, where a meter sells] · receipt; each waits for the one before.
 *           The withdrawal's answer rides on the next frame. 7 messages between meters, 6 with the DSO
 *   merged  request · batch. The substation gathers what has come and sends at once when nobody else waits, else when it has four
 *           lines: with K requests waiting, a batch for every √K of them is what makes the mean shortest, and √18 is about four
 */

import { meterSealedBytes } from '../../protocol/crypto/meter-seal.ts';
import { batchBytes, type Line } from '../../protocol/trading/batch.ts';
import { offerBytes, requestBytes } from '../../protocol/trading/messages.ts';
import { paperBytes } from '../../protocol/trading/paper-flow.ts';
import { busBytes } from '../../protocol/wire/bus-frame.ts';
import type { PowerLine } from './line.ts';

const KEY_BYTES = 256; // 2048 bits
const COIN_BYTES = 32 + KEY_BYTES;
const LINES_AT_ONCE = 4;

/** Who sells. */
export type Seller = 'dso' | 'meter';
export interface Flow {
  readonly name: 'paper' | 'merged';
  /** Of an offer, which is on the line before anybody asks for it. */
  readonly offer: number;
  /** From the request's transmission being asked for to the end of the trade. */
  trade(seller: Seller, done: () => void): void;
}

export function paperFlow(line: PowerLine<unknown>): Flow {
  const { request, pairing, payment, check, answer, withdrawal, receipt, offer } = paperBytes(KEY_BYTES);
  const between = [request, pairing, payment, check, answer, withdrawal, receipt + KEY_BYTES].map(busBytes);
  const dso = [request, pairing, payment, check, answer, receipt].map(busBytes);
  return {
    name: 'paper',
    offer: busBytes(offer),
    trade: (seller, done) => {
      const lengths = seller === 'dso' ? dso : between;
      const next = (i: number): void => {
        if (i === lengths.length) done();
        else line.send(null, null, lengths[i], { sent: () => next(i + 1) });
      };
      next(0);
    },
  };
}

const id = new Uint8Array(16);
const blindSignature = new Uint8Array(KEY_BYTES);
const PAIRED: Line = { kind: 'P', request: id, offer: id, blindSignature };
const SOLD: Line = { kind: 'D', request: id };

export function mergedFlow(line: PowerLine<unknown>): Flow {
  const request = busBytes(requestBytes(meterSealedBytes(KEY_BYTES, COIN_BYTES)));
  const gathered: { line: Line; done: () => void }[] = [];
  let asked = false;
  let urgent = false;
  const batch = () => {
    asked = false;
    urgent = false;
    const taken = gathered.splice(0);
    return taken.length > 0 ? { payload: taken, bytes: busBytes(batchBytes(taken.map(({ line: one }) => one))) } : null;
  };
  const sent = (payload: unknown): void => {
    for (const { done } of payload as typeof gathered) done();
  };
  /** After what has just been sent has made room for the next. */
  const announce = (): void => {
    if (gathered.length === 0) return;
    if (gathered.length >= LINES_AT_ONCE && !urgent) {
      urgent = true;
      line.transmit(null, { payload: batch, sent, priority: true });
    } else if (!asked) {
      asked = true;
      line.transmit(null, { payload: batch, sent });
    }
  };
  return {
    name: 'merged',
    offer: busBytes(offerBytes(KEY_BYTES, 0)),
    trade: (seller, done) => {
      line.send(null, null, request, {
        sent: () => {
          gathered.push({ line: seller === 'dso' ? SOLD : PAIRED, done });
          announce();
        },
      });
    },
  };
}
