/**
 * The meter's half of the session LEDGER: what each Wh was for goes to the gateway with the records (protocol/wire/ledger.ts).
 * (Espruino dialect; everything it needs is passed in)
 *
 * Final lines go in the order of their records, each until the gateway has it on its disk; what may still change goes along when it has
 * changed. What was kept is forgotten here in portions, so that the vault is not written to for each quarter hour.
 */
import type { LedgerLine } from '../../protocol/wire/ledger.ts';
import { decodeKept, encodeLines, LINES_MOST } from '../../protocol/wire/ledger.ts';
import { SESSION_LEDGER } from '../../protocol/wire/sessions.ts';
import { FIRST_RETRY_MS, LAST_RETRY_MS } from '../link/record-sender.ts';
import type { AllocationLedger } from '../wallet/ledger.ts';
import type { Session } from './hub.ts';

/** A message looks at so many records: each is read from flash. */
const RECORDS_A_MESSAGE = 24;
/** Between two messages. */
const PAUSE_MS = 5000;
const FORGET_RECORDS = 16;

export class LedgerSession implements Session {
  id = SESSION_LEDGER;
  ledger: AllocationLedger;
  /** Whether there was room for it. */
  say: (body: Uint8Array) => boolean;
  /** Up to which record the gateway has final lines on its disk, as far as is known since the start. */
  kept: number;
  /** Newest record whose line cannot change any more. */
  final: number;
  recorded = false;
  /** What was said last, and whether it was answered. */
  saidUpTo = 0;
  saidVersion = 0;
  answered = true;
  retryMs = FIRST_RETRY_MS;
  dueMs = 0;
  refused = 0;

  constructor(ledger: AllocationLedger, say: (body: Uint8Array) => boolean) {
    this.ledger = ledger;
    this.say = say;
    this.kept = ledger.delivered();
    this.final = ledger.finalNumber();
    // what was given a purpose before the start may never have been told
    this.saidVersion = -1;
  }

  record(): void {
    this.recorded = true;
  }

  receive(body: Uint8Array): void {
    let number = 0;
    try {
      number = decodeKept(body);
    } catch (_) {
      this.refused++;
      return;
    }
    if (number > this.saidUpTo) {
      this.refused++;
      return;
    }
    this.answered = true;
    this.retryMs = FIRST_RETRY_MS;
    // less than before: a gateway that has lost something gets it again, as far as it is still here
    this.kept = Math.max(number, this.ledger.delivered());
    if (this.kept >= this.ledger.delivered() + FORGET_RECORDS) this.ledger.forget(this.kept);
  }

  tick(_unixMs: number, uptimeMs: number): void {
    if (this.recorded) {
      this.final = this.ledger.finalNumber();
      this.recorded = false;
    }
    const news = this.final > this.kept || this.ledger.version !== this.saidVersion;
    if ((!news && this.answered) || uptimeMs < this.dueMs) return;
    const after = Math.max(this.kept, this.ledger.records.oldestRecord() - 1);
    const lines: LedgerLine[] = [];
    let upTo = after;
    const last = Math.min(this.final, after + RECORDS_A_MESSAGE);
    while (upTo < last && lines.length < LINES_MOST) {
      upTo++;
      this.collect(upTo, lines);
    }
    const version = this.ledger.version;
    const newest = upTo < this.final ? 0 : this.ledger.records.newestRecord();
    for (let number = upTo + 1; number <= newest && lines.length < LINES_MOST; number++) this.collect(number, lines);
    if (!this.say(encodeLines({ after: after, upTo: upTo, lines: lines }))) return;
    this.retryMs = this.answered ? FIRST_RETRY_MS : Math.min(2 * this.retryMs, LAST_RETRY_MS);
    this.dueMs = uptimeMs + (this.answered ? PAUSE_MS : this.retryMs);
    this.answered = false;
    this.saidUpTo = upTo;
    this.saidVersion = version;
  }

  collect(number: number, lines: LedgerLine[]): void {
    const line = this.ledger.line(number);
    if (line) lines.push(line);
  }
}
