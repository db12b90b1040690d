/**
 * The relay of the door (operator/relay), played with gateways' own doors over their own queues, the relay's own routes, steps and
 * store, and a party's half that answers. Only TLS is left out.
 *
 * The relay knows from which network address a bundle came in which slot. When a household has something to say, and how much, it
 * must not know: X and Y are any two sets of slots.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type * as v from 'valibot';
import { Door, type RelayCall } from '../../../gateway/door/door.ts';
import { Forwarding } from '../../../operator/relay/forwarding.ts';
import { relayRoutes } from '../../../operator/relay/service.ts';
import { Relay } from '../../../operator/relay/steps.ts';
import { RelayStore } from '../../../operator/relay/store.ts';
import { doorRoutes } from '../../../operator/shared/door.ts';
import type { Route } from '../../../operator/shared/service.ts';
import { openStore } from '../../../operator/shared/store.ts';
import { ed25519PublicKey } from '../../../protocol/crypto/ed25519.ts';
import { generateHpkeKeyPair, hpkeOpener } from '../../../protocol/crypto/hpke.ts';
import { decodeBundle } from '../../../protocol/door/bundle.ts';
import { openPlan, publishPlan } from '../../../protocol/door/plan.ts';
import { BUNDLES_PATH, CELLS_PATH } from '../../../protocol/door/services.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import type { Random } from '../../random.ts';
import type { GameParty } from '../game.ts';
import { scratchFolder } from '../scratch.ts';
import { type Field, type Transcript, TranscriptWriter } from '../transcript.ts';
import { shuffled, type Trace, type World } from '../world.ts';

const CENTRE = 'control-centre';
const FIRST_SLOT = Date.UTC(2026, 2, 10, 12) / SLOT_MS;
const SLOTS = 4;
const MESSAGE_BYTES = 900;
const ANSWER_BYTES = 300;
/** After the begin of a slot: bundles leave, and the relay shuffles. */
const SEND_MS = 300_000;
const CLOSE_MS = 600_000;
const NETWORK_MS = 3000;

/** Calls a service's own handlers, as its frame would. */
function callRoutes(routes: readonly Route[], caller: object): RelayCall {
  return async <S extends v.GenericSchema>(path: string, body: object): Promise<v.InferOutput<S>> => {
    const route = routes.find((one) => one.path === path)!;
    return (await route.handle(body as never, caller as never)) as v.InferOutput<S>;
  };
}

async function play(world: World, random: Random): Promise<Transcript> {
  const directory = scratchFolder();
  const [hpke, list, planKey] = [
    await generateHpkeKeyPair(),
    ...[0, 1].map(() => generateKeyPairSync('ed25519').privateKey),
  ];
  const destination = {
    name: CENTRE,
    publicKey: hpke.publicKey,
    listKey: ed25519PublicKey(list),
    cells: 1,
    messageBytes: MESSAGE_BYTES,
    answerBytes: ANSWER_BYTES,
  };
  const unsigned = { number: 1, sendAfterMs: SEND_MS, destinations: [destination] };
  const published = publishPlan(unsigned, (message) => sign(null, message, planKey));
  const plan = openPlan(published, ed25519PublicKey(planKey));
  const seen = new TranscriptWriter();
  const clock = new DrivenClock(world.firstSlot * SLOT_MS);
  const slotNow = (): number => Math.floor(clock.nowMs() / SLOT_MS);

  const centre = openStore(join(directory, 'centre.sqlite'), '');
  const half = doorRoutes({
    destination,
    hpkeKey: hpkeOpener(hpke.privateKey),
    listKey: list,
    database: centre,
    slot: slotNow,
    handle: (message) => createHash('sha512').update(message).digest(),
  });
  const file = join(directory, 'relay.sqlite');
  const store = new RelayStore(file);
  const relay = new Relay({ store, plan, k: 3, bundlesPerAddress: 1, closeAfterMs: CLOSE_MS });
  const toCentre = callRoutes(half, { role: 'relay' });
  const forwarding = new Forwarding(store, plan, () => async (path, body, answer) => {
    const said = await toCentre(path, body, answer);
    if (path === CELLS_PATH) seen.add({ source: 'frame batch', slot: slotNow(), fields: fieldsOf(body) });
    else seen.add({ source: 'frame list', slot: slotNow(), fields: fieldsOf(said as object) });
    return said;
  });
  const routes = relayRoutes(relay, store, plan);
  const doors = world.households.map((household) => {
    const dataDir = join(directory, household);
    mkdirSync(dataDir);
    const toRelay = callRoutes(routes, { address: household });
    const call: RelayCall = (path, body, answer) => {
      const timeMs = clock.nowMs() + random.below(NETWORK_MS);
      const cells = 'bundle' in body ? decodeBundle(plan, body.bundle as Uint8Array).cells[0] : [];
      const fields = path === BUNDLES_PATH ? { cell: cells[0] } : fieldsOf(body);
      seen.add({ source: `frame ${path}`, household, timeMs, slot: slotNow(), fields });
      return toRelay(path, body, answer);
    };
    const door = new Door({ dataDir, plan, call, clock, log: () => {} });
    door.onAnswers(CENTRE, () => {});
    return { household, door };
  });
  try {
    for (let slot = world.firstSlot; slot < world.firstSlot + world.slots; slot++) {
      for (const { household, door } of doors)
        if (world.traces.get(household)!.some((event) => event.slot === slot))
          door.post(CENTRE, randomBytes(1 + random.below(MESSAGE_BYTES)));
      clock.advanceTo(slot * SLOT_MS + SEND_MS);
      relay.advance(clock.nowMs());
      for (const { door } of shuffled(doors, random)) {
        door.tick();
        await door.idle();
      }
      seen.addStore(file, (_, { address }) => ({
        household: address instanceof Uint8Array ? Buffer.from(address).toString() : null,
        slot,
      }));
      clock.advanceTo(slot * SLOT_MS + CLOSE_MS);
      relay.advance(clock.nowMs());
      await forwarding.delivered();
    }
  } finally {
    await forwarding.close();
    for (const { door } of doors) await door.close();
    store.close();
    centre.close();
    rmSync(directory, { recursive: true });
  }
  return seen.finish([]);
}

/** The fields of a body, lists of bytes joined. */
function fieldsOf(body: object): Record<string, Field> {
  const fields: Record<string, Field> = {};
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'number' || value instanceof Uint8Array) fields[name] = value;
    else if (typeof value === 'string') fields[name] = Buffer.from(value);
    else if (Array.isArray(value) && value.every((one) => one instanceof Uint8Array))
      fields[name] = Buffer.concat(value);
  }
  return fields;
}

const someSlots = (random: Random, firstSlot: number, slots: number): Trace =>
  Array.from({ length: slots }, (_, i) => ({ slot: firstSlot + i, value: 1 })).filter(() => random.chance(0.5));

export const relay: GameParty = {
  name: 'relay',
  mode: '',
  expected: null,
  firstSlot: FIRST_SLOT,
  slots: SLOTS,
  pair: (random, firstSlot, slots) => [someSlots(random, firstSlot, slots), someSlots(random, firstSlot, slots)],
  leakage: () => 'every gateway, every slot',
  play,
};
