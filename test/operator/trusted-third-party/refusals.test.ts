// What initialisation refuses, each with a sentence of its own (issue 3). Real TPMs, real processes, real messages.
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PaperMaker } from '../../../bench/attestation/paper-tpm.ts';
import { GridCa } from '../../../bench/grid-ca.ts';
import type { InitialisationTpm } from '../../../gateway/identity/household-identity.ts';
import { callService } from '../../../gateway/services/client.ts';
import { OBJECT, readSigningPublic } from '../../../protocol/attestation/tpm-wire.ts';
import {
  CHALLENGE,
  certifiedOver,
  type InitialisationKeys,
  type InitialisationRequest,
  type PseudonymKey,
  SEALED_CERTIFICATES,
  sealAnswer,
  sealRequest,
} from '../../../protocol/identity/initialisation.ts';
import { type Recovery, ServiceError } from '../../../protocol/services/call.ts';
import {
  ADDRESS,
  AREA,
  form,
  gatewayOf,
  initialise,
  START_MS,
  startSide,
  type TestGateway,
  type TestSide,
  TODAY,
} from '../identity-side.ts';

/** What another TPM says to a credential that is not for it; swtpm takes it for a failure of its own. */
const FOREIGN = /made for another endorsement key|TPM failure/;

/** A gateway's program that can be told to lie at any place. */
class Liar {
  readonly side: TestSide;
  readonly gateway: TestGateway;
  readonly tpm: InitialisationTpm;

  constructor(side: TestSide, gateway: TestGateway) {
    this.side = side;
    this.gateway = gateway;
    this.tpm = gateway.tpm;
  }
  get #thirdParty(): Uint8Array {
    return Buffer.from(this.side.side.gatewayIdentity.publicKey, 'hex');
  }

  async request(letter: object, more: Partial<InitialisationRequest> = {}) {
    const { certificate, publicBlob } = await this.tpm.endorsement();
    const ak = await this.tpm.loadKey(await this.tpm.createAttestationKey());
    const typed = form(letter as never);
    const request = {
      ekCertificate: certificate,
      ekPublic: publicBlob,
      akPublic: ak.blob.publicBlob,
      ...typed,
      ...more,
    };
    const sealed = await sealRequest(request, this.#thirdParty);
    return { ak, sealed, challenge: await this.send('/initialisation/request', { sealed }, CHALLENGE) };
  }

  async keys(
    ak: Awaited<ReturnType<InitialisationTpm['loadKey']>>,
    nonce: Uint8Array,
    days = [TODAY],
    tpm: InitialisationTpm = this.tpm,
  ): Promise<InitialisationKeys> {
    const certified = async (day: number | null) => {
      const key = await tpm.loadKey(await tpm.createSigningKey());
      const { attest, signature } = await tpm.certify(key, ak, certifiedOver(nonce, day));
      return { public: key.blob.publicBlob, attest, signature };
    };
    const pseudonyms: PseudonymKey[] = [];
    for (const day of days) pseudonyms.push({ day, ...(await certified(day)) });
    return { identifier: await certified(null), household: await certified(null), pseudonyms };
  }

  async answer(keys: InitialisationKeys, transaction: Uint8Array, secret: Uint8Array) {
    const sealed = await sealAnswer(keys, { transaction, secret }, this.#thirdParty);
    return this.send('/initialisation/answer', { transaction, sealed }, SEALED_CERTIFICATES);
  }

  send<S extends typeof CHALLENGE | typeof SEALED_CERTIFICATES>(path: string, body: object, answer: S) {
    const { url, caFile } = this.side.side.gatewayIdentity;
    return callService({ url, ca: readFileSync(caFile, 'utf8'), path, body, answer });
  }
}

async function refused(
  t: ExecutionContext,
  promise: Promise<unknown>,
  code: string,
  message: string | RegExp,
  recovery: Recovery = 'final',
): Promise<void> {
  const error = (await t.throwsAsync(promise, { instanceOf: ServiceError, message }))!;
  t.like(error, { kind: 'refused', code, recovery });
}

const setUp = async (t: ExecutionContext) => {
  const side = await startSide(t);
  const gateway = await gatewayOf(t, side);
  const [letter] = await side.side.sendLetters(['C-1001']);
  return { side, gateway, letter, liar: new Liar(side, gateway) };
};

test('endorsement keys that are not believed', async (t) => {
  const [maker, unknownMaker] = [await PaperMaker.found(Date.now()), await PaperMaker.found(Date.now())];
  const side = await startSide(t, { makers: [maker.root, maker.intermediate] });
  const gateway = await gatewayOf(t, side, 'unregistered');
  const [letter] = await side.side.sendLetters(['C-1001']);
  const liar = new Liar(side, gateway);
  const sentence = 'this gateway is not registered with the grid operator';
  await refused(t, liar.request(letter), 'unknown device', sentence, 'again');
  t.like(await initialise(gateway.identity, form(letter)), { state: 'waiting', reason: sentence }, 'it may come yet');

  const { certificate } = await gateway.tpm.endorsement();
  const { serial } = await side.side.provision(certificate, null);
  await side.advance(START_MS);
  await refused(t, liar.request(letter), 'not installed', /not installed this gateway at any address yet/, 'again');
  await side.side.setState(serial, 'revoked');
  await side.advance(START_MS);
  await refused(t, liar.request(letter), 'revoked device', 'the grid operator has revoked this gateway');
  gateway.identity.resume();
  await gateway.identity.settled();
  t.like(gateway.identity.state, { state: 'refused', reason: 'the grid operator has revoked this gateway' });

  const expired = await maker.endorse({ expiredMs: Date.now() - 1000 });
  await refused(
    t,
    liar.request(letter, { ekCertificate: expired.certificate }),
    'bad endorsement key',
    'the certificate has expired',
  );
  const foreign = await unknownMaker.endorse();
  const notPinned = 'its certificate was not issued by a maker of TPMs that is pinned here';
  await refused(t, liar.request(letter, { ekCertificate: foreign.certificate }), 'bad endorsement key', notPinned);
  const flipped = Buffer.from(certificate);
  flipped[flipped.length - 1] ^= 1;
  await refused(t, liar.request(letter, { ekCertificate: flipped }), 'bad endorsement key', notPinned);
  const other = await gatewayOf(t, side, 'unregistered', { fresh: true });
  const { publicBlob } = await other.tpm.endorsement();
  await refused(
    t,
    liar.request(letter, { ekPublic: publicBlob }),
    'bad endorsement key',
    'the certificate is of another endorsement key than the one that is described',
  );
});

test('a software key said to be in the TPM', async (t) => {
  const { liar, letter } = await setUp(t);
  const { ak, challenge } = await liar.request(letter);
  const secret = await liar.tpm.activateCredential(ak, challenge.credential);
  const keys = await liar.keys(ak, challenge.nonce);
  const publicBlob = Buffer.from(keys.identifier.public);
  const { x, y } = readSigningPublic(publicBlob);
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
  Buffer.from(jwk.x!, 'base64url').copy(publicBlob, publicBlob.indexOf(x));
  Buffer.from(jwk.y!, 'base64url').copy(publicBlob, publicBlob.indexOf(y));
  const lie = { ...keys, identifier: { ...keys.identifier, public: publicBlob } };
  await refused(
    t,
    liar.answer(lie, challenge.transaction, secret),
    'bad key',
    'another key was certified than the one that is shown',
  );
  const pseudonym = { ...keys.pseudonyms[0], public: publicBlob };
  await refused(
    t,
    liar.answer({ ...keys, pseudonyms: [pseudonym] }, challenge.transaction, secret),
    'bad key',
    'another key was certified than the one that is shown',
  );
  t.truthy(await liar.answer(keys, challenge.transaction, secret), 'the true ones are still good');
});

test("another TPM's activation, and keys of another TPM", async (t) => {
  const { side, liar, letter } = await setUp(t);
  const other = await gatewayOf(t, side, 'unregistered', { fresh: true });
  const { ak, challenge } = await liar.request(letter);
  await t.throwsAsync(
    async () => {
      const foreign = await other.tpm.loadKey(await other.tpm.createAttestationKey());
      await other.tpm.activateCredential(foreign, challenge.credential);
    },
    { message: FOREIGN },
  );
  await other.swtpm.kill(); // a software TPM may do nothing more after that
  await other.swtpm.start();
  const keys = await liar.keys(ak, challenge.nonce);
  await refused(
    t,
    liar.answer(keys, challenge.transaction, randomBytes(32)),
    'not activated',
    'the credential was not activated by the TPM of this endorsement key',
  );
  const foreignAk = await other.tpm.loadKey(await other.tpm.createAttestationKey());
  const foreign = await liar.keys(foreignAk, challenge.nonce, [TODAY], other.tpm);
  const secret = await liar.tpm.activateCredential(ak, challenge.credential);
  await refused(
    t,
    liar.answer(foreign, challenge.transaction, secret),
    'bad key',
    'what the TPM is said to have said was not signed by the attestation key',
  );
});

test('an attestation key with other attributes', async (t) => {
  const { liar, letter } = await setUp(t);
  const { blob } = await liar.tpm.loadKey(await liar.tpm.createAttestationKey());
  const changed = (flip: number): Uint8Array => {
    const publicBlob = Buffer.from(blob.publicBlob);
    publicBlob.writeUInt32BE((publicBlob.readUInt32BE(6) ^ flip) >>> 0, 6);
    return publicBlob;
  };
  for (const [flip, problem] of [
    [OBJECT.restricted, /it is not restricted, so it signs anything/],
    [OBJECT.fixedTPM, /it could be moved to another TPM/],
    [OBJECT.fixedParent, /it could be moved under another parent/],
    [OBJECT.sensitiveDataOrigin, /its secret was not made by the TPM/],
    [OBJECT.decrypt, /it also decrypts/],
  ] as const)
    await refused(t, liar.request(letter, { akPublic: changed(flip) }), 'bad key', problem);
});

test('messages of before, for another day, twice', async (t) => {
  const { liar, letter, side } = await setUp(t);
  const first = await liar.request(letter);
  const second = await liar.request(letter);
  t.notDeepEqual(first.challenge.nonce, second.challenge.nonce);
  t.deepEqual(
    await liar.send('/initialisation/request', { sealed: first.sealed }, CHALLENGE),
    first.challenge,
    'the same request gets the same challenge',
  );
  const secret = await liar.tpm.activateCredential(second.ak, second.challenge.credential);
  const old = await liar.keys(second.ak, first.challenge.nonce);
  const { transaction } = second.challenge;
  await refused(t, liar.answer(old, transaction, secret), 'bad key', 'what was signed answers another challenge');
  const keys = await liar.keys(second.ak, second.challenge.nonce, [TODAY, TODAY + 1]);
  const [today, tomorrow] = keys.pseudonyms;
  await refused(
    t,
    liar.answer({ ...keys, pseudonyms: [{ ...today, day: TODAY + 1 }] }, transaction, secret),
    'bad key',
    'what was signed answers another challenge',
  );
  await refused(
    t,
    liar.answer({ ...keys, pseudonyms: [today, today] }, transaction, secret),
    'bad key',
    'keys.pseudonyms.1.day stands there twice',
  );
  const far = await liar.keys(second.ak, second.challenge.nonce, [TODAY + 71]);
  await refused(t, liar.answer(far, transaction, secret), 'bad key', /too long ago or too far ahead/);
  t.truthy(tomorrow);
  await liar.answer(keys, transaction, secret);
  await refused(
    t,
    liar.answer(keys, transaction, secret),
    'answered',
    'this initialisation has had another answer already',
    'start over',
  );
  await refused(
    t,
    liar.answer(keys, randomBytes(16), secret),
    'unknown transaction',
    /is not known, or was begun too long ago/,
    'start over',
  );
  await side.advance(START_MS + 2 * 86_400_000);
  const [letterTwo] = await side.side.sendLetters(['C-2002']);
  const third = await liar.request(letterTwo);
  await side.advance(START_MS + 3 * 86_400_000 + 1);
  const late = await liar.tpm.activateCredential(third.ak, third.challenge.credential);
  await refused(
    t,
    liar.answer(await liar.keys(third.ak, third.challenge.nonce), third.challenge.transaction, late),
    'unknown transaction',
    /is not known, or was begun too long ago/,
    'start over',
  );
});

test('a wrong PIN: three tries, then gateway and number are locked; a new letter helps', async (t) => {
  const { side, gateway, letter, liar } = await setUp(t);
  const wrong = { ...letter, pin: letter.pin === '00000000' ? '00000001' : '00000000' };
  const sentence = 'customer number and PIN do not belong together; ';
  // one message sent twice is one try
  const { ak, challenge } = await liar.request(wrong);
  const secret = await liar.tpm.activateCredential(ak, challenge.credential);
  const keys = await liar.keys(ak, challenge.nonce);
  const thirdParty = Buffer.from(side.side.gatewayIdentity.publicKey, 'hex');
  const { transaction } = challenge;
  const sealed = await sealAnswer(keys, { transaction, secret }, thirdParty);
  for (let i = 0; i < 2; i++)
    await refused(
      t,
      liar.send('/initialisation/answer', { transaction, sealed }, SEALED_CERTIFICATES),
      'wrong pin',
      `${sentence}2 tries are left`,
      'correct',
    );
  t.like(await initialise(gateway.identity, form({ ...wrong, customerNumber: 'NOBODY' })), {
    state: 'refused',
    reason: `${sentence}one try is left`,
  });
  t.is((await initialise(gateway.identity, form(wrong))).reason, `${sentence}this gateway is locked now`);
  t.regex((await initialise(gateway.identity, form(letter))).reason!, /^this gateway is locked after 3 wrong PINs/);

  // somebody else's gateway, the same customer number: two wrong ones have been counted
  const other = await gatewayOf(t, side, { address: ADDRESS, area: AREA }, { fresh: true });
  t.is((await initialise(other.identity, form(wrong))).reason, `${sentence}2 tries are left`);
  t.regex(
    (await initialise(other.identity, form(letter))).reason!,
    /^this customer number is locked after 3 wrong PINs/,
  );
  const [fresh] = await side.side.sendLetters(['C-1001']);
  t.is((await initialise(other.identity, form(fresh))).state, 'ready');

  // its customer has shown who they are: the technician unlocks the first one
  const ca = await GridCa.open(join(side.directory, 'grid-ca'));
  const unlock = async (role: string): Promise<string> => {
    const { certFile, keyFile } = await ca.client(role);
    const script = resolve(import.meta.dirname, '../../../scripts/provision.ts');
    const access = ['--ca', ca.caFile, '--cert', certFile, '--key', keyFile];
    const args = [script, '--unlock', gateway.serial, '--third-party', side.side.urls.trustedThirdParty, ...access];
    return new Promise<string>((done) =>
      execFile(process.execPath, args, (_, stdout, stderr) => done(stdout + stderr)),
    );
  };
  t.regex(await unlock('collector'), /only console, technician may ask this/);
  t.is(await unlock('technician'), `gateway ${gateway.serial}: 3 wrong PINs forgotten\n`);
  t.regex((await initialise(gateway.identity, form(fresh))).reason!, /PIN/, 'which has been used by the other one');
  const [next] = await side.side.sendLetters(['C-1002']);
  t.is((await initialise(gateway.identity, form(next))).state, 'ready');
});

test('a PIN is good for one gateway', async (t) => {
  const { side, gateway, letter } = await setUp(t);
  t.is((await initialise(gateway.identity, form(letter))).state, 'ready');
  const other = await gatewayOf(t, side, { address: ADDRESS, area: AREA }, { fresh: true });
  t.like(await initialise(other.identity, form(letter)), {
    state: 'refused',
    reason: 'this PIN was used for another gateway: ask your provider for a new one',
  });
});

test('certificates that come back are for this TPM only', async (t) => {
  const { side, liar, letter } = await setUp(t);
  const { ak, challenge } = await liar.request(letter);
  const secret = await liar.tpm.activateCredential(ak, challenge.credential);
  const certificates = await liar.answer(await liar.keys(ak, challenge.nonce), challenge.transaction, secret);
  const other = await gatewayOf(t, side, 'unregistered', { fresh: true });
  const foreign = await other.tpm.loadKey(await other.tpm.createAttestationKey());
  await t.throwsAsync(other.tpm.activateCredential(foreign, certificates.credential), {
    message: FOREIGN,
  });
  const otherAk = await liar.tpm.loadKey(await liar.tpm.createAttestationKey());
  await t.throwsAsync(liar.tpm.activateCredential(otherAk, certificates.credential), {
    message: /for another attestation key/,
  });
  t.truthy(await liar.tpm.activateCredential(ak, certificates.credential));
});
