/**
 * The meter's sessions and their way over the line: each is one protocol's half. (Espruino dialect; everything it needs is passed
 * in)
 *
 * What they say waits in one queue, of which a few parts go out each second, so that live values and records always find room; a
 * queue that is full takes nothing more (`say` answers false), and who wanted to say it tries again at a later tick. What comes in
 * for a session that is not there is dropped before any memory is spent on it. A session that throws is told about and costs the
 * others nothing: metering goes on.
 */
import type { MeterRecord, Say, Tell } from '../../protocol/wire/link-messages.ts';
import { LINK_SAY } from '../../protocol/wire/link-messages.ts';
import { partOf, partsOf, SESSION_MOST_BYTES, SessionReader } from '../../protocol/wire/sessions.ts';

/** Parts a second: a quarter of what 115,200 baud carry. */
const PARTS_A_TICK = 8;
const MESSAGE_NUMBERS = 256;

export interface Session {
  /** protocol/wire/sessions.ts */
  id: number;
  /** A message from the gateway's half. Nobody signs on the line: what it says is to be checked. */
  receive(body: Uint8Array, uptimeMs: number): void;
  /** Once a second, after the window. @param unixMs 0: the time is not known */
  tick(unixMs: number, uptimeMs: number): void;
  /** A quarter hour was recorded; called in the tick, before the window: short. */
  record?(record: MeterRecord): void;
}

interface Waiting {
  session: number;
  message: number;
  body: Uint8Array;
  /** The next part to go. */
  part: number;
}

export class SessionHub {
  send: (part: Say) => void;
  complain: (what: string) => void;
  sessions: Session[] = [];
  waiting: Waiting[] = [];
  waitingBytes = 0;
  message = 0;
  reader = new SessionReader();
  /** Parts for sessions that are not here. */
  strangers = 0;
  /** Times that a session threw. */
  faults = 0;

  /** @param complain hears what a session threw, with its number */
  constructor(send: (part: Say) => void, complain: (what: string) => void) {
    this.send = send;
    this.complain = complain;
  }

  add(session: Session): void {
    this.sessions.push(session);
  }

  /** Queues a message of 1 … 16,384 bytes, which are not to be changed afterwards. False where there is no room for it now. */
  say(session: number, body: Uint8Array): boolean {
    const bytes = body.length;
    if (bytes < 1 || bytes > SESSION_MOST_BYTES)
      throw new Error('session ' + session + ': a message of ' + bytes + ' bytes');
    if (this.waitingBytes + bytes > SESSION_MOST_BYTES) return false;
    this.waiting.push({ session: session, message: this.message, body: body, part: 0 });
    this.waitingBytes += bytes;
    this.message = (this.message + 1) % MESSAGE_NUMBERS;
    return true;
  }

  /** A part from the gateway. */
  receive(part: Tell, uptimeMs: number): void {
    const session = this.session(part.session);
    if (!session) {
      this.strangers++;
      return;
    }
    const whole = this.reader.push(part);
    if (whole) this.guarded(session, () => session.receive(whole.body, uptimeMs));
  }

  tick(unixMs: number, uptimeMs: number): void {
    for (let i = 0; i < this.sessions.length; i++) this.tickOne(this.sessions[i], unixMs, uptimeMs);
    for (let i = 0; i < PARTS_A_TICK && this.waiting.length > 0; i++) this.sendPart();
  }

  record(record: MeterRecord): void {
    for (let i = 0; i < this.sessions.length; i++) this.recordOne(this.sessions[i], record);
  }

  session(id: number): Session | null {
    for (let i = 0; i < this.sessions.length; i++) if (this.sessions[i].id === id) return this.sessions[i];
    return null;
  }
  // each in a function of its own: closures made in a loop would all see the last session
  tickOne(session: Session, unixMs: number, uptimeMs: number): void {
    this.guarded(session, () => session.tick(unixMs, uptimeMs));
  }
  recordOne(session: Session, record: MeterRecord): void {
    this.guarded(session, () => {
      if (session.record) session.record(record);
    });
  }
  guarded(session: Session, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.faults++;
      this.complain('session ' + session.id + ': ' + error);
    }
  }
  sendPart(): void {
    const first = this.waiting[0];
    const p = partOf(first.session, first.message, first.body, first.part);
    first.part++;
    if (first.part === partsOf(first.body.length)) {
      this.waiting.shift();
      this.waitingBytes -= first.body.length;
    }
    this.send({
      type: LINK_SAY,
      session: p.session,
      message: p.message,
      part: p.part,
      parts: p.parts,
      bytes: p.bytes,
    });
  }
}
