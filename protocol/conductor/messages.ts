/**
 * What the bench's conductor says to a party that runs as a process of its own (gateway, collector, provider), over the
 * process's IPC channel (`fork` with `serialization: 'advanced'`, so bytes stay bytes). The conductor owns protocol time:
 *
 *   conductor                         party
 *     ├── advance {toMs, serial} ──────► moves its clock, takes the bytes that the meter sent meanwhile, works
 *     ◄── settled {pending, serial} ──┤  when nothing is left to do (or `deliver` is false and it did what it could)
 *     ├── ask {question} ──────────────► reads its own store
 *     ◄── answer {value} ─────────────┤
 *     ├── stop ────────────────────────► closes its stores, exits 0
 *
 * An `advance` that comes while an earlier one is still in work takes its place (a peer has just died: `deliver` is then
 * false and the party settles at once). A party sends `ready` once after it has started. Without an IPC channel a party runs on the system's clock.
 */
export interface AdvanceMessage {
  type: 'advance';
  /** Unix ms that protocol time moves to. */
  toMs: number;
  /** Gateway only: what the meter wrote to its serial port since the last step. */
  serial?: Uint8Array;
  /** True: settle only when everything is delivered and acknowledged. False: a peer is known to be down; do not wait for it. */
  deliver: boolean;
}
export interface AskMessage {
  type: 'ask';
  id: number;
  /** Such as `totals` (provider), `deliveries` (gateway, collector). */
  question: string;
  /** What the question needs to be told, such as the form that a customer fills in. */
  argument?: unknown;
}
export interface StopMessage {
  type: 'stop';
}
export type ConductorMessage = AdvanceMessage | AskMessage | StopMessage;

export interface ReadyMessage {
  type: 'ready';
  /** Where the party listens, for people: the page of a gateway. */
  url?: string;
  /** Made on the first start only; shown once on the terminal, never stored in clear or logged. */
  firstPassword?: string;
  /** SHA-256 of the page's certificate authority, for people to compare with what their browser shows. */
  authorityFingerprint?: string;
}
export interface SettledMessage {
  type: 'settled';
  atMs: number;
  /** How many things still wait to be delivered. */
  pending: number;
  /** Gateway only: it is in the middle of a long talk with its meter, and gets on by a word a step: short steps are wanted. */
  busy?: boolean;
  /** Gateway only: what it wrote to the meter. */
  serial?: Uint8Array;
}
export interface AnswerMessage {
  type: 'answer';
  id: number;
  value: unknown;
}
export type PartyMessage = ReadyMessage | SettledMessage | AnswerMessage;
