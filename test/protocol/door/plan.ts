/** A plan with two destinations whose keys a test holds. */
import { sign } from 'node:crypto';
import { type Ed25519Key, generateEd25519Key } from '../../../protocol/crypto/ed25519.ts';
import { generateHpkeKeyPair, type HpkeOpener, hpkeOpener } from '../../../protocol/crypto/hpke.ts';
import { type DoorPlan, openPlan, publishPlan, type UnsignedPlan } from '../../../protocol/door/plan.ts';

export interface TestPlan {
  plan: DoorPlan;
  bytes: Uint8Array;
  planKey: Ed25519Key;
  /** By destination, in the plan's order. */
  openers: HpkeOpener[];
  listKeys: Ed25519Key[];
}

export async function testPlan(change: Partial<UnsignedPlan> = {}): Promise<TestPlan> {
  const pairs = [await generateHpkeKeyPair(), await generateHpkeKeyPair()];
  const listKeys = [generateEd25519Key(), generateEd25519Key()];
  const planKey = generateEd25519Key();
  const destinations = [
    { name: 'bank', cells: 1, messageBytes: 40, answerBytes: 20 },
    { name: 'control-centre', cells: 2, messageBytes: 200, answerBytes: 60 },
  ].map((one, i) => ({ ...one, publicKey: pairs[i].publicKey, listKey: listKeys[i].publicKey }));
  const unsigned = { number: 7, sendAfterMs: 300_000, destinations, ...change };
  const bytes = publishPlan(unsigned, (message) => sign(null, message, planKey.privateKey));
  return {
    plan: openPlan(bytes, planKey.publicKey),
    bytes,
    planKey,
    openers: pairs.map(({ privateKey }) => hpkeOpener(privateKey)),
    listKeys,
  };
}
