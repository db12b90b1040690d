/**
 * Collector and provider (operator/collector, operator/provider), played with their own steps over their own stores: every household
 * reports every slot, certified and with a pass; the collector batches; the provider sums. At the end each household is billed.
 *
 * The **collector** (and broker and relay of network addresses beside it) knows who reported which slot. X and Y are different values.
 * The **provider** knows each customer's bill and the readings of each slot, by nobody: X and Y are the same values in other slots.
 */

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Collector } from '../../../operator/collector/steps.ts';
import { CollectorStore } from '../../../operator/collector/store.ts';
import { Provider } from '../../../operator/provider/steps.ts';
import { ProviderStore } from '../../../operator/provider/store.ts';
import { blindPasses, finishPass } from '../../../protocol/attestation/pass.ts';
import { headDigest, identifierReference, signBill } from '../../../protocol/billing/bill.ts';
import {
  type BlindSigningKey,
  blindSign,
  generateBlindSigningKey,
  importBlindRsaKey,
} from '../../../protocol/crypto/blind-rsa.ts';
import { generateHpkeKeyPair } from '../../../protocol/crypto/hpke.ts';
import { generateSigningKey, type SigningKey, signP256 } from '../../../protocol/crypto/p256.ts';
import {
  dayOfSlot,
  issuePseudonymCertificate,
  verifyPseudonymCertificate,
} from '../../../protocol/identity/pseudonym-certificate.ts';
import { decodeBatch } from '../../../protocol/readings/batch.ts';
import { issueCertificate } from '../../../protocol/readings/certificate.ts';
import { providerReference } from '../../../protocol/readings/provider.ts';
import { encodeReading, openReading, sealReading } from '../../../protocol/readings/reading.ts';
import { decodeSubmission, signSubmission } from '../../../protocol/readings/submission.ts';
import { monthOf } from '../../../protocol/time/months.ts';
import { SLOT_MS, SLOTS_PER_DAY, slotEndMs } from '../../../protocol/time/slots.ts';
import type { Random } from '../../random.ts';
import type { GameParty } from '../game.ts';
import { scratchFolder } from '../scratch.ts';
import { type Transcript, TranscriptWriter } from '../transcript.ts';
import { anonymousEvents, shuffled, sums, type Trace, type World } from '../world.ts';

const AREA = 'north-1';
const PROVIDER = 'provider';
const GRACE_MS = 300_000;
/** A reply on the network takes up to this long. */
const NETWORK_MS = 3000;
const RESOLUTION_WH = 50;
/** 2026-03-10 12:00 UTC: no slot of a run is in another day. */
const FIRST_SLOT = Date.UTC(2026, 2, 10, 12) / SLOT_MS;
const SLOTS = 6;
const TARIFF_MILLI_CENT_PER_WH = 30;

interface Keys {
  passes: BlindSigningKey;
  issuer: SigningKey;
  provider: { publicKey: Uint8Array; privateKey: Uint8Array };
  macKey: Uint8Array;
}
let made: Promise<Keys> | null = null;
const keysOfAll = (): Promise<Keys> => {
  made ??= (async () => ({
    passes: await generateBlindSigningKey(),
    issuer: generateSigningKey(),
    provider: await generateHpkeKeyPair(),
    macKey: randomBytes(32),
  }))();
  return made;
};

/** Plays a run; each party's transcript has only what that party sees. */
async function playReadings(world: World, random: Random): Promise<{ collector: Transcript; provider: Transcript }> {
  const keys = await keysOfAll();
  const directory = scratchFolder();
  const [collectorFile, providerFile] = [join(directory, 'collector.sqlite'), join(directory, 'provider.sqlite')];
  const collectorStore = new CollectorStore(collectorFile);
  const passKey = importBlindRsaKey(keys.passes.modulus);
  const collector = new Collector({
    store: collectorStore,
    trust: {
      believe: (pseudonym, slot) => verifyPseudonymCertificate(pseudonym, [keys.issuer.publicKey], slot),
      isRevoked: () => false,
      passKeyOf: () => passKey,
    },
    providers: [{ party: PROVIDER, readingKeys: [keys.provider.publicKey], macKey: keys.macKey }],
    k: 3,
    graceMs: GRACE_MS,
    settlementDelayDays: 35,
  });
  const providerStore = new ProviderStore(providerFile);
  const { privateKey } = keys.provider;
  const provider = new Provider({
    store: providerStore,
    macKey: keys.macKey,
    privateKey,
    k: 3,
    mostWhPerSlot: 100_000,
  });
  const [seenByCollector, seenByProvider] = [new TranscriptWriter(), new TranscriptWriter()];
  try {
    collector.advance(world.firstSlot * SLOT_MS);
    const day = dayOfSlot(world.firstSlot);
    const homes = new Map(
      await Promise.all(world.households.map(async (name) => [name, await makeHome(keys, day)] as const)),
    );
    for (let slot = world.firstSlot; slot < world.firstSlot + world.slots; slot++) {
      // the network brings them in any order
      const order = shuffled(world.households, random);
      const times = order.map(() => slotEndMs(slot) + random.below(NETWORK_MS)).sort((a, b) => a - b);
      const submissions = await Promise.all(
        order.map((name) => homes.get(name)!.submission(slot, wattHoursOf(world.traces.get(name)!, slot))),
      );
      collector.advance(slotEndMs(slot));
      const answers = collector.accept(submissions.map((bytes) => ({ area: AREA, bytes })));
      for (const [i, household] of order.entries()) {
        const { sealed, signature, certificate, pseudonym } = decodeSubmission(submissions[i]);
        const parts = { sealed, signature, certificate, pseudonym: pseudonym.publicKey };
        const fields = { submission: submissions[i], ...parts, answer: answers[i].digest };
        seenByCollector.add({ source: 'frame submission', household, timeMs: times[i], slot, fields });
      }
      const closesMs = slotEndMs(slot) + GRACE_MS;
      collector.advance(closesMs);
      for (const { counter, bytes } of collectorStore.batchesFrom(PROVIDER, 0, 10)) {
        const answer = await provider.receive(bytes);
        const batch = decodeBatch(bytes, keys.macKey);
        seenByCollector.add({
          source: 'frame batch',
          timeMs: closesMs,
          slot,
          fields: { counter, bytes, answer: answer! },
        });
        for (const sealed of batch.items) {
          const { importWh } = await openReading(sealed, slot, AREA, privateKey);
          const fields = { sealed, reading: encodeReading({ slot, importWh, exportWh: 0 }) };
          const owner = [...homes].find(([, { sent }]) => sent.has(Buffer.from(sealed).toString('latin1')))?.[0];
          seenByProvider.add({ source: 'frame item', timeMs: closesMs, slot, value: importWh, fields }, owner);
        }
        collector.answered(PROVIDER, answer!);
      }
    }
    const month = monthOf(world.firstSlot * SLOT_MS);
    for (const [household, wattHours] of sums(world.traces)) {
      const home = homes.get(household)!;
      const bytes = await home.bill(month, world, wattHours);
      const timeMs = (world.firstSlot + world.slots) * SLOT_MS + random.below(SLOT_MS);
      seenByProvider.add({
        source: 'frame bill',
        household,
        timeMs,
        fields: { bytes, identifier: home.identifier.publicKey },
      });
    }
  } finally {
    collectorStore.close();
    providerStore.close();
  }
  const pseudonyms = seenByCollector.records.filter(({ source }) => source === 'frame submission');
  const nameOf = new Map(
    pseudonyms.map(({ household, fields }) => [Buffer.from(fields.pseudonym as Uint8Array).toString('hex'), household]),
  );
  seenByCollector.addStore(collectorFile, (_, { pseudonym, slot }) => ({
    household: pseudonym instanceof Uint8Array ? (nameOf.get(Buffer.from(pseudonym).toString('hex')) ?? null) : null,
    slot: typeof slot === 'number' ? slot : null,
  }));
  seenByProvider.addStore(providerFile, (_, { slot }) => ({ slot: typeof slot === 'number' ? slot : null }));
  rmSync(directory, { recursive: true });
  return {
    collector: seenByCollector.finish([keys.macKey]),
    provider: seenByProvider.finish([keys.macKey, privateKey]),
  };
}

const wattHoursOf = (trace: Trace, slot: number): number => trace.find((event) => event.slot === slot)?.value ?? 0;

/** What a household has for a day. */
async function makeHome(keys: Keys, day: number) {
  const [pseudonym, software, identifier] = [generateSigningKey(), generateSigningKey(), generateSigningKey()];
  const firstSlot = day * SLOTS_PER_DAY;
  const certified = { firstSlot, lastSlot: firstSlot + SLOTS_PER_DAY - 1, publicKey: software.publicKey };
  const certificate = await issueCertificate({ ...certified, pseudonym: pseudonym.publicKey }, (message) =>
    signP256(pseudonym.privateKey, message),
  );
  const pseudonymCertificate = await issuePseudonymCertificate(
    { day, publicKey: pseudonym.publicKey, area: AREA },
    (message) => signP256(keys.issuer.privateKey, message),
  );
  const passKey = importBlindRsaKey(keys.passes.modulus);
  const [{ blinded, inverse, ...claims }] = blindPasses(
    [{ key: passKey, day, pseudonym: pseudonym.publicKey }],
    randomBytes,
  );
  const pass = finishPass(passKey, claims, blindSign(keys.passes, blinded), inverse);
  /** Sealed items, for the challenger alone. */
  const sent = new Set<string>();
  return {
    identifier,
    sent,
    async submission(slot: number, importWh: number): Promise<Uint8Array> {
      const sealed = await sealReading({ slot, importWh, exportWh: 0 }, AREA, keys.provider.publicKey);
      sent.add(Buffer.from(sealed).toString('latin1'));
      const provider = providerReference(keys.provider.publicKey);
      return signSubmission({ slot, pseudonymCertificate, certificate, pass, provider, sealed }, (message) =>
        signP256(software.privateKey, message),
      );
    },
    bill(month: number, { firstSlot: first, slots }: World, wattHours: number): Promise<Uint8Array> {
      const bill = {
        month,
        firstSlot: first,
        endSlot: first + slots,
        identifier: identifierReference(identifier.publicKey),
        tariff: 'day',
        currency: 'EUR',
        feeMilliCent: wattHours * TARIFF_MILLI_CENT_PER_WH,
        priceNumber: 1,
        head: headDigest(randomBytes(32)),
      };
      return signBill(bill, async (message) => signP256(identifier.privateKey, message));
    },
  };
}

const values = (random: Random, slots: number): number[] =>
  Array.from({ length: slots }, () => RESOLUTION_WH * random.below(40));
const traceOf = (list: readonly number[], firstSlot: number): Trace =>
  list.map((value, i) => ({ slot: firstSlot + i, value }));

export const collector: GameParty = {
  name: 'collector',
  mode: '',
  expected: null,
  firstSlot: FIRST_SLOT,
  slots: SLOTS,
  pair: (random, firstSlot, slots) => [
    traceOf(values(random, slots), firstSlot),
    traceOf(values(random, slots), firstSlot),
  ],
  leakage: (traces) => [...traces].map(([household, trace]) => [household, trace.map(({ slot }) => slot)]),
  play: async (world, random) => (await playReadings(world, random)).collector,
};

export const provider: GameParty = {
  name: 'provider',
  mode: '',
  expected: null,
  firstSlot: FIRST_SLOT,
  slots: SLOTS,
  pair: (random, firstSlot, slots) => {
    const list = values(random, slots);
    const turn = 1 + random.below(slots - 1);
    return [traceOf(list, firstSlot), traceOf([...list.slice(turn), ...list.slice(0, turn)], firstSlot)];
  },
  leakage: (traces) => ({ bills: sums(traces), readings: anonymousEvents(traces) }),
  play: async (world, random) => (await playReadings(world, random)).provider,
};

/** Not a party: collector and provider together have the profile of a pseudonym, which no protocol here prevents. */
export const collectorAndProvider: GameParty = {
  ...collector,
  name: 'collector + provider',
  expected:
    "together they have each pseudonym's profile, and the network address it came from (protocols.md, section 3)",
  play: async (world, random) => {
    const { collector: one, provider: other } = await playReadings(world, random);
    const keys = [...one.keys, ...other.keys];
    // what the collector cannot open, the provider's key opens for both
    const readings = new Map(
      other.records.flatMap(({ fields }) =>
        fields.reading ? [[Buffer.from(fields.sealed as Uint8Array).toString('hex'), fields.reading]] : [],
      ),
    );
    for (const { fields } of one.records) {
      const reading = fields.sealed instanceof Uint8Array && readings.get(Buffer.from(fields.sealed).toString('hex'));
      if (reading) fields.opened = reading;
    }
    return { records: [...one.records, ...other.records], keys, owners: new Map([...one.owners, ...other.owners]) };
  },
};
