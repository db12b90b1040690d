/**
 * A process that writes the meter's quarter hours with their log, as fast as it can, until it is killed: `DIRECTORY`, where it finds
 * store and anchor. Says how far it has come after each batch is stored.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnchorPlace, HouseholdLog } from '../../../gateway/billing/household-log.ts';
import { GatewayStore } from '../../../gateway/store.ts';
import { DrivenClock } from '../../../protocol/time/clock.ts';
import { SLOT_MS } from '../../../protocol/time/slots.ts';
import { LINK_RECORD } from '../../../protocol/wire/link-messages.ts';

const FIRST = 20_000 * 96;
/** Of a TPM it has this much: what is written is there, whole. */
export function fileAnchors(directory: string): AnchorPlace {
  const put = (name: string, text: string): void => {
    writeFileSync(join(directory, `${name}.new`), text);
    renameSync(join(directory, `${name}.new`), join(directory, name));
  };
  const get = (name: string): string | null => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch {
      return null;
    }
  };
  return {
    async read() {
      const anchor = get('anchor');
      return { generation: Number(get('count') ?? 0), anchor: anchor === null ? null : Buffer.from(anchor, 'hex') };
    },
    async write(generation, anchor) {
      put('anchor', Buffer.from(anchor).toString('hex'));
      put('count', String(generation));
    },
  };
}

if (import.meta.main) {
  const [, , directory] = process.argv;
  const clock = new DrivenClock(0);
  const log = new HouseholdLog({
    keys: { key: async () => Buffer.alloc(32, 5) },
    anchors: fileAnchors(directory),
    clock,
    log: (line) => console.error(line),
  });
  const store = new GatewayStore(join(directory, 'data'), [log]);
  let slot = (store.measuredRange()?.last ?? FIRST - 1) + 1;
  clock.advanceTo(slot * SLOT_MS);
  await log.start();
  process.send!({ state: log.state });
  for (;;) {
    const k = slot - FIRST;
    const [start, end] = [k * 1000, (k + 1) * 1000];
    const registers = { startImportMwh: start, startExportMwh: 0, endImportMwh: end, endExportMwh: 0 };
    store.write({
      lives: [],
      records: [
        { type: LINK_RECORD, number: k + 1, boot: 1, uptimeMs: k, slot, importMwh: end, exportMwh: 0, flags: 0 },
      ],
      edges: [],
      marks: [],
      slots: [{ slot, ...registers, exact: true }],
      reports: [],
    });
    process.send!({ stored: k + 1 });
    slot += 1;
    // a day in twelve steps, so that many anchors are made
    clock.advanceTo(clock.nowMs() + 8 * SLOT_MS);
    log.tick();
    await log.idle();
    await new Promise((next) => setImmediate(next));
  }
}
