// Another provider, and the end of a household's names, over the third party's real service with keys in a TPM.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { IdentityStore } from '../../../gateway/identity/store.ts';
import { HolderCheck } from '../../../protocol/identity/certificates.ts';
import { ServiceError } from '../../../protocol/services/call.ts';
import { form, gatewayOf, initialise, startSide, TODAY } from '../identity-side.ts';

const PROVIDERS = { provider: 'Old Power', 'provider-sun': 'Sunny Power' };

test('an identifier for another provider: the pseudonyms stay, the former one still signs, a PIN is judged, a kill changes nothing', async (t) => {
  const side = await startSide(t, { providers: PROVIDERS });
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1'], 'Old Power');
  await t.throwsAsync(gateway.identity.takeLetter({ ...letter, provider: 'Sunny Power' }), {
    message: /letter: comes before this meter is set up/,
  });
  await initialise(gateway.identity, form(letter));
  const { identity } = gateway;
  const pseudonym = identity.pseudonymOf(TODAY + 3);
  const holders = new HolderCheck(readFileSync(side.side.authorityFile, 'utf8'));
  const subjectOf = (provider?: string) => {
    const shown = gateway.identity.requestIdentity('identifier', 'provider', provider);
    return shown && holders.check(shown.certificate, ['identifier'], side.clock.nowMs());
  };
  const [sunny] = await side.side.sendLetters(['S-9'], 'Sunny Power');
  t.is(subjectOf('Sunny Power'), null);

  const wrong = { ...sunny, pin: sunny.pin === '00000000' ? '11111111' : '00000000' };
  await t.throwsAsync(identity.takeLetter(wrong), { instanceOf: ServiceError, message: /do not belong together/ });
  for (const [path, mistake] of [
    ['letter.pin', { pin: '12' }],
    ['letter.provider', { provider: 'Old Power' }],
    ['letter.customerNumber', { customerNumber: '' }],
  ] as const)
    t.is(((await t.throwsAsync(identity.takeLetter({ ...sunny, ...mistake }))) as { path?: string }).path, path);
  t.is(identity.provider, 'Old Power');

  // dies with the answer in its hands: the third party has changed, the gateway asks with the same bytes
  let activations = 0;
  const dying = new Proxy(gateway.tpm, {
    get(target, name) {
      const method = target[name as keyof typeof target];
      if (typeof method !== 'function') return method;
      return (...parameters: unknown[]) => {
        if (name === 'activateCredential' && ++activations === 1) throw new Error('killed');
        return (method as (...all: unknown[]) => unknown).apply(target, parameters);
      };
    },
  });
  await gateway.reopen({ tpm: dying });
  await gateway.identity.takeLetter(sunny);
  t.is(gateway.identity.provider, 'Old Power', 'on its way');
  await gateway.reopen();
  await gateway.identity.settled();
  t.is(gateway.identity.provider, 'Sunny Power');
  t.like(subjectOf(), { provider: 'Sunny Power', customerNumber: 'S-9', name: 'Erika Mustermann' });
  t.like(subjectOf('Old Power'), { provider: 'Old Power', customerNumber: 'C-1' });
  const message = Buffer.from('the last bill');
  t.is((await gateway.identity.requestIdentity('identifier', 'provider', 'Old Power')!.sign(message)).length, 64);
  t.deepEqual(gateway.identity.pseudonymOf(TODAY + 3), pseudonym);
  t.like(await side.thirdParty.ask('identities'), { identities: 1, pseudonyms: 35, ended: 0 });

  // the new identifier is who is topped up
  await side.advance(side.clock.nowMs() + 25 * 86_400_000);
  gateway.identity.tick();
  await gateway.identity.settled();
  t.is(gateway.identity.state.daysLeft, 35);
});

test('who moves out ends: no pseudonym from tomorrow on, twice is once, and the next people begin', async (t) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [first, second] = await side.side.sendLetters(['C-1', 'C-2']);
  await initialise(gateway.identity, form(first));
  const file = join(gateway.swtpm.directory, 'identity.db');
  await gateway.identity.end();
  t.is(gateway.identity.state.state, 'uninitialised');
  t.like(await side.thirdParty.ask('identities'), { identities: 0, ended: 1, revokedPseudonyms: 34 });
  t.truthy(gateway.identity.pseudonymOf(TODAY), 'today ends as it began');
  t.is(gateway.identity.pseudonymOf(TODAY + 1), null);
  t.is(gateway.identity.requestIdentity('household', 'verifier'), null);
  const store = new IdentityStore(file);
  t.is(store.key('identifier'), null);
  store.close();
  await gateway.identity.end();
  t.is((await initialise(gateway.identity, form(second))).state, 'ready');
  t.truthy(gateway.identity.pseudonymOf(TODAY + 1));
});
