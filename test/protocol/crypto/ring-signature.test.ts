import { randomBytes } from 'node:crypto';
import test from 'ava';
import { GroupError } from '../../../protocol/crypto/group.ts';
import { generateServerKey } from '../../../protocol/crypto/pvss.ts';
import { Ring, ringSignatureBytes, signInRing, verifyInRing } from '../../../protocol/crypto/ring-signature.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';

const members = Array.from({ length: 6 }, () => generateServerKey(randomBytes));
const ring = new Ring(members.map(({ publicKey }) => publicKey));
const SLOT = 1_900_000;
const message = Buffer.from('1200 Wh');
const hex = (bytes: Uint8Array | null): string => Buffer.from(bytes!).toString('hex');

test('every member signs, and nobody sees which', (t) => {
  const tags = members.map(({ secret }) => {
    const signature = signInRing(ring, SLOT, secret, message, randomBytes);
    t.is(signature.length, ringSignatureBytes(6));
    return hex(verifyInRing(ring, SLOT, message, signature));
  });
  t.is(new Set(tags).size, 6);
});

test('a member signs twice in a slot: one tag. In another slot or ring: another', (t) => {
  const [{ secret }] = members;
  const tag = (where: Ring, slot: number, what: Uint8Array): string =>
    hex(verifyInRing(where, slot, what, signInRing(where, slot, secret, what, randomBytes)));
  t.is(tag(ring, SLOT, message), tag(ring, SLOT, Buffer.from('50 Wh')));
  t.not(tag(ring, SLOT, message), tag(ring, SLOT + 1, message));
  const other = new Ring(members.slice(0, 5).map(({ publicKey }) => publicKey));
  t.not(tag(ring, SLOT, message), tag(other, SLOT, message));
});

test('what is not signed by a member for this message, slot and ring is not taken', (t) => {
  const signature = signInRing(ring, SLOT, members[2].secret, message, randomBytes);
  t.is(verifyInRing(ring, SLOT, Buffer.from('1250 Wh'), signature), null);
  t.is(verifyInRing(ring, SLOT + 1, message, signature), null);
  const order = new Ring([...members].reverse().map(({ publicKey }) => publicKey));
  t.is(verifyInRing(order, SLOT, message, signature), null);
  // another tag, to report twice
  const forged = Buffer.from(signature);
  forged.set(generateServerKey(randomBytes).publicKey, 3);
  t.is(verifyInRing(ring, SLOT, message, forged), null);
  const broken = Buffer.from(signature).fill(0xff, 40, 60);
  t.is(verifyInRing(ring, SLOT, message, broken), null);
  t.throws(() => verifyInRing(ring, SLOT, message, signature.subarray(1)), { instanceOf: MalformedError });
  t.throws(() => verifyInRing(ring, SLOT, message, Buffer.from(signature).fill(0, 3, 36)), { instanceOf: GroupError });
  t.throws(() => signInRing(ring, SLOT, generateServerKey(randomBytes).secret, message, randomBytes), {
    message: /not in the ring/,
  });
  t.throws(() => new Ring([members[0].publicKey, members[0].publicKey]), { message: /twice/ });
});
