import type { Records } from '../../../firmware/wallet/ledger.ts';
import { FLAG_NO_CLOCK, LINK_RECORD, type MeterRecord } from '../../../protocol/wire/link-messages.ts';

/** A journal of which a test says what it holds. */
export class FakeRecords implements Records {
  readonly list: (MeterRecord | null)[] = [];
  add(slot: number, importMwh: number, exportMwh: number, flags = slot === 0 ? FLAG_NO_CLOCK : 0): MeterRecord {
    const last = this.list.at(-1);
    const record: MeterRecord = {
      type: LINK_RECORD,
      number: this.list.length + 1,
      boot: 1,
      uptimeMs: this.list.length * 900_000,
      slot,
      importMwh: (last?.importMwh ?? 0) + importMwh,
      exportMwh: (last?.exportMwh ?? 0) + exportMwh,
      flags,
    };
    this.list.push(record);
    return record;
  }
  record = (number: number) => this.list[number - 1] ?? null;
  oldestRecord = () => 1;
  newestRecord = () => this.list.length;
  newestSlot = () => this.list.reduce((newest, record) => Math.max(newest, record?.slot ?? 0), 0);
}
