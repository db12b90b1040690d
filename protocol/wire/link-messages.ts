/**
 * The words between meter and gateway on the serial line: the one table of all messages and commands.
 * (Espruino dialect: the firmware imports this file.)
 *
 * meter → gateway
 *   HELLO    after every start and on request: who I am, which records I hold
 *   LIVE     once a second, not acknowledged; its registers are the last ones that are in flash
 *   RECORD   the registers at the end of a quarter hour; sent again until ACK covers its number
 *   CLAMP    answer to CHECK_CLAMP
 *   REFUSED  a command that could not be carried out, and why; nothing has changed
 *   IMAGE_STATE  answer to the IMAGE commands, and whenever there is room for more: which byte is wanted next
 *   MEASUREMENT  answer to MEASURE, some seconds later
 *   RELAY_STATE  answer to RELAY, and when the relay has fallen back by itself
 *   SAY          a part of a message of a session (sessions.ts)
 *   PHASES       after LIVE, where three phases are measured: power, voltage and current of each, whose sum LIVE has
 *
 * gateway → meter
 *   TIME         the gateway's clock; the meter has none of its own after a power cut
 *   ACK          every record up to this number is on the gateway's disk
 *   READ         send the records from this number on (again)
 *   STATUS       answer with HELLO
 *   CHECK_CLAMP  a person has just switched on a resistive load above 500 W: is the clamp the right way round?
 *   IMAGE_BEGIN  a new program of this length, digest and version will come; said again, it asks how far that has got
 *   IMAGE_DATA   its bytes from an offset on: IMAGE_CHUNK_BYTES, the last ones fewer
 *   IMAGE_END    that was all: check it, keep it, and start it at the end of the netting block
 *   MEASURE      which program do you run? The nonce makes the answer a new one (protocol/updates/measurement.ts)
 *   RELAY        the switched load may have power or not, until then; said again before RELAY_LEASE_MS are over
 *   TELL         a part of a message for a session
 *
 * A start:   meter ── HELLO ──► gateway     again after 10 s … 5 min until TIME has come
 *            meter ◄── TIME ─── gateway
 *            meter ◄── READ n ─ gateway     where HELLO names records that the gateway has not: from the first of them on
 * A record:  meter ── RECORD n ► gateway    again after 10 s … 5 min; a backlog comes in portions of some records a second
 *            meter ◄── ACK n ── gateway     on its disk, and every one before it that the meter still holds
 * An update: meter ◄ IMAGE_BEGIN ── gateway     after a cut the meter wants the bytes from the last whole page on
 *            meter ── IMAGE_STATE ► gateway     offset: what is wanted next; room: up to where there is erased flash
 *            meter ◄ IMAGE_DATA × n ─ gateway   what is not the wanted offset is passed over and answered with IMAGE_STATE
 *            meter ◄ IMAGE_END ──── gateway
 *            meter ── IMAGE_STATE ► gateway     IMAGE_COMPLETE; then it starts anew, and HELLO says so
 *            meter ◄ MEASURE ────── gateway
 * Nobody signs on this line: the gateway has verified the manifest, the meter checks that it stores what was announced. Who has
 * the line has the meter; that it then runs something else is what MEASURE shows.
 * The meter sends by itself only what it recorded since its start; who finds a gap in the numbers asks with READ. A number that
 * is skipped although it was asked for is lost (its flash page is damaged): its energy is in the record after it.
 */
export const LINK_HELLO = 0x01;
export const LINK_LIVE = 0x02;
export const LINK_RECORD = 0x03;
export const LINK_CLAMP = 0x04;
export const LINK_REFUSED = 0x05;
export const LINK_IMAGE_STATE = 0x06;
export const LINK_MEASUREMENT = 0x07;
export const LINK_RELAY_STATE = 0x08;
export const LINK_SAY = 0x09;
export const LINK_PHASES = 0x0a;
export const LINK_TIME = 0x81;
export const LINK_ACK = 0x82;
export const LINK_READ = 0x83;
export const LINK_STATUS = 0x84;
export const LINK_CHECK_CLAMP = 0x85;
export const LINK_IMAGE_BEGIN = 0x86;
export const LINK_IMAGE_DATA = 0x87;
export const LINK_IMAGE_END = 0x88;
export const LINK_MEASURE = 0x89;
export const LINK_RELAY = 0x8a;
export const LINK_TELL = 0x8b;

/** Flags of LIVE and RECORD, a bit each. */
export const FLAG_CLIPPED = 1; // a sample touched the end of the ADC's range
export const FLAG_REVERSED = 2; // the clamp looks reversed (metering.md, "Reversed clamp")
export const FLAG_POWER_CUT = 4; // the interval contains a restart: up to one checkpoint of energy may be missing
export const FLAG_NO_CLOCK = 8; // the meter did not know the time. RECORD: `slot` is 0, boot and uptime alone give the instant
export const FLAG_NO_VOLTAGE = 16; // no mains voltage on the sensor
export const FLAG_CLOCK_STEP = 32; // the gateway's clock was set by more than 2 s within the interval

export interface Hello {
  type: typeof LINK_HELLO;
  /** 16 hex digits, from the chip. */
  meterId: string;
  /** Counts starts; kept in flash. */
  boot: number;
  uptimeMs: number;
  /** Oldest and newest record still in flash; 0 and 0 where there is none. Numbers start at 1. */
  oldestRecord: number;
  newestRecord: number;
  /** First 16 hex digits of the SHA-256 of the bundle's source. */
  firmware: string;
}
export interface Live {
  type: typeof LINK_LIVE;
  boot: number;
  /** Of the window that was measured. */
  uptimeMs: number;
  /** Import +, export −. */
  powerMw: number;
  reactiveMvar: number;
  apparentMva: number;
  voltageMv: number;
  currentMa: number;
  /** In 1/10,000, signed as the power is. */
  powerFactorE4: number;
  frequencyMhz: number; // millihertz
  /** Registers as they are in flash, mWh. Never less than any value sent before. */
  importMwh: number;
  exportMwh: number;
  flags: number;
}
/**
 * The registers at one instant. Energy of an interval is the difference of two records.
 * With a slot, the instant is that slot's end by the gateway's clock; so each record with a slot also says which uptime of that boot
 * was which time, and places the records of the same boot that have none (slot 0 ⇔ FLAG_NO_CLOCK): those from before TIME came, and
 * the *closing record* that the next start writes for a boot that was cut: the last registers that reached flash, and when.
 * Between a closing record and uptime 0 of the next boot nothing was measured. Slots that are not 0 only increase.
 */
export interface MeterRecord {
  type: typeof LINK_RECORD;
  /** Counts up by one from 1, over all boots. */
  number: number;
  boot: number;
  uptimeMs: number;
  /** The quarter hour (protocol/time/slots) that ended at this instant, or 0 (FLAG_NO_CLOCK). */
  slot: number;
  importMwh: number;
  exportMwh: number;
  flags: number;
}
export const CLAMP_RIGHT = 0;
export const CLAMP_REVERSED = 1;
export const CLAMP_LOAD_TOO_SMALL = 2; // less than 500 W, or not resistive
export interface Clamp {
  type: typeof LINK_CLAMP;
  verdict: number;
  powerMw: number;
  powerFactorE4: number;
}
export const REFUSED_UNKNOWN = 1; // no such command
export const REFUSED_MALFORMED = 2; // wrong length or a field out of range
export const REFUSED_NOT_KEPT = 3; // READ of a record that is no longer in flash; an update or MEASURE where no boot loader runs
export const REFUSED_NO_CLOCK = 4; // RELAY before TIME: `untilMs` means nothing yet
export interface Refused {
  type: typeof LINK_REFUSED;
  /** The type byte of the command that was refused. */
  command: number;
  reason: number;
}
export interface TimeCommand {
  type: typeof LINK_TIME;
  unixMs: number;
}
export interface Ack {
  type: typeof LINK_ACK;
  number: number;
}
export interface ReadRecords {
  type: typeof LINK_READ;
  from: number;
}
export interface Status {
  type: typeof LINK_STATUS;
}
export interface CheckClamp {
  type: typeof LINK_CHECK_CLAMP;
}

/** No IMAGE_DATA carries more; all but an image's last carry this. */
export const IMAGE_CHUNK_BYTES = 256;
/** States of IMAGE_STATE. */
export const IMAGE_NONE = 0; // nothing is being received
export const IMAGE_RECEIVING = 1; // `offset` is wanted next
export const IMAGE_COMPLETE = 2; // stored and checked; it is started at the end of the netting block
export const IMAGE_REJECTED = 3; // this very image was started and did not prove itself: the one before runs
export const IMAGE_DIFFERS = 4; // what was received has not the digest that was announced: begin again
export const IMAGE_WORN = 5; // the flash does not keep what is written
export const IMAGE_NO_ROOM = 6; // this board has no room for a second image, or not for one of this length
export const IMAGE_OLDER = 7; // the running version is not below the announced one
export const IMAGE_ON_TRIAL = 8; // the running image has yet to prove itself: its predecessor is not overwritten
export interface ImageState {
  type: typeof LINK_IMAGE_STATE;
  state: number;
  /** Of the image that the state is about, 0 where there is none. */
  version: number;
  /** The next byte that is wanted. */
  offset: number;
  /** Up to here there is erased flash: what lies beyond may be sent when `room` has moved on. */
  room: number;
  /** Version of the running image, 0 for the one that the meter was commissioned with. */
  running: number;
}
export interface Measurement {
  type: typeof LINK_MEASUREMENT;
  /** 32 B. */
  digest: Uint8Array;
  version: number;
  /** Of the running image, bytes. */
  length: number;
}
export interface ImageBegin {
  type: typeof LINK_IMAGE_BEGIN;
  version: number;
  length: number;
  /** 32 B: digestOfImage (protocol/updates/measurement.ts). */
  digest: Uint8Array;
}
export interface ImageData {
  type: typeof LINK_IMAGE_DATA;
  /** A multiple of IMAGE_CHUNK_BYTES. */
  offset: number;
  bytes: Uint8Array;
}
export interface ImageEnd {
  type: typeof LINK_IMAGE_END;
}
export interface Measure {
  type: typeof LINK_MEASURE;
  /** 32 B. */
  nonce: Uint8Array;
}
export const RELAY_OFF = 0;
export const RELAY_ON = 1;
/**
 * Two slots. After so long without a new RELAY the load has power again, whatever was said: the gateway may be gone. (A conductor
 * has gateway and meter talk once a quarter hour.)
 */
export const RELAY_LEASE_MS = 1800000;
export interface RelayState {
  type: typeof LINK_RELAY_STATE;
  state: typeof RELAY_OFF | typeof RELAY_ON;
  /** Until when it stays off; 0 where it is on. */
  untilMs: number;
}
export interface RelayCommand {
  type: typeof LINK_RELAY;
  state: typeof RELAY_OFF | typeof RELAY_ON;
  /** Unix ms, by the gateway's clock; of no meaning for RELAY_ON. */
  untilMs: number;
}
/** All parts of a session's message but the last have so many bytes; a message has at most so many parts: 16 kB. */
export const SESSION_PART_BYTES = 256;
export const SESSION_MOST_PARTS = 64;
export interface Say {
  type: typeof LINK_SAY;
  /** Which one; numbers in sessions.ts. */
  session: number;
  /** Counts the sender's messages, modulo 256. */
  message: number;
  /** From 0. */
  part: number;
  parts: number;
  bytes: Uint8Array;
}
export interface Tell {
  type: typeof LINK_TELL;
  session: number;
  message: number;
  part: number;
  parts: number;
  bytes: Uint8Array;
}
export type ImageCommand = ImageBegin | ImageData | ImageEnd | Measure;
export interface Phases {
  type: typeof LINK_PHASES;
  boot: number;
  uptimeMs: number;
  /** A phase after the other: mW i32 (import +, export −), mV u32, mA u32, little-endian. */
  bytes: Uint8Array;
}
export type MeterMessage =
  | Hello
  | Live
  | MeterRecord
  | Clamp
  | Refused
  | ImageState
  | Measurement
  | RelayState
  | Say
  | Phases;
export type GatewayCommand = TimeCommand | Ack | ReadRecords | Status | CheckClamp | ImageCommand | RelayCommand | Tell;
