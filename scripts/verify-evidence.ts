/**
 * `scripts/verify-evidence FILE`: one evidence, one verdict, no state and no network. FILE is what the verifier keeps and gives to
 * its console (JSON), or evidence as it travels (binary). The checks are the verifier's own (protocol/attestation/appraisal.ts);
 * nothing here skips the endorsement chain.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readEkRoots } from '../operator/shared/endorsement.ts';
import { ArtefactFolder } from '../operator/verifier/artefacts.ts';
import { referencesOf } from '../operator/verifier/releases.ts';
import { appraise, type Verdict } from '../protocol/attestation/appraisal.ts';
import { decodeEvidence } from '../protocol/attestation/evidence.ts';
import type { ReferenceValues } from '../protocol/attestation/reference-values.ts';
import { HolderCheck } from '../protocol/identity/certificates.ts';
import { openManifest } from '../protocol/updates/manifest.ts';
import { MalformedError } from '../protocol/wire/bytes.ts';

const HELP = `usage: scripts/verify-evidence FILE --roots DIR --authority FILE [--reference DIR --release-key HEX] [--at TIME] [--json]

  FILE               evidence as the verifier keeps it (JSON), or as it travels (binary)
  --roots DIR        certificates of the makers of TPMs that you trust, PEM (who signed itself is a root), and their .crl lists
  --authority FILE   the trusted third party's X.509 authority, PEM
  --reference DIR    releases, as scripts/release writes them
  --release-key HEX  the trusted third party's release key, Ed25519, 32 bytes
  --at TIME          the instant to judge for, such as 2026-06-01T12:00:00Z; when the evidence came, or now, unless told
  --json             the verdict as JSON

Without --reference whatever runs on gateway and meter is accepted, with a warning. Whether the challenge was fresh and whether
the grid operator has registered the device cannot be known offline.
Ends with 0 where the device is to be trusted, 1 where it is not, 2 where that cannot be said.`;

/** What keeps it from saying anything. */
class Unusable extends Error {}

interface Read {
  bytes: Uint8Array;
  receivedMs: number | null;
}

function readEvidence(file: string): Read {
  const content = readFileSync(file);
  if (content[0] !== '{'.charCodeAt(0)) return { bytes: content, receivedMs: null };
  const { evidence, receivedMs } = JSON.parse(content.toString('utf8')) as { evidence?: unknown; receivedMs?: unknown };
  if (typeof evidence !== 'string') throw new Unusable(`${file}: evidence: is missing`);
  return { bytes: Buffer.from(evidence, 'base64url'), receivedMs: typeof receivedMs === 'number' ? receivedMs : null };
}

function readReferences(directory: string | undefined, releaseKey: string | undefined): ReferenceValues {
  const anything = { gateway: directory === undefined, meter: directory === undefined };
  if (directory === undefined) return referencesOf([], { image: () => undefined, files: () => undefined }, anything);
  if (!releaseKey || !/^[0-9a-f]{64}$/.test(releaseKey))
    throw new Unusable('--release-key: is not 64 lower-case hexadecimal digits');
  const folder = new ArtefactFolder(directory);
  folder.refresh();
  const key = Buffer.from(releaseKey, 'hex');
  const manifests = folder.manifests.map((bytes) => openManifest(bytes, key)).sort((a, b) => a.version - b.version);
  if (manifests.length === 0) throw new Unusable(`${directory}: holds no manifest`);
  return referencesOf(manifests, folder);
}

function inWords(verdict: Verdict, atMs: number): string {
  const { trusted, refusals, warnings, facts } = verdict;
  const lines = [`${trusted ? 'trusted' : 'NOT trusted'}, judged for ${new Date(atMs).toISOString()}`];
  for (const { row, sentence } of refusals) lines.push(`  refused (${row}): ${sentence}`);
  for (const { row, sentence } of warnings) lines.push(`  warning (${row}): ${sentence}`);
  if (facts) {
    const { ekSerial, area, address, gatewayVersion, meterVersion, resetCount } = facts;
    lines.push(
      `  device ${ekSerial}, area ${area}, ${address}`,
      `  gateway: release ${gatewayVersion ?? 'unknown'}, meter: release ${meterVersion ?? 'unknown'}, TPM started ${resetCount} times`,
    );
  }
  return lines.join('\n');
}

function run(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      roots: { type: 'string' },
      authority: { type: 'string' },
      reference: { type: 'string' },
      'release-key': { type: 'string' },
      at: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [file, ...more] = positionals;
  if (!file || more.length > 0) throw new Unusable('one FILE is needed; --help tells more');
  if (!values.roots)
    throw new Unusable('--roots: is missing; without makers of TPMs to trust there is nothing to verify');
  if (!values.authority) throw new Unusable("--authority: is missing: the trusted third party's certificate");
  const { bytes, receivedMs } = readEvidence(file);
  const atMs = values.at === undefined ? (receivedMs ?? Date.now()) : Date.parse(values.at);
  if (Number.isNaN(atMs)) throw new Unusable(`--at: ${values.at} is no time`);

  const verdict = appraise({
    evidence: decodeEvidence(bytes),
    trust: { endorsement: readEkRoots(values.roots), holders: new HolderCheck(readFileSync(values.authority, 'utf8')) },
    references: readReferences(values.reference, values['release-key']),
    challenge: 'unchecked',
    nowMs: atMs,
    // a bench's protocol time may lie before its TPMs were made
    calendarMs: values.at === undefined ? Date.now() : atMs,
    sender: null,
    isRegistered: () => true,
    isCertificateRevoked: () => false,
    revocationOf: () => null,
    known: null,
  });
  if (values.json) {
    const plain = ({ code, row, sentence }: { code: string; row: number; sentence: string }) => ({
      code,
      row,
      sentence,
    });
    const { trusted, refusals, warnings, facts } = verdict;
    const shown = facts && { ...facts, akName: Buffer.from(facts.akName).toString('hex') };
    console.log(
      JSON.stringify({ trusted, atMs, refusals: refusals.map(plain), warnings: warnings.map(plain), facts: shown }),
    );
  } else console.log(inWords(verdict, atMs));
  return verdict.trusted ? 0 : 1;
}

try {
  process.exitCode = run();
} catch (error) {
  const { message, path } = error as Error & { path?: string };
  console.error(error instanceof MalformedError ? `not evidence: ${path}: ${error.problem}` : message);
  process.exitCode = 2;
}
