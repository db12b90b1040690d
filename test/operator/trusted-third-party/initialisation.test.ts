// Initialisation with real TPMs (swtpm) and real processes: what is given, to whom, and once.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { HolderCheck } from '../../../protocol/identity/certificates.ts';
import {
  decodePseudonymCertificate,
  verifyPseudonymCertificate,
} from '../../../protocol/identity/pseudonym-certificate.ts';
import { SLOTS_PER_DAY } from '../../../protocol/time/slots.ts';
import { MalformedError } from '../../../protocol/wire/bytes.ts';
import { ADDRESS, AREA, form, gatewayOf, initialise, START_MS, startSide, TODAY } from '../identity-side.ts';

test('a customer types name, number and PIN, and the gateway has its names', async (t) => {
  const side = await startSide(t, { processes: true });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  t.deepEqual(gateway.identity.state, { state: 'uninitialised', reason: null, daysLeft: 0 });
  const pin = `${letter.pin.slice(0, 4)} ${letter.pin.slice(4)}`;
  t.deepEqual(await initialise(gateway.identity, form({ ...letter, pin })), {
    state: 'ready',
    reason: null,
    daysLeft: 35,
  });

  const holders = new HolderCheck(readFileSync(side.side.authorityFile, 'utf8'));
  const identifier = gateway.identity.requestIdentity('identifier', 'provider')!;
  t.like(holders.check(identifier.certificate, ['identifier'], START_MS), {
    name: 'Erika Mustermann',
    provider: 'provider',
    customerNumber: 'C-1001',
  });
  const household = gateway.identity.requestIdentity('household', 'verifier')!;
  t.like(holders.check(household.certificate, ['household'], START_MS), { ekSerial: gateway.serial, area: AREA });
  const attestation = (await gateway.identity.attestation())!;
  t.like(holders.check(attestation.certificate, ['attestation'], START_MS), {
    ekSerial: gateway.serial,
    address: ADDRESS,
  });

  const pseudonyms = new Set<string>();
  const issuers = [Buffer.from(side.side.gatewayIdentity.issuingKey, 'hex')];
  for (const day of [TODAY, TODAY + 1, TODAY + 34]) {
    const slot = day * SLOTS_PER_DAY + 17;
    const signer = await gateway.identity.signerFor(slot);
    const certificate = decodePseudonymCertificate(signer.pseudonymCertificate!);
    verifyPseudonymCertificate(certificate, issuers, slot);
    t.deepEqual(Buffer.from(certificate.publicKey), Buffer.from(signer.pseudonym));
    t.is(certificate.area, AREA);
    pseudonyms.add(Buffer.from(signer.pseudonym).toString('hex'));
  }
  t.is(pseudonyms.size, 3, 'another one every day');
  await t.throwsAsync(gateway.identity.signerFor((TODAY + 35) * SLOTS_PER_DAY), {
    name: 'NoPseudonymError',
    message: 'there is no certified pseudonym for 2026-04-14',
  });
  t.like(await side.thirdParty.ask('identities'), { identities: 1, pseudonyms: 35, revokedPseudonyms: 0 });
  t.deepEqual((await gateway.reopen()).state, { state: 'ready', reason: null, daysLeft: 35 });
});

test('what is typed wrong is named, and nothing is sent', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side
    .sendLetters(['C-1'])
    .catch(() => [{ provider: 'provider', customerNumber: 'C-10', pin: '12345678' }]);
  for (const [more, message] of [
    [{ pin: '1234' }, 'personal.pin: is not eight digits'],
    [{ name: '   ' }, 'personal.name: is empty'],
    [{ name: 'a\u0000b' }, 'personal.name: holds characters that cannot be printed'],
    [{ customerNumber: '' }, 'personal.customerNumber: is no customer number'],
    [{ address: 7 }, 'personal.address: is missing'],
    [{ more: 1 }, 'personal.more: is missing, unknown or of the wrong kind'],
  ] as const)
    await t.throwsAsync(gateway.identity.initialise(form(letter, more)), { instanceOf: MalformedError, message });
  t.is(gateway.identity.state.state, 'uninitialised');
});

test('a gateway without a third party waits, says why, and goes on by itself', async (t) => {
  const side = await startSide(t, { processes: true });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  await side.thirdParty.kill();
  const waiting = await initialise(gateway.identity, form(letter));
  t.is(waiting.state, 'waiting');
  t.regex(waiting.reason!, /ECONNREFUSED/);
  await side.thirdParty.start();
  await side.thirdParty.advance(START_MS, true);
  await gateway.reopen();
  while (gateway.identity.state.state !== 'ready') await gateway.identity.settled();
  t.pass();
  const kept = readFileSync(join(gateway.swtpm.directory, 'identity.db'));
  for (const secret of [letter.pin, letter.customerNumber, 'Mustermann'])
    t.false(kept.includes(secret), 'nothing of the form is kept, but within the certificate');
});
