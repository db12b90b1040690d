/**
 * Positive controls (linkage-game.md): leaks that were, or could be, in one of the protocols, planted into what a party has really
 * seen. The same adversaries have to find each of them, or the game says nothing about the parties in which they find none.
 */
import { createDiffieHellmanGroup, createHmac, randomBytes } from 'node:crypto';
import { SLOT_MS } from '../../protocol/time/slots.ts';
import type { Random } from '../random.ts';
import { BASE, COMMITTED_MOST, SECOND } from './algebra.ts';
import type { SeenRecord, Transcript } from './transcript.ts';
import { shuffled, type World } from './world.ts';

/** The records of one household, as only the challenger knows them. They may be changed. */
export interface Own {
  /** What it did without a name, in its order. */
  anonymous: SeenRecord[];
  /** Of these, what happens in its trace and not in its partner's. */
  telling: SeenRecord[];
  /** Adds something that it did under its name. */
  underName(source: string, fields: SeenRecord['fields'], timeMs?: number): void;
}
export interface Leak {
  name: string;
  /** Once for each household. */
  leak(own: Own, random: Random, world: World): void;
}

export function plant({ leak }: Leak, transcript: Transcript, world: World, random: Random): Transcript {
  const records: SeenRecord[] = [];
  const owners = new Map<SeenRecord, string>();
  const byOwner = new Map<string, SeenRecord[]>(world.households.map((household) => [household, []]));
  for (const record of transcript.records) {
    const copy = { ...record, fields: { ...record.fields } };
    records.push(copy);
    const owner = transcript.owners.get(record);
    if (owner === undefined) continue;
    owners.set(copy, owner);
    if (record.household === null) byOwner.get(owner)!.push(copy);
  }
  const partners = new Map(world.pairs.flatMap(({ a, b }) => [[a, b] as const, [b, a] as const]));
  for (const household of shuffled(world.households, random)) {
    const anonymous = byOwner.get(household)!.sort((one, other) => one.slot! - other.slot!);
    const other = world.traces.get(partners.get(household)!)!;
    const telling = anonymous.filter(
      (record) => !other.some(({ slot, value }) => slot === record.slot && (record.value ?? value) === value),
    );
    const underName = (source: string, fields: SeenRecord['fields'], timeMs?: number): void => {
      const record = {
        source,
        household,
        timeMs: timeMs ?? null,
        order: random.next(),
        slot: null,
        value: null,
        fields,
      };
      records.push(record);
      owners.set(record, household);
    };
    leak({ anonymous, telling, underName }, random, world);
  }
  return { ...transcript, records, owners };
}

const u64 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
/** The same bytes here and there. */
const shown = (name: string, source: string, bytes: number, which: 'all' | 'first'): Leak['leak'] => {
  return ({ anonymous, telling, underName }) => {
    const value = randomBytes(bytes);
    for (const record of which === 'all' ? anonymous : telling.slice(0, 1)) record.fields[name] = value;
    underName(source, { [name]: value });
  };
};

/** One would do; this is where the tests cost something. */
const A_FEW = 2;

/** A prime of 2048 bits in the place of an RSA modulus: the test divides, and does not factor. */
const modulus = createDiffieHellmanGroup('modp14').getPrime();
const n = BigInt(`0x${modulus.toString('hex')}`);
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`) % n;
const bytesOf = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(512, '0'), 'hex');

/** The paper's L4 = HMAC(sk, BID ‖ F) (selling-power-back.txt, section 4.C; protocols.md, A9). */
function unsaltedL4({ telling, underName }: Own, random: Random): void {
  const sk = randomBytes(32);
  const credentials = telling.slice(0, A_FEW).map((record) => {
    const [signature, factor] = [numberOf(randomBytes(256)), numberOf(randomBytes(256))];
    record.fields.signature = bytesOf(signature);
    record.fields.modulus = modulus;
    const bid = randomBytes(16);
    const entry = createHmac('sha256', sk).update(bid).update(bytesOf(factor)).digest();
    return { bid, blindSignature: bytesOf((signature * factor) % n), entry };
  });
  const l4 = Buffer.concat(shuffled(credentials, random).map(({ entry }) => entry));
  for (const { bid, blindSignature } of shuffled(credentials, random))
    underName('frame registration', { bid, blindSignature, sk, l4 });
}

/** One product's commitment is anonymous, another's stands under the name; both take r from one PRF of the slot. */
function sharedRandomness({ telling, underName }: Own, random: Random): void {
  for (const record of telling.slice(0, A_FEW)) {
    const blinding = BASE.multiply(numberOf(randomBytes(31)) + 1n);
    const commit = (value: number): Uint8Array => blinding.add(SECOND.multiply(BigInt(value + 1))).toBytes(true);
    record.fields.commitment = commit(record.value! % COMMITTED_MOST);
    underName('frame other product', { commitment: commit(random.below(COMMITTED_MOST)) });
  }
}

function canary(
  place: (own: Own, random: Random) => { fields: SeenRecord['fields']; name: string } | null,
): Leak['leak'] {
  return (own, random) => {
    const word = randomBytes(16);
    const there = place(own, random);
    if (!there) return;
    const before = there.fields[there.name];
    const around = before instanceof Uint8Array ? before : randomBytes(8);
    there.fields[there.name] = Buffer.concat([around, word]);
    own.underName('log', { line: Buffer.concat([randomBytes(random.below(30)), word]) });
  };
}
const somewhere = ({ telling }: Own, random: Random): SeenRecord | null =>
  telling.length > 0 ? random.pick(telling) : null;

export const LEAKS: readonly Leak[] = [
  { name: 'unsalted L4', leak: unsaltedL4 },
  {
    name: 'kept phase',
    leak: ({ anonymous, underName }, random, { firstSlot }) => {
      const phaseMs = random.below(SLOT_MS);
      for (const record of anonymous) record.timeMs = record.slot! * SLOT_MS + phaseMs;
      underName('frame connection', {}, (firstSlot - 1 - random.below(96)) * SLOT_MS + phaseMs);
    },
  },
  {
    name: 'one nonce counter',
    leak: ({ anonymous, underName }, random) => {
      const first = random.below(2 ** 45);
      for (const [i, record] of anonymous.entries()) record.fields.nonce = u64(first + i);
      underName('frame connection', { nonce: u64(first + anonymous.length) });
    },
  },
  { name: 'token reused on renewal', leak: shown('token', 'frame request', 256, 'first') },
  { name: 'r shared by products', leak: sharedRandomness },
  { name: 'own keyset', leak: shown('keysetHash', 'frame registration', 32, 'all') },
  {
    name: 'own group key',
    leak: ({ anonymous, underName }) => {
      const groupKey = randomBytes(32);
      for (const record of anonymous) {
        const nonce = randomBytes(12);
        record.fields.nonce = nonce;
        record.fields.tag = createHmac('sha256', groupKey).update(nonce).digest().subarray(0, 16);
      }
      underName('frame registration', { groupKey });
    },
  },
  { name: 'pseudonym kept', leak: shown('pseudonym', 'frame initialisation', 33, 'all') },
  { name: 'seen coin deposited', leak: shown('coin', 'frame deposit', 32, 'first') },
  {
    name: 'late clump',
    leak: ({ anonymous, underName }, random, { firstSlot, slots }) => {
      const backMs = (firstSlot + slots) * SLOT_MS + random.below(96 * SLOT_MS);
      for (const record of anonymous) record.timeMs = backMs + random.below(200);
      underName('frame connection', {}, backMs);
    },
  },
  {
    name: 'canary in a column',
    leak: canary((own, random) => {
      const record = somewhere(own, random);
      if (!record) return null;
      const columns = Object.keys(record.fields).filter((name) => record.fields[name] instanceof Uint8Array);
      return { fields: record.fields, name: random.pick(columns) };
    }),
  },
  {
    name: 'canary in a frame',
    leak: canary((own, random) => {
      const record = somewhere(own, random);
      return record && { fields: record.fields, name: 'padding' };
    }),
  },
  {
    name: 'canary in a log',
    // the anonymous line stands beside what it is about
    leak: canary((own, random) => {
      const record = somewhere(own, random);
      return record && { fields: record.fields, name: 'line' };
    }),
  },
];
