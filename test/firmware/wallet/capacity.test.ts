import { fileURLToPath } from 'node:url';
import test from 'ava';
import { espruinoBinary, runEspruino } from '../../../bench/espruino/process.ts';
import { SPACE_SELLING } from '../../../firmware/wallet/spaces.ts';
import { buildFirmware } from '../../../scripts/build.mjs';
import { seeded } from './memory-flash.ts';
import { newWalletFlash, openVault, rememberingNatives } from './vault-natives.ts';

/** A month's credentials as their owner keeps them: a state and fifteen bytes each, thirty-two to a sheet. */
const CREDENTIALS = 3000;
const CREDENTIAL_BYTES = 16;
const PER_SHEET = 32;
/** Of 16,383 that the ESP32 has at most. */
const BOARD_VARIABLE_BYTES = 14;
const SHEETS = Math.ceil(CREDENTIALS / PER_SHEET);

test('3,000 credentials in sheets: each changes its state twice, a hundred starts, none is lost', (t) => {
  const natives = rememberingNatives();
  const random = seeded(8);
  const flash = newWalletFlash();
  let vault = openVault(flash, natives);
  const sheets = Array.from({ length: SHEETS }, () =>
    Uint8Array.from({ length: PER_SHEET * CREDENTIAL_BYTES }, () => Math.floor(random() * 256)),
  );
  for (const [id, value] of sheets.entries()) vault.commit([{ space: SPACE_SELLING, id, value }]);
  for (let change = 0; change < 2 * CREDENTIALS; change++) {
    const credential = Math.floor(random() * CREDENTIALS);
    const id = Math.floor(credential / PER_SHEET);
    sheets[id][(credential % PER_SHEET) * CREDENTIAL_BYTES] ^= 3;
    vault.commit([{ space: SPACE_SELLING, id, value: sheets[id] }]);
    vault.tidy();
    if (change % 60 === 0) vault = openVault(flash, natives);
  }
  for (vault of [vault, openVault(flash)])
    for (const [id, sheet] of sheets.entries())
      t.is(Buffer.compare(vault.get(SPACE_SELLING, id)!, sheet), 0, `sheet ${id}`);
  t.log(`${SHEETS} sheets of ${PER_SHEET * CREDENTIAL_BYTES} B; ${vault.freeBytes()} B are free beside them`);
  t.true(vault.freeBytes() > 40_000);
});

(espruinoBinary() ? test : test.skip)(
  'on real Espruino: variables and time, with 3,000 credentials and with a thousand entries (skipped where there is none)',
  async (t) => {
    const { code } = await buildFirmware({ entry: fileURLToPath(new URL('_capacity.js', import.meta.url)) });
    for (const [name, sheets, entries, most] of [
      ['3,000 credentials', SHEETS, 0, 700],
      ['1,000 entries of 64 B', 60, 940, 1200],
    ] as const) {
      const given = `var SHEETS=${sheets},SHEET_BYTES=${sheets === SHEETS ? PER_SHEET * CREDENTIAL_BYTES : 64},ENTRIES=${entries};`;
      const [line] = await runEspruino(`${given}\n${code}\nprint('\\x02END');`, { timeoutMs: 120_000 });
      const found = JSON.parse(line);
      t.log(
        `${name}: ${found.variables} variables of ${found.variableBytes} B when open (on an ESP32 at most ` +
          `${Math.ceil((found.variables * found.variableBytes) / BOARD_VARIABLE_BYTES)} of its ${BOARD_VARIABLE_BYTES} B), opened in ${found.openMs} ms; ` +
          `a commit ${found.sheetMs} ms, a value ${found.getMs} ms, sealing and opening 1,792 B ${found.sealMs} ms; ` +
          `${found.free} B free`,
      );
      t.like(found, { wrong: 0, opens: true });
      t.true((found.variables * found.variableBytes) / BOARD_VARIABLE_BYTES < most);
    }
  },
);
