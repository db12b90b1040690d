// The names of a household over time: kills, top-ups, moving house, another gateway, revocation; and what lies on whose disk.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { IdentityStore } from '../../../gateway/identity/store.ts';
import { HolderCheck } from '../../../protocol/identity/certificates.ts';
import { decodePseudonymCertificate } from '../../../protocol/identity/pseudonym-certificate.ts';
import { isRevoked, openRevocationList, type RevocationList } from '../../../protocol/identity/revocation-list.ts';
import { openRevokedCertificates } from '../../../protocol/identity/revoked-certificates.ts';
import { DAY_MS, SLOTS_PER_DAY } from '../../../protocol/time/slots.ts';
import { bytesOf } from '../grid.ts';
import {
  AREA,
  form,
  gatewayOf,
  initialise,
  openIdentity,
  START_MS,
  startSide,
  type TestSide,
  TODAY,
} from '../identity-side.ts';

const slotOf = (day: number): number => day * SLOTS_PER_DAY + 40;
const issuers = ({ side }: TestSide): Uint8Array[] => [Buffer.from(side.gatewayIdentity.issuingKey, 'hex')];
const revoked = (side: TestSide): RevocationList =>
  openRevocationList(readFileSync(side.side.collectorTrust.revocationFile), issuers(side));

test('kill -9 of the third party between challenge and answer, and of the gateway at every message', async (t) => {
  const side = await startSide(t, { processes: true });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  const file = join(gateway.swtpm.directory, 'identity.db');
  const killed = async (): Promise<void> => {
    await side.thirdParty.kill();
    await side.thirdParty.start();
    await side.thirdParty.advance(side.clock.nowMs(), true);
  };
  const phase = (): string | undefined => {
    const store = new IdentityStore(file);
    const found = store.get('attempt')?.phase;
    store.close();
    return found;
  };
  /** The TPM's own clock of things done; after so many of them the process is no more. */
  let left = Number.POSITIVE_INFINITY;
  const dying = new Proxy(gateway.tpm, {
    get(tpm, name) {
      const method = tpm[name as keyof typeof tpm];
      if (typeof method !== 'function') return method;
      return (...parameters: unknown[]) => {
        if (--left < 0) throw new Error('killed');
        return (method as (...all: unknown[]) => unknown).apply(tpm, parameters);
      };
    },
  });
  await gateway.identity.close();
  let identity = openIdentity(side, { file, tpm: dying });
  gateway.identity = identity;
  await identity.initialise(form(letter));
  left = 20;
  await identity.settled();
  const phases = [phase()];
  for (let lives = 0; identity.state.state !== 'ready' && lives < 12; lives++) {
    await identity.close();
    await killed();
    left = 20 + 14 * lives;
    identity = openIdentity(side, { file, tpm: dying });
    gateway.identity = identity;
    identity.resume();
    await identity.settled();
    phases.push(phase());
  }
  t.is(identity.state.state, 'ready');
  t.true(phases.includes('request'));
  t.like(await side.thirdParty.ask('identities'), { identities: 1, pseudonyms: 35, ended: 0 });
  const signer = await identity.signerFor(slotOf(TODAY));
  t.is(decodePseudonymCertificate(signer.pseudonymCertificate!).day, TODAY);
});

test('the answer was lost with the third party: the same message gets the same answer', async (t) => {
  const side = await startSide(t, { processes: true });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  let activations = 0;
  const tpm = new Proxy(gateway.tpm, {
    get(target, name) {
      const method = target[name as keyof typeof target];
      if (typeof method !== 'function') return method;
      return (...parameters: unknown[]) => {
        // the second activation opens the certificates: the gateway dies with the answer in its hands
        if (name === 'activateCredential' && ++activations === 2) throw new Error('killed');
        return (method as (...all: unknown[]) => unknown).apply(target, parameters);
      };
    },
  });
  await gateway.reopen({ tpm });
  t.is((await initialise(gateway.identity, form(letter))).state, 'waiting');
  await side.thirdParty.kill();
  await side.thirdParty.start();
  await side.thirdParty.advance(START_MS, true);
  await gateway.reopen();
  await gateway.identity.settled();
  t.is(gateway.identity.state.state, 'ready');
  t.like(await side.thirdParty.ask('identities'), { identities: 1, pseudonyms: 35 });
});

test('pseudonyms are topped up before they run out, and after weeks without the grid', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  await initialise(gateway.identity, form(letter));
  await side.advance(START_MS + 21 * DAY_MS);
  gateway.identity.tick();
  await gateway.identity.settled();
  t.is(gateway.identity.state.daysLeft, 14, 'enough');
  await side.advance(START_MS + 22 * DAY_MS);
  gateway.identity.tick();
  await gateway.identity.settled();
  t.deepEqual(gateway.identity.state, { state: 'ready', reason: null, daysLeft: 35 });
  const days = [TODAY, TODAY + 22, TODAY + 34, TODAY + 35, TODAY + 56];
  const signers = await Promise.all(days.map((day) => gateway.identity.signerFor(slotOf(day))));
  t.is(new Set(signers.map(({ pseudonym }) => Buffer.from(pseudonym).toString('hex'))).size, 5);

  // the third party out of reach: it waits, and asks for the days between as well
  await side.thirdParty.kill();
  side.clock.advanceTo(START_MS + 70 * DAY_MS);
  gateway.identity.tick();
  await gateway.identity.settled();
  t.regex(gateway.identity.state.reason!, /ECONNREFUSED/);
  await t.throwsAsync(gateway.identity.signerFor(slotOf(TODAY + 65)), { name: 'NoPseudonymError' });
  await side.thirdParty.start();
  await side.advance(START_MS + 70 * DAY_MS);
  await gateway.reopen();
  await gateway.identity.settled();
  t.deepEqual(gateway.identity.state, { state: 'ready', reason: null, daysLeft: 35 });
  await t.notThrowsAsync(gateway.identity.signerFor(slotOf(TODAY + 65)), 'a day of the outage');
});

test('moving house, another gateway: the former names end, today keeps its pseudonym', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [first, second] = await side.side.sendLetters(['C-1001', 'C-2002']);
  await initialise(gateway.identity, form(first));
  const holders = new HolderCheck(readFileSync(side.side.authorityFile, 'utf8'));
  const serialOf = (): string =>
    holders.check(gateway.identity.requestIdentity('identifier', 'x')!.certificate, ['identifier'], START_MS)
      .serialNumber;
  const former = serialOf();
  const pseudonymOf = async (identity: typeof gateway.identity, day: number): Promise<Uint8Array> =>
    (await identity.signerFor(slotOf(day))).pseudonym;
  const [today, tomorrow] = [
    await pseudonymOf(gateway.identity, TODAY),
    await pseudonymOf(gateway.identity, TODAY + 1),
  ];

  // another customer moves in where the gateway hangs
  t.deepEqual(await initialise(gateway.identity, form(second, { name: 'Max Müller' })), {
    state: 'ready',
    reason: null,
    daysLeft: 35,
  });
  t.not(serialOf(), former);
  t.deepEqual(await pseudonymOf(gateway.identity, TODAY), today, 'there is one for a day, not two');
  t.notDeepEqual(await pseudonymOf(gateway.identity, TODAY + 1), tomorrow);
  const list = revoked(side);
  t.true(isRevoked(list, tomorrow));
  t.false(isRevoked(list, today));
  t.is(list.revoked.size, 2, 'tomorrow and the day after: the rest when its day comes near');
  const certificates = readFileSync(join(side.directory, 'revoked/revoked-certificates.list'));
  t.true(openRevokedCertificates(certificates, issuers(side)).serialNumbers.has(former));

  // the gateway breaks: the same customer on another one, with another PIN
  const other = await gatewayOf(t, side, { address: 'Musterweg 5, 12345 Musterstadt', area: AREA }, { fresh: true });
  const [letter] = await side.side.sendLetters(['C-2002']);
  const present = await pseudonymOf(gateway.identity, TODAY + 1);
  t.is((await initialise(other.identity, form(letter, { name: 'Max Müller' }))).state, 'ready');
  t.true(isRevoked(revoked(side), present));
  t.like(await side.thirdParty.ask('identities'), { identities: 1, ended: 2 });
});

test('the grid operator revokes a gateway: nothing of it is believed, from now on', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  await initialise(gateway.identity, form(letter));
  const today = (await gateway.identity.signerFor(slotOf(TODAY))).pseudonym;
  t.false(isRevoked(revoked(side), today));
  await side.side.setState(gateway.serial, 'revoked');
  await side.advance(START_MS);
  t.true(isRevoked(revoked(side), today));
  await side.advance(START_MS + 30 * DAY_MS);
  gateway.identity.tick();
  await gateway.identity.settled();
  t.is(gateway.identity.state.reason, 'identifier.certificate has been revoked', 'no more pseudonyms');
  await t.throwsAsync(
    side.side.provision((await gateway.tpm.endorsement()).certificate, { address: 'x', area: AREA }),
    {
      message: `the device ${gateway.serial} is revoked and stays so`,
    },
  );
});

test('on the disks: the grid operator holds no person, the third party forgets the form, files are their owner’s', async (t) => {
  const side = await startSide(t, { processes: true });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  await initialise(gateway.identity, form(letter));
  const { pseudonym } = await gateway.identity.signerFor(slotOf(TODAY));
  const holds = (haystack: Buffer, needle: Uint8Array | string): boolean => {
    const value = Buffer.from(needle as string);
    return [value, Buffer.from(value.toString('hex')), Buffer.from(value.toString('base64url'))].some((form) =>
      haystack.includes(form),
    );
  };
  const gridOperator = bytesOf(join(side.directory, 'grid-operator'));
  const thirdParty = bytesOf(join(side.directory, 'trusted-third-party'));
  const person = ['Mustermann', 'C-1001', letter.pin];
  for (const value of person) t.false(holds(gridOperator, value), `grid operator: ${value}`);
  t.false(holds(gridOperator, pseudonym), 'grid operator: pseudonym');
  t.true(holds(gridOperator, 'Musterstadt'), 'the search finds what is there');
  t.false(holds(thirdParty, letter.pin), 'third party: PIN');
  t.true(holds(thirdParty, pseudonym) && holds(thirdParty, 'C-1001'), 'who is behind a pseudonym it knows');
  const logs = ['trusted-third-party', 'grid-operator'].map((name) =>
    readFileSync(join(side.directory, `${name}.log`)),
  );
  for (const value of [...person, 'Musterstadt', gateway.serial])
    t.false(
      logs.some((log) => holds(log, value)),
      `log: ${value}`,
    );
  t.false(gateway.log.some((line) => person.some((value) => line.includes(value))));
  for (const file of [
    'trusted-third-party/trusted-third-party.sqlite',
    'grid-operator/grid-operator.sqlite',
    'trusted-third-party-keys/hpke.key',
    'trusted-third-party-keys/issuing.key',
    'trusted-third-party-keys/authority.key',
  ])
    t.is(statSync(join(side.directory, file)).mode & 0o077, 0, file);
  t.is(statSync(join(gateway.swtpm.directory, 'identity.db')).mode & 0o077, 0);
});
