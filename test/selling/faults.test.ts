// What goes wrong between meter, gateway and control centre: nothing is lost, nothing is sold twice, and what lies is refused.
import test from 'ava';
import { totals } from '../../operator/control-centre/questions.ts';
import {
  ALARM_HELPER,
  ALARM_NONE,
  ALARM_OPEN,
  decodeAnswerMessage,
  decodeOpen,
  decodeSaleMessage,
  decodeSigned,
  decodeTermsMessage,
  encodeAnswerMessage,
  encodeOpen,
  encodeSigned,
  encodeTermsMessage,
  SELL_ANSWER,
  SELL_OPEN,
  SELL_SALE,
  SELL_SIGNED,
  SELL_TERMS,
  STATE_HELD,
  STATE_OPENED,
} from '../../protocol/wire/selling-session.ts';
import { SESSION_SELLING, SESSION_STORE } from '../../protocol/wire/sessions.ts';
import { seeded } from '../firmware/wallet/memory-flash.ts';
import { MONTH, settings, VALUE } from '../operator/control-centre/rig.ts';
import { AMOUNT, exportsOf, type House, registeredHouse, runOut, withTerms } from './house.ts';

const WEIGHT = settings.weights[0];
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const altered = (bytes: Uint8Array, at = 40): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 1;
  return copy;
};
/**
 * Each credential once, and all of the export paid.
 * @param late a sale may have come after its slot's time, when nothing of it is bought any more: so much less is paid
 */
function whole(
  t: { is(a: unknown, b: unknown): void; true(a: boolean, m?: string): void },
  house: House,
  { late = false } = {},
): void {
  const [payment] = house.rig.centre.settlement.payments();
  const left = exportsOf(house) * WEIGHT - payment.credits * 1_000_000;
  const refused = house.rig.centre.books.counters.read().salesRefused ?? 0;
  if (!late) t.is(refused, 0);
  t.true(left >= 0 && left < VALUE * 1_000_000 * (1 + refused), `${left} microcredits are left, ${refused} refused`);
  t.is(totals(house.rig.centre).used, payment.count);
}

test('a helper that lies: each wrong inverse is refused and told of; with right ones everything goes on', async (t) => {
  let lies = 0;
  const house = await registeredHouse(t, withTerms({}), {
    prepare: (one) => {
      one.line = (_from, session, body) => {
        if (session !== SESSION_SELLING || body[0] !== SELL_SIGNED || lies >= 5) return [body];
        lies++;
        const signed = decodeSigned(body);
        const inverse = [altered(signed.inverse), new Uint8Array(256), new Uint8Array(256).fill(255)][lies % 3];
        return [encodeSigned({ ...signed, inverse })];
      };
    },
  });
  t.is(lies, 5);
  t.true(house.meter.session.tasks.alarms >= 5);
  t.is(house.meter.credentials.months[0].counts[STATE_HELD], AMOUNT, 'asked again');
  t.is(house.meter.session.tasks.alarm, ALARM_NONE, 'all is well again');
  house.line = (_from, session, body) => {
    if (session !== SESSION_SELLING || body[0] !== SELL_ANSWER || lies >= 9) return [body];
    lies++;
    const answer = decodeAnswerMessage(body);
    return [encodeAnswerMessage({ ...answer, inverses: answer.inverses.map((one) => altered(one)) }, 256)];
  };
  const before = house.meter.session.tasks.alarms;
  for (let i = 0; i < 6; i++) await house.passSlot(47_311);
  t.true(house.meter.session.tasks.alarms > before);
  await runOut(house);
  whole(t, house);
  t.is(lies, 9);
});

test('a wrong helper is an alarm on the page while it lasts', async (t) => {
  const house = await registeredHouse(t, withTerms({}), {
    prepare: (one) => {
      one.line = (_from, session, body) =>
        session === SESSION_SELLING && body[0] === SELL_SIGNED
          ? [encodeSigned({ ...decodeSigned(body), inverse: new Uint8Array(256).fill(1) })]
          : [body];
    },
  });
  t.is(house.meter.session.tasks.alarm, ALARM_HELPER);
  t.is(house.meter.credentials.months[0].counts[STATE_HELD], 0);
  t.regex(house.alarms.get(SESSION_SELLING)!, /wrong numbers/);
});

test('signatures and answers that are not the centre’s are refused', async (t) => {
  let forged = 0;
  const house = await registeredHouse(t, withTerms({}), {
    prepare: (one) => {
      one.line = (_from, session, body) => {
        if (session !== SESSION_SELLING || body[0] !== SELL_SIGNED || forged >= 3) return [body];
        forged++;
        const signed = decodeSigned(body);
        return [encodeSigned({ ...signed, blindSignature: altered(signed.blindSignature, 100) })];
      };
    },
  });
  t.is(house.meter.credentials.months[0].counts[STATE_HELD], AMOUNT);
  const at = house.meter.session.tasks.alarms;
  house.line = (_from, session, body) => {
    if (session !== SESSION_SELLING || body[0] !== SELL_ANSWER || forged >= 7) return [body];
    forged++;
    const answer = decodeAnswerMessage(body);
    const change = forged % 2 ? { answer: altered(answer.answer, 30) } : { saleId: altered(answer.saleId, 20) };
    return [encodeAnswerMessage({ ...answer, ...change }, 256)];
  };
  await runOut(house);
  t.true(house.meter.session.tasks.alarms >= at + 4);
  whole(t, house);
});

test('messages lost, doubled and late, and values that are not kept: a month all the same, each SALE the same bytes', async (t) => {
  const random = seeded(5);
  const late: { body: Uint8Array; session: number; from: string }[] = [];
  const sales = new Map<number, string>();
  let repeated = 0;
  const house = await registeredHouse(t, withTerms({}), {
    prepare: (one) => {
      one.line = (from, session, body) => {
        if (session === SESSION_SELLING && from === 'meter' && body[0] === SELL_SALE) {
          const { number, sealed } = decodeSaleMessage(body);
          const known = sales.get(number);
          if (known !== undefined) repeated++;
          if (known !== undefined && known !== hex(sealed)) throw new Error(`sale ${number} has other bytes`);
          sales.set(number, hex(sealed));
        }
        const chance = random();
        if (chance < 0.04) return [];
        if (chance < 0.1) return [body, body];
        if (chance < 0.13) {
          late.push({ body, session, from });
          return [];
        }
        const [old] = late;
        if (chance < 0.2 && old?.from === from && old.session === session) {
          late.shift();
          return [old.body, body];
        }
        return [body];
      };
    },
  });
  house.losesAnswers = (slot) => slot % 3 === 0;
  for (let i = 0; i < 6; i++) await house.passSlot(47_311);
  house.startMeter();
  house.restartGateway();
  await runOut(house, 100);
  whole(t, house, { late: true });
  t.log(`${sales.size} sales, ${repeated} said again`);
  t.true(repeated > 0 && sales.size > 8);
});

test('terms of a month are taken once: other ones, and keys of another purpose, are refused', async (t) => {
  const house = await registeredHouse(t);
  const month = house.meter.credentials.months[0];
  const terms: Uint8Array[] = [];
  house.line = (_from, session, body) => {
    if (session !== SESSION_SELLING || body[0] !== SELL_TERMS) return [body];
    terms.push(body);
    const told = decodeTermsMessage(body);
    return [
      encodeTermsMessage({ ...told, value: 1 }),
      encodeTermsMessage({ ...told, credentialKey: told.receiptKey }),
      encodeTermsMessage({ ...told, receiptKey: told.sealingKey, sealingKey: told.receiptKey }),
      encodeTermsMessage({ ...told, perSale: 2 }),
      body.subarray(0, 100),
    ];
  };
  house.startMeter();
  await house.passSlot(0);
  t.true(terms.length > 0);
  t.is(house.meter.credentials.month(MONTH)!.terms, null);
  t.true(house.meter.session.tasks.alarms >= 4 && house.meter.session.refused > 0);
  house.line = (_from, _session, body) => [body];
  house.startMeter();
  await house.passSlot(0);
  t.is(house.meter.credentials.month(MONTH)!.value, month.value);
  t.true(house.meter.credentials.month(MONTH)!.terms !== null);
});

test('c > 1: a second choice of what stays closed is refused, also after a start', async (t) => {
  const opens: Uint8Array[] = [];
  const house = await registeredHouse(t, withTerms({ candidatesEach: 3, amount: 6 }), {
    slots: 2,
    prepare: (one) => {
      one.line = (_from, session, body) => {
        if (session === SESSION_SELLING && body[0] === SELL_OPEN) opens.push(body);
        // the batch stays open: what is signed is lost
        return session === SESSION_SELLING && body[0] === SELL_SIGNED ? [] : [body];
      };
    },
  });
  const month = () => house.meter.credentials.month(MONTH)!;
  t.is(month().counts[STATE_OPENED], 6);
  const chosen = Array.from(month().credentials, (byte) => byte >> 3);
  const { first, keep } = decodeOpen(opens[0]);
  t.deepEqual(Array.from(keep), chosen);
  for (const restart of [false, true]) {
    if (restart) house.startMeter();
    await house.talk(8);
    let told = 0;
    house.line = (from, session, body) => {
      if (session !== SESSION_SELLING) return [body];
      if (from === 'meter' && body[0] >= 5 && body[0] < 6) told++;
      if (from === 'gateway' && body[0] === SELL_OPEN)
        return [encodeOpen({ month: MONTH, first, keep: keep.map((one) => (one + 1) % 3) })];
      return body[0] === SELL_SIGNED ? [] : [body];
    };
    await house.passSlot(0);
    t.is(told, 0, 'no seed leaves');
    t.deepEqual(
      Array.from(month().credentials, (byte) => byte >> 3),
      chosen,
    );
  }
  t.is(house.meter.session.tasks.alarm, ALARM_OPEN);
});

test('a gateway that lost what it was to keep: told of; other credentials are sold', async (t) => {
  const house = await registeredHouse(t);
  house.line = (from, session, body) => {
    const isValue = session === SESSION_STORE && from === 'gateway' && body[0] === 0x82;
    return isValue ? [Uint8Array.of(0x83, ...body.subarray(1, 10))] : [body];
  };
  for (let i = 0; i < 4; i++) await house.passSlot(47_311);
  t.regex(house.alarms.get(SESSION_SELLING)!, /not here/);
  t.is(totals(house.rig.centre).used, 0);
  house.line = (_from, _session, body) => [body];
  await runOut(house);
  whole(t, house, { late: true });
});

test('what is no message of theirs changes nothing on either side', async (t) => {
  const house = await registeredHouse(t, withTerms({ amount: 4 }));
  const random = seeded(9);
  const before = JSON.stringify(house.meter.credentials.months[0].counts);
  for (let i = 0; i < 400; i++) {
    const body = Uint8Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256));
    body[0] = [0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x42][i % 10];
    house.meter.hear(SESSION_SELLING, body);
    body[0] = 1 + (i % 14);
    house.toGateway.push({ session: SESSION_SELLING, body });
  }
  await t.notThrowsAsync(house.talk(3));
  t.is(JSON.stringify(house.meter.credentials.months[0].counts), before);
  t.true(house.meter.session.refused > 20);
});
