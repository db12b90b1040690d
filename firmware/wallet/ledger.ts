/**
 * The allocation ledger: every mWh that a record counts, import and export, has exactly one purpose (protocols.md, section 7).
 * (Espruino dialect; everything it needs is passed in)
 *
 * What a slot has is the difference of its record and the one before it, in the journal. A protocol takes of it what it sells or was
 * paid for, at once or in portions, for OPEN_SLOTS after the slot has ended; what is left then is rest for good and goes into the
 * bill. Nothing that was given is ever taken back, so the same kWh cannot be sold through two doors.
 *
 * A sale and its allocation are one commit of the vault: `allocateWith` asks the protocol for its own changes, given what it gets, and
 * commits both or neither. So whatever a cut leaves, a credential was used exactly where the energy is marked as sold.
 *
 *   vault, SPACE_LEDGER   id 0           delivered u32: lines up to this record have gone to the gateway for good
 *                         id slot / 16   the parts of sixteen slots: { slot mod 16 u8 · part (protocol/wire/ledger.ts) } …
 *
 * No part of a slot without a sound record of its own: where the clock stepped in it, the clamp looked reversed, or it is not known
 * which quarter hour it was, all of it is rest.
 */
import type { LedgerLine, LedgerPart } from '../../protocol/wire/ledger.ts';
import {
  DIRECTION_EXPORT,
  DIRECTION_IMPORT,
  LEDGER_PART_BYTES,
  PURPOSE_MOST,
  PURPOSE_REST,
  partAt,
  putPart,
} from '../../protocol/wire/ledger.ts';
import type { MeterRecord } from '../../protocol/wire/link-messages.ts';
import { FLAG_CLOCK_STEP, FLAG_REVERSED } from '../../protocol/wire/link-messages.ts';
import { SPACE_LEDGER } from './spaces.ts';
import type { Vault, VaultChange } from './vault.ts';
import { vaultError } from './vault-log.ts';

/** So many slots, with the one that has just ended, can still be given a purpose. */
export const OPEN_SLOTS = 16;
const SHEET_SLOTS = 16;
const SHEET_PART_BYTES = 1 + LEDGER_PART_BYTES;
/** What four bytes hold: 17 MW over a quarter hour is no household. */
const SLOT_MOST_MWH = 4294967295;
const DELIVERED_ID = 0;
/** Records that are looked through for a slot: those without a slot lie between the others. */
const SEARCHED_RECORDS = 4 * OPEN_SLOTS;

/** The journal, as the ledger reads it. */
export interface Records {
  record(number: number): MeterRecord | null;
  oldestRecord(): number;
  newestRecord(): number;
  newestSlot(): number;
}
export interface AllocationRequest {
  slot: number;
  direction: number;
  /** Not PURPOSE_REST. */
  purpose: number;
  /** What is wanted; as much of it is granted as is left. */
  energyMwh: number;
}
/** What a record counts, by purpose: parts and rest, for each direction. */
export interface SlotParts {
  number: number;
  slot: number;
  importMwh: number;
  exportMwh: number;
  parts: LedgerPart[];
}
interface SheetPart extends LedgerPart {
  slot: number;
}
/** The parts of sixteen slots, as they lie in the vault. */
interface Sheet {
  id: number;
  parts: SheetPart[];
}

const sheetOf = (slot: number) => Math.floor(slot / SHEET_SLOTS);

function decodeSheet(id: number, value: Uint8Array | null): Sheet {
  const sheet: Sheet = { id: id, parts: [] };
  if (!value) return sheet;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  for (let at = 0; at < value.length; at += SHEET_PART_BYTES) {
    const part = partAt(view, at + 1, 'ledger');
    sheet.parts.push({
      slot: id * SHEET_SLOTS + view.getUint8(at),
      direction: part.direction,
      purpose: part.purpose,
      energyMwh: part.energyMwh,
    });
  }
  return sheet;
}
function changeOf(sheet: Sheet): VaultChange {
  const value = new Uint8Array(sheet.parts.length * SHEET_PART_BYTES);
  const view = new DataView(value.buffer);
  let at = 0;
  for (const part of sheet.parts) {
    view.setUint8(at, part.slot % SHEET_SLOTS);
    putPart(view, at + 1, part);
    at += SHEET_PART_BYTES;
  }
  return { space: SPACE_LEDGER, id: sheet.id, value: value };
}
function addTo(sheet: Sheet, request: AllocationRequest, energyMwh: number): void {
  for (const part of sheet.parts) {
    if (part.slot === request.slot && part.direction === request.direction && part.purpose === request.purpose) {
      part.energyMwh += energyMwh;
      return;
    }
  }
  sheet.parts.push({
    slot: request.slot,
    direction: request.direction,
    purpose: request.purpose,
    energyMwh: energyMwh,
  });
}
function checkRequest(request: AllocationRequest): void {
  const direction = request.direction;
  const purpose = request.purpose;
  const sound =
    (direction === DIRECTION_IMPORT || direction === DIRECTION_EXPORT) &&
    purpose > PURPOSE_REST &&
    purpose <= PURPOSE_MOST &&
    request.energyMwh >= 0 &&
    Math.floor(request.energyMwh) === request.energyMwh;
  if (!sound) throw vaultError('an allocation that makes no sense');
}

export function sumOf(parts: LedgerPart[], direction: number): number {
  let sum = 0;
  for (const part of parts) if (part.direction === direction) sum += part.energyMwh;
  return sum;
}

export class AllocationLedger {
  vault: Vault;
  records: Records;
  /** Counts what was allocated since the start. */
  version = 0;

  constructor(vault: Vault, records: Records) {
    this.vault = vault;
    this.records = records;
  }

  /** The energy of a slot and what it is for so far; null where the slot has no record of its own. */
  parts(slot: number): SlotParts | null {
    const record = this.recordOf(slot);
    return record ? this.partsOf(record) : null;
  }

  /** What of a slot can still be given a purpose, mWh. */
  left(slot: number, direction: number): number {
    const newest = this.records.newestSlot();
    if (slot > newest || slot + OPEN_SLOTS <= newest) return 0;
    const record = this.recordOf(slot);
    if (!record || record.flags & (FLAG_CLOCK_STEP | FLAG_REVERSED)) return 0;
    const known = this.partsOf(record);
    if (!known) return 0;
    const energyMwh = direction === DIRECTION_EXPORT ? known.exportMwh : known.importMwh;
    return energyMwh > SLOT_MOST_MWH ? 0 : energyMwh - sumOf(known.parts, direction);
  }

  /** Gives energy a purpose. @return how much was granted, mWh: what was wanted, or what was left */
  allocate(slot: number, direction: number, purpose: number, energyMwh: number): number {
    let granted = 0;
    this.allocateWith([{ slot: slot, direction: direction, purpose: purpose, energyMwh: energyMwh }], (amounts) => {
      granted = amounts[0];
      return [];
    });
    return granted;
  }

  /**
   * Gives energy a purpose and changes whatever goes with it, in one commit.
   * @param requests no two for the same slot, direction and purpose
   * @param changesFor the protocol's own changes for what each request gets, mWh; null: nothing is to happen at all
   * @return whether it happened
   * @throws Error, and nothing has changed, where a request makes no sense or the vault does not take it
   */
  allocateWith(requests: AllocationRequest[], changesFor: (grantedMwh: number[]) => VaultChange[] | null): boolean {
    const granted: number[] = [];
    const sheets: Sheet[] = [];
    for (let i = 0; i < requests.length; i++) {
      const request = requests[i];
      checkRequest(request);
      let left = this.left(request.slot, request.direction);
      for (let j = 0; j < i; j++) {
        const other = requests[j];
        if (other.slot === request.slot && other.direction === request.direction) left -= granted[j];
      }
      const amount = Math.min(left, request.energyMwh);
      granted.push(amount);
      if (amount > 0) {
        const id = sheetOf(request.slot);
        let sheet = sheets.find((one) => one.id === id);
        if (!sheet) {
          sheet = this.sheet(id);
          sheets.push(sheet);
        }
        addTo(sheet, request, amount);
      }
    }
    const changes = changesFor(granted);
    if (!changes) return false;
    const all = sheets.map(changeOf);
    for (const change of changes) all.push(change);
    this.vault.commit(all);
    if (sheets.length > 0) this.version++;
    return true;
  }

  // ── what goes to the gateway ──

  /** Number of the newest record whose parts cannot change any more; 0: none. */
  finalNumber(): number {
    const newest = this.records.newestSlot();
    let number = this.records.newestRecord();
    for (let i = 0; i < SEARCHED_RECORDS && number > 0; i++) {
      const record = this.records.record(number);
      if (record && record.slot > 0 && record.slot + OPEN_SLOTS <= newest) return number;
      number--;
    }
    return number;
  }

  /** The line of a record; null where all of it is rest, or where it is not kept any more. */
  line(number: number): LedgerLine | null {
    const record = this.records.record(number);
    if (!record || record.slot === 0) return null;
    const known = this.partsOf(record);
    if (!known || known.parts.length === 0) return null;
    return {
      number: number,
      slot: record.slot,
      restImportMwh: known.importMwh - sumOf(known.parts, DIRECTION_IMPORT),
      restExportMwh: known.exportMwh - sumOf(known.parts, DIRECTION_EXPORT),
      parts: known.parts,
    };
  }

  /** Up to which record the gateway has all lines. */
  delivered(): number {
    const value = this.vault.get(SPACE_LEDGER, DELIVERED_ID);
    return value ? new DataView(value.buffer, value.byteOffset, 4).getUint32(0, true) : 0;
  }

  /** The gateway has all lines up to this record: what only they needed is forgotten. */
  forget(number: number): void {
    if (number > this.finalNumber() || number <= this.delivered()) return;
    const value = new Uint8Array(4);
    new DataView(value.buffer).setUint32(0, number, true);
    const changes: VaultChange[] = [{ space: SPACE_LEDGER, id: DELIVERED_ID, value: value }];
    const slot = this.slotUpTo(number);
    for (const id of this.vault.ids(SPACE_LEDGER)) {
      const lastSlot = (id + 1) * SHEET_SLOTS - 1;
      if (id !== DELIVERED_ID && lastSlot <= slot) changes.push({ space: SPACE_LEDGER, id: id, value: null });
    }
    this.vault.commit(changes);
  }

  // ── inside ──

  /** The record at whose end the slot ended; null where there is none. */
  recordOf(slot: number): MeterRecord | null {
    let number = this.records.newestRecord();
    for (let i = 0; i < SEARCHED_RECORDS && number > 0; i++) {
      const record = this.records.record(number);
      if (record && record.slot > 0 && record.slot <= slot) return record.slot === slot ? record : null;
      number--;
    }
    return null;
  }

  /** Null where what was before the record is not known. */
  partsOf(record: MeterRecord): SlotParts | null {
    const before = this.records.record(record.number - 1);
    if (!before && record.number > 1) return null;
    const id = sheetOf(record.slot);
    const parts: LedgerPart[] = [];
    for (const part of this.sheet(id).parts) {
      if (part.slot === record.slot) {
        parts.push({ direction: part.direction, purpose: part.purpose, energyMwh: part.energyMwh });
      }
    }
    return {
      number: record.number,
      slot: record.slot,
      importMwh: record.importMwh - (before ? before.importMwh : 0),
      exportMwh: record.exportMwh - (before ? before.exportMwh : 0),
      parts: parts,
    };
  }

  sheet(id: number): Sheet {
    return decodeSheet(id, this.vault.get(SPACE_LEDGER, id));
  }

  /** The newest slot in the records up to this one. */
  slotUpTo(number: number): number {
    for (let n = number; n > 0 && n > number - SEARCHED_RECORDS; n--) {
      const record = this.records.record(n);
      if (record && record.slot > 0) return record.slot;
    }
    return 0;
  }
}
